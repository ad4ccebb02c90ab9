// The rows of the pictures: each layer of the graph before, with what the fold made of it.

import { integer } from "../format.js";

/** A row for each layer: what is written into its box, what it reads, whether it is gone and who took it. */
export function rows(layers, entries, role, after) {
  const places = new Map();
  layers.forEach((layer, place) => {
    for (const name of [layer.name, layer.owner]) if (name && !places.has(name)) places.set(name, place);
  });
  const made = layers.map((layer) => row(layer, sizeOf(layer, role, after)));
  for (const entry of entries) mark(entry, made, places, role);
  return made;
}

function row(layer, note) {
  const name = layer.owner || layer.name;
  return {
    name, note, kind: layer.kind, inputs: layer.inputs ?? [], gone: false, takes: false, into: [],
    kindClass: classOf(layer), title: [name, layer.kind, note, layer.note].filter(Boolean).join(" · "),
  };
}

/** What is stored for a layer; after the fold that may be more, for a bias that was not there. */
function sizeOf(layer, role, after) {
  const now = role === "after" ? after?.find((each) => (layer.owner ? each.owner === layer.owner : each.name === layer.name)) : null;
  const { shape = [], parameters = 0 } = now ?? layer;
  if (shape.length === 0 || parameters === 0) return "";
  return `${shape.join(" × ")}, ${integer(parameters)} ${parameters === 1 ? "parameter" : "parameters"}`;
}

function classOf(layer) {
  if (layer.kind === "Input" || layer.kind === "Output") return "end";
  return layer.parameters > 0 || layer.shape?.length > 0 ? "stored" : "plain";
}

function mark(entry, made, places, role) {
  // A report may name several in one: "norm1 + scale".
  const own = entry.layer.split(" + ").map((name) => places.get(name)).filter((place) => place !== undefined);
  const takers = (entry.into ?? "").split(", ").map((name) => places.get(name)).filter((place) => place !== undefined);
  for (const place of own) {
    const each = made[place];
    each.kindClass = entry.direction === "left" ? "norm left" : "norm";
    if (entry.direction === "left") each.note = `left: ${entry.reason}`;
    each.into = takers;
    each.gone = entry.direction === "previous" || entry.direction === "next" || (entry.direction === "split" && role === "before");
    if (entry.direction === "split" && role === "after") {
      each.kind = "Sub";
      each.note = "only its shift stays";
    } else if (each.gone && role === "after") {
      each.note = `folded into ${entry.into}`;
    }
  }
  for (const place of takers) made[place].takes = true;
}
