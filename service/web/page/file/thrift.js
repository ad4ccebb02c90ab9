// Structures in Thrift's compact protocol, the form of Parquet's footer: read without a schema, and written again.
//
// A structure is a Map from field number to { kind, value }; integers are BigInt, so that nothing is rounded.

const TRUE = 1, FALSE = 2, BYTE = 3, DOUBLE = 7, BINARY = 8, LIST = 9, SET = 10, STRUCT = 12;
const INTEGERS = new Set([4, 5, 6]);
const DEEPEST = 16;

export function read(bytes) {
  return new Reader(bytes).struct(0);
}

export function write(struct) {
  const out = [];
  putStruct(out, struct);
  return Uint8Array.from(out);
}

/** A field that holds a whole number. */
export function integer(value, kind = 6) {
  return { kind, value: BigInt(value) };
}

class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  struct(depth) {
    if (depth > DEEPEST) throw new RangeError("nested too deeply");
    const fields = new Map();
    let number = 0;
    for (let head = this.byte(); head !== 0; head = this.byte()) {
      number = head >> 4 ? number + (head >> 4) : Number(this.integer());
      const kind = head & 15;
      fields.set(number, { kind, value: kind === TRUE || kind === FALSE ? null : this.value(kind, depth) });
    }
    return fields;
  }

  value(kind, depth) {
    if (INTEGERS.has(kind)) return this.integer();
    if (kind === BINARY) return this.take(Number(this.varint()));
    if (kind === STRUCT) return this.struct(depth + 1);
    if (kind === LIST || kind === SET) return this.list(depth + 1);
    if (kind === DOUBLE) return this.take(8);
    if (kind <= BYTE) return this.byte();
    throw new RangeError(`the unknown kind ${kind}`);
  }

  list(depth) {
    if (depth > DEEPEST) throw new RangeError("nested too deeply");
    const head = this.byte();
    const size = head >> 4 === 15 ? Number(this.varint()) : head >> 4;
    if (size > this.bytes.length - this.at) throw new RangeError("a list longer than itself");
    const items = [];
    for (let index = 0; index < size; index += 1) items.push(this.value(head & 15, depth));
    return { kind: head & 15, items };
  }

  byte() {
    if (this.at >= this.bytes.length) throw new RangeError("cut short");
    return this.bytes[this.at++];
  }

  take(size) {
    if (size > this.bytes.length - this.at) throw new RangeError("cut short");
    this.at += size;
    return this.bytes.subarray(this.at - size, this.at);
  }

  integer() {
    const zigzag = this.varint();
    return (zigzag >> 1n) ^ -(zigzag & 1n);
  }

  varint() {
    let found = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.byte();
      found |= BigInt(byte & 127) << shift;
      if (byte < 128) return found;
    }
    throw new RangeError("an integer of more than 64 bits");
  }
}

function putStruct(out, fields) {
  let last = 0;
  for (const [number, { kind, value }] of fields) {
    const step = number - last;
    if (step > 0 && step < 16) out.push((step << 4) | kind);
    else {
      out.push(kind);
      putInteger(out, BigInt(number));
    }
    last = number;
    if (kind !== TRUE && kind !== FALSE) put(out, kind, value);
  }
  out.push(0);
}

function put(out, kind, value) {
  if (INTEGERS.has(kind)) putInteger(out, value);
  else if (kind === STRUCT) putStruct(out, value);
  else if (kind === LIST || kind === SET) putList(out, value);
  else if (kind <= BYTE) out.push(value);
  else {
    if (kind === BINARY) putVarint(out, BigInt(value.length));
    for (const byte of value) out.push(byte);
  }
}

function putList(out, { kind, items }) {
  if (items.length < 15) out.push((items.length << 4) | kind);
  else {
    out.push(0xf0 | kind);
    putVarint(out, BigInt(items.length));
  }
  for (const item of items) put(out, kind, item);
}

function putInteger(out, value) {
  putVarint(out, BigInt.asUintN(64, (value << 1n) ^ (value >> 63n)));
}

function putVarint(out, value) {
  for (; value > 127n; value >>= 7n) out.push(Number(value & 127n) | 128);
  out.push(Number(value));
}
