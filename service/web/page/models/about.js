// What a model says about itself: its inputs with what training saw of them, how good it is, where it comes from.

import { el } from "../dom.js";
import { integer, moment, number, percent } from "../format.js";

const SHARES = /accuracy|r2|auc|f1|precision|recall/;

/** The nodes for GET /models/{name}, and for the graph's tensors when no table goes in. */
export async function about(server, name) {
  const detail = await server.model(name);
  const { metadata } = detail;
  if (metadata === null) return [note(), await tensors(server, name)];
  return [
    el("div", { class: "grid" }, quality(metadata), origin(metadata)),
    detail.features === null ? await tensors(server, name) : features(metadata.features),
  ];
}

function note() {
  return el("p", { class: "muted" }, "The file says nothing about itself: it was not written by foldserve. What it takes is read from its graph.");
}

function quality({ metrics, certificate }) {
  const scores = Object.entries(metrics).map(([name, value]) =>
    [name.replaceAll("_", " "), SHARES.test(name) && Math.abs(value) <= 1 ? percent(value) : number(value, 4)]);
  const proof = certificate === null
    ? "none"
    : `${integer(certificate.rows)} rows compared; mean error ${number(certificate.folded.mean, 3)}, ` +
      `${number(certificate.ratio_of_means, 3)} × that of float32 alone`;
  return list("Quality", [...scores, ["certificate", proof]]);
}

function origin({ provenance: from, epsilon }) {
  return list("Origin", [
    ["data", from.data],
    ["training rows", integer(from.training_rows)],
    ["seed", String(from.seed)],
    ["made", `${moment(from.created)}, foldserve ${from.foldserve}`],
    ["ε of its normalisation", epsilon === null ? "none" : number(epsilon)],
  ]);
}

function list(heading, rows) {
  return el("section", {}, el("h3", {}, heading),
    el("dl", { class: "pairs" }, rows.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])));
}

function features(all) {
  const units = all.some(({ unit }) => unit !== null);
  const headings = ["Feature", "Kind", "In the training rows", units && "Unit", "May be missing"].filter(Boolean);
  const line = (feature) => el("tr", {},
    el("th", { scope: "row" }, feature.name),
    el("td", {}, feature.kind),
    el("td", {}, seen(feature)),
    units && el("td", {}, feature.unit ?? ""),
    el("td", {}, feature.missing ? "yes" : "no"));
  return table(`Inputs: ${integer(all.length)}`, headings, all.map(line));
}

function seen({ minimum, maximum, categories }) {
  if (categories !== null) return categories.join(", ");
  return minimum === null ? "" : `${number(minimum, 4)} to ${number(maximum, 4)}`;
}

async function tensors(server, name) {
  const { inputs } = await server.json(`v2/models/${encodeURIComponent(name)}`);
  const line = (tensor) => el("tr", {},
    el("th", { scope: "row" }, tensor.name),
    el("td", {}, tensor.datatype),
    el("td", {}, tensor.shape.map((size) => (size < 0 ? "any" : size)).join(" × ")));
  return table("Tensors it takes", ["Name", "Datatype", "Shape"], inputs.map(line));
}

function table(heading, headings, lines) {
  return el("section", {}, el("h3", {}, heading),
    el("div", { class: "scroll tall", tabindex: "0", role: "region", "aria-label": heading },
      el("table", { class: "data" },
        el("thead", {}, el("tr", {}, headings.map((text) => el("th", { scope: "col" }, text)))),
        el("tbody", {}, lines))));
}
