// A row as text, for models with so many columns that fields would be of no use, or with an open number of them.

import { el } from "../dom.js";
import { count } from "../format.js";

let ids = 0;

export class RowText {
  constructor({ columns }, changed) {
    this.columns = columns;
    const id = `trial-row-${(ids += 1)}`;
    this.area = el("textarea", {
      id, rows: 6, class: "mono trial-text", spellcheck: "false", autocomplete: "off", oninput: changed,
    });
    const wanted = columns.length ? count(columns.length, "value") : "As many values as the model takes";
    this.node = el("div", { class: "field" },
      el("label", { for: id }, `${wanted}, set apart by commas or spaces`), this.area);
  }

  set(row) {
    this.area.value = row.map((value) => (value === null ? "null" : JSON.stringify(value))).join(", ");
  }

  /** The row, or why there is none. */
  read() {
    const row = parse(this.area.value);
    if (row === null) return { problem: "The row is no list of values." };
    const wanted = this.columns.length;
    if (wanted && row.length !== wanted) return { problem: `The row has ${count(row.length, "value")}; ${wanted} are wanted.` };
    return row.length ? { row } : { problem: "The row is empty." };
  }
}

/** A list as JSON, with or without its brackets, or numbers set apart by whatever spreadsheets put there. */
function parse(text) {
  const inner = text.trim().replace(/^\[/, "").replace(/\]$/, "").trim();
  for (const candidate of [inner, inner.split(/[\s,;]+/).filter(Boolean).join(",")]) {
    try {
      return JSON.parse(`[${candidate}]`);
    } catch {
      // The next form, then.
    }
  }
  return null;
}
