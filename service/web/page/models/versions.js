// All versions of a model in a table, when there is more to say than that the only one is live.

import { el } from "../dom.js";
import { bytes, moment } from "../format.js";

const KINDS = { READY: "good", LOADING: "warn", UNLOADING: "warn", UNAVAILABLE: "bad" };
const WORDS = { READY: "live", LOADING: "loading", UNLOADING: "leaving", UNAVAILABLE: "not live" };

/** The table, or null. */
export function versions(model) {
  const odd = Object.entries(model.odd).filter(([text]) => text !== "");
  // Of a single version that is not live the card tells all.
  const told = model.default_version === null || model.versions.every(({ reason }) => reason === null);
  const plain = model.versions.length < 2 && told;
  if (plain && odd.length === 0) return null;
  const headings = ["Version", "State", "Remarks", "Device", "Size", "Loaded"];
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Versions of ${model.name}` },
    el("table", { class: "data" },
      el("thead", {}, el("tr", {}, headings.map((text) => el("th", { scope: "col" }, text)))),
      el("tbody", {}, [...model.versions].reverse().map((version) => line(version, model.default_version)), odd.map(oddLine))));
}

function line(version, answering) {
  return el("tr", {},
    el("th", { scope: "row" }, version.version),
    el("td", {}, el("span", { class: `badge ${KINDS[version.state]}` }, WORDS[version.state])),
    el("td", { class: "reason" }, remark(version, answering)),
    el("td", {}, version.device ?? "–"),
    el("td", {}, bytes(version.bytes ?? NaN)),
    el("td", { class: "nowrap" }, version.loaded === null ? "–" : moment(version.loaded)));
}

function remark({ version, state, reason, features }, answering) {
  if (reason === null) return version === answering ? "answers when no version is named" : "";
  return state === "READY" && features === null ? `For tensors alone, not for /predict: ${reason}` : reason;
}

function oddLine([text, reason]) {
  return el("tr", {},
    el("th", { scope: "row", class: "mono" }, text),
    el("td", {}, el("span", { class: "badge warn" }, "no version")),
    el("td", { class: "reason" }, reason),
    el("td", {}, "–"), el("td", {}, "–"), el("td", {}, "–"));
}
