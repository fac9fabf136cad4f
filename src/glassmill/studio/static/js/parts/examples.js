// Real pages of one step: what was dropped (with the rule's sentence) or kept; live ones first, then all, page by page.

import { html, useState } from "../lib/preact.js";
import { getJson } from "../lib/api.js";
import { useAsked } from "../lib/asked.js";
import { count, plain } from "../lib/format.js";
import { Nothing, Pager, Trouble } from "./room.js";
import { Slider } from "./slider.js";
import { change, usePlace } from "../state/address.js";
import { isFinished } from "../state/stages.js";
import { kindTitle, ruleTitle, verdictWords } from "../state/words.js";

/** @import {Stage} from "../state/store.js" */

const SEARCH_WAIT_MS = 250;
const WITH_HTML = /\.(w?arc|html?)\b/i; // what a page's HTML can be read from
const AROUND = 120; // characters before the first mark
const MOST_VALUES = 1000; // in studio/documents.py

/** `masked`: only documents with personal data, and `rules` are its kinds.
 * @param {{corpus: Stage, which: "kept" | "dropped" | "quarantine", step: string, rules: Record<string, number>, masked?: boolean}} props */
export function Examples({ corpus, which, step, rules, masked = false }) {
  const { query } = usePlace();
  const rule = query.get("rule") ?? "";
  const words = query.get("words") ?? "";
  const page = Math.max(0, Math.floor(Number(query.get("page")) || 0));
  const finished = isFinished(corpus);
  const search = new URLSearchParams({ which, step, words, page: String(page), ...(masked ? { masked: rule || "any" } : { rule }) });
  const path = finished ? `/api/runs/${corpus.run}/documents?${search}` : null;
  const { found: answer, trouble } = useAsked(path, (signal) => getJson(path ?? "", { signal }), { wait: SEARCH_WAIT_MS, keep: true });
  const live = corpus.examples.filter((e) => (which === "kept" ? e.kept : !e.kept && e.step === step && (!rule || e.rule === rule)));
  const rows = finished ? answer?.rows ?? [] : live.slice(-8).reverse();
  const last = answer ? Math.ceil(answer.total / answer.page_rows) - 1 : 0;
  const only = (/** @type {string} */ name) => change({ rule: name, page: null });
  const ordered = Object.entries(rules).sort((a, b) => b[1] - a[1]);
  return html`<div class="examples">
    ${ordered.length > 0 && html`<div class="chips" role="group" aria-label=${masked ? "Kinds" : "Rules"}>
      <button type="button" class="chip" aria-pressed=${!rule} onClick=${() => only("")}>${masked ? "all kinds" : "all rules"}</button>
      ${ordered.map(([name, n]) => html`<button type="button" class="chip" key=${name} aria-pressed=${rule === name} onClick=${() => only(name)} title=${name}>
        ${masked ? kindTitle(name) : ruleTitle(name)} <span class="chip-count">${count(n)}</span></button>`)}
    </div>`}
    ${finished && which === "dropped" && rule && rules[rule] > 1 && html`<${Bound} key=${rule} run=${corpus.run} step=${step} rule=${rule} />`}
    ${finished && which !== "quarantine" && html`<label class="search"><span class="visually-hidden">Find in text or URL</span>
      <input type="search" placeholder="Find in text or URL" maxlength="100" value=${words} onInput=${(e) => change({ words: e.target.value, page: null }, true)} /></label>`}
    <${Trouble} says=${trouble} />
    ${finished && !answer && !trouble && html`<${Nothing}>Opening …</${Nothing}>`}
    ${finished && answer && !rows.length && html`<${Nothing}>${which === "quarantine" ? "None: every record could be read." : "No pages."}</${Nothing}>`}
    ${!finished && !rows.length && html`<${Nothing}>The first examples will appear here in a moment.</${Nothing}>`}
    <ul class="cards">${rows.map((/** @type {any} */ row) => html`<${Card} key=${row.id ?? row.url + row.t} row=${row} dropped=${which === "dropped"} run=${finished ? corpus.run : null} masked=${masked} />`)}</ul>
    ${finished && answer && answer.total > answer.page_rows && html`<${Pager} label="Pages of examples" at=${page} last=${last} says=${`${count(page + 1)} of ${count(last + 1)} · ${count(answer.total)} pages`} turn=${(to) => change({ page: to || null })} />`}
  </div>`;
}

/** @param {{row: any, dropped: boolean, run?: string | null, masked?: boolean, children?: any}} props `run`: of the corpus, if it is finished; `masked`: begin where something was masked */
export function Card({ row, dropped, run, masked = false, children }) {
  const [whole, setWhole] = useState(false);
  const text = row.text ?? "";
  const before = masked && !whole ? (row.marks?.[0]?.[0] ?? 0) - AROUND : 0;
  const first = before > 0 ? text.indexOf(" ", before) + 1 || before : 0;
  const long = text.length > 420 || first > 0;
  return html`<li class="card" data-dropped=${dropped}>
    <div class="url">${row.url ?? row.source ?? ""}</div>
    ${dropped && row.rule && html`<${Verdict} rule=${row.rule} value=${row.value} bound=${row.bound} detail=${row.detail} />`}
    ${!dropped && html`<${Provenance} row=${row} />`}
    ${!text && ["read", "url"].includes(row.step) && html`<p class="provenance">Dropped before its text was read.</p>`}
    ${text && html`<p class="page-text" data-whole=${whole}>${marked(text, row.marks ?? [], first)}</p>`}
    ${!text && !row.rule && html`<p class="page-text">${row.cause ?? row.detail ?? ""}</p>`}
    ${long && html`<button type="button" class="link" onClick=${() => setWhole(!whole)}>${whole ? "Show less" : "Show the whole text"}</button>`}
    ${run && text && row.url && WITH_HTML.test(row.source) && html`<${Original} path=${`/api/runs/${run}/html?${new URLSearchParams({ source: row.source, offset: String(row.offset), url: row.url })}`} />`}
    ${children}
  </li>`;
}

