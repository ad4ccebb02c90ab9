// One table on its way: what is asked before it goes, how far it is, and what came of it.

import { clear, el } from "../dom.js";
import { count, duration, integer } from "../format.js";
import { strangers } from "./columns.js";
import { Progress } from "./progress.js";
import { predict } from "./sending.js";
import { Table } from "./table.js";

const MOST_NAMED = 8;

export class Run {
  constructor(server, model, file, root) {
    Object.assign(this, { server, model, file, root });
    this.control = new AbortController();
    this.begin([]);
  }

  /** Send the file without these columns; before any is left out, ask. */
  begin(leftOut) {
    this.progress = new Progress(this.file, () => this.control.abort());
    clear(this.root, this.progress.node);
    this.go(leftOut).catch((error) => this.fail(error)).finally(() => this.progress.end());
  }

  async go(leftOut) {
    const { server, model, file } = this;
    const { signal } = this.control;
    const unknown = leftOut.length > 0 ? [] : await strangers(server, model, file, signal);
    if (unknown.length > 0) this.ask(unknown);
    else this.show(await predict(server, model, file, { leftOut, tell: (state) => this.tell(state), signal }), leftOut);
  }

  /** Leave: nobody looks any more. */
  end() {
    this.isLeft = true;
    this.control.abort();
    URL.revokeObjectURL(this.address);
  }

  tell({ share, rows, sent, size }) {
    if (sent !== undefined) {
      this.progress.sent(sent, size, "all sent; the server predicts");
      return;
    }
    const { seconds } = this.progress;
    const left = share > 0 && share < 1 ? `, about ${duration((seconds / share) * (1 - share), 2)} left` : "";
    this.progress.show(share, `${count(rows, "row")}, ${integer(rows / seconds)} per second${left}`);
  }

  /** Columns that the model does not know are no reason to go away and change the file. */
  ask(unknown) {
    if (this.isLeft) return;
    const columns = count(unknown.length, "unknown column");
    const goOn = () => {
      this.begin(unknown);
      // The button is gone; the keyboard goes on from here.
      this.root.focus();
    };
    clear(this.root, el("section", { class: "panel stack", role: "alert" },
      el("p", {}, `${this.file.name}: ${this.model} does not know ${unknown.length === 1 ? "the column" : "the columns"} ${some(unknown)}. Nothing was sent yet.`),
      el("div", {}, el("button", { class: "button primary", type: "button", onclick: goOn }, `Leave out ${columns} and go on`))));
  }

  show(answers, leftOut) {
    if (this.isLeft) return;
    this.address = URL.createObjectURL(answers.blob());
    const name = `${this.file.name.replace(/\.[^.]*$/, "")}-predictions.csv`;
    const without = leftOut.length > 0 ? ` Left out: ${some(leftOut)}.` : "";
    clear(this.root, el("section", { class: "panel stack", "aria-label": "Predictions of the file" },
      el("div", { class: "row file-head" },
        el("div", {}, el("h2", {}, `${count(answers.rows, "prediction")} for ${this.file.name}`),
          el("p", { class: "muted small" }, `By ${this.model} in ${duration(this.progress.seconds, 2)}, in the order of the file.${without}`)),
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

/** Some names, the first few of them. */
function some(names) {
  const more = names.length - MOST_NAMED;
  return names.slice(0, MOST_NAMED).join(", ") + (more > 0 ? ` and ${integer(more)} more` : "");
}
