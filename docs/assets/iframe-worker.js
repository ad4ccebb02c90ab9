// A page opened from a file may not start a Worker. There a hidden frame runs the script in its place:
// it has what the search uses of a worker, which is messages both ways and importScripts.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      this.waiting = []
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.append(frame)
      const inside = frame.contentWindow
      this.inside = inside
      inside.postMessage = data => {
        const event = new MessageEvent("message", { data })
        this.dispatchEvent(event)
        if (this.onmessage) this.onmessage(event)
      }
      // The scripts run one after the other; who imports waits for the promise.
      inside.importScripts = (...urls) => urls.reduce((before, each) => before.then(() => load(each)), Promise.resolve())
      const load = source => new Promise((resolve, reject) => {
        const script = inside.document.createElement("script")
        script.src = new URL(source, document.baseURI).href
        script.onload = resolve
        script.onerror = reject
        inside.document.body.append(script)
      })
      load(url).then(() => {
        const given = this.waiting
        this.waiting = null
        given.forEach(data => this.deliver(data))
      }, () => this.dispatchEvent(new Event("error")))
    }

    postMessage(data) {
      if (this.waiting) this.waiting.push(data)
      else this.deliver(data)
    }

    deliver(data) {
      this.inside.dispatchEvent(new this.inside.MessageEvent("message", { data }))
    }

    terminate() {
      this.inside.frameElement.remove()
    }
  }
}
