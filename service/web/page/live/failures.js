// What was refused or failed, by reason.

import { clear, el } from "../dom.js";
import { integer } from "../format.js";
import { REASONS } from "./totals.js";

const WORDS = {
  REJECTED: ["turned away", "no room in the queue, or no time"],
  CANCELED: ["client gone", "it hung up before its answer"],
  BACKEND: ["run failed", "the graph had no result, or a fault of ours"],
  OTHER: ["bad request", "it did not fit the model"],
};

/** The table; `show` takes what happened in the window, and the counts since the start. */
export class FailureTable {
  constructor(seconds) {
    this.body = el("tbody", {});
    this.node = el("section", { class: "panel stack" },
      el("div", {}, el("h2", {}, "Refused and failed"),
        el("p", { class: "muted small" }, "Requests that reached a model and got no prediction.")),
      el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Requests refused or failed" },
        el("table", { class: "data" },
          el("thead", {}, el("tr", {},
            el("th", { scope: "col" }, "Reason"),
            el("th", { scope: "col", class: "number" }, `Last ${seconds} s`),
            el("th", { scope: "col", class: "number" }, "Since the start"))),
          this.body)));
    this.show(null, null);
  }

  show(change, totals) {
    const count = (of, reason) => el("td", { class: "number" }, integer(of?.failed[reason] ?? NaN));
    clear(this.body, REASONS.map((reason) => el("tr", {},
      el("th", { scope: "row" }, WORDS[reason][0], el("span", { class: "muted small why" }, WORDS[reason][1])),
      count(change, reason), count(totals, reason))));
  }
}
