// One file on its way: how far it is, a button that ends it, and what came of it.

import { clear, el } from "../dom.js";
import { bytes, count, duration, integer } from "../format.js";
import { predict } from "./sending.js";
import { Table } from "./table.js";

export class Run {
  constructor(server, model, file, root) {
    Object.assign(this, { model, file, root });
    this.begun = performance.now();
    this.control = new AbortController();
    this.bar = el("progress", { max: "1", "aria-label": `Progress of ${file.name}` });
    this.words = el("p", { class: "muted small", role: "status" }, "reading the first rows");
    clear(root, el("section", { class: "panel stack", "aria-label": "Progress" },
      el("div", { class: "row file-head" }, el("h2", {}, file.name), el("span", { class: "muted" }, bytes(file.size)),
        el("button", { class: "button small", type: "button", onclick: () => this.control.abort() }, "Cancel")),
      this.bar, this.words));
    this.done = predict(server, model, file, { tell: (state) => this.tell(state), signal: this.control.signal })
      .then((answers) => this.show(answers), (error) => this.fail(error));
  }

  /** Leave: nobody looks any more. */
  end() {
    this.isLeft = true;
    this.control.abort();
    URL.revokeObjectURL(this.address);
  }

  get seconds() {
    return (performance.now() - this.begun) / 1000;
  }

  tell({ share, rows, uploaded }) {
    this.bar.value = Math.min(share, 1);
    if (uploaded !== undefined) {
      this.words.textContent = uploaded < 1 ? `${bytes(uploaded * this.file.size)} sent` : "sent; the server predicts";
      return;
    }
    const left = share > 0 && share < 1 ? `, about ${duration((this.seconds / share) * (1 - share), 2)} left` : "";
    this.words.textContent = `${count(rows, "row")}, ${integer(rows / this.seconds)} per second${left}`;
  }

  show(answers) {
    if (this.isLeft) return;
    this.address = URL.createObjectURL(answers.blob());
    const name = `${this.file.name.replace(/\.[^.]*$/, "")}-predictions.csv`;
    clear(this.root, el("section", { class: "panel stack", "aria-label": "Predictions of the file" },
      el("div", { class: "row file-head" },
        el("div", {}, el("h2", {}, `${count(answers.rows, "prediction")} for ${this.file.name}`),
          el("p", { class: "muted small" }, `By ${this.model} in ${duration(this.seconds, 2)}, in the order of the file.`)),
        el("a", { class: "button primary", href: this.address, download: name }, "Download CSV")),
      new Table(answers).node));
  }

  fail(error) {
    if (this.isLeft) return;
    const line = error.name === "AbortError" ? el("p", { class: "note", role: "status" }, `${this.file.name}: cancelled. Nothing is kept.`)
      : el("p", { class: "error", role: "alert" }, `${this.file.name}: ${error.message}`);
    clear(this.root, line);
  }
}
