// The server that sent this page. All paths are relative, so that a prefix before them does no harm.

import { upload } from "./upload.js";

/** A refusal in the server's own line; status 0 when it does not answer at all. */
export class ServerError extends Error {
  constructor(status, message, body = null) {
    super(message);
    this.name = "ServerError";
    this.status = status;
    /** The refusal as it came: `got`, `wanted` and `where` beside the line, where the door says them. */
    this.body = body;
  }
}

const SILENT = "The server does not answer.";

export class Server {
  /** @param askKey a function that asks the user for an API key: a promise of one, or of null. */
  constructor(askKey = async () => null) {
    this.askKey = askKey;
    this.key = null;
    this.asking = null;
    this.declined = false;
  }

  /**
   * One call, answered: the Response of a status below 400, otherwise a ServerError.
   * @param options those of fetch; an object as `body` is sent as JSON. `progress` is called with the share of the
   *   body that is sent.
   */
  async request(path, options = {}) {
    const used = this.key;
    const response = await this.send(path, options);
    if (response.ok || response.status === 304) return response;
    if (response.status === 401 && (await this.hasNewKey(used))) return this.request(path, options);
    throw await refusal(response);
  }

  /** The answer of a call as JSON. */
  async json(path, options = {}) {
    return (await this.request(path, options)).json();
  }

  /** The answer of a call as text. */
  async text(path, options = {}) {
    return (await this.request(path, options)).text();
  }

  /** Where the doors are, and which of them are open: no key is needed to know that. */
  about() {
    return this.json("./", { headers: { accept: "application/json" } });
  }

  /** GET /models: all models, served or not. */
  models() {
    return this.json("models");
  }

  /** GET /models/{name}: what a model's default version says about itself. */
  model(name) {
    return this.json(`models/${encodeURIComponent(name)}`);
  }

  /** The address of a path as others must write it, for commands to copy. */
  address(path = "") {
    return new URL(path, document.baseURI.split("#")[0]).href;
  }

  async send(path, { body, headers = {}, ...options }) {
    const all = new Headers(headers);
    if (this.key) all.set("authorization", `Bearer ${this.key}`);
    if (isPlain(body)) {
      body = JSON.stringify(body);
      if (!all.has("content-type")) all.set("content-type", "application/json");
    }
    const method = options.method ?? (body === undefined ? "GET" : "POST");
    try {
      const call = options.progress ? upload : fetch;
      return await call(path, { cache: "no-store", ...options, method, headers: all, body });
    } catch (error) {
      if (error.name === "AbortError" || error.name === "TimeoutError") throw error;
      throw new ServerError(0, SILENT);
    }
  }

  /** Whether there is another key than the one that was refused; the user is asked once for all calls. */
  async hasNewKey(used) {
    if (this.key !== used) return true;
    if (this.declined) return false;
    this.asking ??= this.askKey(used !== null).finally(() => (this.asking = null));
    const given = await this.asking;
    this.declined = given === null;
    if (given !== null) this.key = given;
    return given !== null;
  }
}

function isPlain(body) {
  return body !== null && typeof body === "object" && Object.getPrototypeOf(body) === Object.prototype;
}

async function refusal(response) {
  const text = await response.text().catch(() => "");
  let body = null;
  try {
    body = JSON.parse(text);
  } catch {
    // A proxy's page, perhaps: the status has to do.
  }
  const line = typeof body?.error === "string" ? body.error : (body?.message ?? null);
  return new ServerError(response.status, line ?? `The server answered ${response.status}.`, body);
}
