// What the server does at this moment, from /metrics once a second.

import { clear, el } from "./dom.js";
import { bytes, duration, integer, number } from "./format.js";
import { Chart } from "./live/chart.js";
import { FailureTable } from "./live/failures.js";
import { History, SPAN, WINDOW } from "./live/history.js";
import { PhaseTable } from "./live/phases.js";
import { pick } from "./live/totals.js";

export const title = "Live";

const EVERY = 1000;
/** How many times as long as the server took it is left in peace: a thousand versions take it a second. */
const SPARED = 5;
const ELSEWHERE = "The metrics of this server have a port of their own (--metrics-port), which this page cannot ask.";

const CHARTS = [
  { title: "Requests per second", format: number, series: [
    { name: "answered", of: (point) => point.answered }, { name: "refused or failed", of: (point) => point.refused }] },
  { title: "Rows per second", format: number, series: [{ name: "rows", of: (point) => point.rows }] },
  { title: "Latency", format: (value) => duration(value, 2), least: 1e-3, series: [
    { name: "p50", of: (point) => point.p50 }, { name: "p90", of: (point) => point.p90 }, { name: "p99", of: (point) => point.p99 }] },
  { title: "Mean time by part", format: (value) => duration(value, 2), least: 1e-3, stacked: true,
    series: ["decode", "queue", "run", "encode"].map((name) => ({ name, of: (point) => point[name] })) },
  { title: "Rows per run", format: number, series: [{ name: "mean", of: (point) => point.perRun }] },
  { title: "Rows that wait for a run", format: integer, finest: 1, series: [{ name: "waiting", of: (point) => point.waitingRows }] },
];

/** The charts, which follow the server until they are left or paused. */
export async function render(root, context) {
  const { metrics } = await context.server.about();
  if (metrics === null) {
    clear(root, el("div", { class: "heading" }, el("h1", {}, title)), el("p", { class: "note" }, ELSEWHERE));
    return () => {};
  }
  const view = new Live(context.server, metrics);
  clear(root, view.nodes());
  await view.look();
  view.start();
  return () => view.leave();
}

class Live {
  constructor(server, path) {
    this.server = server;
    this.path = path;
    this.history = new History();
    this.frozen = null;
    this.over = false;
    this.took = 0;
    this.trouble = "";
    this.charts = CHARTS.map((each) => new Chart({ ...each, span: SPAN }));
    this.phases = new PhaseTable(WINDOW);
    this.failures = new FailureTable(WINDOW);
    this.tiles = el("dl", { class: "tiles" });
    this.state = el("p", {});
    this.select = el("select", { id: "live-model", onchange: () => this.draw() }, el("option", { value: "" }, "All models"));
    this.pause = el("button", { type: "button", class: "button", "aria-pressed": "false", onclick: () => this.toggle() }, "Pause");
  }

  nodes() {
    return [
      el("div", { class: "heading" },
        el("div", {}, el("h1", {}, title), this.state),
        el("div", { class: "row" },
          el("div", { class: "picker" }, el("label", { for: "live-model" }, "Model"), this.select), this.pause)),
      this.tiles,
      el("div", { class: "charts" }, this.charts.map((chart) => chart.node)),
      el("div", { class: "charts" }, this.phases.node, this.failures.node),
    ];
  }

  /** Ask once, and draw. */
  async look() {
    const start = performance.now();
    const text = await this.server.text(this.path).catch((error) => {
      this.trouble = error.message;
      return null;
    });
    if (this.over) return;
    const now = performance.now();
    this.took = now - start;
    this.history.add(now / 1000, text);
    if (this.frozen === null) this.draw();
  }

  /** Ask again and again, each time when the answer before is there. */
  start() {
    // Counted where tests see it: they turn the clock on when all of a turn is done.
    this.state.dataset.turn = Number(this.state.dataset.turn ?? 0) + 1;
    this.timer = setTimeout(async () => {
      // Nobody looks: the first answer after that tells of all the time between.
      if (!document.hidden) await this.look();
      if (!this.over) this.start();
    }, Math.max(EVERY, SPARED * this.took));
  }

  leave() {
    this.over = true;
    clearTimeout(this.timer);
    this.charts.forEach((chart) => chart.leave());
  }

  /** Hold the picture, or go on; what happens meanwhile is kept. */
  toggle() {
    this.frozen = this.frozen === null ? this.history.frozen() : null;
    this.pause.textContent = this.frozen ? "Go on" : "Pause";
    this.pause.setAttribute("aria-pressed", String(this.frozen !== null));
    this.draw();
  }

  draw() {
    const history = this.frozen ?? this.history;
    const { last } = history;
    if (last === null) return;
    this.offer(history.models);
    const model = this.select.value || null;
    const points = history.points(model);
    const change = history.window(model);
    this.charts.forEach((chart) => chart.show(points, last.time));
    this.phases.show(change);
    this.failures.show(change, last.all && pick(last.all, model));
    this.tell(last, points.at(-1) ?? {}, change, model);
    this.state.textContent = this.words(last);
  }

  words(last) {
    if (this.frozen) return "Paused. What happens meanwhile is kept.";
    if (last.all === null) return `The metrics cannot be read: ${this.trouble}`;
    return `Once a second from /metrics. Numbers and percentiles are those of the last ${WINDOW} s.`;
  }

  tell(last, point, change, model) {
    const now = last.all && pick(last.all, model);
    const values = [
      ["Requests / s", rate(change?.answered, change)],
      ["Rows / s", rate(change?.rows, change)],
      ["Median", duration(point.p50, 2)],
      ["99th percentile", duration(point.p99, 2)],
      ["Requests so far", integer(now?.answered ?? NaN)],
      ["Requests that wait", integer(now?.waiting ?? NaN)],
      ["CPU", Number.isFinite(point.cpu) ? `${point.cpu.toFixed(2)} cores` : "–"],
      ["Memory", bytes(last.memory ?? NaN)],
    ];
    clear(this.tiles, values.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
  }

  /** The models that there are now, without losing the one that is chosen. */
  offer(names) {
    const chosen = this.select.value;
    const all = ["", ...new Set(chosen ? [...names, chosen] : names)];
    if ([...this.select.options].map((option) => option.value).join("\n") === all.join("\n")) return;
    clear(this.select, all.map((name) => el("option", { value: name }, name || "All models")));
    this.select.value = chosen;
  }
}

function rate(count, change) {
  return number(count / change?.seconds);
}
