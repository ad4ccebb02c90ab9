// A long CSV → parts that are each a CSV of their own: the header, and whole rows behind it.
//
// Works on bytes, as quotes, commas and line ends are the same bytes in UTF-8. A quote opens a quoted field only where
// a field begins; a line end inside one belongs to the row. A part never ends with an empty line: those at the end of
// a table say nothing, while one between rows may be a row.

const QUOTE = 0x22;
const COMMA = 0x2c;
const LF = 0x0a;
const CR = 0x0d;
const LONGEST = 64 * 1024 * 1024;
const START = 0;
const PLAIN = 1;
const QUOTED = 2;
const AFTER_QUOTE = 3;

/** Rows of a table with the header in front of them; `first` is the number of its first row, from 0. */
export class Part {
  constructor(header, body, first, ends) {
    Object.assign(this, { header, body, first, ends });
  }

  get rows() {
    return this.ends.length;
  }

  /** What is sent. */
  bytes() {
    const all = new Uint8Array(this.header.length + this.body.length);
    all.set(this.header);
    all.set(this.body, this.header.length);
    return all;
  }

  /** Two parts of half the rows each, or null when no line could end the first. */
  halves() {
    for (let cut = this.rows >> 1; cut > 0; cut--) {
      if (isEmpty(this.body, this.ends[cut - 2] ?? 0, this.ends[cut - 1]) || isEmpty(this.body, this.ends[cut - 1], this.ends[cut])) continue;
      const at = this.ends[cut - 1];
      return [
        new Part(this.header, this.body.subarray(0, at), this.first, this.ends.slice(0, cut)),
        new Part(this.header, this.body.subarray(at), this.first + cut, this.ends.slice(cut).map((end) => end - at)),
      ];
    }
    return null;
  }
}

/**
 * The parts of a table.
 * @param pieces an async iterable of Uint8Array.
 * @param size how many bytes and rows a part has: a function of the number of parts so far.
 */
export async function* split(pieces, size) {
  const scanner = new Scanner();
  let count = 0;
  for await (const piece of pieces) {
    scanner.take(piece);
    for (let part = scanner.next(size(count)); part !== null; part = scanner.next(size(count))) {
      count += 1;
      yield part;
    }
  }
  scanner.end();
  for (let part = scanner.next(size(count)); part !== null; part = scanner.next(size(count))) {
    count += 1;
    yield part;
  }
  const rest = scanner.rest();
  if (rest !== null) yield rest;
}

class Scanner {
  constructor() {
    this.data = new Uint8Array(0);
    this.ends = [];
    this.at = 0;
    this.state = START;
    this.header = null;
    this.first = 0;
    this.begun = false;
  }

  take(piece) {
    if (!this.begun && piece.length >= 3) {
      this.begun = true;
      if (piece[0] === 0xef && piece[1] === 0xbb && piece[2] === 0xbf) piece = piece.subarray(3);
    }
    const joined = new Uint8Array(this.data.length + piece.length);
    joined.set(this.data);
    joined.set(piece, this.data.length);
    this.data = joined;
    this.scan();
    if (this.data.length - (this.ends.at(-1) ?? 0) > LONGEST) throw new Error("a row does not end within 64 MiB: is a quote left open?");
    if (this.header === null && this.ends.length > 0) this.keepHeader();
  }

  /** A last line without an end of its own. */
  end() {
    if ((this.ends.at(-1) ?? 0) < this.data.length) this.ends.push(this.data.length);
    if (this.header === null && this.ends.length > 0) this.keepHeader();
  }

  scan() {
    let { state } = this;
    const { data, ends } = this;
    for (let at = this.at; at < data.length; at++) {
      const byte = data[at];
      if (state === QUOTED) {
        if (byte === QUOTE) state = AFTER_QUOTE;
      } else if (byte === LF) {
        state = START;
        ends.push(at + 1);
      } else if (byte === COMMA) state = START;
      else if (byte === QUOTE && state !== PLAIN) state = QUOTED;
      else state = PLAIN;
    }
    this.state = state;
    this.at = data.length;
  }

  keepHeader() {
    const end = this.ends.shift();
    this.header = this.data.slice(0, end);
    this.drop(end);
  }

  drop(count) {
    this.data = this.data.subarray(count);
    this.ends = this.ends.map((end) => end - count);
    this.at -= count;
  }

  /** The next part, once there are rows enough for it and one more that is not empty. */
  next({ bytes, rows }) {
    if (this.header === null || this.ends.length < 2) return null;
    let cut = this.ends.length - 1;
    if (this.ends[cut - 1] < bytes && cut < rows) return null;
    while (cut > 1 && (this.ends[cut - 1] > bytes || cut > rows)) cut -= 1;
    while (cut < this.ends.length && !this.mayCut(cut)) cut += 1;
    return cut < this.ends.length ? this.part(cut) : null;
  }

  mayCut(cut) {
    const at = this.ends[cut - 1];
    return !isEmpty(this.data, this.ends[cut - 2] ?? 0, at) && !isEmpty(this.data, at, this.ends[cut]);
  }

  part(cut) {
    const end = this.ends[cut - 1];
    const part = new Part(this.header, this.data.slice(0, end), this.first, this.ends.slice(0, cut));
    this.first += cut;
    this.ends = this.ends.slice(cut);
    this.drop(end);
    return part;
  }

  /** What is left when the table has ended; empty lines at the end are no rows. */
  rest() {
    while (this.ends.length > 0 && isEmpty(this.data, this.ends.at(-2) ?? 0, this.ends.at(-1))) this.ends.pop();
    if (this.ends.length > 0) return this.part(this.ends.length);
    // A table without rows is the server's to refuse.
    return this.first === 0 ? new Part(this.header ?? new Uint8Array(0), new Uint8Array(0), 0, []) : null;
  }
}

function isEmpty(data, start, end) {
  for (let at = start; at < end; at++) if (data[at] !== LF && data[at] !== CR) return false;
  return true;
}
