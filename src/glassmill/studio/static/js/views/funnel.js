// Room 1: pages in, what every filter takes out, documents out; drawn to scale, every step opens its pages.

import { html, useEffect, useMemo, useRef } from "../lib/preact.js";
import { getJson } from "../lib/api.js";
import { useAsked } from "../lib/asked.js";
import { count, percent } from "../lib/format.js";
import { Nothing, Room } from "../parts/room.js";
import { Examples } from "../parts/examples.js";
import { Find, TopRules } from "../parts/find.js";
import { change, usePlace } from "../state/address.js";
import { isFinished } from "../state/stages.js";
import { stepWords } from "../state/words.js";

/** @import {Example} from "../state/events.js" */
/** @import {RoomRow} from "../state/answers.js" */
/** @import {Line, Stage} from "../state/store.js" */

const MASKING = "pii";

/** @param {{room: RoomRow, line: Line, now: number}} props */
export function Funnel({ room, line, now }) {
  const corpus = line.stages[room.main];
  const open = usePlace().query.get("open");
  const steps = [...corpus.funnel.values()];
  const pagesIn = steps.length ? Math.max(...steps.map((step) => step.in)) : 0;
  const documents = steps.at(-1)?.out ?? 0;
  const text = Math.max(0, ...steps.map((step) => step.characters_in ?? 0));
  const textKept = text ? percent((steps.at(-1)?.characters_out ?? 0) / text) : "";
  const masked = useMasked(isFinished(corpus) ? corpus.run : null);
  const toggle = (/** @type {string} */ name) => change({ open: open === name ? null : name, rule: null, words: null, page: null });
  return html`<${Room} id=${room.id} title=${room.heading} says=${room.says} now=${now} stages=${room.stages.map((name) => line.stages[name])}>
    ${isFinished(corpus) && corpus.run && html`<${Find} run=${corpus.run} />`}
    ${!steps.length && html`<${Nothing}>${room.waits}</${Nothing}>`}
    ${steps.length > 0 && html`<div class="funnel">
      <div class="funnel-end"><strong>${count(pagesIn)}</strong> pages come in</div>
      ${steps.map((step) => html`<${Step} key=${step.step} step=${step} pagesIn=${pagesIn} open=${open === step.step} toggle=${toggle} corpus=${corpus} masked=${step.step === MASKING ? masked : {}} />`)}
      <${Outlet} documents=${documents} pagesIn=${pagesIn} textKept=${textKept} open=${open === "kept"} toggle=${() => toggle("kept")} corpus=${corpus} />
      <${Quarantine} open=${open === "quarantine"} toggle=${() => toggle("quarantine")} corpus=${corpus} />
    </div>`}
    <${TopRules} steps=${steps} />
    ${corpus.status === "running" && html`<${JustNow} examples=${corpus.examples} />`}
  </${Room}>`;
}

/** How often each kind of personal data was masked in the documents of a finished run. @param {string | null} run @returns {Record<string, number>} */
function useMasked(run) {
  const path = `/api/runs/${run}/files/stats.json`;
  return useAsked(run && path, () => getJson(path)).found?.pii ?? {};
}

/** One filter: its name, its piece of the stream, its numbers; opens what it dropped.
 * @param {{step: import("../state/events.js").Funnel, pagesIn: number, open: boolean, toggle: (name: string) => void, corpus: Stage, masked: Record<string, number>}} props */
function Step({ step, pagesIn, open, toggle, corpus, masked }) {
  const items = Object.values(masked).reduce((sum, number) => sum + number, 0);
  const words = stepWords(step.step);
  const dropped = Math.max(0, step.in - step.out);
  const panel = `step-${step.step}`;
  const place = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    if (open) place.current?.scrollIntoView({ block: "nearest" }); // it may have been opened from below
  }, [open]);
  return html`<div class="funnel-step" data-open=${open} ref=${place}>
    <button type="button" class="funnel-row" aria-expanded=${open} aria-controls=${panel} onClick=${() => toggle(step.step)} title=${words.says}>
      <span class="funnel-label"><span class="funnel-title">${words.title}</span><span class="funnel-says">${words.says}</span></span>
      <${Stream} from=${step.in / pagesIn} to=${step.out / pagesIn} />
      <span class="funnel-numbers">
        ${dropped ? html`<span class="dropped">−${count(dropped)}</span><span class="funnel-share">${percent(dropped / pagesIn)} of all</span>`
          : html`<span class="funnel-share">${items ? `${count(items)} masked` : "drops none"}</span>`}
      </span>
    </button>
    ${open && html`<div id=${panel} class="funnel-panel">
      <${Rules} step=${step} />
      ${step.quarantined > 0 && html`<p class="panel-says">${count(step.quarantined)} of these ${count(dropped)} could not be read; ${step.quarantined === 1 ? "it is" : "they are"} in the quarantine at the end of this funnel.</p>`}
      ${items > 0 && html`<p class="panel-says">${count(items)} ${items === 1 ? "piece" : "pieces"} of personal data were masked in these documents; each is marked.</p>`}
      ${items > 0 ? html`<${Examples} corpus=${corpus} which="kept" step="" rules=${masked} masked />` : html`<${Examples} corpus=${corpus} which="dropped" step=${step.step} rules=${step.dropped ?? {}} />`}
    </div>`}
  </div>`;
}

