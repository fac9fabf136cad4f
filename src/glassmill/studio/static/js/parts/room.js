// Small parts that every section uses.

import { html, useEffect, useRef, useState } from "../lib/preact.js";
import { amount, clock, count, duration } from "../lib/format.js";
import { elapsed, secondsLeft, share } from "../state/store.js";
import { stageRow } from "../state/stages.js";
import { STATUS_WORDS } from "../state/words.js";

/** @import {Stage} from "../state/store.js" */

/** The server's time, seconds, renewed every second while `ticking`. @param {number} ahead @param {boolean} ticking */
export function useNow(ahead, ticking) {
  const [, redraw] = useState(0);
  useEffect(() => {
    if (!ticking) return;
    const timer = setInterval(() => redraw((n) => n + 1), 1000);
    return () => clearInterval(timer);
  }, [ticking]);
  return Date.now() / 1000 + ahead;
}

/** One room of a view: title, what happens here, how far it is.
 * @param {{id: string, title: string, says: any, stages?: Stage[], now?: number, children: any}} props */
export function Room({ id, title, says, stages = [], now = 0, children }) {
  return html`<section class="room" id=${id} aria-labelledby=${`${id}-title`}>
    <header class="room-head">
      <h2 id=${`${id}-title`} tabindex="-1">${title}</h2>
      <p class="says">${says}</p>
    </header>
    ${stages.map((stage) => html`<${Meter} key=${stage.stage} stage=${stage} now=${now} />`)}
    ${children}
  </section>`;
}

/** How far a stage is: a bar, done of total, time so far and time left. @param {{stage: Stage, now: number}} props */
export function Meter({ stage, now }) {
  if (stage.status === "absent" || stage.status === "waiting") return null;
  const part = share(stage);
  const left = secondsLeft(stage, now);
  const progress = stage.progress;
  const metric = stage.metrics.at(-1);
  const quantity = metric?.steps
    ? `step ${count(metric.step)} of ${count(metric.steps)}`
    : progress?.total
      ? amount(progress.done, progress.total, progress.unit)
      : progress?.done
        ? `${count(progress.done)} ${progress.unit ?? ""}`
        : (progress?.message ?? "");
  const running = stage.status === "running";
  const note = stage.notes.findLast((one) => one.kind !== "note") ?? stage.notes.at(-1);
  return html`<div class="meter" data-status=${stage.status}>
    <span class="meter-name">${stageRow(stage.stage).title}</span>
    <span class="meter-bar" role="progressbar" aria-label=${`${stageRow(stage.stage).title}: progress`} aria-valuemin="0" aria-valuemax="100"
      aria-valuenow=${part == null ? undefined : Math.round(part * 100)}>
      <span class=${part == null && running ? "meter-fill unknown" : "meter-fill"} style=${{ width: `${(part ?? (running ? 0.3 : 0)) * 100}%` }}></span>
    </span>
    <span class="meter-words">
      ${running ? quantity : STATUS_WORDS[stage.status]}${" · "}${clock(elapsed(stage, now))}
      ${left != null && html`<span class="left">${" · "}about ${duration(left)} left</span>`}
    </span>
    ${note && html`<p class="meter-note" data-kind=${note.kind}>${note.text}</p>`}
    <${Trouble} says=${stage.error} />
  </div>`;
}

/** A number with its name and what it means. @param {{value: any, unit?: string, name: string, says?: string, tone?: string, children?: any}} props */
export function Figure({ value, unit, name, says, tone, children }) {
  return html`<div class="figure" data-tone=${tone}>
    <div class="figure-name">${name}</div>
    <div class="figure-value">${value}${unit && html` <span class="figure-unit">${unit}</span>`}</div>
    ${children}
    ${says && html`<div class="figure-says">${says}</div>`}
  </div>`;
}

/** A button that copies `text`. @param {{text: string, look?: string}} props `look`: its class */
export function Copy({ text, look = "quiet" }) {
  const [copied, setCopied] = useState(false);
  const timer = useRef(0);
  const copy = async () => {
    await navigator.clipboard?.writeText(text).catch(() => {});
    setCopied(true);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setCopied(false), 1500);
  };
  return html`<button class=${look} type="button" onClick=${copy}>${copied ? "Copied" : "Copy"}</button>`;
}

/** What went wrong, if anything did. @param {{says: string | null}} props */
export function Trouble({ says }) {
  return says && html`<p class="trouble" role="alert">${says}</p>`;
}

/** A share as a bar; the number stands beside it. @param {{of: number, children?: any}} props */
export function Bar({ of, children }) {
  return html`<span class="share-bar" aria-hidden="true"><span style=${{ width: `${of * 100}%` }}></span>${children}</span>`;
}

/** From one to the next of many, counted from 0. @param {{label: string, at: number, last: number, says: string, turn: (to: number) => void}} props */
export function Pager({ label, at, last, says, turn }) {
  const to = (/** @type {number} */ place, /** @type {string} */ word) => html`<button type="button" class="quiet" disabled=${place < 0 || place > last} onClick=${() => turn(place)}>${word}</button>`;
  return html`<nav class="pager" aria-label=${label}>${to(at - 1, "Previous")} <span>${says}</span> ${to(at + 1, "Next")}</nav>`;
}

/** Shown where there is nothing to see yet. @param {{children: any}} props */
export function Nothing({ children }) {
  return html`<p class="nothing">${children}</p>`;
}
