// The columns of a Parquet file, and the same file without some of them.
//
// A Parquet file is pages of columns, one column after the other in each group of rows, and a footer that says where
// they lie. To leave columns out, the pages of the others are put one behind the other, and the footer is written
// anew: no page is unpacked, and nothing but the footer is read.

import { integer, read, write } from "./thrift.js";

const MAGIC = "PAR1";
const LONGEST_FOOTER = 64 * 1024 * 1024;

// Field numbers of parquet.thrift.
const FILE = { schema: 2, groups: 4, notes: 5, orders: 7 };
const ELEMENT = { name: 4, children: 5 };
const GROUP = { chunks: 1, bytes: 2, sorting: 4, offset: 5, compressed: 6 };
const CHUNK = { offset: 2, meta: 3, indexes: [4, 5, 6, 7] };
const META = { bytes: 6, compressed: 7, data: 9, index: 10, dictionary: 11, bloom: [14, 15] };

/** The names of the columns; null for what is no Parquet file, or not one that can be read here. */
export async function columnsOf(file) {
  const footer = await footerOf(file);
  return footer && columns(footer).map(({ name }) => name);
}

/** The file without the columns of these names. */
export async function without(file, names) {
  const footer = await footerOf(file);
  try {
    return rebuilt(file, footer, names);
  } catch {
    throw new Error("the columns cannot be left out, for the file's footer is damaged: write the file without them.");
  }
}

function rebuilt(file, footer, names) {
  const left = new Set(names);
  const found = columns(footer);
  const kept = found.filter(({ name }) => !left.has(name));
  // By leaf: a nested column has several.
  const isKept = found.flatMap(({ name, leaves }) => Array(leaves).fill(!left.has(name)));
  const elements = footer.get(FILE.schema).value;
  elements.items = [elements.items[0], ...kept.flatMap((column) => column.elements)];
  elements.items[0].get(ELEMENT.children).value = BigInt(kept.length);
  const orders = footer.get(FILE.orders)?.value;
  if (orders) orders.items = orders.items.filter((_, leaf) => isKept[leaf]);
  // Notes describe the table as it was written.
  footer.delete(FILE.notes);
  return assembled(file, footer, isKept);
}

/** The pages that are kept, and a footer that knows where they are now. */
function assembled(file, footer, isKept) {
  const parts = [MAGIC];
  let end = MAGIC.length;
  for (const group of footer.get(FILE.groups).value.items) {
    const chunks = group.get(GROUP.chunks).value;
    chunks.items = chunks.items.filter((_, leaf) => isKept[leaf]);
    let bytes = 0n;
    for (const chunk of chunks.items) {
      const meta = chunk.get(CHUNK.meta).value;
      const { start, size } = placeOf(meta);
      parts.push(file.slice(start, start + size));
      moved(chunk, meta, BigInt(end - start));
      end += size;
      bytes += meta.get(META.bytes).value;
    }
    group.set(GROUP.bytes, integer(bytes));
    for (const field of [GROUP.sorting, GROUP.offset, GROUP.compressed]) group.delete(field);
  }
  const written = write(footer);
  const length = new DataView(new ArrayBuffer(4));
  length.setUint32(0, written.length, true);
  return new Blob([...parts, written, length.buffer, MAGIC]);
}

/** Where the pages of a column are: a dictionary comes first. */
function placeOf(meta) {
  const dictionary = Number(meta.get(META.dictionary)?.value ?? 0n);
  const start = dictionary > 0 ? dictionary : Number(meta.get(META.data).value);
  return { start, size: Number(meta.get(META.compressed).value) };
}

function moved(chunk, meta, by) {
  for (const field of [META.data, META.dictionary]) {
    if (meta.get(field)?.value > 0n) meta.set(field, integer(meta.get(field).value + by));
  }
  // What lies elsewhere in the file and only helps to skip pages.
  for (const field of [META.index, ...META.bloom]) meta.delete(field);
  for (const field of CHUNK.indexes) chunk.delete(field);
  chunk.set(CHUNK.offset, integer(0));
}

/** The columns in order: name, how many leaves it has, and its part of the schema. */
function columns(footer) {
  const { items } = footer.get(FILE.schema).value;
  const found = [];
  for (let at = 1; at < items.length; ) {
    const next = endOf(items, at);
    const elements = items.slice(at, next);
    const leaves = elements.filter((element) => childrenOf(element) === 0).length;
    found.push({ name: new TextDecoder().decode(items[at].get(ELEMENT.name).value), leaves, elements });
    at = next;
  }
  return found;
}

/** Where the part of the schema that begins at `at` ends: the schema is a tree, written from left to right. */
function endOf(items, at) {
  let open = 1;
  while (open > 0) {
    open += childrenOf(items[at]) - 1;
    at += 1;
  }
  return at;
}

function childrenOf(element) {
  return Number(element.get(ELEMENT.children)?.value ?? 0n);
}

async function footerOf(file) {
  try {
    const tail = new DataView(await file.slice(-8).arrayBuffer());
    const length = tail.getUint32(0, true);
    const isParquet = new TextDecoder().decode(tail.buffer.slice(4)) === MAGIC;
    if (!isParquet || length > Math.min(file.size - 12, LONGEST_FOOTER)) return null;
    const footer = read(new Uint8Array(await file.slice(-8 - length, -8).arrayBuffer()));
    columns(footer);
    return footer;
  } catch {
    // Whatever it is, the server says what is wrong with it.
    return null;
  }
}
