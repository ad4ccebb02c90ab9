// What a row of a model holds, column by column, from all that the server tells of the model.

import { shortest, stepOf } from "./exact.js";

const OTHER_KINDS = { bool: "flag", string: "text" };

/**
 * @param detail GET /models/{name}
 * @param tensors GET /v2/models/{name}
 * @returns `columns` in order, empty when their number is open; `inputs` of the graph, each with the places of
 *   its columns; `rows`, how many a call must have; `examples`, rows that the file was certified with.
 */
export function formOf(detail, tensors) {
  const { features, metadata } = detail;
  const dtypes = new Map(detail.inputs.flatMap((input) => input.features.map((name) => [name, input.dtype])));
  const examples = (metadata?.golden?.inputs ?? []).map((row) => row.map(tidy));
  const columns = features.map((name, index) =>
    column(name, dtypes.get(name), metadata?.features[index], examples.map((row) => row[index])));
  const shapes = new Map(tensors.inputs.map((tensor) => [tensor.name, tensor.shape]));
  const first = tensors.inputs[0]?.shape[0] ?? -1;
  return {
    columns,
    examples,
    image: detail.image,
    rows: first > 0 ? first : 1,
    named: metadata !== null || detail.inputs.length > 1,
    inputs: detail.inputs.map((input) => ({
      name: input.name,
      dtype: input.dtype,
      flat: shapes.get(input.name)?.length === 1,
      places: input.features.map((name) => features.indexOf(name)),
    })),
  };
}

/** A row to begin with where there is no example: a blank picture, or the middle of what training saw. */
export function firstRow({ columns, image }) {
  if (columns.length === 0) return [0, 0];
  return image ? columns.map(() => lowest(columns)) : columns.map(middle);
}

/** The smallest number that training saw in any column. */
export function lowest(columns) {
  return Math.min(...columns.map(({ minimum }) => minimum ?? 0));
}

/** Why a value may surprise the model; null when training saw its like. */
export function doubt(column, value) {
  if (value === null) return null;
  if (column.categories !== null) return column.categories.includes(value) ? null : "not in the training rows";
  if (column.minimum === null || typeof value !== "number") return null;
  const inside = Math.fround(value) >= Math.fround(column.minimum) && Math.fround(value) <= Math.fround(column.maximum);
  return inside ? null : `outside the training rows: ${rangeOf(column)}`;
}

/** What training saw of a column of numbers, in words. */
export function rangeOf({ minimum, maximum }) {
  if (minimum === null) return "";
  return minimum === maximum ? `always ${minimum}` : `${minimum} to ${maximum}`;
}

function column(name, dtype, feature, seen) {
  const categories = feature?.categories ?? null;
  const minimum = shortest(feature?.minimum ?? null);
  const maximum = shortest(feature?.maximum ?? null);
  const whole = isWhole(dtype) || [minimum, maximum, ...seen].every((value) => value === null || Number.isInteger(value));
  const kind = categories !== null ? "choice" : (OTHER_KINDS[dtype] ?? "number");
  const ranged = minimum !== null && minimum < maximum;
  return {
    name, dtype, kind, categories, minimum, maximum, ranged, whole,
    step: !ranged ? null : whole ? Math.max(1, stepOf(minimum, maximum)) : stepOf(minimum, maximum),
    missing: feature?.missing ?? false,
    unit: feature?.unit ?? null,
  };
}

function middle(column) {
  if (column.kind === "choice") return column.categories[0] ?? "";
  if (column.kind === "text") return "";
  if (column.kind === "flag") return false;
  if (!column.ranged) return column.minimum ?? 0;
  const value = (column.minimum + column.maximum) / 2;
  return column.whole ? Math.round(value) : Number(value.toPrecision(3));
}

function isWhole(dtype) {
  return /^u?int/.test(dtype);
}

function tidy(value) {
  return typeof value === "number" ? shortest(value) : value;
}
