// What the server answers to something that changes: typed words, a chosen token, a place under the pointer.

import { useEffect, useRef, useState } from "./preact.js";

/** The answer to `key`; asked when that changes, the first time at once, then `wait` ms later, so that typing asks once.
 * `keep`: the answer before stays until the new one is here. `remember`: no answer is asked for twice.
 * @template T
 * @param {unknown} key null asks nothing
 * @param {(signal: AbortSignal) => Promise<T>} ask
 * @param {{wait?: number, keep?: boolean, remember?: boolean}} [how]
 * @returns {{found: T | null, trouble: string}} `trouble`: why there is no answer to this key */
export function useAsked(key, ask, { wait = 0, keep = false, remember = false } = {}) {
  const known = useRef(/** @type {Map<unknown, T>} */ (new Map())).current;
  const before = useRef(/** @type {T | null} */ (null));
  const asked = useRef(false);
  const [failed, setFailed] = useState(/** @type {{key: unknown, trouble: string}} */ ({ key: null, trouble: "" }));
  const [, redraw] = useState(0);
  useEffect(() => {
    if (key === null || known.has(key)) return;
    const abort = new AbortController();
    const answered = (/** @type {T} */ found) => {
      if (abort.signal.aborted) return;
      if (!remember) known.clear();
      known.set(key, found);
      redraw((n) => n + 1);
    };
    const timer = setTimeout(
      () => ask(abort.signal).then(answered).catch((error) => abort.signal.aborted || setFailed({ key, trouble: error.message })),
      asked.current ? wait : 0,
    );
    asked.current = true;
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [key]);
  before.current = known.get(key) ?? before.current;
  const found = keep ? before.current : (known.get(key) ?? null);
  return { found, trouble: key !== null && failed.key === key ? failed.trouble : "" };
}
