// A file → predictions: CSV in parts, one after the other; Parquet whole.

import { ServerError } from "../server.js";
import { Answers } from "./answers.js";
import { split } from "./splitter.js";

const TRIES = 5;
const FIRST = { bytes: 64 * 1024, rows: 2_000 };
const USUAL = { bytes: 1024 * 1024, rows: 50_000 };
const MEDIA = { csv: "text/csv; charset=utf-8; header=present", parquet: "application/vnd.apache.parquet" };

/** The kind of a file by its name: csv, parquet, onnx or null. */
export function kindOf(file) {
  const name = file.name.toLowerCase();
  return ["csv", "parquet", "onnx"].find((kind) => name.endsWith(`.${kind}`)) ?? null;
}

/**
 * Predict for all rows of a file.
 * @param tell called with { share, rows } as it goes, or with { share, uploaded } for what is sent whole.
 * @param signal ends it.
 */
export async function predict(server, model, file, { tell, signal }) {
  const path = `models/${encodeURIComponent(model)}/predict`;
  const answers = new Answers();
  if (kindOf(file) === "parquet") {
    const progress = (share) => tell({ share: share * 0.9, uploaded: share });
    answers.add(await post(server, path, file, MEDIA.parquet, signal, progress));
    tell({ share: 1, rows: answers.rows });
    return answers;
  }
  let sent = 0;
  for await (const part of split(pieces(file, signal), (count) => (count === 0 ? FIRST : USUAL))) {
    await sendPart(server, path, part, answers, signal);
    sent += part.body.length;
    tell({ share: sent / Math.max(file.size - part.header.length, 1), rows: answers.rows });
  }
  return answers;
}

async function* pieces(file, signal) {
  const size = 1 << 20;
  for (let at = 0; at < file.size; at += size) {
    signal.throwIfAborted();
    yield new Uint8Array(await file.slice(at, at + size).arrayBuffer());
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
