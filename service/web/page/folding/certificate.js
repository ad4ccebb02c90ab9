// The certificate in words, and its errors as bars.

import { el } from "../dom.js";
import { count, integer, number, percent } from "../format.js";

const EPS = 2 ** -23;

export function certificate(found, metadata) {
  const { folded, unfolded_float32: plain } = found;
  return el("section", { class: "panel stack", "aria-labelledby": "certificate" },
    el("h2", { id: "certificate" }, "The certificate"),
    el("p", { class: "fold-words" }, compared(found)),
    el("p", { class: "fold-words" }, errors(found)),
    el("div", { class: "grid" },
      bars("Mean error of a row", [["Folded file", folded.mean, true], ["Unfolded, float32", plain.mean, false]]),
      bars("Largest error of a row", [["Folded file", folded.max, true], ["Unfolded, float32", plain.max, false]])),
    el("ul", { class: "fold-facts" },
      found.label_agreement !== null && el("li", {}, labels(found)),
      el("li", {}, parameters(found)),
      metadata.golden && el("li", {}, `${count(metadata.golden.inputs.length, "row")} with their answers lie in the file; the server repeats them before it serves it.`)));
}

function compared({ rows, held_out_rows: held }) {
  const between = rows - held;
  const which = between > 0 ? `${count(held, "row")} that training never saw and ${integer(between)} points between those` : `${count(held, "row")} that training never saw`;
  return `The file as it was written was opened again and compared, on ${count(rows, "row")}, with the network before folding computed in float64: ${which}.`;
}

function errors({ folded, unfolded_float32: plain, ratio_of_means: ratio }) {
  const verdict = ratio <= 1.1 ? "Folding costs nothing beyond what float32 costs anyway." : "That is a little more than float32 costs anyway.";
  return `On average a row is off by ${number(folded.mean, 2)} of its size (${number(folded.mean / EPS, 2)} ε), at worst by ${number(folded.max, 2)}. `
    + `The same network unfolded, in float32, is off by ${number(plain.mean, 2)}: the ratio is ${number(ratio, 3)}. ${verdict}`;
}

function labels({ label_agreement: agreement, ties }) {
  const tied = ties === 0 ? "none of them was a tie" : `${count(ties, "tie")} closer than float32 can tell apart`;
  return `${percent(agreement, 4)} of the labels equal those in float64; ${tied}.`;
}

function parameters({ parameters: stored, parameters_max_ulp: ulp }) {
  return `Each of the ${integer(stored)} stored parameters was compared with the exact fold: at most ${ulp.toFixed(3)} units in the last place away, and 0.5 is the nearest float32 there is.`;
}

function bars(title, lines) {
  const most = Math.max(...lines.map(([, value]) => value), Number.MIN_VALUE);
  return el("div", { class: "stack fold-bars" }, el("h3", {}, title),
    lines.map(([name, value, ours]) => el("div", { class: "fold-bar" },
      el("span", {}, name), el("span", { class: "mono" }, number(value, 3)),
      el("span", { class: ours ? "track ours" : "track", "aria-hidden": "true" },
        el("span", { style: { width: `${Math.max((value / most) * 100, 0.5)}%` } })))));
}
