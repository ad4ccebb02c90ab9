// A file on this machine: its kind, and its bytes piece by piece, so that a long one is never here as a whole.

const SIZE = 1 << 20;
const MARK = [0xef, 0xbb, 0xbf];

/** The kind of a file by its name: csv, parquet, onnx or null. */
export function kindOf(file) {
  const name = file.name.toLowerCase();
  return ["csv", "parquet", "onnx"].find((kind) => name.endsWith(`.${kind}`)) ?? null;
}

/** The bytes of a file, without the mark that some programs put in front of UTF-8. */
export async function* pieces(file, signal) {
  const opening = new Uint8Array(await file.slice(0, MARK.length).arrayBuffer());
  const begin = MARK.every((byte, place) => opening[place] === byte) ? MARK.length : 0;
  for (let at = begin; at < file.size; at += SIZE) {
    signal?.throwIfAborted();
    yield new Uint8Array(await file.slice(at, at + SIZE).arrayBuffer());
  }
}
