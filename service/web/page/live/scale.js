// Where a value lies on an axis, and which values an axis names.

/** The ends of the axis from 0 that holds a value, and about so many round steps up to it, none below `finest`. */
export function ticks(largest, wanted = 4, finest = 0) {
  const rough = Math.max(largest / wanted, finest);
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * unit).find((size) => size >= rough * (1 - 1e-9));
  const count = Math.ceil(largest / step - 1e-9);
  return Array.from({ length: count + 1 }, (_, index) => Number((index * step).toPrecision(12)));
}

/** A function from [from, to] to [start, end]. */
export function linear(from, to, start, end) {
  const factor = (end - start) / (to - from || 1);
  return (value) => start + (value - from) * factor;
}

/** The runs of consecutive points whose values are numbers: lines have gaps where nothing is known. */
export function pieces(points, valueOf) {
  const found = [];
  let piece = null;
  for (const point of points) {
    if (!Number.isFinite(valueOf(point))) piece = null;
    else if (piece === null) found.push((piece = [point]));
    else piece.push(point);
  }
  return found;
}