/** A piece of the stream, 1000 units wide for all pages: what flows on, and at its sides what is let out. @param {{from: number, to: number}} props */
function Stream({ from, to }) {
  const [a, b] = [500 * from, 500 * to];
  const curve = (/** @type {number} */ side) => `C ${500 + side * a} 28, ${500 + side * b} 28, ${500 + side * b} 60`;
  const through = `M ${500 - a} 0 L ${500 + a} 0 ${curve(1)} L ${500 - b} 60 C ${500 - b} 28, ${500 - a} 28, ${500 - a} 0 Z`;
  const leak = (/** @type {number} */ side) =>
    `M ${500 + side * a} 0 ${curve(side)} L ${500 + side * (b + (a - b) * 0.55)} 60 C ${500 + side * a} 44, ${500 + side * a} 20, ${500 + side * a} 0 Z`;
  return html`<svg class="stream" viewBox="0 0 1000 60" preserveAspectRatio="none" aria-hidden="true">
    ${a - b > 0.5 && html`<path class="stream-leak" d=${leak(-1)} /><path class="stream-leak" d=${leak(1)} />`}
    <path class="stream-through" d=${through} />
  </svg>`;
}

/** How many pages each rule of a step took. @param {{step: import("../state/events.js").Funnel}} props */
function Rules({ step }) {
  const rules = Object.entries(step.dropped ?? {}).sort((a, b) => Number(b[1]) - Number(a[1]));
  if (rules.length < 2) return null;
  return html`<p class="panel-says">A page is dropped by the first rule that it breaks; ${rules.length} rules dropped pages here.</p>`;
}

/** What is left, in documents and as a share of the text that was extracted. @param {{documents: number, pagesIn: number, textKept: string, open: boolean, toggle: () => void, corpus: Stage}} props */
function Outlet({ documents, pagesIn, textKept, open, toggle, corpus }) {
  return html`<div class="funnel-step" data-open=${open}>
    <button type="button" class="funnel-row outlet" aria-expanded=${open} onClick=${toggle}>
      <span class="funnel-label"><span class="funnel-title">Documents</span><span class="funnel-says">What is left; the model reads all but a few held out.</span></span>
      <${Stream} from=${documents / pagesIn} to=${documents / pagesIn} />
      <span class="funnel-numbers"><span class="kept">${count(documents)}</span><span class="funnel-share">${percent(documents / pagesIn)} of all${textKept && `, ${textKept} of the text`}</span></span>
    </button>
    ${open && html`<div class="funnel-panel"><${Examples} corpus=${corpus} which="kept" step="" rules=${{}} /></div>`}
  </div>`;
}

/** @param {{open: boolean, toggle: () => void, corpus: Stage}} props */
function Quarantine({ open, toggle, corpus }) {
  if (!isFinished(corpus)) return null;
  return html`<div class="funnel-step quarantine" data-open=${open}>
    <button type="button" class="link" aria-expanded=${open} onClick=${toggle}>Records that could not be read (quarantine)</button>
    ${open && html`<div class="funnel-panel"><${Examples} corpus=${corpus} which="quarantine" step="" rules=${{}} /></div>`}
  </div>`;
}

/** The last pages that were decided, while it happens. @param {{examples: Example[]}} props */
function JustNow({ examples }) {
  const last = useMemo(() => examples.slice(-4).reverse(), [examples.length, examples.at(-1)]);
  if (!last.length) return null;
  return html`<div class="just-now"><h3>Decided just now</h3>
    <ul>${last.map((page) => html`<li key=${page.t + page.url} data-kept=${page.kept}>
      <span class="verdict-dot" aria-hidden="true"></span>
      <span class="just-verdict">${page.kept ? "kept" : stepWords(page.step ?? "").title}</span>
      <span class="url">${page.url}</span>
      <span class="just-text">${(page.text ?? "").slice(0, 160)}</span></li>`)}</ul></div>`;
}
