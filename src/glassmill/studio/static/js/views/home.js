// The first view: what became of the pages, in numbers; the way to the chat; the run as a stream from stage to stage.

import { html, useState } from "../lib/preact.js";
import { clock, count, decimals, percent, roughly } from "../lib/format.js";
import { Stream } from "../parts/stream.js";
import { address, go } from "../state/address.js";
import { has, isFinished, lastModel, stageNames, stageRow, stageShowing } from "../state/stages.js";
import { elapsed, secondsLeft, share } from "../state/store.js";
import { STATUS_WORDS, scoreWords } from "../state/words.js";

/** @import {Line, Stage} from "../state/store.js" */

/** @typedef {{id: string, rooms: {id: string, main: string}[]}} View */

/** @param {{line: Line, now: number, model: any, views: View[]}} props */
export function Home({ line, now, model, views }) {
  const corpus = stageShowing(line, "funnel");
  /** The view that shows a stage. @param {string} name */
  const viewOf = (name) => views.find((view) => view.rooms.some((room) => room.id === stageRow(name).room))?.id ?? "home";
  return html`<section class="room home" aria-labelledby="home-title">
    <p class="eyebrow">${line.name} · ${STATUS_WORDS[line.status] ?? line.status}</p>
    <h2 id="home-title" tabindex="-1">${headline(line)}</h2>
    <p class="lede">Web pages go in, a language model you can talk to comes out. You can look into every step.</p>
    ${lastModel(line) && html`<${Ask} model=${model} />`}
    <${Headlines} line=${line} viewOf=${viewOf} />
    ${corpus && has(line, "corpus") && html`<${Stream} steps=${[...corpus.funnel.values()]} running=${corpus.status === "running"} />`}
    <${StageRow} line=${line} now=${now} chat=${model?.state ?? "waiting"} viewOf=${viewOf} />
  </section>`;
}

/** What the run came to so far, as a sentence. @param {Line} line */
function headline(line) {
  const [pagesIn, documents] = funnelEnds(line);
  const parameters = firstTraining(line)?.plan?.parameters;
  const model = lastModel(line);
  if (!pagesIn) return model ? "From pages to a model" : "From pages to documents";
  if (parameters && model && isFinished(line.stages[model.name])) return `${count(pagesIn)} web pages became a model of ${roughly(parameters)} weights`;
  if (corpusDone(line)) return `${count(documents)} of ${count(pagesIn)} pages are worth reading`;
  return `${count(pagesIn)} pages so far`;
}

/** @param {Line} line */
const corpusDone = (line) => isFinished(stageShowing(line, "funnel") ?? { status: "absent" });

/** Pages in, documents out. @param {Line} line */
function funnelEnds(line) {
  const steps = [...(stageShowing(line, "funnel")?.funnel.values() ?? [])];
  return steps.length ? [Math.max(...steps.map((step) => step.in)), steps.at(-1)?.out ?? 0] : [0, 0];
}

/** The first stage that trains the model, as soon as it has a plan. @param {Line} line */
const firstTraining = (line) => stageNames().map((name) => line.stages[name]).find((stage) => stage.plan);

