// A model that takes tensors and no rows: the body of its call as JSON, sent when somebody says so.

import { clear, el } from "../dom.js";
import { count, duration } from "../format.js";
import { Caller } from "./caller.js";
import { NUMPY_NAMES } from "./languages.js";
import { Snippets } from "./snippets.js";

/** Datatypes that have no form in JSON. */
const BINARY = new Set(["FP16", "BF16"]);
const MOST_VALUES = 200_000;
const MOST_SHOWN = 100;
const LONGEST_PROGRAM = 20_000;

/** Why no call of this model can be written as JSON; null when it can. */
export function unwritable({ inputs, outputs }) {
  const binary = inputs.find(({ datatype }) => BINARY.has(datatype));
  if (binary) return `Input ${binary.name} is ${binary.datatype}, which has no form in JSON: send it in binary, as tritonclient does.`;
  if (outputs.every(({ datatype }) => BINARY.has(datatype))) return "Its outputs have no form in JSON: ask for them in binary, as tritonclient does.";
  const size = inputs.reduce((sum, { shape }) => sum + product(smallest(shape)), 0);
  return size > MOST_VALUES ? `Its smallest call holds ${count(size, "value")}, too many to be written here: send them in binary, as tritonclient does.` : null;
}

export class TensorTrial {
  constructor({ server, model, toast }, described, why) {
    Object.assign(this, { server, model, described, why });
    this.path = `v2/models/${encodeURIComponent(model)}/infer`;
    this.snippets = new Snippets(toast);
    this.caller = new Caller(server, this.path, {
      answered: (document, timing) => this.show(document, timing),
      failed: (error) => this.refuse(error.message),
      busy: (whether) => this.answer.classList.toggle("waiting", whether),
    });
    this.area = el("textarea", {
      id: "tensor-body", rows: 14, class: "mono trial-text", spellcheck: "false", autocomplete: "off",
      oninput: () => this.write(), onkeydown: (event) => this.key(event),
    });
    this.headline = el("p", { class: "trial-headline", "aria-live": "polite" }, el("span", { class: "muted" }, "Not sent yet."));
    this.outputs = el("div", { class: "stack" });
    this.time = el("p", { class: "muted small trial-time" });
    this.answer = el("section", { class: "panel stack trial-answer", "aria-label": "Answer" },
      el("h2", {}, "Answer"), this.headline, this.outputs, this.time);
  }

  draw(root) {
    this.programs = el("div", { class: "stack" });
    clear(root,
      el("div", { class: "heading" }, el("div", {}, el("h1", {}, `Try ${this.model}`), el("p", {}, this.why))),
      el("div", { class: "trial trial-tensors" },
        el("section", { class: "panel stack trial-form", "aria-label": "Call" },
          el("div", { class: "row trial-head" }, el("h2", {}, "Call"),
            el("button", { type: "button", class: "button", onclick: () => this.fill() }, "Fill with zeros"),
            el("button", { type: "button", class: "button primary", onclick: () => this.send() }, "Send")),
          el("p", { class: "muted small" }, this.described.inputs.map(told).join("; ")),
          el("div", { class: "field" }, el("label", { for: "tensor-body" }, "Body of the call, as JSON; Ctrl+Enter sends it"), this.area)),
        this.answer),
      this.programs);
    this.fill();
    return this;
  }

  /** The smallest body of the right shape. */
  fill() {
    this.area.value = pretty(zeros(this.described));
    this.write();
  }

  key(event) {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    this.send();
  }

  send() {
    const { problem } = parsed(this.area.value);
    if (problem !== undefined) {
      this.caller.stop();
      this.refuse(problem);
      return;
    }
    // As it was written: a number of 64 bits is not one of JavaScript's.
    this.caller.ask(new Blob([this.area.value], { type: "application/json" }), 0);
  }

  /** The programs follow what is written, as long as it is JSON and not too long. */
  write() {
    const { body } = parsed(this.area.value);
    if (body === undefined) return;
    const call = { address: this.server.address(), url: this.server.address(this.path), model: this.model, keyed: this.server.key !== null };
    if (this.area.value.length > LONGEST_PROGRAM) {
      clear(this.programs, el("p", { class: "note" }, "The body is too long to stand in a program. Saved as body.json: ",
        el("code", {}, `curl -sS '${call.url}' -H 'content-type: application/json' -d @body.json`)));
      return;
    }
    this.snippets.show({ ...call, body, inputs: arraysOf(body) });
    if (!this.snippets.node.isConnected) clear(this.programs, this.snippets.node);
  }

