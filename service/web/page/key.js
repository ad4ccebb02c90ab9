// The API key: asked for when the server wants one, kept until the tab is closed, sent nowhere else.

import { el } from "./dom.js";

const STORE = "foldserve.key";

/** The key that was given earlier in this tab, or null. */
export function storedKey() {
  try {
    return sessionStorage.getItem(STORE);
  } catch {
    return null;
  }
}

/**
 * Ask for a key in a dialog.
 * @param refused whether the server has just refused one.
 * @returns a promise of the key, or of null when none is given.
 */
export function askKey(refused) {
  const input = el("input", {
    id: "key-field", type: "password", autocomplete: "off", spellcheck: "false", required: true,
  });
  const text = refused
    ? "The server does not know this key."
    : "This server answers those who have an API key.";
  const dialog = el("dialog", { "aria-labelledby": "key-title" },
    el("form", {},
      el("h2", { id: "key-title" }, "API key"),
      el("p", { class: refused ? "error" : "muted" }, text),
      el("div", { class: "field" }, el("label", { for: "key-field" }, "Key"), input),
      el("p", { class: "muted small" }, "It stays in this tab and goes to this server alone."),
      el("div", { class: "row" },
        el("button", { type: "button", class: "button", onclick: () => dialog.close() }, "Cancel"),
        el("button", { type: "submit", class: "button primary" }, "Use this key"))));
  return answerOf(dialog, input);
}

function answerOf(dialog, input) {
  return new Promise((resolve) => {
    let given = null;
    dialog.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      given = input.value.trim() || null;
      dialog.close();
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (given !== null) keep(given);
      resolve(given);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

function keep(key) {
  try {
    sessionStorage.setItem(STORE, key);
  } catch {
    // Then it has to be given again after a reload.
  }
}
