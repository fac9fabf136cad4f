// Follows one line of the runs folder: a stream of events that resumes where it was after a lost connection.

import { messages, request } from "./api.js";

const RETRY_MS = 1500;

/**
 * @param {string} line
 * @param {{update: (message: any) => void, connected: (yes: boolean) => void}} listener
 * @returns {() => void} stops following
 */
export function follow(line, listener) {
  const abort = new AbortController();
  /** @type {string | null} */
  let position = null;

  async function connect() {
    const headers = position ? { "Last-Event-ID": position } : undefined;
    const response = await request(`/api/events?line=${encodeURIComponent(line)}`, { headers, signal: abort.signal });
    listener.connected(true);
    for await (const message of messages(response)) {
      if (message.id) position = message.id;
      if (message.data) listener.update(JSON.parse(message.data));
    }
  }

  (async () => {
    while (!abort.signal.aborted) {
      await connect().catch(() => {});
      if (abort.signal.aborted) return;
      listener.connected(false);
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  })();
  return () => abort.abort();
}
