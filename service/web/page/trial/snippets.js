// The call in several languages, one at a time, with a button that copies it.

import { clear, el } from "../dom.js";
import { LANGUAGES } from "./languages.js";

const STEPS = { ArrowLeft: -1, ArrowRight: 1 };

export class Snippets {
  constructor(toast) {
    this.toast = toast;
    this.call = null;
    this.chosen = 0;
    this.tabs = LANGUAGES.map(({ id, name }, index) => el("button", {
      type: "button", role: "tab", id: `snippet-${id}`, "aria-controls": "snippet-code", class: "trial-tab",
      onclick: () => this.choose(index), onkeydown: (event) => this.step(event, index),
    }, name));
    this.code = el("code", {});
    this.panel = el("div", { role: "tabpanel", id: "snippet-code", class: "trial-code" },
      el("pre", { tabindex: "0" }, this.code));
    this.copier = el("button", { type: "button", class: "button small", onclick: () => this.copy() }, "Copy");
    this.note = el("p", { class: "muted small" });
    this.node = el("section", { class: "panel stack", "aria-labelledby": "snippet-title" },
      el("h2", { id: "snippet-title" }, "The same call in a program"),
      el("div", { class: "trial-tabs" }, el("div", { role: "tablist", "aria-labelledby": "snippet-title" }, this.tabs), this.copier),
      this.panel, this.note);
    this.choose(0);
  }

  /** Show the programs of another call. */
  show(call) {
    this.call = call;
    this.write();
  }

  choose(index) {
    this.chosen = index;
    this.tabs.forEach((tab, place) => {
      tab.setAttribute("aria-selected", String(place === index));
      tab.setAttribute("tabindex", place === index ? "0" : "-1");
    });
    this.panel.setAttribute("aria-labelledby", this.tabs[index].id);
    clear(this.copier, "Copy", el("span", { class: "visually-hidden" }, ` ${LANGUAGES[index].name}`));
    this.write();
  }

  write() {
    if (this.call === null) return;
    this.code.textContent = LANGUAGES[this.chosen].text(this.call);
    this.note.textContent = this.call.keyed
      ? "The API key is not written into the program: put it into FOLDSERVE_KEY, or where the program says."
      : "";
    this.note.hidden = !this.call.keyed;
  }

  step(event, index) {
    const move = STEPS[event.key];
    if (move === undefined) return;
    event.preventDefault();
    const next = (index + move + this.tabs.length) % this.tabs.length;
    this.choose(next);
    this.tabs[next].focus();
  }

  async copy() {
    const { name } = LANGUAGES[this.chosen];
    this.toast((await copied(this.code)) ? `${name} copied.` : "The browser does not let the page copy; the text is selected.");
  }
}

/** Copy the text of a node, and select it where the browser lets only the user copy: on pages without TLS. */
async function copied(node) {
  try {
    await navigator.clipboard.writeText(node.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(node);
    return document.execCommand("copy");
  }
}
