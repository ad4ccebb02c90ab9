// What is served, what is not, and why.

import { clear, el } from "./dom.js";
import { count } from "./format.js";
import { Card } from "./models/card.js";

export const title = "Models";

const MANY = 8;
const EVERY = 10_000;

/** The overview; the cards follow the server as models come, go and change. */
export async function render(root, context) {
  const view = new Overview(context);
  clear(root, view.nodes());
  view.take(context.models);
  const end = context.watch((index) => view.take(index));
  const timer = setInterval(() => view.cards.forEach((card) => card.age()), EVERY);
  return () => {
    end();
    clearInterval(timer);
  };
}

class Overview {
  constructor(context) {
    this.context = context;
    this.cards = new Map();
    this.summary = el("p", {});
    this.list = el("div", { class: "stack" });
    this.filter = el("input", {
      id: "model-filter", type: "search", autocomplete: "off", oninput: () => this.narrow(),
    });
    this.search = el("div", { class: "field" }, el("label", { for: "model-filter" }, "Find a model"), this.filter);
  }

  nodes() {
    return [
      el("div", { class: "heading" }, el("div", {}, el("h1", {}, title), this.summary), this.search),
      this.list,
    ];
  }

  /** Show GET /models: a card is made anew only when its model has changed. */
  take(index) {
    this.index = index;
    this.summary.textContent = summary(index);
    this.search.hidden = index.models.length < MANY;
    const before = this.cards;
    this.cards = new Map(index.models.map((model) => {
      const card = before.get(model.name) ?? new Card(model.name, this.context.server);
      card.show(model, index);
      return [model.name, card];
    }));
    const nodes = [...this.cards.values()].map((card) => card.node);
    if (nodes.length === 0) clear(this.list, nothing());
    else if (nodes.length !== this.list.children.length || nodes.some((node, i) => node !== this.list.children[i])) {
      clear(this.list, nodes);
    }
    this.narrow();
  }

  narrow() {
    const text = this.filter.value.trim().toLowerCase();
    for (const [name, card] of this.cards) card.node.hidden = !name.toLowerCase().includes(text);
  }
}

function summary({ models, default_model: named, device, device_reason: why }) {
  const live = models.filter((model) => model.default_version !== null).length;
  const all = models.length === 1 ? "1 model" : `${count(models.length, "model")}, ${live === models.length ? "all" : live} live`;
  const where = `${device === "cuda" ? "The GPU (cuda)" : "The CPU"} computes (${why}).`;
  const whom = named ? ` A call to /predict without a name goes to ${named}.` : "";
  return models.length === 0 ? "" : `${all}. ${where}${whom}`;
}

function nothing() {
  return el("div", { class: "panel stack" },
    el("h2", {}, "No models yet"),
    el("p", { class: "muted" }, "Train one, or copy a file to <name>/<version>/model.onnx in the models folder. It appears here by itself."),
    el("pre", { class: "mono" }, "foldserve train --dataset digits"));
}
