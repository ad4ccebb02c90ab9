// Numbers as people read them. Whatever is no number is a dash.

const DASH = "–";

/** A whole number with thousands set apart: 12 345. */
export function integer(value) {
  if (!Number.isFinite(value)) return DASH;
  return Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

/** A number with so many significant digits, in plain notation where that is readable. */
export function number(value, digits = 3) {
  if (!Number.isFinite(value)) return DASH;
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 10 ** Math.max(digits, 5)) return size < 1e15 ? integer(value) : scientific(value, digits);
  if (size < 1e-4) return scientific(value, digits);
  const rounded = Number(value.toPrecision(digits));
  return size >= 1e4 && Number.isInteger(rounded) ? integer(rounded) : String(rounded);
}

/** A share of one: 97.3 %. */
export function percent(value, digits = 3) {
  return Number.isFinite(value) ? `${number(value * 100, digits)}\u202f%` : DASH;
}

/** Seconds: 12 µs, 1.24 ms, 3.1 s. */
export function duration(seconds, digits = 3) {
  if (!Number.isFinite(seconds)) return DASH;
  const size = Math.abs(seconds);
  if (size === 0) return "0\u202fms";
  if (size < 1e-3) return `${number(seconds * 1e6, digits)}\u202fµs`;
  if (size < 1) return `${number(seconds * 1e3, digits)}\u202fms`;
  if (size < 120) return `${number(seconds, digits)}\u202fs`;
  return size < 7200 ? `${number(seconds / 60, 2)}\u202fmin` : `${number(seconds / 3600, 2)}\u202fh`;
}

/** Bytes: 512 B, 36 KiB, 1.2 MiB. */
export function bytes(count) {
  if (!Number.isFinite(count)) return DASH;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const step = count > 0 ? Math.min(Math.floor(Math.log2(count) / 10), units.length - 1) : 0;
  return `${number(count / 1024 ** step, 3)}\u202f${units[step]}`;
}

/** How long ago a moment was: "just now", "3 minutes ago". */
export function ago(moment, now = Date.now()) {
  const seconds = Math.max(0, (now - new Date(moment).getTime()) / 1000);
  if (!Number.isFinite(seconds)) return DASH;
  if (seconds < 10) return "just now";
  const steps = [[60, "second"], [60, "minute"], [24, "hour"], [Infinity, "day"]];
  let value = seconds;
  for (const [size, unit] of steps) {
    if (value < size) return `${count(Math.floor(value), unit)} ago`;
    value /= size;
  }
  return DASH;
}

/** A moment on this machine's clock, in the form 2026-11-27 17:40:05. */
export function moment(value) {
  const date = new Date(value);
  if (Number.isNaN(date.getTime())) return DASH;
  const two = (part) => String(part).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** A count with its noun: "1 row", "3 rows". */
export function count(value, noun, plural = `${noun}s`) {
  return `${integer(value)} ${value === 1 ? noun : plural}`;
}

function scientific(value, digits) {
  const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
  return `${mantissa}e${Number(exponent)}`;
}
