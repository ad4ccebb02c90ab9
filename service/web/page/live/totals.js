// What a model has done since the server started, read from /metrics; sums, differences and quantiles of it.

export const PHASES = ["decode", "queue", "run", "encode"];
export const REASONS = ["REJECTED", "CANCELED", "BACKEND", "OTHER"];
const TIMED = ["request", ...PHASES];

/** The counts of everything that `parse` found, by model; versions are added up. */
export function totalsOf(found) {
  const all = new Map();
  const at = ({ model }) => {
    if (!all.has(model)) all.set(model, empty());
    return all.get(model);
  };
  const each = (name, take) => (found.get(name) ?? []).forEach(({ labels, value }) => take(at(labels), value, labels));
  each("nv_inference_request_success", (totals, value) => (totals.answered += value));
  each("nv_inference_request_failure", (totals, value, { reason }) => (totals.failed[reason] += value));
  each("nv_inference_count", (totals, value) => (totals.rows += value));
  each("nv_inference_exec_count", (totals, value) => (totals.runs += value));
  each("nv_inference_pending_request_count", (totals, value) => (totals.waiting += value));
  each("foldserve_queue_rows", (totals, value) => (totals.waitingRows += value));
  for (const phase of TIMED) {
    each(`foldserve_${phase}_seconds_sum`, (totals, value) => (totals.times[phase].sum += value));
    each(`foldserve_${phase}_seconds_bucket`, (totals, value, { le }) => addTo(totals.times[phase], le, value));
  }
  return all;
}

/** One model's counts, or those of all when the name is null. */
export function pick(all, name) {
  if (name !== null) return all.get(name) ?? empty();
  return [...all.values()].reduce((sum, totals) => combine(sum, totals, 1), empty());
}

/** What happened between two moments; null when the server started anew in between. */
export function between(before, after) {
  if (after.answered < before.answered || after.runs < before.runs) return null;
  const change = combine(after, before, -1);
  // These are of the moment, not counts.
  return { ...change, waiting: after.waiting, waitingRows: after.waitingRows };
}

/**
 * The value that a share of a histogram's values does not exceed, straight lines between its edges: what
 * histogram_quantile of Prometheus computes. NaN when it is empty.
 */
export function quantile(share, { buckets }) {
  const edges = [...buckets.keys()].sort((a, b) => a - b);
  const count = buckets.get(Infinity) ?? 0;
  if (count === 0) return NaN;
  const rank = share * count;
  const index = edges.findIndex((edge) => buckets.get(edge) >= rank);
  const upper = edges[index];
  const lower = index > 0 ? edges[index - 1] : 0;
  if (upper === Infinity) return lower;
  const below = index > 0 ? buckets.get(lower) : 0;
  return lower + ((upper - lower) * (rank - below)) / (buckets.get(upper) - below);
}

/** The mean of a histogram; NaN when it is empty. */
export function mean({ sum, buckets }) {
  return sum / (buckets.get(Infinity) || NaN);
}

function empty() {
  return {
    answered: 0, rows: 0, runs: 0, waiting: 0, waitingRows: 0,
    failed: Object.fromEntries(REASONS.map((reason) => [reason, 0])),
    times: Object.fromEntries(TIMED.map((phase) => [phase, { sum: 0, buckets: new Map() }])),
  };
}

function addTo({ buckets }, edge, value) {
  const at = edge === "+Inf" ? Infinity : Number(edge);
  buckets.set(at, (buckets.get(at) ?? 0) + value);
}

function combine(one, other, sign) {
  const sum = empty();
  for (const name of ["answered", "rows", "runs", "waiting", "waitingRows"]) sum[name] = one[name] + sign * other[name];
  for (const reason of REASONS) sum.failed[reason] = one.failed[reason] + sign * other.failed[reason];
  for (const phase of TIMED) sum.times[phase] = combineTimes(one.times[phase], other.times[phase], sign);
  return sum;
}

function combineTimes(one, other, sign) {
  const edges = new Set([...one.buckets.keys(), ...other.buckets.keys()]);
  const at = ({ buckets }, edge) => buckets.get(edge) ?? 0;
  const buckets = new Map([...edges].map((edge) => [edge, at(one, edge) + sign * at(other, edge)]));
  return { sum: one.sum + sign * other.sum, buckets };
}
