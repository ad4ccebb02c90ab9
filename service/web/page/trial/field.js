// One column of the form. A field has a `node`, takes a value by `set`, gives it by `read`, and says by `warn`
// what is odd about it. `read` gives {value}, or {problem} when there is none to send.

import { clear, el } from "../dom.js";
import { doubt, rangeOf } from "./columns.js";

const OTHER = "other", MISSING = "missing", KNOWN = "known:";
let ids = 0;

/** The field for a column. */
export function fieldOf(column, changed) {
  const Kind = { number: NumberField, choice: ChoiceField, flag: FlagField, text: TextField }[column.kind];
  return new Kind(column, changed);
}

class Field {
  constructor(column, changed) {
    this.column = column;
    this.changed = changed;
    this.id = `trial-${(ids += 1)}`;
    this.hint = el("span", { class: "trial-hint", id: `${this.id}-hint` });
  }

  frame(...controls) {
    const { name, unit } = this.column;
    const label = el("label", { for: this.id }, name, unit && el("span", { class: "trial-unit" }, ` ${unit}`));
    this.node = el("div", { class: "trial-field" }, el("div", { class: "trial-label" }, label, this.hint), controls);
    this.warn();
    return this.node;
  }

  /** Say what is odd about the value that is there. */
  warn() {
    const { value = null } = this.read();
    const text = doubt(this.column, value);
    this.node?.classList.toggle("odd", text !== null);
    this.hint.textContent = text ?? (this.column.kind === "number" ? rangeOf(this.column) : "");
  }

  tell() {
    this.warn();
    this.changed();
  }
}

/** A number: typed, or moved with a slider over what training saw. */
class NumberField extends Field {
  constructor(column, changed) {
    super(column, changed);
    const { ranged, minimum, maximum, step, missing, name } = column;
    this.input = el("input", {
      id: this.id, type: "number", step: "any", "aria-describedby": this.hint.id, autocomplete: "off",
      oninput: () => this.typed(),
    });
    this.slider = ranged
      ? el("input", {
        type: "range", min: minimum, max: maximum, step, "aria-label": `${name}, slider`, oninput: () => this.slid(),
      })
      : null;
    this.none = missing ? el("input", { type: "checkbox", onchange: () => this.ticked() }) : null;
    const tick = this.none && el("label", { class: "trial-missing" }, this.none, "missing",
      el("span", { class: "visually-hidden" }, `: ${name}`));
    this.frame(el("div", { class: "trial-number" }, this.slider, this.input, tick));
  }

  set(value) {
    if (this.none) this.none.checked = value === null;
    this.input.disabled = value === null;
    if (this.slider) this.slider.disabled = value === null;
    this.input.value = value === null ? "" : String(value);
    this.follow();
    this.warn();
  }

  read() {
    if (this.none?.checked) return { value: null };
    const value = this.input.valueAsNumber;
    if (Number.isNaN(value)) return { problem: `${this.column.name} needs a number.` };
    return { value };
  }

  typed() {
    this.follow();
    this.tell();
  }

  slid() {
    // The last step may stop short of the end, which a slider can only show.
    this.input.value = String(Number(this.slider.valueAsNumber.toPrecision(9)));
    this.tell();
  }

  ticked() {
    const off = this.none.checked;
    if (!off && this.input.value === "") this.input.value = String(this.column.minimum ?? 0);
    this.input.disabled = off;
    if (this.slider) this.slider.disabled = off;
    this.follow();
    this.tell();
  }

  follow() {
    if (this.slider && !Number.isNaN(this.input.valueAsNumber)) this.slider.value = this.input.value;
  }
}

/** One of the texts that training saw, none at all, or a text of one's own. */
class ChoiceField extends Field {
  constructor(column, changed) {
    super(column, changed);
    this.select = el("select", { id: this.id, "aria-describedby": this.hint.id, onchange: () => this.chosen() },
      column.categories.map((text) => el("option", { value: KNOWN + text }, text === "" ? "(empty)" : text)),
      column.missing && el("option", { value: MISSING }, "missing"),
      el("option", { value: OTHER }, "another value…"));
    this.other = el("input", {
      type: "text", hidden: true, "aria-label": `${column.name}, another value`, autocomplete: "off",
      oninput: () => this.tell(),
    });
    this.frame(el("div", { class: "trial-choice" }, this.select, this.other));
  }

  set(value) {
    const known = this.column.categories.includes(value);
    this.select.value = value === null ? MISSING : known ? KNOWN + value : OTHER;
    this.other.hidden = this.select.value !== OTHER;
    this.other.value = known || value === null ? "" : value;
    this.warn();
  }

  read() {
    const { value } = this.select;
    if (value === MISSING) return { value: null };
    return { value: value === OTHER ? this.other.value : value.slice(KNOWN.length) };
  }

  chosen() {
    this.other.hidden = this.select.value !== OTHER;
    if (!this.other.hidden) this.other.focus();
    this.tell();
  }
}

/** True or false. */
class FlagField extends Field {
  constructor(column, changed) {
    super(column, changed);
    this.select = el("select", { id: this.id, onchange: () => this.tell() },
      el("option", { value: "false" }, "false"), el("option", { value: "true" }, "true"));
    this.frame(this.select);
  }

  set(value) {
    this.select.value = String(Boolean(value));
  }

  read() {
    return { value: this.select.value === "true" };
  }
}

/** Any text. */
class TextField extends Field {
  constructor(column, changed) {
    super(column, changed);
    this.input = el("input", { id: this.id, type: "text", autocomplete: "off", oninput: () => this.tell() });
    this.none = column.missing
      ? el("input", { type: "checkbox", onchange: () => this.ticked() })
      : null;
    const tick = this.none && el("label", { class: "trial-missing" }, this.none, "missing",
      el("span", { class: "visually-hidden" }, `: ${column.name}`));
    this.frame(el("div", { class: "trial-number" }, this.input, tick));
  }

  set(value) {
    if (this.none) this.none.checked = value === null;
    this.input.disabled = value === null;
    this.input.value = value ?? "";
  }

  read() {
    return { value: this.none?.checked ? null : this.input.value };
  }

  ticked() {
    this.input.disabled = this.none.checked;
    this.tell();
  }
}

/** Fields for all columns, with a filter when there are many. */
export class Fields {
  static MANY = 16;

  constructor({ columns }, changed) {
    this.columns = columns;
    this.fields = columns.map((column) => fieldOf(column, changed));
    const list = el("div", { class: "trial-fields" }, this.fields.map((field) => field.node));
    this.node = el("div", { class: "stack" });
    clear(this.node, columns.length > Fields.MANY && this.filter(), list);
  }

  set(row) {
    this.fields.forEach((field, index) => field.set(row[index]));
  }

  /** The row, or why there is none. */
  read() {
    const found = this.fields.map((field) => field.read());
    const problem = found.find((each) => each.problem !== undefined)?.problem;
    return problem === undefined ? { row: found.map((each) => each.value) } : { problem };
  }

  filter() {
    const id = `trial-${(ids += 1)}`;
    const narrow = (event) => {
      const text = event.target.value.trim().toLowerCase();
      this.fields.forEach(({ node, column }) => (node.hidden = !column.name.toLowerCase().includes(text)));
    };
    return el("div", { class: "field" }, el("label", { for: id }, `Find one of ${this.columns.length} features`),
      el("input", { id, type: "search", autocomplete: "off", oninput: narrow }));
  }
}
