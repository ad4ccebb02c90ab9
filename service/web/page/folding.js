// What was folded: the graph before and after, what became of each normalisation, and the certificate.

import { clear, el } from "./dom.js";
import { certificate } from "./folding/certificate.js";
import { report } from "./folding/report.js";

export const title = "Folding";

export async function render(root, { server, model }) {
  if (model === null) {
    clear(root, el("h1", {}, title), el("p", { class: "note" }, "No model is served yet."));
    return () => {};
  }
  const { metadata, default_version: version } = await server.model(model);
  if (version === null) {
    clear(root, el("h1", {}, title), el("p", { class: "note" }, `No version of ${model} is live, so there is no graph to show.`));
    return () => {};
  }
  const graphs = await server.json(`models/${encodeURIComponent(model)}/graph`);
  const folding = metadata?.folding ?? null;
  clear(root,
    el("div", { class: "heading" }, el("div", {}, el("h1", {}, "What was folded"), el("p", {}, lead(folding, model, version)))),
    report(folding, graphs),
    metadata?.certificate && certificate(metadata.certificate, metadata));
  return () => {};
}

function lead(folding, model, version) {
  const which = `${model}, version ${version}`;
  if (folding === null) return `${which}: a file that foldserve did not write. This is the graph that runs.`;
  if (folding.entries.length === 0) return `${which} had no normalisation to fold.`;
  return `${which}. A normalisation is a multiplication and an addition; the linear layer beside it does both, so that nothing is left to compute.`;
}
