// What is served, what is not, and why.

import { clear, el } from "./dom.js";

export const title = "Models";

export async function render(root, context) {
  clear(root, el("h1", {}, title), el("ul", {}, context.models.models.map((model) => el("li", {}, model.name))));
  return () => {};
}
