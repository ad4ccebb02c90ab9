// An ONNX file → its folding report, where the operator allows it. It is neither served nor stored.

import { clear, el } from "../dom.js";
import { report } from "../folding/report.js";
import { bytes } from "../format.js";
import { Progress } from "./progress.js";

/** Ask for the report and show it; returns what ends it. */
export function foldedFile(server, file, root) {
  const control = new AbortController();
  const progress = new Progress(file, () => control.abort());
  let isLeft = false;
  clear(root, progress.node);
  show(server, file, root, progress, control.signal)
    .catch((error) => isLeft || clear(root, refusal(file, error)))
    .finally(() => progress.end());
  return {
    end: () => {
      isLeft = true;
      control.abort();
    },
  };
}

async function show(server, file, root, progress, signal) {
  // Asked first: a refusal should not cost a long upload.
  const door = await server.json("fold/state", { signal });
  if (!door.open) {
    clear(root, closed(file, door.reason));
    return;
  }
  if (file.size > door.max_bytes) throw new Error(`it has ${bytes(file.size)}, the limit is ${bytes(door.max_bytes)}.`);
  const headers = { "content-type": "application/octet-stream" };
  const tell = (share) => progress.sent(share * file.size, file.size, "all sent; the server folds");
  const found = await server.json("fold", { method: "POST", body: file, headers, signal, progress: tell });
  const words = found.entries.length === 0 ? "It holds no normalisation." : "Neither the file nor the folded model is kept; foldserve fold writes it.";
  clear(root, el("div", {}, el("h2", {}, `Folding ${file.name}`), el("p", { class: "muted" }, words)), report(found, found));
}

function refusal(file, error) {
  if (error.name === "AbortError") return el("p", { class: "note", role: "status" }, `${file.name}: cancelled. Nothing is kept.`);
  return el("p", { class: "error", role: "alert" }, `${file.name}: ${error.message}`);
}

function closed(file, reason) {
  return el("div", { class: "note stack", role: "status" },
    el("p", {}, `${file.name}: ${reason}`),
    el("p", {}, "On your own machine: ", el("code", {}, "foldserve fold model.onnx --check")));
}
