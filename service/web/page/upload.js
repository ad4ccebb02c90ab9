// A call like fetch that tells how much of its body has gone out, which fetch does not.

/** The Response; `progress` is called with the share of the body that is sent. */
export function upload(path, { method, headers, body, signal, progress }) {
  return new Promise((resolve, reject) => {
    const call = new XMLHttpRequest();
    call.open(method, path);
    call.responseType = "arraybuffer";
    for (const [name, value] of headers) call.setRequestHeader(name, value);
    call.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    call.upload.onload = () => progress(1);
    call.onload = () => resolve(new Response(call.response, { status: call.status, headers: read(call.getAllResponseHeaders()) }));
    call.onerror = () => reject(new TypeError("the connection broke"));
    call.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    signal?.addEventListener("abort", () => call.abort(), { once: true });
    call.send(body);
  });
}

function read(lines) {
  return lines.trim().split("\r\n").map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
}
