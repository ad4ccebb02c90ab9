// One model: what it does, what it runs on, its versions, and on demand what it says about itself.

import { clear, el } from "../dom.js";
import { ago, bytes, count, integer, moment } from "../format.js";
import { about } from "./about.js";
import { versions } from "./versions.js";

export class Card {
  constructor(name, server) {
    this.name = name;
    this.server = server;
    this.text = "";
    this.node = el("article", { class: "panel model", "aria-label": `Model ${name}`, "data-model": name });
  }

  /** Show an entry of GET /models, anew when it says something new. */
  show(model, index) {
    const text = JSON.stringify([model, index.default_model, index.device_asked]);
    if (text === this.text) return;
    this.text = text;
    const open = this.node.querySelector("details")?.open ?? false;
    const live = model.versions.find((version) => version.version === model.default_version) ?? null;
    this.loaded = live ? el("time", { datetime: live.loaded, title: moment(live.loaded) }) : null;
    clear(this.node,
      this.head(model, live, index.default_model === model.name),
      live ? facts(live, index.device_asked, this.loaded) : el("p", { class: "error" }, whyNone(model)),
      versions(model),
      live && this.more(open));
    this.live = live;
    this.age();
  }

  /** Say anew how long ago it was loaded. */
  age() {
    if (this.loaded) this.loaded.textContent = ago(this.live.loaded);
  }

  head(model, live, isDefault) {
    const name = encodeURIComponent(this.name);
    return el("header", { class: "model-head" },
      el("h2", {}, this.name),
      el("div", { class: "row tight" }, badge(model, live), isDefault && el("span", { class: "badge" }, "default")),
      live && el("nav", { class: "row tight model-doors", "aria-label": `Sections for ${this.name}` },
        el("a", { class: "button small primary", href: `#/try/${name}` }, "Try it"),
        el("a", { class: "button small", href: `#/folding/${name}` }, "Folding"),
        el("a", { class: "button small", href: `#/file/${name}` }, "File")));
  }

  more(open) {
    const body = el("div", { class: "stack model-more" });
    const fill = async () => {
      if (!details.open || body.childElementCount) return;
      try {
        clear(body, await about(this.server, this.name));
      } catch (error) {
        clear(body, el("p", { class: "error" }, error.message));
      }
    };
    const details = el("details", { ontoggle: fill }, el("summary", {}, "Inputs, quality and origin"), body);
    details.open = open;
    return details;
  }
}

function badge(model, live) {
  if (live === null) {
    const loading = model.versions.some((version) => version.state === "LOADING");
    return el("span", { class: loading ? "badge warn" : "badge bad" }, loading ? "loading" : "not live");
  }
  const isTrouble = ({ version, reason, features }) =>
    reason !== null && (version > live.version || (version === live.version && features !== null));
  return [
    el("span", { class: "badge good" }, "live"),
    model.versions.some(isTrouble) && el("span", { class: "badge warn" }, "see its versions"),
  ];
}

function facts(live, asked, loaded) {
  const rows = [
    ["Version", live.version],
    ["Task", task(live)],
    ["Inputs", live.features === null ? "tensors" : count(live.features, "feature")],
    ["Device", el("span", {}, live.device, el("span", { class: "muted small under" }, `asked: ${asked}`))],
    ["Threads", integer(live.threads)],
    ["Size", bytes(live.bytes)],
    ["Loaded", loaded],
  ];
  return el("dl", { class: "facts" }, rows.map(([name, value]) =>
    el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

function task({ task: kind, target, classes }) {
  if (kind === null) return el("span", { class: "muted" }, "not stated");
  const what = classes === null ? target : `${target}, ${integer(classes)} classes`;
  return [kind, el("span", { class: "muted small under" }, what)];
}

function whyNone(model) {
  const last = model.versions.at(-1);
  if (!last) return model.odd[""] ?? "Its folder holds no version.";
  return last.state === "LOADING" ? "It is being loaded." : `Version ${last.version} is not live: ${last.reason}`;
}
