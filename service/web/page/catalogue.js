// The models as the server knows them, looked at again every few seconds while somebody looks at the page.

const EVERY = 3000;

export class Catalogue {
  /** @param onstate called with null when the server answered, else with the error. */
  constructor(server, onstate) {
    this.server = server;
    this.onstate = onstate;
    /** GET /models as it was answered last; null before the first answer. */
    this.index = null;
    this.text = "";
    this.listeners = new Set();
    this.timer = null;
    document.addEventListener("visibilitychange", () => document.hidden || this.look());
  }

  /** Look now, and from now on. */
  async look() {
    clearTimeout(this.timer);
    const turn = (this.turn = Symbol("turn"));
    try {
      const index = await this.server.models();
      this.onstate(null);
      this.take(index);
    } catch (error) {
      this.onstate(error);
    }
    // Somebody else may have looked meanwhile, and goes on by himself.
    if (turn !== this.turn) return;
    this.timer = setTimeout(() => document.hidden || this.look(), EVERY);
  }

  /** Call back whenever the models have changed; returns a function that ends it. */
  watch(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** The entry of a model, or null. */
  find(name) {
    return this.index?.models.find((model) => model.name === name) ?? null;
  }

  /** The model to begin with: the server's default, else the first that answers. */
  first() {
    const models = this.index?.models ?? [];
    const named = this.find(this.index?.default_model);
    const serving = models.find((model) => model.default_version !== null);
    return (named?.default_version != null ? named : (serving ?? models[0]))?.name ?? null;
  }

  take(index) {
    const text = JSON.stringify(index);
    if (text === this.text) return;
    this.text = text;
    this.index = index;
    for (const listener of [...this.listeners]) listener(index);
  }
}

/** Why a model that is in the index does not answer, in a sentence; null when it does. */
export function whyNot(name, entry) {
  if (entry === null) return `The server no longer has a model named ${name}.`;
  if (entry.default_version !== null) return null;
  const last = entry.versions.at(-1);
  const reason = last?.reason ?? entry.odd[""] ?? "it has no version";
  return `Model ${name} is not served: ${reason}.`;
}
