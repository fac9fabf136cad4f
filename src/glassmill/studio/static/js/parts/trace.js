// Where an answer's words come from: its longest stretches that stand word for word in the training documents, the pages
// that have them, how these passed the filters, and the steps that read them.

import { html, useEffect, useState } from "../lib/preact.js";
import { post } from "../lib/api.js";
import { count } from "../lib/format.js";
import { Trouble } from "./room.js";
import { WayThrough } from "./way.js";
import { select } from "../state/selection.js";

/** @import {Stretch, Traced} from "../state/answers.js" */

const SECONDS_UNTIL_SAID = 1;
const BITS_OF_A_SHADE = 20;

/** The button under an answer, and what it finds. Words marked in `place` are traced alone.
 * @param {{run: string, text: string, place: {current: Element | null}}} props */
export function Trace({ run, text, place }) {
  const marked = useMarked(place);
  const [traced, setTraced] = useState(/** @type {Traced | null} */ (null));
  const [trouble, setTrouble] = useState("");
  const [busy, setBusy] = useState(0);
  const look = async () => {
    setBusy(1);
    setTrouble("");
    const timer = setTimeout(() => setBusy(2), SECONDS_UNTIL_SAID * 1000);
    try {
      setTraced(await (await post(`/api/runs/${run}/trace`, { text: marked || text })).json());
    } catch (error) {
      setTrouble(/** @type {Error} */ (error).message);
    }
    clearTimeout(timer);
    setBusy(0);
  };
  return html`<div class="trace-foot">
    <button type="button" class="link" disabled=${busy > 0} onMouseDown=${(event) => event.preventDefault()} onClick=${look}>
      ${marked ? "Trace the marked words" : "Trace these words"}</button>
    ${busy > 1 && html`<p class="caption" role="status">Looking … The first time, an index of the training documents is built; of a million tokens it takes less than a second.</p>`}
    <${Trouble} says=${trouble} />
    ${traced && html`<${Found} key=${traced.text} traced=${traced} />`}
  </div>`;
}

/** The words that are marked inside an element. @param {{current: Element | null}} place */
function useMarked(place) {
  const [marked, setMarked] = useState("");
  useEffect(() => {
    const look = () => {
      const chosen = getSelection();
      const inside = chosen && !chosen.isCollapsed && place.current?.contains(chosen.anchorNode) && place.current.contains(chosen.focusNode);
      setMarked(inside ? String(chosen).trim() : "");
    };
    document.addEventListener("selectionchange", look);
    return () => document.removeEventListener("selectionchange", look);
  }, []);
  return marked;
}

/** @param {{traced: Traced}} props */
function Found({ traced }) {
  const [open, setOpen] = useState(0);
  const { stretches } = traced;
  const where = `the ${count(traced.training_tokens)} training tokens${traced.others.length ? ` of the line's own text (it was also trained on ${traced.others.join(", ")})` : ""}`;
  if (!stretches.length) return html`<p class="caption" role="status">No word of it stands in ${where}.</p>`;
  return html`<section class="trace" aria-label="Where these words come from" aria-live="off">
    <p class="caption" role="status">${stretches.length === 1 ? "One stretch stands" : `${count(stretches.length)} stretches stand`} word for word in ${where}. The stronger the colour, the less likely it stands there by chance. The model may know it from elsewhere too.</p>
    <p class="trace-text">${pieces(traced).map(({ text, stretch }, i) => stretch < 0 ? text
      : html`<mark key=${i} data-rare=${shade(stretches[stretch])} data-open=${stretch === open} onClick=${() => setOpen(stretch)}>${text}</mark>`)}</p>
    <ol class="trace-list">${stretches.map((stretch, i) => html`<li key=${i}>
      <button type="button" class="trace-stretch" aria-expanded=${open === i} onClick=${() => setOpen(open === i ? -1 : i)}>
        <span class="trace-words" data-rare=${shade(stretch)}>${stretch.text}</span> <span class="trace-count">${often(stretch)}</span></button>
      ${open === i && html`<${Pages} stretch=${stretch} corpus=${traced.corpus} />`}
    </li>`)}</ol>
  </section>`;
}

/** The text cut where stretches begin and end; each piece belongs to the best stretch that has it, or to none (-1).
 * @param {Traced} traced */
function pieces({ text, stretches }) {
  const points = [...text];
  const cuts = new Set([0, points.length, ...stretches.flatMap(({ start, end }) => [start, end])]);
  const ends = [...cuts].sort((a, b) => a - b);
  return ends.slice(1).map((end, i) => ({
    text: points.slice(ends[i], end).join(""),
    stretch: stretches.findIndex((stretch) => stretch.start <= ends[i] && end <= stretch.end),
  }));
}

/** 0 to 3. @param {Stretch} stretch */
function shade(stretch) {
  return Math.min(3, Math.floor(stretch.bits / BITS_OF_A_SHADE));
}

/** @param {Stretch} stretch */
function often({ count: times, documents, all }) {
  return `${count(times)} ${times === 1 ? "time" : "times"} in ${all ? "" : "at least "}${count(documents)} ${documents === 1 ? "document" : "documents"}`;
}

/** @param {{stretch: Stretch, corpus: string | null}} props */
function Pages({ stretch, corpus }) {
  const more = stretch.documents - stretch.pages.length;
  return html`<ul class="trace-pages">${stretch.pages.map((page) => html`<li key=${`${page.shard} ${page.row}`}>
      <p class="url">${page.url ?? page.source ?? "A page whose URL is lost: the corpus run is gone."}</p>
      <p class="excerpt">… ${page.before}<mark>${page.text}</mark>${page.after} …</p>
      ${page.steps && html`<p class="provenance">${stepsRead(page.steps)}</p>`}
      ${corpus && html`<${WayThrough} path=${`/api/runs/${corpus}/way?${new URLSearchParams({ shard: page.shard, row: String(page.row) })}`} opened=${() => select({ run: corpus, document: page.url })} />`}
    </li>`)}
    ${more > 0 && html`<li class="caption">and ${count(more)} more</li>`}</ul>`;
}

/** @param {{count: number, first: number[]}} steps */
function stepsRead(steps) {
  if (!steps.count) return "No step of the training read it.";
  const more = steps.count - steps.first.length;
  return `Training read it in ${steps.count === 1 ? "step" : "steps"} ${steps.first.map(count).join(", ")}${more > 0 ? ` and ${count(more)} more` : ""}.`;
}
