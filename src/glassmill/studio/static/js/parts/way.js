// A page's way through the filters: every number that was compared, and the one that decided.

import { html, useState } from "../lib/preact.js";
import { getJson } from "../lib/api.js";
import { useAsked } from "../lib/asked.js";
import { decimals } from "../lib/format.js";
import { Trouble } from "./room.js";
import { stepWords } from "../state/words.js";

/** @import {Way} from "../state/answers.js" */

/** Asked for when it is opened. @param {{path: string, opened?: () => void}} props `path` of the request */
export function WayThrough({ path, opened }) {
  const [open, setOpen] = useState(false);
  const { found, trouble } = useAsked(open ? path : null, (signal) => getJson(path, { signal }), { keep: true });
  const ways = /** @type {Way[] | undefined} */ (found && (found.ways ?? [found]));
  return html`<details class="trace-way" onToggle=${(e) => (setOpen(e.currentTarget.open), e.currentTarget.open && opened?.())}><summary>Its way through the filters</summary>
    <${Trouble} says=${trouble} />
    ${ways?.map((way, i) => html`${ways.length > 1 && html`<p class="caption">${i + 1}. ${way.source}: ${way.end}</p>`}<${Steps} key=${i} way=${way} />`)}
  </details>`;
}

/** @param {{way: Way}} props */
function Steps({ way }) {
  return html`<dl>${way.steps.map(({ step, checks }) => html`<div key=${step}><dt>${stepWords(step).title}</dt>
    <dd>${checks.length ? checks.map((check, i) => html`<p key=${i} data-passed=${String(check.passed)}>${check.says || `${check.rule}${check.value ? ` ${decimals(check.value, 2)}` : ""}`}</p>`) : "passed"}</dd></div>`)}</dl>`;
}
