// A file on its way: its name, a bar, words, the seconds that have passed, and a button that ends it.
//
// While nobody knows how far it is, the bar says so, and the seconds show that something still happens. They are
// not told aloud: a screen reader hears the words, each time they change.

import { el } from "../dom.js";
import { bytes, integer } from "../format.js";

export class Progress {
  constructor(file, cancel) {
    this.begun = performance.now();
    this.bar = el("progress", { max: "1", "aria-label": `Progress of ${file.name}` });
    this.words = el("p", { class: "muted small", role: "status" });
    this.clock = el("p", { class: "muted small", role: "timer" });
    this.node = el("section", { class: "panel stack", "aria-label": "Progress" },
      el("div", { class: "row file-head" }, el("h2", {}, file.name), el("span", { class: "muted" }, bytes(file.size)),
        el("button", { class: "button small", type: "button", onclick: cancel }, "Cancel")),
      this.bar, el("div", { class: "row file-head" }, this.words, this.clock));
    this.timer = setInterval(() => this.tick(), 1000);
    this.wait("reading the file");
  }

  /** How long it takes by now. */
  get seconds() {
    return (performance.now() - this.begun) / 1000;
  }

  /** So much is done. */
  show(share, words) {
    this.bar.value = Math.min(share, 1);
    this.say(words);
  }

  /** Something is done, and nobody knows how much of it is left. */
  wait(words) {
    this.bar.removeAttribute("value");
    this.say(words);
  }

  /** Bytes are on their way; when all have arrived, the server works. */
  sent(sent, size, work) {
    if (sent < size) this.show(sent / size, `${bytes(sent)} of ${bytes(size)} sent`);
    else this.wait(work);
  }

  end() {
    clearInterval(this.timer);
  }

  say(words) {
    if (this.words.textContent !== words) this.words.textContent = words;
  }

  tick() {
    this.clock.textContent = `${integer(Math.floor(this.seconds))}\u202fs`;
  }
}
