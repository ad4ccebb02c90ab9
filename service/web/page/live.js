// What the server does at this moment.

import { clear, el } from "./dom.js";

export const title = "Live";

export async function render(root) {
  clear(root, el("h1", {}, title), el("p", { class: "note" }, "This section is being built."));
  return () => {};
}
