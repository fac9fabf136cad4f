// A run of a recipe through its stages, kept up to date while it is on the page.

import { useEffect, useRef, useState } from "../lib/preact.js";
import { follow } from "../lib/follow.js";
import { emptyLine, takeIn } from "./store.js";

const REDRAW_MS = 500;

/** The line called `name`; an empty one until it is there. @param {string | null} name */
export function useLine(name) {
  const line = useRef(emptyLine());
  const [, redraw] = useState(0);
  useEffect(() => {
    line.current = emptyLine();
    redraw((n) => n + 1);
    if (!name) return;
    let waiting = 0;
    const soon = (delay = REDRAW_MS) => {
      waiting ||= setTimeout(() => {
        waiting = 0;
        redraw((n) => n + 1);
      }, delay);
    };
    const stop = follow(name, {
      update(message) {
        const first = line.current.name === "";
        takeIn(line.current, message);
        soon(first ? 0 : REDRAW_MS);
      },
      connected(yes) {
        line.current.connected = yes;
        if (!yes) soon();
      },
    });
    return () => {
      stop();
      clearTimeout(waiting);
    };
  }, [name]);
  return line.current;
}
