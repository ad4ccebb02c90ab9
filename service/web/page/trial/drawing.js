// A row that is a picture: drawn with a pointer or with the keys, scaled to what training saw.

import { clear, el } from "../dom.js";
import { lowest } from "./columns.js";
import { Raster } from "./raster.js";

const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
let ids = 0;

export class Drawing {
  constructor({ columns, image }, changed) {
    this.columns = columns;
    this.changed = changed;
    this.raster = new Raster(image.width, image.height);
    this.low = lowest(columns);
    const high = Math.max(...columns.map(({ maximum }) => maximum ?? 1));
    this.high = high > this.low ? high : this.low + 1;
    this.whole = this.high - this.low > 1 && columns.every(({ whole }) => whole);
    this.cursor = [Math.floor(image.width / 2), Math.floor(image.height / 2)];
    this.last = null;
    this.build(image);
  }

  build({ width, height }) {
    const id = `trial-drawing-${(ids += 1)}`;
    this.sheet = el("canvas", {
      class: "trial-sheet", width: this.raster.columns, height: this.raster.lines, tabindex: "0",
      role: "application", "aria-label": `Drawing of ${width} × ${height} pixels`, "aria-describedby": `${id}-help`,
    });
    this.mark = el("div", { class: "trial-mark", "aria-hidden": "true" });
    this.seen = el("canvas", { class: "trial-seen", width, height, role: "img", "aria-label": `The ${width} × ${height} pixels that the model gets` });
    this.place = el("p", { class: "visually-hidden", "aria-live": "polite" });
    this.brush = el("input", { id: `${id}-brush`, type: "range", min: 0.5, max: 4, step: 0.1, value: brushFor(width, height) });
    this.eraser = el("input", { id: `${id}-eraser`, type: "checkbox" });
    for (const canvas of [this.sheet, this.seen]) canvas.style.setProperty("aspect-ratio", `${width} / ${height}`);
    this.listen();
    this.node = el("div", { class: "trial-drawing" },
      el("div", { class: "trial-board" }, this.sheet, this.mark, this.place),
      el("div", { class: "trial-tools" },
        el("figure", {}, this.seen, el("figcaption", {}, `What the model gets: ${width} × ${height} values from ${this.low} to ${this.high}`)),
        el("div", { class: "field" }, el("label", { for: this.brush.id }, "Brush"), this.brush),
        el("label", { class: "row tight small", for: this.eraser.id }, this.eraser, "Eraser"),
        el("button", { class: "button", type: "button", onclick: () => this.wipe() }, "Clear")),
      el("p", { class: "muted small trial-help", id: `${id}-help` },
        "Draw with a pointer. With the keys: arrows move, space paints, backspace erases, shift and an arrow draw."));
  }

  listen() {
    const sheet = this.sheet;
    sheet.addEventListener("pointerdown", (event) => this.begin(event));
    sheet.addEventListener("pointermove", (event) => this.go(event));
    for (const kind of ["pointerup", "pointercancel"]) sheet.addEventListener(kind, () => (this.last = null));
    sheet.addEventListener("keydown", (event) => this.press(event));
    sheet.addEventListener("focus", () => this.point());
  }

  set(row) {
    this.raster.load(row.map((value) => ((value ?? this.low) - this.low) / (this.high - this.low)));
    this.exact = row;
    this.show();
  }

  /** The row: pixels that nobody drew over are the very values that were set. */
  read() {
    const { touched } = this.raster;
    const row = [...this.raster.cells()].map((cell, index) => (touched[index] || !this.exact ? this.scaled(cell) : this.exact[index]));
    return { row };
  }

  scaled(cell) {
    const value = this.low + cell * (this.high - this.low);
    return this.whole ? Math.round(value) : Number(value.toPrecision(4));
  }

  wipe() {
    this.set(this.columns.map(() => this.low));
    this.changed();
  }

  begin(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    this.sheet.setPointerCapture(event.pointerId);
    this.sheet.focus({ preventScroll: true });
    this.last = this.spot(event);
    this.draw([this.last, this.last]);
  }

  go(event) {
    if (this.last === null) return;
    const passed = event.getCoalescedEvents?.() ?? [];
    this.draw([this.last, ...(passed.length ? passed : [event]).map((each) => this.spot(each))]);
  }

  draw(points) {
    const radius = this.brush.valueAsNumber / 2;
    for (let i = 1; i < points.length; i += 1) this.raster.stroke(points[i - 1], points[i], radius, this.eraser.checked);
    this.last = points.at(-1);
    this.show();
    this.changed();
  }

  /** Where on the grid a pointer is. */
  spot({ clientX, clientY }) {
    const box = this.sheet.getBoundingClientRect();
    const { width, height } = this.raster;
    return [((clientX - box.left) / box.width) * width, ((clientY - box.top) / box.height) * height];
  }

  press(event) {
    const move = MOVES[event.key];
    const value = { " ": 1, Enter: 1, Backspace: 0, Delete: 0 }[event.key];
    if ((move === undefined && value === undefined) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    if (move) this.cursor = this.cursor.map((at, axis) => limit(at + move[axis], axis === 0 ? this.raster.width : this.raster.height));
    if (value !== undefined || event.shiftKey) {
      this.raster.fill(...this.cursor, value ?? (this.eraser.checked ? 0 : 1));
      this.show();
      this.changed();
    }
    this.point();
  }

  /** Show and tell where the keys would paint. */
  point() {
    const [column, line] = this.cursor;
    const { width, height } = this.raster;
    const share = (part, whole) => `${(100 * part) / whole}%`;
    const style = { left: share(column, width), top: share(line, height), width: share(1, width), height: share(1, height) };
    for (const [name, text] of Object.entries(style)) this.mark.style.setProperty(name, text);
    const value = this.read().row[line * width + column];
    clear(this.place, `row ${line + 1}, column ${column + 1}: ${value}`);
  }

  show() {
    paint(this.sheet, this.raster.fine);
    paint(this.seen, this.raster.cells());
  }
}

/** Ink on blank paper: black, which the style turns round where the scheme is dark. */
function paint(canvas, intensities) {
  const context = canvas.getContext("2d");
  const picture = context.createImageData(canvas.width, canvas.height);
  intensities.forEach((value, index) => (picture.data[4 * index + 3] = Math.round(255 * Math.min(1, Math.max(0, value)))));
  context.putImageData(picture, 0, 0);
}

function brushFor(width, height) {
  return Math.max(1.8, 0.08 * Math.max(width, height)).toFixed(1);
}

function limit(at, size) {
  return Math.min(size - 1, Math.max(0, at));
}
