// Drop a file: a table in, predictions out; an ONNX file shows what folding would do, where the operator allows it.

import { clear, el } from "./dom.js";
import { foldedFile } from "./file/onnx.js";
import { Run } from "./file/run.js";
import { kindOf } from "./file/pieces.js";

export const title = "File";

export async function render(root, context) {
  const view = new View(context);
  clear(root, view.nodes());
  const stop = (event) => event.preventDefault();
  // A file that misses the field would replace the page.
  addEventListener("dragover", stop);
  addEventListener("drop", stop);
  return () => {
    removeEventListener("dragover", stop);
    removeEventListener("drop", stop);
    view.end();
  };
}

class View {
  constructor(context) {
    this.context = context;
    this.run = null;
    this.outcome = el("div", { class: "stack file-outcome", tabindex: "-1" });
    this.input = el("input", {
      id: "file-input", type: "file", accept: ".csv,.parquet,.onnx", class: "visually-hidden", onchange: () => this.choose(),
    });
    this.field = el("div", { class: "file-field" },
      el("p", { class: "file-call" }, "Drop a file here, or"),
      this.input,
      el("label", { for: "file-input", class: "button primary" }, "Choose a file"),
      el("p", { class: "muted small" }, "CSV with a first line of names, or Parquet. Rows are sent to this server, answered and forgotten; nothing is stored."));
    for (const kind of ["dragenter", "dragover"]) this.field.addEventListener(kind, (event) => this.over(event));
    this.field.addEventListener("dragleave", () => this.field.classList.remove("over"));
    this.field.addEventListener("drop", (event) => this.drop(event));
  }

  nodes() {
    const { model, server } = this.context;
    const lead = el("p", {}, model === null ? "No model is served yet." : `Predictions come from ${model}, in the order of the rows.`);
    // Only where the operator allows it is it worth a word.
    server.json("fold/state").then((door) => door.open && lead.append(" An ONNX file shows what folding would make of it."), () => {});
    return [
      el("div", { class: "heading" }, el("div", {}, el("h1", {}, "Drop a file"), lead)),
      this.field, this.outcome,
    ];
  }

  over(event) {
    event.preventDefault();
    this.field.classList.add("over");
  }

  drop(event) {
    event.preventDefault();
    this.field.classList.remove("over");
    const [file] = event.dataTransfer?.files ?? [];
    if (file) this.take(file);
  }

  choose() {
    const [file] = this.input.files;
    if (file) this.take(file);
    // So that the same file can be chosen again.
    this.input.value = "";
  }

  take(file) {
    this.end();
    const { server, model } = this.context;
    const kind = kindOf(file);
    if (kind === "onnx") this.run = foldedFile(server, file, this.outcome);
    else if (kind === null) this.refuse(`${file.name} is neither CSV nor Parquet nor ONNX: choose a file that ends in .csv, .parquet or .onnx.`);
    else if (model === null) this.refuse("No model is served yet, so nothing can be predicted.");
    else if (file.size === 0) this.refuse(`${file.name} is empty.`);
    else this.run = new Run(server, model, file, this.outcome);
  }

  refuse(line) {
    clear(this.outcome, el("p", { class: "error", role: "alert" }, line));
  }

  end() {
    this.run?.end();
    this.run = null;
  }
}
