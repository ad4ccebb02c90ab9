// Predictions as a table, a page at a time.

import { clear, el } from "../dom.js";
import { integer } from "../format.js";

const ROWS = 25;

export class Table {
  constructor(answers) {
    this.answers = answers;
    this.first = 0;
    this.columns = answers.columns;
    this.body = el("tbody", {});
    this.place = el("span", { class: "muted small", role: "status" });
    this.steps = [
      this.step("First", () => 0), this.step("Previous", () => this.first - ROWS),
      this.step("Next", () => this.first + ROWS), this.step("Last", () => this.last),
    ];
    this.node = el("div", { class: "stack" },
      el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Predictions" },
        el("table", { class: "data file-table" },
          el("thead", {}, el("tr", {}, el("th", { scope: "col", class: "number" }, "row"), this.columns.map((name) => el("th", { scope: "col", class: "number" }, words(name))))),
          this.body)),
      el("div", { class: "row" }, answers.rows > ROWS && this.steps, this.place));
    this.show();
  }

  get last() {
    return Math.floor((this.answers.rows - 1) / ROWS) * ROWS;
  }

  step(name, to) {
    return el("button", { class: "button small", type: "button", onclick: () => this.go(to()) }, name);
  }

  go(first) {
    this.first = Math.max(0, Math.min(first, this.last));
    this.show();
  }

  show() {
    const rows = this.answers.page(this.first, ROWS);
    clear(this.body, rows.map((fields, index) => el("tr", {},
      el("th", { scope: "row", class: "number muted" }, integer(this.first + index + 1)), fields.map((field, place) => cell(field, place)))));
    const [first, previous, next, last] = this.steps;
    first.disabled = previous.disabled = this.first === 0;
    next.disabled = last.disabled = this.first >= this.last;
    this.place.textContent = `Rows ${integer(this.first + 1)} to ${integer(this.first + rows.length)} of ${integer(this.answers.rows)}`;
  }
}

function cell(field, place) {
  if (place === 0) return el("td", { class: "number file-prediction" }, field);
  const value = Number(field);
  return el("td", { class: "number", title: field }, field !== "" && Number.isFinite(value) ? value.toFixed(4) : field);
}

function words(name) {
  return name.startsWith("probability_") ? `p(${name.slice("probability_".length)})` : name;
}
