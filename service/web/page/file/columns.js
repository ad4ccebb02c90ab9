// Which columns a file has, and which of them its model does not know.

import { parse } from "./csv.js";
import { columnsOf } from "./parquet.js";
import { kindOf, pieces } from "./pieces.js";
import { split } from "./splitter.js";

/**
 * The columns that stand between a file and its predictions: those that the model does not know, where all that it
 * wants are there. Of any other fault the server tells.
 */
export async function strangers(server, model, file, signal) {
  const detail = await server.json(`models/${encodeURIComponent(model)}`, { signal });
  // Without names of its own a model takes columns by their places.
  const isNamed = detail.features != null && (detail.metadata != null || detail.inputs.length > 1);
  const names = isNamed ? await namesOf(file, signal) : null;
  if (names === null || !detail.features.every((name) => names.includes(name))) return [];
  const known = new Set(detail.features);
  return [...new Set(names.filter((name) => !known.has(name)))];
}

/** The names of a table's columns; null where they cannot be read. */
export async function namesOf(file, signal) {
  if (kindOf(file) === "parquet") return columnsOf(file);
  for await (const { header } of split(pieces(file, signal), () => ({ bytes: 1, rows: 1 }))) {
    return parse(new TextDecoder().decode(header))[0] ?? null;
  }
  return null;
}
