// Prometheus' text format, as /metrics writes it.

const LINE = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"/g;
const ESCAPES = { "\\n": "\n", '\\"': '"', "\\\\": "\\" };

/** Name of a sample → list of { labels, value }. */
export function parse(text) {
  const found = new Map();
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const [, name, labels = "", value] = line.match(LINE) ?? [];
    if (name === undefined) continue;
    if (!found.has(name)) found.set(name, []);
    found.get(name).push({ labels: labelsOf(labels), value: numberOf(value) });
  }
  return found;
}

function labelsOf(text) {
  const pairs = [...text.matchAll(LABEL)];
  return Object.fromEntries(pairs.map(([, name, value]) => [name, value.replace(/\\[n"\\]/g, (two) => ESCAPES[two])]));
}

function numberOf(text) {
  if (text === "+Inf") return Infinity;
  return text === "-Inf" ? -Infinity : Number(text);
}
