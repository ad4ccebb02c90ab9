// The report of a fold: sizes, the two graphs, and a line for each normalisation. Used for served models and for files.

import { clear, el } from "../dom.js";
import { integer, number, percent } from "../format.js";
import { graph, NARROW } from "./graph.js";
import { inWords } from "./reasons.js";

/**
 * @param folding entries and counts, or null for a file without a report.
 * @param graphs { before, after }: lists of layers; before may be null.
 */
export function report(folding, graphs) {
  return [folding && sizes(folding), pictures(folding, graphs), folding && fates(folding)];
}

function sizes(folding) {
  const gone = folding.entries.filter((entry) => entry.direction !== "left").length;
  return el("dl", { class: "panel fold-sizes" },
    fact("Normalisations folded", `${gone} of ${folding.entries.length}`, gone === folding.entries.length ? "none left as such" : "the reasons are below"),
    fact("Parameters", change(folding.parameters_before, folding.parameters_after), share(folding.parameters_before, folding.parameters_after)),
    fact("Operations at run time", change(folding.layers_before, folding.layers_after), share(folding.layers_before, folding.layers_after)));
}

function fact(name, value, note) {
  return el("div", {}, el("dt", {}, name), el("dd", { class: "fold-value" }, value), el("dd", { class: "muted small" }, note));
}

function change(before, after) {
  return before === after ? integer(after) : [integer(before), el("span", { class: "muted", "aria-label": "to" }, " → "), integer(after)];
}

function share(before, after) {
  if (before === after) return "as before";
  return `${percent(Math.abs(after - before) / before, 2)} ${after < before ? "less" : "more"}`;
}

function pictures(folding, { before, after }) {
  const entries = folding?.entries ?? [];
  if (before === null) {
    const norms = after.filter((layer) => /Normalization$/.test(layer.kind)).length;
    const hint = norms > 0 && el("p", { class: "muted" },
      `It holds ${norms} that ${norms === 1 ? "normalises" : "normalise"}: `, el("code", {}, "foldserve fold model.onnx -o folded.onnx"), " folds what can be folded.");
    const alone = el("div", { class: "fold-scroll", tabindex: "0", role: "region", "aria-label": "All operations" });
    redrawn(alone, () => graph(after, [], "alone"));
    return el("section", { class: "panel stack", "aria-label": "The graph" }, el("h2", {}, "The graph"), hint, alone);
  }
  const pair = el("div", { class: "fold-pair fold-scroll", tabindex: "0", role: "region", "aria-label": "Both graphs" });
  redrawn(pair, () => [
    el("figure", {}, el("figcaption", {}, "Before"), graph(before, entries, "before")),
    el("figure", {}, el("figcaption", {}, "After"), graph(before, entries, "after", after)),
  ]);
  return el("section", { class: "panel stack", "aria-label": "The graph before and after" },
    el("h2", {}, "The graph before and after"), pair);
}

/** Draw now, and again when the window becomes narrow or wide, for as long as the node is on the page. */
function redrawn(node, draw) {
  const query = matchMedia(NARROW);
  const follow = () => {
    if (node.isConnected) clear(node, draw());
    else query.removeEventListener("change", follow);
  };
  query.addEventListener("change", follow);
  clear(node, draw());
}

function fates({ entries }) {
  if (entries.length === 0) return null;
  return el("section", { class: "panel stack" },
    el("h2", {}, "What became of each"),
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "What became of each normalisation" },
      el("table", { class: "data fold-fates" },
        el("thead", {}, el("tr", {}, ["Normalisation", "Kind", "Channels", "Went", "How"].map((name) =>
          el("th", { scope: "col", class: name === "Channels" ? "number" : null }, name)))),
        el("tbody", {}, entries.map((entry) => el("tr", {},
          el("th", { scope: "row" }, entry.layer),
          el("td", {}, entry.kind),
          el("td", { class: "number" }, integer(entry.channels)),
          el("td", {}, verdict(entry)),
          el("td", {}, how(entry))))))));
}

function verdict(entry) {
  if (entry.direction === "left") return el("span", { class: "badge warn" }, "left");
  return entry.direction === "split" ? el("span", { class: "badge good" }, "folded, shift kept") : el("span", { class: "badge good" }, "folded");
}

function how(entry) {
  const amp = entry.amp === null || entry.amp === undefined ? "" : ` The shift amplifies rounding ${number(entry.amp)} times.`;
  if (entry.direction === "left") {
    return [`${inWords(entry.reason)} `, el("code", {}, entry.reason), entry.detail && el("span", { class: "muted small fold-detail" }, entry.detail)];
  }
  if (entry.direction === "previous") return `Back into ${entry.into}: the rows of its weights, and its bias.`;
  if (entry.direction === "split") return `The scale went into ${entry.into}; one subtraction stays in front of it, which is more accurate here.${amp}`;
  return `Forward into ${entry.into}: the columns of its weights, and its bias.${amp}`;
}