/** The numbers that matter most, each with the way to where it comes from. @param {{line: Line, viewOf: (stage: string) => string}} props */
function Headlines({ line, viewOf }) {
  const [pagesIn, documents] = funnelEnds(line);
  const training = firstTraining(line);
  const trainingView = training ? viewOf(training.stage) : "home";
  const read = training?.metrics.at(-1)?.tokens;
  const bits = training?.validations.at(-1)?.bits_per_byte;
  const scored = stageNames().find((name) => stageRow(name).shows === "scores" && line.stages[name].scores.size);
  const best = scored ? scoreWords().find(({ name, form }) => form === "percent" && line.stages[scored].scores.has(name)) : null;
  const numbers = [
    pagesIn && { name: "Pages read", value: count(pagesIn), view: "documents" },
    pagesIn && { name: "Documents kept", value: count(documents), says: percent(documents / pagesIn), view: "documents" },
    training?.plan?.tokens && { name: read ? "Tokens read in training" : "Tokens to train on", value: roughly(read || training.plan.tokens), view: trainingView },
    training?.plan?.parameters && { name: "Weights of the model", value: roughly(training.plan.parameters), view: trainingView },
    bits != null && { name: "Bits per byte, unseen text", value: decimals(bits, 2), view: trainingView },
    scored && best && { name: best.title, value: percent(line.stages[scored].scores.get(best.name)), view: viewOf(scored) },
  ].filter((one) => one !== null && typeof one === "object");
  if (!numbers.length) return null;
  return html`<ul class="headlines">${numbers.map((one) => html`<li key=${one.name}><a href=${address(one.view)}>
    <span class="headline-value">${one.value}</span> <span class="headline-name">${one.name}${one.says && html`, ${one.says}`}</span></a></li>`)}</ul>`;
}

/** A question to the model: the chat opens with it. @param {{model: any}} props */
function Ask({ model }) {
  const [question, setQuestion] = useState("");
  const ready = model?.state === "ready";
  const ask = (/** @type {string} */ text) => text.trim() && go(address("chat", { ask: text.trim() }));
  return html`<form class="home-ask" onSubmit=${(e) => (e.preventDefault(), ask(question))}>
      <label class="visually-hidden" for="home-question">A question for the model</label>
      <input id="home-question" type="text" maxlength="2000" autocomplete="off" disabled=${!ready} placeholder=${ready ? "Ask the model something …" : "Opens when the model is ready"} value=${question} onInput=${(e) => setQuestion(e.target.value)} />
      <button class="primary" disabled=${!ready || !question.trim()}>Ask</button>
    </form>
    ${ready && model.questions?.length > 0 && html`<div class="chips home-questions">${model.questions.slice(0, 3).map((/** @type {string} */ text) => html`<button type="button" class="chip" key=${text} onClick=${() => ask(text)}>${text}</button>`)}</div>`}`;
}

/** The stages in their order, joined as a stream. @param {{line: Line, now: number, chat: string, viewOf: (stage: string) => string}} props */
function StageRow({ line, now, chat, viewOf }) {
  const shown = stageNames().filter((name) => has(line, name));
  const status = /** @type {Record<string, string>} */ ({ ready: "done", loading: "running", failed: "failed" })[chat] ?? "waiting";
  return html`<nav class="stages" aria-label="The stages">
    <ol style=${{ "--stages": shown.length + 1 }}>
      ${shown.map((name) => html`<${Step} key=${name} name=${name} stage=${line.stages[name]} now=${now} view=${viewOf(name)} />`)}
      ${lastModel(line) && html`<li data-status=${status}>
        <a href=${address("chat")}><${Ring} part=${status === "done" ? 1 : 0} status=${status} />
          <span class="stage-name">Chat</span>
          <span class="stage-time">${{ ready: "open", loading: "opening", failed: "closed" }[chat] ?? "later"}</span></a>
      </li>`}
    </ol>
  </nav>`;
}

/** @param {{name: string, stage: Stage, now: number, view: string}} props */
function Step({ name, stage, now, view }) {
  const left = secondsLeft(stage, now);
  const time = stage.status === "waiting" ? "" : clock(elapsed(stage, now));
  const words = stageRow(name);
  const label = `${words.title}: ${STATUS_WORDS[stage.status] ?? stage.status}${time && `, ${time}`}`;
  return html`<li data-status=${stage.status}>
    <a href=${address(view)} aria-current=${stage.status === "running" ? "step" : undefined}>
      <${Ring} part=${share(stage) ?? (stage.status === "running" ? 0.12 : 0)} status=${stage.status} />
      <span class="visually-hidden">${label}</span><span class="stage-name" aria-hidden="true">${words.title}</span>
      <span class="stage-time" aria-hidden="true">${time || " "}${left != null && html`<span class="left"> −${clock(left)}</span>`}</span>
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
