// A page of the whole corpus by its URL or its words, dropped or kept, and which rules dropped most.

import { html } from "../lib/preact.js";
import { getJson } from "../lib/api.js";
import { useAsked } from "../lib/asked.js";
import { count } from "../lib/format.js";
import { Card } from "./examples.js";
import { Bar, Nothing, Trouble } from "./room.js";
import { WayThrough } from "./way.js";
import { address, change, usePlace } from "../state/address.js";
import { ruleTitle, stepWords } from "../state/words.js";

/** @import {Funnel} from "../state/events.js" */

const TYPE_WAIT_MS = 250;
const MOST_RULES = 8;
const SHOWN = 6;
/** @type {("dropped" | "kept")[]} */
const KINDS = ["dropped", "kept"];

/** @param {{run: string}} props a finished corpus run */
export function Find({ run }) {
  const words = usePlace().query.get("find") ?? "";
  const asked = words.trim();
  const ask = (/** @type {AbortSignal} */ signal) => Promise.all(KINDS.map((which) => getJson(`/api/runs/${run}/documents?${new URLSearchParams({ which, words: asked })}`, { signal })));
  const { found: pair, trouble } = useAsked(asked ? `${run} ${asked}` : null, ask, { wait: TYPE_WAIT_MS });
  const found = pair && { dropped: pair[0], kept: pair[1] };
  return html`<div class="find">
    <label><span class="visually-hidden">Find a page by URL or text</span>
      <input type="search" placeholder="Why was this page dropped? A URL, or words of its text" maxlength="100" value=${words} onInput=${(e) => change({ find: e.target.value }, true)} /></label>
    <${Trouble} says=${trouble} />
    ${asked && !found && !trouble && html`<${Nothing}>Looking …</${Nothing}>`}
    ${found && html`<p class="caption" role="status">${KINDS.map((which) => `${count(found[which].total)} ${which}`).join(", ")}.${KINDS.some((which) => found[which].total > SHOWN) ? ` The first ${SHOWN} of each are shown.` : ""}</p>
      ${!found.dropped.total && !found.kept.total && html`<${WayThrough} key=${words} path=${`/api/runs/${run}/why?${new URLSearchParams({ url: asked })}`} />`}
      ${KINDS.map((which) => html`<ul class="cards" key=${which} aria-label=${which}>${found[which].rows.slice(0, SHOWN).map((/** @type {any} */ row) => html`<${Card} key=${row.id ?? row.url} row=${row} dropped=${which === "dropped"} run=${run}>
        ${row.url && html`<${WayThrough} path=${`/api/runs/${run}/why?${new URLSearchParams({ url: row.url })}`} />`}<//>`)}</ul>`)}`}
  </div>`;
}

/** Over all steps, the rules that dropped most pages. @param {{steps: Funnel[]}} props */
export function TopRules({ steps }) {
  const all = steps.flatMap((step) => Object.entries(step.dropped ?? {}).map(([rule, n]) => ({ step: step.step, rule, n: Number(n) })));
  if (all.length < 2) return null;
  const most = all.sort((a, b) => b.n - a.n).slice(0, MOST_RULES);
  return html`<div class="top-rules"><h3>Rules that dropped most</h3><ol>${most.map(({ step, rule, n }) => html`<li key=${`${step} ${rule}`}>
    <a href=${address("documents", { open: step, rule, words: null, page: null })}><span class="top-name">${ruleTitle(rule)}</span> <span class="caption">${stepWords(step).title}</span></a>
    <${Bar} of=${n / most[0].n} /> <span class="number">${count(n)}</span></li>`)}</ol></div>`;
}
