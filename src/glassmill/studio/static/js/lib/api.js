// Requests to this machine's server, with the API key if the server asks for one, and server-sent events over fetch
// (EventSource can send no header, and the chat needs POST).

const KEY = "glassmill-api-key";
/** @type {(() => void) | null} */
let onKeyNeeded = null;

/** @param {() => void} listener called whenever the server rejects a request because it needs a key */
export function whenKeyNeeded(listener) {
  onKeyNeeded = listener;
}

/** @param {string} key */
export function rememberKey(key) {
  sessionStorage.setItem(KEY, key);
}

/** @param {string} path @param {RequestInit} [options] @returns {Promise<Response>} a successful response */
export async function request(path, options = {}) {
  const headers = new Headers(options.headers);
  const key = sessionStorage.getItem(KEY);
  if (key) headers.set("Authorization", `Bearer ${key}`);
  const response = await fetch(path, { ...options, headers });
  if (response.ok) return response;
  if (response.status === 401 && onKeyNeeded) onKeyNeeded();
  throw new Error(await errorText(response));
}

/** @param {string} path @param {RequestInit} [options] @returns {Promise<any>} */
export async function getJson(path, options) {
  return (await request(path, options)).json();
}

/** @param {string} path @param {unknown} body @param {AbortSignal} [signal] */
export function post(path, body, signal) {
  return request(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal });
}

/** @param {string} path @param {unknown} body @param {AbortSignal} [signal] @returns {Promise<any>} */
export async function postJson(path, body, signal) {
  return (await post(path, body, signal)).json();
}

/** @param {Response} response */
async function errorText(response) {
  try {
    const body = await response.json();
    return body?.error?.message ?? (typeof body?.detail === "string" ? body.detail : `the server answered ${response.status}`);
  } catch {
    return `the server answered ${response.status}`;
  }
}

/**
 * The messages of a server-sent event stream.
 * @param {Response} response
 * @returns {AsyncGenerator<{event: string, id: string | null, data: string}>}
 */
export async function* messages(response) {
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      buffer += value;
      for (let end = boundary(buffer); end; end = boundary(buffer)) {
        yield parseMessage(buffer.slice(0, end.at));
        buffer = buffer.slice(end.at + end.length);
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** @param {string} buffer */
function boundary(buffer) {
  const match = /\r?\n\r?\n/.exec(buffer);
  return match && { at: match.index, length: match[0].length };
}

/** @param {string} block */
function parseMessage(block) {
  const message = { event: "message", id: /** @type {string | null} */ (null), data: "" };
  for (const line of block.split(/\r?\n/)) {
    const colon = line.indexOf(":");
    if (colon <= 0) continue;
    const value = line.slice(colon + 1).replace(/^ /, "");
    const field = line.slice(0, colon);
    if (field === "event") message.event = value;
    else if (field === "id") message.id = value;
    else if (field === "data") message.data += (message.data && "\n") + value;
  }
  return message;
}
