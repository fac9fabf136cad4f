// A page's way through the filters: every number that was compared, and the one that decided.

import { html, useState } from "../lib/preact.js";
import { getJson } from "../lib/api.js";
import { decimals } from "../lib/format.js";
import { stepWords } from "../state/words.js";

/** @typedef {{url: string, source: string, end: string, steps: {step: string, checks: {rule: string, value: number | null, passed: boolean | null, says: string}[]}[]}} Way */

/** Asked for when it is opened. @param {{path: string, opened?: () => void}} props `path` of the request */
export function WayThrough({ path, opened }) {
  const [ways, setWays] = useState(/** @type {Way[] | null} */ (null));
  const [trouble, setTrouble] = useState("");
  const open = (/** @type {any} */ event) => {
    if (!event.currentTarget.open || ways) return;
    opened?.();
    getJson(path).then((answer) => setWays(answer.ways ?? [answer]), (error) => setTrouble(error.message));
  };
  return html`<details class="trace-way" onToggle=${open}><summary>Its way through the filters</summary>
    ${trouble && html`<p class="trouble" role="alert">${trouble}</p>`}
    ${ways?.map((way, i) => html`${ways.length > 1 && html`<p class="caption">${i + 1}. ${way.source}: ${way.end}</p>`}<${Steps} key=${i} way=${way} />`)}
  </details>`;
}

/** @param {{way: Way}} props */
function Steps({ way }) {
  return html`<dl>${way.steps.map(({ step, checks }) => html`<div key=${step}><dt>${stepWords(step).title}</dt>
    <dd>${checks.length ? checks.map((check, i) => html`<p key=${i} data-passed=${String(check.passed)}>${check.says || `${check.rule}${check.value ? ` ${decimals(check.value, 2)}` : ""}`}</p>`) : "passed"}</dd></div>`)}</dl>`;
}
