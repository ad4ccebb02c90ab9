// The predictions of a file, in order: kept as the CSV that the server wrote, read where somebody looks.

import { parse } from "./csv.js";

const LF = 0x0a;

export class Answers {
  constructor() {
    this.header = null;
    this.parts = [];
    this.rows = 0;
  }

  /** Add the answer to the next part; its header is kept once. */
  add(bytes, rows = null) {
    const end = bytes.indexOf(LF) + 1;
    this.header ??= bytes.slice(0, end);
    const body = bytes.subarray(end);
    const starts = lineStarts(body);
    if (rows !== null && starts.length !== rows) {
      throw new Error(`The server answered ${starts.length} rows for ${rows}: the file is not CSV as it is meant.`);
    }
    this.parts.push({ body, starts, first: this.rows });
    this.rows += starts.length;
  }

  get columns() {
    return this.header === null ? [] : parse(decode(this.header))[0];
  }

  /** The fields of the rows from `first` on, at most `count`. */
  page(first, count) {
    const found = [];
    for (const { body, starts, first: begin } of this.parts) {
      const from = Math.max(first - begin, 0);
      const to = Math.min(first + count - begin, starts.length);
      if (from >= to) continue;
      found.push(...parse(decode(body.subarray(starts[from], starts[to] ?? body.length))));
    }
    return found;
  }

  /** All of it as a file. */
  blob() {
    return new Blob([this.header, ...this.parts.map((part) => part.body)], { type: "text/csv" });
  }
}

function lineStarts(body) {
  const starts = [];
  let isQuoted = false;
  let begins = true;
  for (let at = 0; at < body.length; at++) {
    if (begins) starts.push(at);
    if (body[at] === 0x22) isQuoted = !isQuoted;
    begins = body[at] === LF && !isQuoted;
  }
  return starts;
}

function decode(bytes) {
  return new TextDecoder().decode(bytes);
}