  show({ outputs }, { whole, inside }) {
    clear(this.headline, el("strong", {}, count(outputs.length, "output")));
    clear(this.outputs, outputs.map(output));
    const server = inside === null ? "" : `, of which ${duration(inside)} in the server`;
    this.time.textContent = `Latency of the call: ${duration(whole)}${server}`;
  }

  refuse(text) {
    clear(this.headline, el("span", { class: "error trial-refusal" }, text));
    clear(this.outputs);
    this.time.textContent = "";
  }

  leave() {
    this.caller.stop();
  }
}

/** A body of zeros, with one of whatever may be any number. */
function zeros({ inputs, outputs }) {
  const body = {
    inputs: inputs.map(({ name, datatype, shape }) => {
      const sizes = smallest(shape);
      const zero = datatype === "BYTES" ? "" : datatype === "BOOL" ? false : 0;
      return { name, shape: sizes, datatype, data: Array(product(sizes)).fill(zero) };
    }),
  };
  const written = outputs.filter(({ datatype }) => !BINARY.has(datatype));
  if (written.length < outputs.length) body.outputs = written.map(({ name }) => ({ name }));
  return body;
}

function smallest(shape) {
  return shape.map((size) => (size < 0 ? 1 : size));
}

function product(sizes) {
  return sizes.reduce((all, size) => all * size, 1);
}

/** A line for each key, and lists of values on one. */
function pretty({ inputs, ...rest }) {
  const line = (value) => JSON.stringify(value).replaceAll(",", ", ");
  const tensor = (each) => `    {\n${Object.entries(each).map(([key, value]) => `      ${JSON.stringify(key)}: ${line(value)}`).join(",\n")}\n    }`;
  const others = Object.entries(rest).map(([key, value]) => `,\n  ${JSON.stringify(key)}: ${line(value)}`);
  return `{\n  "inputs": [\n${inputs.map(tensor).join(",\n")}\n  ]${others.join("")}\n}`;
}

function parsed(text) {
  try {
    const body = JSON.parse(text);
    return body !== null && typeof body === "object" ? { body } : { problem: "The body is no JSON object." };
  } catch (error) {
    return { problem: `The body is not JSON: ${error.message}` };
  }
}

/** What a program makes arrays of; null where the body is not of the form that has them. */
function arraysOf({ inputs }) {
  if (!Array.isArray(inputs) || !inputs.every((each) => Array.isArray(each?.shape) && Array.isArray(each.data))) return null;
  return inputs.map(({ name, datatype, shape, data }) => ({
    name, dtype: NUMPY_NAMES[datatype] ?? String(datatype).toLowerCase(), values: nested(data.flat(Infinity), shape),
  }));
}

/** A flat list as lists in lists of these sizes. */
function nested(flat, [size, ...rest]) {
  if (size === undefined) return flat[0];
  if (rest.length === 0) return flat;
  const step = product(rest);
  return Array.from({ length: size }, (_, index) => nested(flat.slice(index * step, (index + 1) * step), rest));
}

function told({ name, datatype, shape }) {
  return `${name}: ${datatype}, ${sizesOf(shape.map((size) => (size < 0 ? "any" : size)))}`;
}

function sizesOf(shape) {
  return shape.length > 0 ? shape.join(" × ") : "one value";
}

/** An output as rows of its last dimension, the first of them where there are many. */
function output({ name, datatype, shape, data }) {
  const values = data.flat(Infinity);
  const width = Math.max(shape.at(-1) ?? 1, 1);
  const shown = values.slice(0, MOST_SHOWN);
  const rows = Array.from({ length: Math.ceil(shown.length / width) }, (_, row) => shown.slice(row * width, (row + 1) * width).map((value) => JSON.stringify(value)).join("  "));
  const left = values.length - shown.length;
  return el("div", { class: "tensor" },
    el("h3", {}, name, el("span", { class: "muted small" }, ` ${datatype}, ${sizesOf(shape)}`)),
    el("pre", { tabindex: "0", role: "region", "aria-label": `Values of ${name}` }, rows.join("\n")),
    left > 0 && el("p", { class: "muted small" }, `and ${count(left, "more value")}`));
}