/** A text in which what was masked is marked. @param {string} text @param {[number, number, string][]} marks @param {number} from */
function marked(text, marks, from) {
  const ends = [from, ...marks.map(([, end]) => end)];
  return html`${from > 0 && "… "}${marks.map(([start, end, kind], i) => html`${text.slice(ends[i], start)}<mark class="masked" key=${i} title=${`masked: ${kindTitle(kind)}`}>${text.slice(start, end)}</mark>`)}${text.slice(ends.at(-1))}`;
}

/** The HTML that a text was extracted from, asked for when it is opened. @param {{path: string}} props */
function Original({ path }) {
  const [open, setOpen] = useState(false);
  const { found, trouble } = useAsked(open ? path : null, (signal) => getJson(path, { signal }));
  return html`<details class="trace-way" onToggle=${(e) => setOpen(e.currentTarget.open)}><summary>Its HTML beside the text</summary>
    <${Trouble} says=${trouble} />
    ${found && html`<p class="caption">Grey is what extraction cut away. Personal data is masked in both.</p><div class="original"><pre tabindex="0" aria-label="HTML">${found.pieces.map((/** @type {[string, boolean]} */ [text, kept], /** @type {number} */ i) => (kept ? html`<b key=${i}>${text}</b>` : text))}</pre>
      <p class="page-text" data-whole="true" tabindex="0" aria-label="Text">${found.text}</p></div>`}</details>`;
}

/** How many pages another bound would have let pass, from the values that are stored. @param {{run: string | null, step: string, rule: string}} props */
function Bound({ run, step, rule }) {
  const path = `/api/runs/${run}/values?${new URLSearchParams({ step, rule })}`;
  const [moved, setMoved] = useState(/** @type {number | null} */ (null));
  const { found } = useAsked(path, (signal) => getJson(path, { signal }));
  const values = /** @type {number[]} */ (found?.values ?? []);
  const { gauge } = verdictWords(rule, values[0] ?? 0, 0);
  if (values.length < 2 || !gauge) return null;
  const at = moved ?? 0;
  const ordered = gauge === "above" ? [...values].reverse() : values; // the first would be the first to pass
  const bound = ordered[Math.max(0, at - 1)];
  const pass = at ? ordered.filter((value) => (gauge === "above" ? value >= bound : value <= bound)).length : 0;
  return html`<div class="bound"><${Slider} label="Another bound" at=${at} most=${values.length} says=${at ? verdictWords(rule, bound, NaN).value : "as it is"} ends=${["the bound as it is", "one that all pass"]} choose=${setMoved} />
    <p class="caption" role="status">${at ? html`With a bound of <strong>${verdictWords(rule, bound, NaN).value}</strong>, ${count(pass)} of ${values.length} ${values.length === MOST_VALUES ? "(an even sample of all)" : "pages"} would pass this rule. Those after it may still drop them.` : "Move it to see how many pages a looser bound would let pass. What a stricter one would drop, only a new run says."}</p></div>`;
}

/** Why a page was dropped: the rule, and its sentence with the value it had and the bound it broke. @param {{rule: string, value: number, bound: number, detail?: string}} props */
export function Verdict({ rule, value, bound, detail }) {
  const words = verdictWords(rule, value, bound);
  return html`<div class="verdict">
    <span class="verdict-rule" title=${rule}>${ruleTitle(rule)}</span>
    <span class="verdict-words">${words.before}${words.value && html`<strong>${words.value}</strong>`}${words.after}</span>
    ${words.gauge && html`<${Gauge} value=${value} bound=${bound} stays=${words.gauge} />`}
    ${detail && html`<span class="verdict-detail">${detail}</span>`}
  </div>`;
}

/** The value beside the bound, and on which side of it pages stay. @param {{value: number, bound: number, stays: "above" | "below"}} props */
function Gauge({ value, bound, stays }) {
  const scale = Math.max(value, bound) * 1.15 || 1;
  const at = (bound / scale) * 100;
  return html`<svg class="verdict-gauge" data-stays=${stays} viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
    <rect class="gauge-ok" x=${stays === "above" ? at : 0} y="3.5" width=${stays === "above" ? 100 - at : at} height="3" />
    <rect class="gauge-bound" x=${at - 0.4} y="0.5" width="0.8" height="9" />
    <rect class="gauge-value" x=${Math.min(98, (value / scale) * 100)} y="1.5" width="2" height="7" />
  </svg>`;
}

/** What is known of a kept document. @param {{row: any}} props */
function Provenance({ row }) {
  const facts = [
    row.source && row.offset != null && !row.language && `${row.source}, at byte ${count(row.offset)}`,
    row.language && `${row.language} ${row.language_score ? plain(row.language_score) : ""}`,
    row.cluster_size > 1 && `kept once of ${row.cluster_size} copies`,
    row.pii?.length > 0 && `${row.pii.length} personal ${row.pii.length === 1 ? "item" : "items"} replaced: ${[...new Set(row.pii)].map(kindTitle).join(", ")}`,
  ].filter(Boolean);
  return facts.length ? html`<p class="provenance">${facts.join(" · ")}</p>` : null;
}
