// A graph as boxes from top to bottom, a row for each layer. Both pictures have the rows of the graph before, so that
// a layer stands beside itself; what was folded is a faded box there, with an arrow to the layer that took it.

import { el, svg } from "../dom.js";
import { integer } from "../format.js";
import { rows as rowsOf } from "./rows.js";

/** The windows in which boxes are small. */
export const NARROW = "(max-width: 520px)";

const LEFT = 22;
const SMALL = { box: 236, width: 322, reach: 56 };
const WIDE = { box: 340, width: 450, reach: 80 };
const HEIGHT = 38;
const STEP = 58;
const MOST = 300;

/**
 * @param layers those of the graph before, or of the only one there is.
 * @param role "before", "after" or "alone".
 * @param after the graph after, for its counts.
 */
export function graph(layers, entries, role, after = null) {
  const size = matchMedia(NARROW).matches ? SMALL : WIDE;
  const shown = layers.slice(0, MOST);
  const rows = rowsOf(shown, entries, role, after);
  const height = rows.length * STEP - (STEP - HEIGHT) + 4;
  const drawing = svg("svg", {
    class: `fold-graph ${role}`, viewBox: `0 0 ${size.width} ${height}`, width: size.width, height, role: "img", "aria-label": summary(rows, role),
  },
  svg("defs", {}, marker(role)),
  edges(rows, role),
  rows.map((row, place) => (row.gone ? arrow(row, place, role, size) : null)),
  rows.map((row, place) => box(row, place, role, size)));
  const rest = layers.length - shown.length;
  return el("div", {},
    drawing, rest > 0 && el("p", { class: "muted small" }, `and ${integer(rest)} more layers`));
}

const top = (place) => place * STEP + 2;
const middle = (place) => top(place) + HEIGHT / 2;

function box(row, place, role, { box: width }) {
  const faded = row.gone && role === "after";
  const kind = ["fold-box", row.kindClass, faded && "faded", row.takes && role === "after" && "taker"].filter(Boolean).join(" ");
  // About the widths of letters: a name has what its kind leaves.
  const operator = cut(row.kind, 20);
  const room = Math.max(Math.floor((width - 40 - operator.length * 7.4) / 7.6), 6);
  return svg("g", { class: kind },
    svg("title", {}, row.title),
    svg("rect", { x: LEFT, y: top(place), width, height: HEIGHT, rx: 5 }),
    svg("text", { class: "name", x: LEFT + 12, y: top(place) + (row.note ? 16 : 23) }, cut(row.name, room)),
    row.note && svg("text", { class: "sub", x: LEFT + 12, y: top(place) + 30 }, cut(row.note, Math.floor(width / 6.6))),
    svg("text", { class: "kind", x: LEFT + width - 12, y: top(place) + (row.note ? 16 : 23), "text-anchor": "end" }, operator));
}

function edges(rows, role) {
  const paths = [];
  rows.forEach((row, place) => {
    for (const source of row.inputs) {
      const passes = role === "after" && (row.gone || rows[source].gone);
      const kind = passes ? "fold-edge passed" : "fold-edge";
      if (source === place - 1) paths.push(svg("path", { class: kind, d: `M${LEFT + 40} ${top(source) + HEIGHT}V${top(place)}` }));
      else paths.push(svg("path", { class: kind, d: aside(source, place) }));
    }
  });
  return paths;
}

/** An edge past other boxes, on the left of them. */
function aside(source, place) {
  const x = Math.max(4, LEFT - 8 - Math.min(place - source, 4) * 4);
  return `M${LEFT} ${middle(source) + 6}C${x} ${middle(source) + 6} ${x} ${middle(source) + 6} ${x} ${middle(source) + 20}`
    + `V${middle(place) - 20}C${x} ${middle(place) - 6} ${x} ${middle(place) - 6} ${LEFT} ${middle(place) - 6}`;
}

/** From what was folded to the layer that took it, on the right. */
function arrow(row, place, role, size) {
  const x = LEFT + size.box;
  return row.into.map((target) => {
    const reach = Math.min(18 + Math.abs(target - place) * 14, size.reach);
    const end = middle(target) + (target < place ? 8 : -8);
    return svg("path", {
      class: "fold-arrow", "marker-end": `url(#fold-tip-${role})`,
      d: `M${x} ${middle(place)}C${x + reach} ${middle(place)} ${x + reach} ${end} ${x + 5} ${end}`,
    });
  });
}

function marker(role) {
  return svg("marker", { id: `fold-tip-${role}`, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" },
    svg("path", { class: "fold-tip", d: "M0 0.5L8 4L0 7.5z" }));
}

function summary(rows, role) {
  const words = rows.filter((row) => !(row.gone && role === "after")).map((row) => `${row.name} (${row.kind})`);
  const listed = words.length > 40 ? [...words.slice(0, 40), `and ${words.length - 40} more`] : words;
  return `${role === "alone" ? "The graph" : `The graph ${role} folding`}: ${listed.join(", ")}.`;
}

function cut(text, most) {
  const half = Math.floor((most - 1) / 2);
  return text.length > most ? `${text.slice(0, half)}…${text.slice(-half)}` : text;
}
