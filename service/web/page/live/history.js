// Two minutes of /metrics, and the series that the charts draw.

import { parse } from "./exposition.js";
import { PHASES, REASONS, between, mean, pick, quantile, totalsOf } from "./totals.js";

/** How long the past is, in seconds. */
export const SPAN = 120;
/** Over how many seconds a percentile looks back. */
export const WINDOW = 10;

export class History {
  constructor(samples = []) {
    this.samples = samples;
  }

  /** Add what /metrics said at a moment in seconds; null for no answer. */
  add(time, text) {
    const found = text === null ? null : parse(text);
    const sample = { time, all: found && totalsOf(found), cpu: found && first(found, "process_cpu_seconds_total"),
      memory: found && first(found, "process_resident_memory_bytes"), workers: found && first(found, "foldserve_workers") };
    this.samples = [...this.samples.filter((old) => old.time > time - SPAN - WINDOW), sample];
  }

  /** The same at this moment, whatever comes. */
  frozen() {
    return new History(this.samples);
  }

  get last() {
    return this.samples.at(-1) ?? null;
  }

  /** The models that were seen last. */
  get models() {
    const known = this.samples.findLast((sample) => sample.all !== null);
    return known ? [...known.all.keys()].sort() : [];
  }

  /** A point for each sample but the first: what happened since the one before, and over the window. */
  points(model) {
    return this.samples.slice(1).map((sample, index) => {
      const before = this.samples[index];
      return point(sample, before, this.windowStart(index + 1), model);
    });
  }

  /** What happened within the window that ends now, and in how many seconds; null when nothing is known. */
  window(model) {
    const start = this.windowStart(this.samples.length - 1);
    return start && happened(start, this.last, model);
  }

  /** The oldest sample within the window that ends with one, if all between them have answers. */
  windowStart(index) {
    const end = this.samples[index];
    if (!end?.all) return null;
    let start = null;
    for (let at = index - 1; at >= 0 && this.samples[at].all && end.time - this.samples[at].time <= WINDOW + 0.5; at--) {
      start = this.samples[at];
    }
    return start;
  }
}

function point(sample, before, start, model) {
  const { time } = sample;
  const change = happened(before, sample, model);
  if (change === null) return { time };
  const { seconds } = change;
  const recent = (start && happened(start, sample, model)) ?? change;
  const request = recent.times.request;
  return {
    time,
    answered: change.answered / seconds,
    rows: change.rows / seconds,
    refused: sum(REASONS.map((reason) => change.failed[reason])) / seconds,
    p50: quantile(0.5, request), p90: quantile(0.9, request), p99: quantile(0.99, request),
    perRun: recent.runs > 0 ? recent.rows / recent.runs : NaN,
    waitingRows: change.waitingRows,
    ...Object.fromEntries(PHASES.map((phase) => [phase, mean(recent.times[phase])])),
    cpu: sample.cpu >= before.cpu ? (sample.cpu - before.cpu) / seconds : NaN,
  };
}

function happened(before, after, model) {
  if (!before.all || !after.all) return null;
  const change = between(pick(before.all, model), pick(after.all, model));
  return change && { ...change, seconds: after.time - before.time };
}

function first(found, name) {
  return found.get(name)?.[0]?.value ?? NaN;
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}
