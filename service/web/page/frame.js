// What stands around every section: tabs, the server's state, the banner, short messages, the colour scheme.

import { clear, el } from "./dom.js";

const at = (id) => document.getElementById(id);
const SCHEMES = ["system", "light", "dark"];
const STORE = "foldserve.scheme";

/** The tabs; `links` are pairs of address and title, and `current` is the address of the open one. */
export function showTabs(links, current) {
  const tabs = at("tabs");
  // Made once: the one that was used to come here keeps the focus.
  if (tabs.childElementCount === 0) tabs.append(...links.map(([, title]) => el("a", {}, title)));
  links.forEach(([href], index) => {
    const tab = tabs.children[index];
    tab.setAttribute("href", href);
    if (href === current) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  });
}

/** A choice of the models for a section that is of one; null when there is no choice. */
export function picker(index, chosen, onchoose) {
  const names = index.models.map((model) => model.name);
  if (chosen !== null && !names.includes(chosen)) names.push(chosen);
  if (names.length === 0) return null;
  const select = el("select", { id: "picker", value: chosen, onchange: () => onchoose(select.value) },
    names.map((name) => el("option", { value: name }, name)));
  return el("div", { class: "picker" }, el("label", { for: "picker" }, "Model"), select);
}

/** Whether the server answers, in the corner. */
export function showState(text, kind) {
  const state = at("state");
  if (state.textContent !== text) state.textContent = text;
  state.className = `state ${kind}`;
}

/** A line above the section for as long as something is wrong; null takes it away. */
export function showBanner(text) {
  const banner = at("banner");
  if (banner.textContent === (text ?? "")) return;
  clear(banner, text && el("p", { class: "error" }, text));
}

/** A short message that goes by itself. */
export function toast(text) {
  const message = el("p", {}, text);
  at("toasts").append(message);
  setTimeout(() => message.remove(), 5000);
}

/** The button that asks for another key, once the server has wanted one. */
export function offerKey(onclick) {
  const button = at("key");
  button.hidden = false;
  button.onclick = onclick;
}

/** Let the first link of the page lead into the section: its address is no section's. */
export function offerSkip() {
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    at("content").focus();
  });
}

/** The button for the colour scheme: the system's, light, dark, and round again. */
export function offerScheme() {
  const button = at("scheme");
  const show = () => {
    const word = { system: "Auto", light: "Light", dark: "Dark" }[scheme()];
    clear(button, word, el("span", { class: "visually-hidden" }, " colours; change them"));
    button.title = "Colours of this page: as the system has them, light, dark";
  };
  button.addEventListener("click", () => {
    choose(SCHEMES[(SCHEMES.indexOf(scheme()) + 1) % SCHEMES.length]);
    show();
  });
  show();
}

function scheme() {
  return document.documentElement.dataset.scheme ?? "system";
}

function choose(name) {
  const root = document.documentElement;
  if (name === "system") delete root.dataset.scheme;
  else root.dataset.scheme = name;
  try {
    if (name === "system") localStorage.removeItem(STORE);
    else localStorage.setItem(STORE, name);
  } catch {
    // Then it holds until the page is loaded again.
  }
}
