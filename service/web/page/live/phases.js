// Where the time of requests went in the last seconds: percentiles of each part, side by side.

import { clear, el } from "../dom.js";
import { duration } from "../format.js";
import { PHASES, mean, quantile } from "./totals.js";

const WORDS = { request: "whole request", decode: "decode", queue: "queue", run: "run", encode: "encode" };
const HEADINGS = ["Part", "Mean", "p50", "p90", "p99"];

/** The table; `show` takes what happened in the window, or null. */
export class PhaseTable {
  constructor(seconds) {
    this.body = el("tbody", {});
    this.node = el("section", { class: "panel stack" },
      el("div", {}, el("h2", {}, "Where the time goes"),
        el("p", { class: "muted small" }, `Requests answered in the last ${seconds} s; percentiles from the server's histograms.`)),
      el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Times of the parts of a request" },
        el("table", { class: "data" },
          el("thead", {}, el("tr", {}, HEADINGS.map((text, index) =>
            el("th", { scope: "col", class: index ? "number" : null }, text)))),
          this.body)));
    this.show(null);
  }

  show(change) {
    clear(this.body, ["request", ...PHASES].map((phase) => line(phase, change?.times[phase] ?? null)));
  }
}

function line(phase, times) {
  const values = times ? [mean(times), ...[0.5, 0.9, 0.99].map((share) => quantile(share, times))] : [NaN, NaN, NaN, NaN];
  return el("tr", {},
    el("th", { scope: "row" }, WORDS[phase]),
    values.map((value) => el("td", { class: "number" }, duration(value, 2))));
}
