// What the model says of the row: a class with the probabilities of all, a value, or whatever a bare graph gives.

import { clear, el } from "../dom.js";
import { duration, number } from "../format.js";

const MOST = 12;

/** The answer in a panel; where the window is narrow also in a strip at its foot, as long as it shows the form alone. */
export class Answer {
  constructor({ metadata }) {
    this.target = metadata?.target ?? null;
    this.unit = metadata?.unit ?? null;
    this.headline = el("p", { class: "trial-headline", "aria-live": "polite" });
    this.strip = el("div", { class: "trial-strip", "aria-hidden": "true", hidden: true });
    this.doubts = el("p", { class: "trial-doubts", role: "status" });
    this.bars = el("div", {});
    this.time = el("p", { class: "muted small trial-time" });
    this.node = el("section", { class: "panel stack trial-answer", "aria-label": "Answer" },
      el("h2", {}, this.target === null ? "Answer" : `Answer: ${this.target}`),
      this.headline, this.doubts, this.bars, this.time);
  }

  /** Show the strip while the form is in sight and the answer is not; returns a function that ends it. */
  follow(form) {
    const inSight = new Map();
    const observer = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) inSight.set(target, isIntersecting);
      this.strip.hidden = inSight.get(this.headline) || !inSight.get(form);
    });
    observer.observe(this.headline);
    observer.observe(form);
    return () => observer.disconnect();
  }

  busy(whether) {
    this.node.classList.toggle("waiting", whether);
  }

  /** Show the first row of an answer of /predict. */
  show({ predictions: [prediction], probabilities, classes }, { whole, inside }) {
    const shares = probabilities?.[0] ?? null;
    const names = classes ?? shares?.map((_, index) => `class ${index}`);
    const best = shares === null ? null : bestOf(prediction, shares, names);
    if (shares !== null) this.say(String(prediction), share(shares[best]));
    else if (Array.isArray(prediction)) this.say(prediction.length === 1 ? number(prediction[0], 6) : `${prediction.length} outputs`);
    else this.say(typeof prediction === "number" ? number(prediction, 5) : String(prediction), this.unit);
    const list = Array.isArray(prediction) && prediction.length > 1 ? outputs(prediction.flat(Infinity)) : null;
    clear(this.bars, shares === null ? list : bars(shares, names, best));
    const server = inside === null ? "" : `, of which ${duration(inside)} in the server`;
    this.time.textContent = `Latency of the call: ${duration(whole)}${server}`;
  }

  /** Show why there is no answer. */
  refuse(text) {
    this.strip.textContent = "no answer";
    clear(this.headline, el("span", { class: "error trial-refusal" }, text));
    clear(this.bars);
    this.time.textContent = "";
  }

  /** Say which values training has not seen the like of. */
  doubt(names) {
    const few = names.length > 4 ? `${names.slice(0, 3).join(", ")} and ${names.length - 3} more` : names.join(", ");
    this.doubts.textContent = names.length ? `Outside what training saw: ${few}. The answer is a guess there.` : "";
    this.doubts.hidden = names.length === 0;
  }

  say(main, beside = null) {
    clear(this.headline, el("strong", {}, main), beside !== null && el("span", { class: "muted" }, ` ${beside}`));
    this.strip.textContent = this.headline.textContent;
  }
}

/** The place of a label among the classes; where a graph does not name them, that of the likeliest. */
function bestOf(prediction, shares, names) {
  const place = names.indexOf(prediction);
  return place < 0 ? shares.indexOf(Math.max(...shares)) : place;
}

/** A bar for each class; of many the likeliest, in the order of the classes where all are shown. */
function bars(shares, names, best) {
  let places = shares.map((_, index) => index);
  if (shares.length > MOST) places = places.sort((a, b) => shares[b] - shares[a]).slice(0, MOST);
  const line = (place) => {
    const length = el("span", { class: "trial-bar", style: { "--share": `${100 * shares[place]}%` } });
    return el("tr", { class: place === best ? "best" : null },
      el("th", { scope: "row" }, el("span", {}, String(names[place]))),
      el("td", { class: "trial-track" }, length),
      el("td", { class: "number" }, share(shares[place])));
  };
  const left = shares.length - places.length;
  return [
    el("table", { class: "trial-bars" },
      el("caption", { class: "visually-hidden" }, "Probabilities"), el("tbody", {}, places.map(line))),
    left > 0 && el("p", { class: "muted small" }, `and ${left} less likely ones`),
  ];
}

/** A share that is rounded to neither all nor nothing when it is not. */
function share(value) {
  if (value < 1 && value >= 0.9995) return "> 99.9\u202f%";
  return value > 0 && value < 0.0005 ? "< 0.1\u202f%" : `${(100 * value).toFixed(1)}\u202f%`;
}

function outputs(values) {
  const shown = values.slice(0, 100);
  return el("div", { class: "scroll trial-outputs", tabindex: "0", role: "region", "aria-label": "Outputs" },
    el("table", { class: "data" }, el("tbody", {},
      shown.map((value, index) => el("tr", {}, el("th", { scope: "row" }, `output ${index}`), el("td", { class: "number" }, number(value, 6)))))));
}
