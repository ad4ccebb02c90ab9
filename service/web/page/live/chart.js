// A small chart of the last two minutes: axes with round numbers, lines or stacked areas, a legend with the latest
// values, and under the pointer the values of that moment.

import { clear, el, svg } from "../dom.js";
import { linear, pieces, ticks } from "./scale.js";

const HEIGHT = 168;
const EDGE = { top: 10, right: 8, bottom: 24, left: 64 };
const AGES = [120, 90, 60, 30, 0];
const NARROW = 400;

export class Chart {
  /**
   * @param series list of { name, of }: of takes a point and gives its value.
   * @param format a value as text, for the axis and the legend.
   * @param stacked whether the series are parts of a whole.
   * @param least how far the axis reaches when there is nothing to show.
   * @param finest the smallest step between two marks: 1 for what is counted.
   */
  constructor({ title, note = "", series, format, stacked = false, span = 120, least = 1, finest = 0 }) {
    Object.assign(this, { title, series, format, stacked, span, least, finest });
    this.points = [];
    this.now = 0;
    this.picked = null;
    this.drawing = svg("svg", { class: "chart", role: "img", height: HEIGHT });
    this.drawing.addEventListener("pointermove", (event) => this.pickAt(event.offsetX));
    this.drawing.addEventListener("pointerleave", () => this.pickAt(null));
    this.legend = el("ul", { class: "legend" });
    this.node = el("figure", { class: "panel chart-panel" },
      el("figcaption", {}, el("h2", {}, title), note && el("p", { class: "muted small" }, note)), this.legend, this.drawing);
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.drawing);
  }

  /** Draw points, each with its `time` in seconds; `now` is the right end. */
  show(points, now) {
    this.points = points.filter((point) => point.time >= now - this.span);
    this.now = now;
    this.draw();
  }

  /** Stop following the size of the window. */
  leave() {
    this.observer.disconnect();
  }

  draw() {
    const width = this.drawing.clientWidth;
    if (width === 0) return;
    const marks = ticks(this.largest() || this.least, 4, this.finest);
    const x = linear(this.now - this.span, this.now, EDGE.left, width - EDGE.right);
    const y = linear(0, marks.at(-1), HEIGHT - EDGE.bottom, EDGE.top);
    this.x = x;
    clear(this.drawing,
      marks.map((mark) => this.row(mark, y(mark), width)),
      AGES.filter((_, index) => width >= NARROW || index % 2 === 0).map((age) => this.column(age, x(this.now - age))),
      this.stacked ? this.areas(x, y) : this.lines(x, y),
      this.pointer(x));
    this.tell();
  }

  largest() {
    const values = this.points.flatMap((point) => {
      const each = this.series.map(({ of }) => of(point)).filter(Number.isFinite);
      return this.stacked ? [each.reduce((sum, value) => sum + value, 0)] : each;
    });
    return Math.max(0, ...values);
  }

  row(mark, y, width) {
    return [
      svg("line", { class: "gridline", x1: EDGE.left, x2: width - EDGE.right, y1: y, y2: y }),
      svg("text", { class: "tick", x: EDGE.left - 8, y: y + 4, "text-anchor": "end" }, this.format(mark)),
    ];
  }

  column(age, x) {
    const anchor = age === 0 ? "end" : age === this.span ? "start" : "middle";
    const text = age === 0 ? "now" : `−${age} s`;
    return [
      svg("line", { class: "axis", x1: x, x2: x, y1: HEIGHT - EDGE.bottom, y2: HEIGHT - EDGE.bottom + 4 }),
      svg("text", { class: "tick", x, y: HEIGHT - 6, "text-anchor": anchor }, text),
    ];
  }

  lines(x, y) {
    return this.series.map(({ of }, index) => {
      const path = pieces(this.points, of).map((piece) => line(piece.map((point) => [x(point.time), y(of(point))]))).join("");
      return svg("path", { class: `series series-${index}`, d: path });
    });
  }

  areas(x, y) {
    const whole = (point, count) => this.series.slice(0, count).reduce((sum, { of }) => sum + of(point), 0);
    return this.series.map((_, index) => {
      const path = pieces(this.points, (point) => whole(point, this.series.length)).map((piece) => {
        const upper = piece.map((point) => [x(point.time), y(whole(point, index + 1))]);
        const lower = piece.map((point) => [x(point.time), y(whole(point, index))]).reverse();
        return `${line([...upper, ...lower])}Z`;
      });
      return svg("path", { class: `area series-${index}`, d: path.join("") });
    }).reverse();
  }

  pointer(x) {
    const point = this.shown();
    if (this.picked === null || !point) return null;
    const at = x(point.time);
    return svg("line", { class: "pointer", x1: at, x2: at, y1: EDGE.top, y2: HEIGHT - EDGE.bottom });
  }

  pickAt(offset) {
    this.picked = offset;
    this.draw();
  }

  /** The point under the pointer, or the latest. */
  shown() {
    if (this.picked === null) return this.points.at(-1) ?? null;
    const distance = (point) => Math.abs(this.x(point.time) - this.picked);
    return this.points.reduce((best, point) => (best && distance(best) <= distance(point) ? best : point), null);
  }

  tell() {
    const point = this.shown();
    const value = (of) => (point && Number.isFinite(of(point)) ? this.format(of(point)) : "–");
    clear(this.legend, this.series.map(({ name, of }, index) =>
      el("li", {}, el("span", { class: `key series-${index}`, "aria-hidden": "true" }), `${name} `, el("strong", {}, value(of)))));
    const words = this.series.map(({ name, of }) => `${name} ${value(of)}`).join(", ");
    this.drawing.setAttribute("aria-label", `${this.title}, the last two minutes; now ${words}`);
  }
}

function line(corners) {
  // A single point is a short dash, or it would not be seen.
  const all = corners.length === 1 ? [corners[0], [corners[0][0] + 1, corners[0][1]]] : corners;
  return all.map(([x, y], index) => `${index ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
}
