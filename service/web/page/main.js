// The page: which section is open, for which model, and what is told when the server does not answer.
//
// The address says both: #/models, #/try/digits, #/live. Each section is a module with a `title` and a `render`,
// which draws into a node and returns a function that ends what it began.

import { Catalogue, whyNot } from "./catalogue.js";
import { clear, el } from "./dom.js";
import * as file from "./file.js";
import * as folding from "./folding.js";
import { offerKey, offerScheme, offerSkip, picker, showBanner, showState, showTabs, toast } from "./frame.js";
import { askKey, storedKey } from "./key.js";
import * as live from "./live.js";
import * as models from "./models.js";
import { Server, ServerError } from "./server.js";
import * as trial from "./trial.js";

const SECTIONS = { models, try: trial, folding, file, live };
const OF_A_MODEL = new Set(["try", "folding", "file"]);

class Page {
  constructor(content) {
    this.content = content;
    this.server = new Server(askKey);
    this.server.key = storedKey();
    this.catalogue = new Catalogue(this.server, (error) => this.tell(error));
    this.chosen = null;
    this.leave = () => {};
    this.turn = 0;
  }

  async start() {
    offerScheme();
    offerSkip();
    addEventListener("hashchange", () => this.open());
    this.catalogue.watch(() => this.refresh());
    showTabs(this.links(), null);
    await this.catalogue.look();
    if (this.catalogue.index === null) this.wait();
  }

  /** The section and the model that the address names; the model is null where it names none. */
  place() {
    const [, section = "", name = null] = location.hash.match(/^#\/([a-z]+)(?:\/(.+))?$/) ?? [];
    const known = section in SECTIONS ? section : "models";
    return { section: known, model: name === null ? null : decoded(name) };
  }

  /** Show what the address names. */
  async open() {
    if (this.catalogue.index === null) return;
    const { section, model } = this.place();
    const turn = ++this.turn;
    this.chosen = model ?? this.chosen ?? this.catalogue.first();
    this.end();
    this.frame(section);
    const root = el("div", { class: "stack", "data-section": section, "aria-busy": "true" });
    const wasChoosing = this.pick?.contains(document.activeElement);
    this.pick = el("div", { hidden: !OF_A_MODEL.has(section) });
    this.offer();
    clear(this.content, this.pick, root);
    if (wasChoosing) this.pick.querySelector("select")?.focus();
    const leave = await this.draw(SECTIONS[section], root);
    root.removeAttribute("aria-busy");
    // Another section may have been opened while this one was drawn.
    if (turn === this.turn) this.leave = leave;
    else leave();
  }

  async draw(module, root) {
    try {
      return (await module.render(root, this.context())) ?? (() => {});
    } catch (error) {
      // A refusal is told in the section; anything else is a fault of the page.
      if (!(error instanceof ServerError)) console.warn(error);
      clear(root, el("h1", {}, module.title), el("p", { class: "error" }, error.message));
      return () => {};
    }
  }

  context() {
    const { catalogue } = this;
    return {
      server: this.server,
      /** The name of the model that is chosen, or null when there is none at all. */
      model: this.chosen,
      /** GET /models as it is now. */
      models: catalogue.index,
      choose: (name) => this.choose(name),
      toast,
      /** Call back with GET /models when it has changed; returns a function that ends it. */
      watch: (listener) => catalogue.watch(listener),
      /** Ask for GET /models now rather than in some seconds. */
      refresh: () => catalogue.look(),
    };
  }

  /** Open the same section for another model, or "Try it" from a section that is of none. */
  choose(name) {
    const { section } = this.place();
    location.hash = address(OF_A_MODEL.has(section) ? section : "try", name);
  }

  frame(section) {
    showTabs(this.links(), address(section, this.chosen));
    document.title = `${SECTIONS[section].title} – foldserve`;
    this.warn(section);
  }

  links() {
    return Object.entries(SECTIONS).map(([name, { title }]) => [address(name, this.chosen), title]);
  }

  /** The models have changed: the section follows by itself, but the frame may have something to say. */
  refresh() {
    if (!this.content.querySelector("[data-section]")) {
      this.open();
      return;
    }
    this.warn(this.place().section);
    // Not under the hands of somebody who is choosing.
    if (!this.pick.contains(document.activeElement)) this.offer();
  }

  offer() {
    if (!this.pick.hidden) clear(this.pick, picker(this.catalogue.index, this.chosen, (name) => this.choose(name)));
  }

  warn(section) {
    const { chosen, catalogue } = this;
    const text = OF_A_MODEL.has(section) && chosen !== null ? whyNot(chosen, catalogue.find(chosen)) : null;
    showBanner(text);
  }

  /** What the last look at the server gave. */
  tell(error) {
    if (this.server.key !== null || error?.status === 401) offerKey(() => this.changeKey());
    if (error === null) {
      showState("connected", "good");
      if (this.broken) this.warn(this.place().section);
    } else {
      showState(error.status === 0 ? "no connection" : `refused (${error.status})`, "bad");
      showBanner(error.status === 0 ? "The server does not answer. Trying again every few seconds." : error.message);
    }
    this.broken = error !== null;
  }

  async changeKey() {
    const given = await askKey(false);
    if (given === null) return;
    this.server.key = given;
    this.server.declined = false;
    await this.catalogue.look();
    this.open();
  }

  /** Nothing could be read yet: say so where the section would be. */
  wait() {
    if (this.content.querySelector("[data-section]")) return;
    clear(this.content, el("h1", {}, "foldserve"), el("p", { class: "note" }, "Nothing can be shown yet."));
  }

  end() {
    try {
      this.leave();
    } catch (error) {
      console.warn(error);
    }
    this.leave = () => {};
  }
}

function address(section, model) {
  return OF_A_MODEL.has(section) && model !== null ? `#/${section}/${encodeURIComponent(model)}` : `#/${section}`;
}

function decoded(name) {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

new Page(document.getElementById("content")).start();
