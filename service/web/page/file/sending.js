// A file → predictions: CSV in parts, one after the other; Parquet whole.

import { ServerError } from "../server.js";
import { Answers } from "./answers.js";
import { namesOf } from "./columns.js";
import { cut } from "./cutter.js";
import { without } from "./parquet.js";
import { kindOf, pieces } from "./pieces.js";
import { split } from "./splitter.js";

const TRIES = 5;
const FIRST = { bytes: 64 * 1024, rows: 2_000 };
const USUAL = { bytes: 1024 * 1024, rows: 50_000 };
const MEDIA = { csv: "text/csv; charset=utf-8; header=present", parquet: "application/vnd.apache.parquet" };

/**
 * Predict for all rows of a file.
 * @param leftOut names of columns that are not sent.
 * @param tell called with { share, rows } as it goes, or with { sent, size } for what is sent whole, in bytes.
 * @param signal ends it.
 */
export async function predict(server, model, file, { leftOut, tell, signal }) {
  const path = `models/${encodeURIComponent(model)}/predict`;
  const answers = new Answers();
  if (kindOf(file) === "parquet") {
    const body = leftOut.length > 0 ? await without(file, leftOut) : file;
    const progress = (share) => tell({ sent: share * body.size, size: body.size });
    answers.add(await post(server, path, body, MEDIA.parquet, signal, progress));
    return answers;
  }
  const source = new Source(file, leftOut, signal);
  let sent = 0;
  for await (const part of split(source.pieces(), (count) => (count === 0 ? FIRST : USUAL))) {
    await sendPart(server, path, part, answers, signal);
    sent += part.body.length;
    tell({ share: sent / Math.max(source.size - part.header.length, 1), rows: answers.rows });
  }
  return answers;
}

/** The bytes of a CSV, without those of the columns that are left out. */
class Source {
  constructor(file, leftOut, signal) {
    Object.assign(this, { file, leftOut, signal, read: 0, passed: 0 });
  }

  /** How many bytes there are, as far as can be told by now. */
  get size() {
    return this.read === 0 ? this.file.size : (this.file.size * this.passed) / this.read;
  }

  async *pieces() {
    for await (const piece of this.cut()) {
      this.passed += piece.length;
      yield piece;
    }
  }

  async *cut() {
    const whole = this.whole();
    yield* this.leftOut.length > 0 ? cut(whole, await this.places()) : whole;
  }

  async *whole() {
    for await (const piece of pieces(this.file, this.signal)) {
      this.read += piece.length;
      yield piece;
    }
  }

  async places() {
    const names = await namesOf(this.file, this.signal);
    return new Set(names.flatMap((name, place) => (this.leftOut.includes(name) ? [place] : [])));
  }
}

/** One part; one that is too large for this server goes in halves. */
async function sendPart(server, path, part, answers, signal) {
  try {
    answers.add(await post(server, path, part.bytes(), MEDIA.csv, signal), part.rows);
  } catch (error) {
    const halves = error instanceof ServerError && error.status === 413 ? part.halves() : null;
    if (halves === null) throw placed(error, part.first);
    for (const half of halves) await sendPart(server, path, half, answers, signal);
  }
}

async function post(server, path, body, media, signal, progress = null) {
  for (let attempt = 1; ; attempt++) {
    try {
      const headers = { "content-type": media, accept: "text/csv" };
      const answer = await server.request(path, { method: "POST", body, headers, signal, progress });
      return new Uint8Array(await answer.arrayBuffer());
    } catch (error) {
      // Busy: the next attempt may find room.
      if (error.status !== 503 || attempt >= TRIES) throw error;
      await pause(attempt, signal);
    }
  }
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    }, { once: true });
  });
}

/** The server counts the rows of what it was sent; here they are those of the file. */
function placed(error, first) {
  if (first > 0) error.message = error.message.replace(/^row (\d+)/, (_, row) => `row ${Number(row) + first}`);
  return error;
}
