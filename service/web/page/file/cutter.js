// A CSV without some of its columns, as a stream: the bytes of the other fields stay as they are.
//
// Quotes are read as `splitter.js` reads them. Lines that end early or late keep what they have, so that the server
// still finds them.

const QUOTE = 0x22, COMMA = 0x2c, LF = 0x0a;
const START = 0, PLAIN = 1, QUOTED = 2, AFTER_QUOTE = 3;

/**
 * The pieces without the fields at these places.
 * @param pieces an async iterable of Uint8Array, without a mark of the byte order in front.
 * @param places a Set of the fields' numbers, from 0.
 */
export async function* cut(pieces, places) {
  const cutter = new Cutter(places);
  for await (const piece of pieces) yield cutter.take(piece);
}

class Cutter {
  constructor(places) {
    this.places = places;
    this.state = START;
    this.begin();
  }

  /** A line begins. */
  begin() {
    this.field = 0;
    this.isKept = !this.places.has(0);
    this.hasField = this.isKept;
  }

  take(piece) {
    const out = new Uint8Array(piece.length);
    let size = 0;
    for (const byte of piece) {
      if (byte === LF && this.state !== QUOTED) {
        this.state = START;
        this.begin();
        out[size++] = LF;
      } else if (byte === COMMA && this.state !== QUOTED) {
        this.state = START;
        if (this.next()) out[size++] = COMMA;
      } else {
        this.state = after(this.state, byte);
        if (this.isKept) out[size++] = byte;
      }
    }
    return out.subarray(0, size);
  }

  /** The next field; whether a comma belongs in front of it. */
  next() {
    this.field += 1;
    this.isKept = !this.places.has(this.field);
    const isFirst = !this.hasField;
    this.hasField ||= this.isKept;
    return this.isKept && !isFirst;
  }
}

function after(state, byte) {
  if (state === QUOTED) return byte === QUOTE ? AFTER_QUOTE : QUOTED;
  return byte === QUOTE && state !== PLAIN ? QUOTED : PLAIN;
}
