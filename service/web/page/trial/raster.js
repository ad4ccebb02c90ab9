// A drawing on a fine grid, and the coarse one that the model sees: each of its pixels is the mean of a block.

export class Raster {
  constructor(width, height) {
    this.width = width;
    this.height = height;
    const side = Math.max(width, height);
    /** Fine pixels along one side of a coarse one. */
    this.fineness = side >= 48 ? 2 : side >= 24 ? 4 : side >= 12 ? 8 : 16;
    this.columns = width * this.fineness;
    this.lines = height * this.fineness;
    /** 0 is blank, 1 is full. */
    this.fine = new Float64Array(this.columns * this.lines);
    this.given = new Float64Array(width * height);
    this.touched = new Uint8Array(width * height);
  }

  clear() {
    this.load(new Float64Array(this.width * this.height));
  }

  /** Show a picture; its pixels stay exactly what they are until they are drawn over. */
  load(cells) {
    this.given.set(cells);
    this.touched.fill(0);
    for (let y = 0; y < this.lines; y += 1) {
      for (let x = 0; x < this.columns; x += 1) this.fine[y * this.columns + x] = cells[this.cellOf(x, y)];
    }
  }

  /** Draw from one point to another with a round brush; all measures in coarse pixels. */
  stroke(from, to, radius, erases = false) {
    const scale = this.fineness;
    const [ax, ay, bx, by, r] = [...from, ...to, radius].map((value) => value * scale);
    const [left, right] = [Math.min(ax, bx) - r - 1, Math.max(ax, bx) + r + 1];
    const [top, bottom] = [Math.min(ay, by) - r - 1, Math.max(ay, by) + r + 1];
    for (let y = Math.max(0, Math.floor(top)); y < Math.min(this.lines, bottom); y += 1) {
      for (let x = Math.max(0, Math.floor(left)); x < Math.min(this.columns, right); x += 1) {
        const covered = r - distance(x + 0.5, y + 0.5, ax, ay, bx, by) + 0.5;
        if (covered > 0) this.put(x, y, Math.min(1, covered), erases);
      }
    }
  }

  /** Fill one coarse pixel. */
  fill(column, line, value) {
    const scale = this.fineness;
    for (let y = line * scale; y < (line + 1) * scale; y += 1) {
      for (let x = column * scale; x < (column + 1) * scale; x += 1) this.fine[y * this.columns + x] = value;
    }
    this.touched[line * this.width + column] = 1;
  }

  /** What the model sees, from 0 to 1, row by row. */
  cells() {
    const sums = new Float64Array(this.given.length);
    this.fine.forEach((value, index) => {
      sums[this.cellOf(index % this.columns, Math.floor(index / this.columns))] += value;
    });
    return sums.map((sum, index) => (this.touched[index] ? sum / this.fineness ** 2 : this.given[index]));
  }

  put(x, y, covered, erases) {
    const index = y * this.columns + x;
    const before = this.fine[index];
    this.fine[index] = erases ? Math.min(before, 1 - covered) : Math.max(before, covered);
    if (this.fine[index] !== before) this.touched[this.cellOf(x, y)] = 1;
  }

  cellOf(x, y) {
    return Math.floor(y / this.fineness) * this.width + Math.floor(x / this.fineness);
  }
}

/** From a point to a line between two. */
function distance(x, y, ax, ay, bx, by) {
  const [dx, dy] = [bx - ax, by - ay];
  const length = dx * dx + dy * dy;
  const along = length === 0 ? 0 : Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / length));
  return Math.hypot(x - ax - along * dx, y - ay - along * dy);
}
