// A stand-in until the section is here.

import { clear, el } from "./dom.js";

export const title = "Try it";

export async function render(root) {
  clear(root, el("h1", {}, title), el("p", { class: "note" }, "This section is being built."));
  return () => {};
}
