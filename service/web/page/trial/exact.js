// Numbers with the fewest digits that still say which one is meant.

const MOST = 9;

/** The shortest decimal that becomes the same float32: 6.981 for 6.980999946594238. */
export function shortest(value) {
  if (!Number.isFinite(value)) return value;
  const wanted = Math.fround(value);
  for (let digits = 1; digits < MOST; digits += 1) {
    const candidate = Number(value.toPrecision(digits));
    if (Math.fround(candidate) === wanted) return candidate;
  }
  return value;
}

/** A step for a slider over a range: 1, 2 or 5 times a power of ten, some two hundred of them from end to end. */
export function stepOf(minimum, maximum) {
  const rough = (maximum - minimum) / 200;
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 5].find((each) => each * power >= rough * 0.999) ?? 10;
  return Number((factor * power).toPrecision(1));
}
