// Try it: a form made from what the model says of itself, its answer as you type, and the call as a program. A model
// that takes no rows gets its call as JSON.

import { clear, el } from "./dom.js";
import { count } from "./format.js";
import { Answer } from "./trial/answer.js";
import { Caller } from "./trial/caller.js";
import { doubt, firstRow, formOf } from "./trial/columns.js";
import { Drawing } from "./trial/drawing.js";
import { Fields } from "./trial/field.js";
import { arraysOf } from "./trial/languages.js";
import { RowText } from "./trial/rowtext.js";
import { Snippets } from "./trial/snippets.js";
import { TensorTrial, unwritable } from "./trial/tensors.js";

export const title = "Try it";

const MOST_FIELDS = 200;
const MOST_NAMED = 40;

/** The section for the chosen model; it is made anew when another version of it answers. */
export async function render(root, context) {
  const { model, watch } = context;
  let trial = null;
  let turn = 0;
  let version = versionOf(context.models, model);
  const show = async () => {
    const mine = ++turn;
    trial?.leave();
    trial = null;
    const made = await open(context, version);
    // Another version may have come, or another section, while this one was asked about.
    if (mine === turn) trial = made(root);
  };
  const end = watch((index) => {
    const now = versionOf(index, model);
    if (now === version) return;
    version = now;
    show().catch((error) => say(root, error.message));
  });
  await show();
  return () => {
    end();
    turn += 1;
    trial?.leave();
  };
}

/** What draws the section into a node, and returns the trial where there is one. */
async function open(context, version) {
  const { model, server } = context;
  if (model === null) return (root) => say(root, "There is no model yet.");
  if (version === null) return (root) => say(root, `No version of ${model} answers now.`);
  const tensors = server.json(`v2/models/${encodeURIComponent(model)}`);
  const [detail, described] = await Promise.all([server.model(model), tensors]);
  if (detail.features === null) return withoutRows(context, detail, described);
  return (root) => new Trial(context, detail, described).draw(root);
}

class Trial {
  constructor({ server, model, toast }, detail, tensors) {
    this.server = server;
    this.model = model;
    this.form = formOf(detail, tensors);
    this.path = `models/${encodeURIComponent(model)}/predict`;
    this.answer = new Answer(detail);
    this.snippets = new Snippets(toast);
    this.editors = editorsFor(this.form, (editor) => this.changed(editor));
    this.example = -1;
    this.caller = new Caller(server, this.path, {
      answered: (document, timing) => this.answer.show(document, timing),
      failed: (error) => this.answer.refuse(error.message),
      busy: (whether) => this.answer.busy(whether),
    });
  }

  nodes() {
    const [main, beside] = this.editors;
    return [
      el("div", { class: "heading" }, el("div", {}, el("h1", {}, `Try ${this.model}`),
        el("p", {}, "The model answers while you change the row."))),
      el("div", { class: this.form.image ? "trial trial-picture" : "trial" },
        this.panel = el("section", { class: "panel stack trial-form", "aria-label": "Row" }, this.head(), main.node,
          beside && el("details", {}, el("summary", {}, "The row as numbers"), beside.node)),
        this.answer.node, this.answer.strip),
      this.snippets.node,
    ];
  }

  head() {
    const { examples } = this.form;
    this.note = el("span", { class: "muted small" });
    const next = el("button", { type: "button", class: "button", onclick: () => this.fill() }, "Fill with an example");
    return el("div", { class: "row trial-head" }, el("h2", {}, "Row"), examples.length > 0 && [this.note, next]);
  }

  draw(root) {
    clear(root, this.nodes());
    this.unfollow = this.answer.follow(this.panel);
    if (this.form.examples.length) this.fill();
    else this.take(firstRow(this.form));
    return this;
  }

  /** The next of the rows that the file was certified with. */
  fill() {
    const { examples } = this.form;
    this.example = (this.example + 1) % examples.length;
    this.note.textContent = `Example ${this.example + 1} of ${examples.length}`;
    this.take(examples[this.example]);
  }

  take(row) {
    for (const editor of this.editors) editor.set(row);
    this.ask(row, 0);
  }

  /** Somebody has changed the row in one of the editors: the others follow. */
  changed(editor) {
    if (this.note) this.note.textContent = "";
    const { row, problem } = editor.read();
    if (problem !== undefined) {
      this.caller.stop();
      this.answer.doubt([]);
      this.answer.refuse(problem);
      return;
    }
    for (const other of this.editors) if (other !== editor) other.set(row);
    this.ask(row);
  }

  ask(row, rest) {
    const body = bodyOf(this.form, row);
    this.answer.doubt(doubted(this.form, row));
    this.snippets.show({
      address: this.server.address(), url: this.server.address(this.path), body, model: this.model,
      inputs: arraysOf(this.form, row), keyed: this.server.key !== null,
    });
    this.caller.ask(body, rest);
  }

  leave() {
    this.unfollow();
    this.caller.stop();
  }
}

/** What the row is changed with; the first is the usual one. */
function editorsFor(form, changed) {
  const { columns, image } = form;
  const few = columns.length > 0 && columns.length <= MOST_FIELDS;
  const kinds = image ? [Drawing, RowText] : [few ? Fields : RowText];
  const editors = kinds.map((Kind) => new Kind(form, () => changed(editors[kinds.indexOf(Kind)])));
  return editors;
}

/** By names where there are names and not too many of them, otherwise in order. */
function bodyOf({ columns, image, named, rows }, row) {
  const names = columns.map(({ name }) => name);
  if (!named || image || columns.length > MOST_NAMED || new Set(names).size < names.length) return { inputs: Array(rows).fill(row) };
  return { records: Array(rows).fill(Object.fromEntries(names.map((name, index) => [name, row[index]]))) };
}

function doubted({ columns, image }, row) {
  const names = columns.filter((column, index) => doubt(column, row[index]) !== null).map(({ name }) => name);
  if (!image || names.length === 0) return names;
  // Of pixels it matters how many they are, not what they are called.
  return [count(names.length, "pixel")];
}

/** A call of tensors in place of a form, where JSON can hold it. */
function withoutRows(context, { versions, default_version: version }, described) {
  const reason = versions.find((each) => each.version === version)?.reason;
  const why = `This model takes no rows of columns${reason ? `: ${reason}` : ""}.`;
  const obstacle = unwritable(described);
  if (obstacle !== null) return (root) => say(root, `${why} ${obstacle}`);
  return (root) => new TensorTrial(context, described, `${why} The doors for tensors below /v2 take it.`).draw(root);
}

function versionOf(index, name) {
  return index.models.find((model) => model.name === name)?.default_version ?? null;
}

function say(root, text) {
  clear(root, el("h1", {}, title), el("p", { class: "note" }, text));
  return null;
}
