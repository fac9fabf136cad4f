// The corpus as a stream from left to right, drawn to scale: what flows on, and what each filter takes out, falling from it
// onto its name. A click opens the pages that it dropped.

import { html } from "../lib/preact.js";
import { count, percent } from "../lib/format.js";
import { address } from "../state/address.js";
import { stepWords } from "../state/words.js";

/** @import {Funnel} from "../state/events.js" */

const WIDE = 1000;
const HIGH = 150;
const FALL = 46;
const DROPS = 7;

/** @param {{steps: Funnel[], running: boolean}} props */
export function Stream({ steps, running }) {
  const pagesIn = Math.max(0, ...steps.map((step) => step.in));
  if (!pagesIn) return null;
  const dropping = steps.filter((step) => step.in > step.out);
  if (!dropping.length) return null;
  const kept = steps.at(-1)?.out ?? 0;
  const width = WIDE / (dropping.length + 1);
  const high = (/** @type {number} */ pages) => Math.max(1.5, (HIGH * pages) / pagesIn);
  return html`<div class="flow" data-running=${running}>
    <div class="flow-ends"><span><strong>${count(pagesIn)}</strong> pages</span><span><strong>${count(kept)}</strong> documents</span></div>
    <svg viewBox=${`0 0 ${WIDE} ${HIGH + FALL}`} preserveAspectRatio="none" role="img" aria-label=${`Of ${count(pagesIn)} pages ${count(kept)} are kept, ${percent(kept / pagesIn)}`}>
      <defs><linearGradient id="flow-through"><stop offset="0" class="flow-from" /><stop offset="1" class="flow-to" /></linearGradient></defs>
      ${dropping.map((step, i) => html`<g key=${step.step}><path class="stream-leak" d=${leak(i * width, width, high(step.in), high(step.out))} /></g>`)}
      <path class="stream-through" d=${through(dropping, width, high)} />
      <rect class="flow-kept" x=${dropping.length * width - 1} y="0" width=${width + 1} height=${high(kept)} />
      ${Array.from({ length: DROPS }, (_, i) => html`<rect class="flow-drop" key=${i} data-lane=${i} x="0" y=${(high(kept) * (i + 0.5)) / DROPS} width="9" height="2" rx="1" />`)}
    </svg>
    <ol style=${{ "--steps": dropping.length + 1 }}>
      ${dropping.map((step) => html`<li key=${step.step}><a href=${address("documents", { open: step.step })}>
        <span class="flow-name">${stepWords(step.step).title}</span> <span class="dropped">−${count(step.in - step.out)}</span></a></li>`)}
      <li><a href=${address("documents", { open: "kept" })}><span class="flow-name">Documents</span> <span class="kept">${percent(kept / pagesIn)}</span></a></li>
    </ol></div>`;
}

/** The upper edge is straight; the lower one rises where pages leave. @param {Funnel[]} steps @param {number} width @param {(pages: number) => number} high */
function through(steps, width, high) {
  const edge = steps.map((step, i) => {
    const [from, to] = [i * width, (i + 1) * width];
    const middle = (from + to) / 2;
    return `C ${middle} ${high(step.in)}, ${middle} ${high(step.out)}, ${to} ${high(step.out)}`;
  });
  return `M 0 0 L 0 ${high(steps[0].in)} ${edge.join(" ")} L ${steps.length * width} 0 Z`;
}

/** @param {number} from @param {number} width @param {number} before @param {number} after */
function leak(from, width, before, after) {
  const [to, middle, end] = [from + width, from + width / 2, HIGH + FALL];
  const half = Math.min(width * 0.3, Math.max(1, (before - after) / 2));
  return `M ${from} ${before} C ${middle} ${before}, ${middle} ${after}, ${to} ${after} C ${middle + half} ${after + 8}, ${middle + half} ${end - 20}, ${middle + half} ${end} L ${middle - half} ${end} C ${middle - half} ${end - 20}, ${middle - half * 0.6} ${before}, ${from} ${before} Z`;
}
