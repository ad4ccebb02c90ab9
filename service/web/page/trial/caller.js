// Calls while somebody types: only when the hand rests, and only the answer to the latest question counts.

const REST = 120;

export class Caller {
  /**
   * @param handlers `answered(document, timing)`, `failed(error)` and `busy(whether)`; timing is in seconds, `whole`
   *   as this browser saw it and `inside` as the server did, null when it did not say.
   */
  constructor(server, path, handlers) {
    Object.assign(this, { server, path }, handlers);
    this.timer = null;
    this.flight = null;
  }

  /** Ask soon, in place of what was asked before. */
  ask(body, rest = REST) {
    this.stop();
    this.busy(true);
    this.timer = setTimeout(() => this.send(body), rest);
  }

  /** Give up what was asked. */
  stop() {
    clearTimeout(this.timer);
    this.flight?.abort();
    this.flight = null;
    this.busy(false);
  }

  async send(body) {
    const flight = new AbortController();
    this.flight = flight;
    try {
      const start = performance.now();
      const response = await this.server.request(this.path, { body, signal: flight.signal });
      const document = await response.json();
      const timing = { whole: (performance.now() - start) / 1000, inside: inside(response) };
      if (this.flight === flight) this.answered(document, timing);
    } catch (error) {
      if (this.flight === flight) this.failed(error);
    } finally {
      if (this.flight === flight) this.busy(false);
    }
  }
}

/** The sum of the header Server-Timing, in seconds. */
function inside(response) {
  const parts = [...(response.headers.get("server-timing") ?? "").matchAll(/dur=([\d.]+)/g)];
  return parts.length ? parts.reduce((sum, [, each]) => sum + Number(each), 0) / 1000 : null;
}
