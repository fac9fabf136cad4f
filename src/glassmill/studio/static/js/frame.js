// The frame around every view: the side bar with the runs and views, what is happening now, and the command palette.

import { html, useEffect, useState } from "./lib/preact.js";
import { clock, duration } from "./lib/format.js";
import { Palette } from "./palette.js";
import { address, go } from "./state/address.js";
import { isFinished, lastModel, stageNames, stageRow } from "./state/stages.js";
import { elapsed, secondsLeft } from "./state/store.js";
import { nextTheme, useTheme } from "./state/theme.js";
import { STATUS_WORDS } from "./state/words.js";

/** @import {Line, Stage, Status} from "./state/store.js" */
/** @import {Shown} from "./views.js" */

const SILENT_SECONDS = 60;
const MODEL_STATUS = /** @type {Record<string, string>} */ ({ ready: "done", loading: "running", failed: "failed" });

/** @param {{views: Shown[], here: string, line: Line, lines: {name: string, status: Status}[], now: number, about: any, model: any, children: any}} props */
export function Frame({ views, here, line, lines, now, about, model, children }) {
  const [open, setOpen] = useState(false);
  const [palette, setPalette] = useState(false);
  useEffect(() => {
    const key = (/** @type {KeyboardEvent} */ event) => {
      if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey) return;
      event.preventDefault();
      setPalette(true);
    };
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, []);
  const skip = (/** @type {Event} */ event) => {
    event.preventDefault(); // the part of the address after # is the view's
    document.querySelector("main")?.focus();
  };
  return html`<div class="frame">
    <a class="skip" href="#main" onClick=${skip}>Skip to the view</a>
    <header class="bar" data-open=${open}>
      <div class="bar-top">
        <a class="wordmark" href=${address(about.runs ? "home" : "chat")} aria-label="glassmill: overview"><${Wheel} turning=${line.status === "running"} />glassmill</a>
        <button type="button" class="quiet menu" aria-expanded=${open} aria-controls="views" onClick=${() => setOpen(!open)}>${views.find((view) => view.id === here)?.title ?? "Views"}</button>
      </div>
      <div class="bar-fold">
        ${lines.length > 1 && html`<label class="picker"><span class="visually-hidden">Run shown</span>
          <select value=${line.name} onChange=${(e) => go(address(here, {}, e.target.value))}>
            ${lines.map((entry) => html`<option value=${entry.name}>${entry.name} · ${STATUS_WORDS[entry.status] ?? entry.status}</option>`)}
          </select></label>`}
        <nav id="views" aria-label="Views" onClick=${() => setOpen(false)}><ul>
          ${views.map((view) => html`<li key=${view.id} data-status=${statusOf(view, line, model)}><a href=${address(view.id)} aria-current=${view.id === here ? "page" : undefined}>
            <span class="nav-dot" aria-hidden="true"></span>${view.title}${words(statusOf(view, line, model))}</a></li>`)}
        </ul></nav>
        <div class="bar-foot">
          <button type="button" class="quiet finder" onClick=${() => setPalette(true)}>Find <kbd>Ctrl K</kbd></button>
          <${ThemeButton} />
        </div>
      </div>
      ${about.runs && html`<${Now} line=${line} now=${now} />`}
    </header>
    <div class="content">
      <main id="main" tabindex="-1">${children}</main>
      <footer><p>Everything on this page is made, stored and shown on this machine. Nothing is sent anywhere.</p></footer>
    </div>
    ${palette && html`<${Palette} views=${views} lines=${lines} about=${about} close=${() => setPalette(false)} />`}
  </div>`;
}

/** How far what a view shows is; "" where it shows no stage. @param {Shown} view @param {Line} line @param {any} model */
function statusOf(view, line, model) {
  if (view.id === "chat") return MODEL_STATUS[model?.state] ?? "waiting";
  const inside = view.rooms.flatMap((room) => room.stages.map((name) => line.stages[name].status)).filter((status) => status !== "absent");
  if (!inside.length || !line.name) return "";
  return inside.includes("failed") ? "failed" : inside.includes("running") ? "running" : inside.every((status) => isFinished({ status })) ? "done" : inside.some((status) => isFinished({ status })) ? "running" : "waiting";
}

/** @param {string} status */
function words(status) {
  return ["running", "failed"].includes(status) ? html`<span class="visually-hidden"> (${status})</span>` : null;
}

/** One sentence: what is happening. @param {{line: Line, now: number}} props */
function Now({ line, now }) {
  const running = stageNames().find((name) => line.stages[name].status === "running");
  const stage = running ? line.stages[running] : null;
  const left = stage && secondsLeft(stage, now);
  const since = stage ? elapsed(stage, now) : line.status === "running" && line.started ? now - line.started : null;
  return html`<div class="bar-now"><p class="stage-now"><span role="status">${nowSentence(line, running)}</span>
      ${since != null && html` <span class="stage-clock">${clock(since)}${left != null && `, about ${duration(left)} left`}</span>`}</p>
    <${Silence} line=${line} stage=${stage} now=${now} /></div>`;
}

/** @param {Line} line @param {string | undefined} running */
function nowSentence(line, running) {
  if (!line.name) return "Looking for a run …";
  if (line.status === "failed") return `The run failed${line.error ? `: ${line.error}` : "."} Give the same command again to continue where it stopped.`;
  if (line.status === "done") return `The run is done.${lastModel(line) ? " You can talk to the model." : ""}`;
  return running ? `Now: ${stageRow(running).doing}.` : "The next stage is starting.";
}

/** A warning when nothing has happened for a while. @param {{line: Line, stage: Stage | null, now: number}} props */
function Silence({ line, stage, now }) {
  if (!line.connected && line.name) return html`<p class="trouble" role="alert">Lost the connection to the server. This page reconnects on its own.</p>`;
  if (!stage?.lastSign || line.status !== "running" || now - stage.lastSign < SILENT_SECONDS) return null;
  return html`<p class="hint">No events from this stage for ${duration(now - stage.lastSign)}. If its process was killed, give the same command again to continue where it stopped.</p>`;
}

/** @param {{turning: boolean}} props */
function Wheel({ turning }) {
  return html`<svg class=${turning ? "wheel turning" : "wheel"} viewBox="0 0 32 32" aria-hidden="true">
    <g><circle cx="16" cy="16" r="9.5" /><path d="M16 3v26M3 16h26M6.8 6.8l18.4 18.4M25.2 6.8L6.8 25.2" /></g></svg>`;
}

function ThemeButton() {
  const theme = useTheme();
  return html`<button class="quiet theme" type="button" onClick=${nextTheme} aria-label=${`Theme: ${theme}. Change`}>
    <svg viewBox="0 0 20 20" aria-hidden="true"><circle cx="10" cy="10" r="7" /><path d="M10 3a7 7 0 0 1 0 14z" class="half" /></svg>${theme}</button>`;
}
