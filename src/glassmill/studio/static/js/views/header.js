// The head of the page: its name, which line it shows, and that line as a row of stages.

import { html, useState } from "../lib/preact.js";
import { clock, duration } from "../lib/format.js";
import { has, isFinished, lastModel, stageNames, stageRow } from "../state/stages.js";
import { elapsed, secondsLeft, share } from "../state/store.js";
import { STATUS_WORDS } from "../state/words.js";

/** @import {Line, Stage, Status} from "../state/store.js" */

const SILENT_SECONDS = 60;

/** @param {{line: Line, lines: {name: string, status: Status}[], choose: (name: string) => void, now: number, about: any, model: any}} props */
export function Header({ line, lines, choose, now, about, model }) {
  return html`<header class="masthead">
      <div class="masthead-row">
        <a class="wordmark" href="#top" aria-label="glassmill"><${Wheel} turning=${line.status === "running"} />glassmill</a>
        ${lines.length > 1 && html`<label class="picker"><span class="visually-hidden">Line shown</span>
          <select value=${line.name} onChange=${(/** @type {any} */ e) => choose(e.target.value)}>
            ${lines.map((entry) => html`<option value=${entry.name}>${entry.name} · ${STATUS_WORDS[entry.status] ?? entry.status}</option>`)}
          </select></label>`}
        <${ThemeButton} />
      </div>
      <p class="lede">Web pages go in, a language model you can talk to comes out. ${about.runs ? "You can look into every step." : "This one is ready to talk."}</p>
      ${about.runs && html`<${Now} line=${line} now=${now} />`}
    </header>
    ${about.runs && html`<${StageRow} line=${line} now=${now} chat=${model?.state ?? "waiting"} />`}`;
}

/** One sentence: what is happening. @param {{line: Line, now: number}} props */
function Now({ line, now }) {
  const running = stageNames().find((name) => line.stages[name].status === "running");
  const stage = running ? line.stages[running] : null;
  const left = stage && secondsLeft(stage, now);
  return html`<p class="stage-now"><span role="status">${nowSentence(line, running)}</span>
      ${stage && html` <span class="stage-clock">${clock(elapsed(stage, now))}${left != null && `, about ${duration(left)} left`}</span>`}</p>
    <${Silence} line=${line} stage=${stage} now=${now} />`;
}

/** The stages in their order, joined as a stream. @param {{line: Line, now: number, chat: string}} props */
function StageRow({ line, now, chat }) {
  const shown = stageNames().filter((name) => has(line, name));
  const status = /** @type {Record<string, string>} */ ({ ready: "done", loading: "running", failed: "failed" })[chat] ?? "waiting";
  return html`<nav class="stages" aria-label="The line" id="top">
    <ol style=${{ "--stages": shown.length + 1 }}>
      ${shown.map((name) => html`<${Step} key=${name} name=${name} stage=${line.stages[name]} now=${now} />`)}
      <li data-status=${status}>
        <a href="#chat"><${Ring} part=${status === "done" ? 1 : 0} status=${status} />
          <span class="stage-name">Chat</span>
          <span class="stage-time">${{ ready: "open", loading: "opening", failed: "closed" }[chat] ?? "later"}</span></a>
      </li>
    </ol>
  </nav>`;
}

/** @param {{name: string, stage: Stage, now: number}} props */
function Step({ name, stage, now }) {
  const left = secondsLeft(stage, now);
  const time = stage.status === "waiting" ? "" : clock(elapsed(stage, now));
  const words = stageRow(name);
  const label = `${words.title}: ${STATUS_WORDS[stage.status] ?? stage.status}${time && `, ${time}`}`;
  return html`<li data-status=${stage.status}>
    <a href=${`#${words.room}`} aria-label=${label} aria-current=${stage.status === "running" ? "step" : undefined}>
      <${Ring} part=${share(stage) ?? (stage.status === "running" ? 0.12 : 0)} status=${stage.status} />
      <span class="stage-name">${words.title}</span>
      <span class="stage-time">${time || " "}${left != null && html`<span class="left"> −${clock(left)}</span>`}</span>
    </a></li>`;
}

/** A ring that fills, with a mark in the middle. @param {{part: number, status: string}} props */
function Ring({ part, status }) {
  const round = 2 * Math.PI * 13;
  const done = isFinished({ status });
  return html`<svg class="ring" viewBox="0 0 32 32" aria-hidden="true">
    <circle class="ring-track" cx="16" cy="16" r="13" />
    <circle class="ring-fill" cx="16" cy="16" r="13" stroke-dasharray=${`${part * round} ${round}`} transform="rotate(-90 16 16)" />
    ${done && html`<path class="ring-mark" d="M10.5 16.5l3.7 3.6 7.4-8" />`}
    ${status === "failed" && html`<path class="ring-mark" d="M11.5 11.5l9 9m0-9l-9 9" />`}
    ${status === "running" && html`<circle class="ring-drop" cx="16" cy="16" r="4" />`}
  </svg>`;
}

/** @param {Line} line @param {string | undefined} running */
function nowSentence(line, running) {
  if (!line.name) return "Looking for a line …";
  if (line.status === "failed") return `The line failed${line.error ? `: ${line.error}` : "."} Run the same command again to continue where it stopped.`;
  if (line.status === "done") return `The line is done.${lastModel(line) ? " You can talk to the model." : ""}`;
  return running ? `Now: ${stageRow(running).doing}.` : "The line is starting.";
}

/** A warning when nothing has happened for a while. @param {{line: Line, stage: Stage | null, now: number}} props */
function Silence({ line, stage, now }) {
  if (!line.connected && line.name) return html`<p class="trouble" role="alert">Lost the connection to the server. This page reconnects on its own.</p>`;
  if (!stage?.lastSign || line.status !== "running" || now - stage.lastSign < SILENT_SECONDS) return null;
  return html`<p class="hint">No events from this stage for ${duration(now - stage.lastSign)}. If its process was killed, run the same command again to continue where it stopped.</p>`;
}

/** @param {{turning: boolean}} props */
function Wheel({ turning }) {
  return html`<svg class=${turning ? "wheel turning" : "wheel"} viewBox="0 0 32 32" aria-hidden="true">
    <g><circle cx="16" cy="16" r="9.5" /><path d="M16 3v26M3 16h26M6.8 6.8l18.4 18.4M25.2 6.8L6.8 25.2" /></g></svg>`;
}

function ThemeButton() {
  const [theme, setTheme] = useState(document.documentElement.dataset.theme ?? "auto");
  const next = () => {
    const order = ["auto", "light", "dark"];
    const chosen = order[(order.indexOf(theme) + 1) % order.length];
    if (chosen === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = chosen;
    localStorage.setItem("glassmill-theme", chosen);
    dispatchEvent(new Event("themechange"));
    setTheme(chosen);
  };
  return html`<button class="quiet theme" type="button" onClick=${next} aria-label=${`Theme: ${theme}. Change`}>
    <svg viewBox="0 0 20 20" aria-hidden="true"><circle cx="10" cy="10" r="7" /><path d="M10 3a7 7 0 0 1 0 14z" class="half" /></svg>${theme}</button>`;
}
