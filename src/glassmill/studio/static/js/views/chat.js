// The end of the line: the chat box.

import { html, useEffect, useRef, useState } from "../lib/preact.js";
import { complete, inContext, message } from "../lib/completion.js";
import { count, duration } from "../lib/format.js";
import { Room, Trouble } from "../parts/room.js";
import { Said } from "../parts/said.js";
import { Sampling } from "../parts/sampling.js";
import { subject } from "../parts/sources.js";
import { Talks } from "../parts/talks.js";
import { change, usePlace } from "../state/address.js";
import { conversations, conversationWith } from "../state/conversations.js";
import { has, isFinished, lastModel, stageNames, stageRow, stageShowing } from "../state/stages.js";
import { secondsLeft } from "../state/store.js";

/** @import {Message} from "../lib/completion.js" */
/** @import {Acts} from "../parts/said.js" */
/** @import {Line} from "../state/store.js" */

const PLAIN_QUESTIONS = ["What is 12 * 34?", "Who are you?", "Write one sentence about the sea."];

/** @param {{line: Line, model: any, now: number, about: any}} props */
export function Chat({ line, model, now, about }) {
  const chatOnly = !about.runs;
  const corpus = stageShowing(line, "funnel");
  const ready = model?.state === "ready";
  const of = line.name || (model?.name ?? "");
  return html`<${Room} id="chat" title="Talk to it" says=${aboutModel(line, model, chatOnly)}>
    ${!ready && html`<${NotYet} line=${line} now=${now} model=${model} />`}
    <${Conversation} key=${of} of=${of} ready=${ready} model=${model} corpus=${isFinished(corpus) ? corpus.run : null} traced=${runOfModel(line)} />
  </${Room}>`;
}

/** The finished run whose training documents an answer is traced to. @param {Line} line */
function runOfModel(line) {
  const stage = line.stages[lastModel(line)?.name ?? ""];
  return stage && isFinished(stage) ? stage.run : null;
}

/** What to expect of it. @param {Line} line @param {any} model @param {boolean} chatOnly */
function aboutModel(line, model, chatOnly) {
  if (chatOnly) return `The model: ${model?.name ?? "…"}. It runs on this machine.`;
  if (lastModel(line)?.model === "base") return "A base model: it has only learned to continue text, not to answer. Expect it to continue what you write.";
  if (!has(line, "miniweb")) return "This is the model you just watched grow. It is small and has read only these documents: expect their words and style, not general knowledge.";
  return "This is the model you just watched grow. It knows its town and can use a calculator; it knows nothing of the wider world.";
}

/** What has to happen before there is somebody to talk to. @param {{line: Line, now: number, model: any}} props */
function NotYet({ line, now, model }) {
  if (model?.state === "failed") return html`<${Trouble} says=${`The model cannot be opened: ${model.text}`} />`;
  if (model?.state === "loading") return html`<p class="nothing busy" role="status">The model is loading. This takes a few seconds.</p>`;
  const last = lastModel(line);
  if (!last) return html`<p class="nothing">This run does not train a model.</p>`;
  const before = stageNames().slice(0, stageNames().indexOf(last.name) + 1);
  const open = before.filter((name) => ["waiting", "running"].includes(line.stages[name].status));
  const running = open.find((name) => line.stages[name].status === "running");
  const left = running ? secondsLeft(line.stages[running], now) : null;
  if (line.status === "failed") return html`<p class="nothing">The run stopped before there was a model.</p>`;
  const next = open.filter((name) => name !== running).map((name) => stageRow(name).title.toLowerCase());
  return html`<p class="nothing">There is no model to talk to yet.
    ${running && html` ${stageRow(running).title} is running${left != null ? `, about ${duration(left)} left` : ""}.`}
    ${next.length > 0 && html` Next: ${next.join(", then ")}.${!has(line, "miniweb") ? "" : " With the demo's settings the whole run takes five to ten minutes."}`}</p>`;
}

/** @param {{of: string, ready: boolean, model: any, corpus: string | null, traced: string | null}} props `of`: the run that made the model, or "" */
function Conversation({ of, ready, model, corpus, traced }) {
  const [, redraw] = useState(0);
  const again = () => redraw((n) => n + 1);
  const conversation = conversationWith(of);
  const { talk } = conversation;
  useEffect(() => conversation.subscribe(again), [conversation]);
  const form = useRef(/** @type {HTMLElement | null} */ (null));
  const [draft, setDraft] = useState("");
  const [showTokens, setShowTokens] = useState(false);
  const last = talk.at(-1);
  const busy = last?.busy ?? false;

  const go = (/** @type {Message} */ answer) => {
    conversation.abort = new AbortController();
    const before = conversation.talk.filter((one) => one !== answer || answer.content);
    complete({ model: model.name, before, answer, how: conversation.how, signal: conversation.abort.signal, changed: () => conversation.changed() });
  };
  const ask = (/** @type {string} */ text) => {
    if (!text.trim() || busy || !ready) return;
    conversation.add(message("user", text.trim()));
    setDraft("");
    go(conversation.add(message("assistant")));
  };
  const wanted = usePlace().query.get("ask");
  useEffect(() => {
    if (!wanted || !ready || busy) return;
    change({ ask: null }, true);
    ask(wanted);
  }, [wanted, ready]);
  useEffect(() => {
    if (talk.length) form.current?.scrollIntoView({ block: "nearest" });
  }, [talk.length, busy]);
  const asked = new Set(talk.map((said) => said.content));
  const open = (model?.questions?.length ? model.questions : PLAIN_QUESTIONS).filter((/** @type {string} */ question) => !asked.has(question));
  const firstSeen = talk.findIndex((said) => !said.left);

  /** What can be done with a message of the talk. @param {Message} said @returns {Acts} */
  const actsOf = (said) => {
    const question = conversation.said[said.up];
    const ends = said === last && said.role === "assistant";
    if (busy || !ready) return { again: null, more: null, edit: null, fork: null, show: null };
    /** @type {(make: () => Message) => void} */
    const anew = (make) => {
      for (const one of talk) one.left = false; // less is said now; what still doesn't fit, the server tells
      go(make());
    };
    return {
      again: ends ? () => ((question.failed = false), go(conversation.add(message("assistant"), said.up))) : null,
      more: ends && said.content && ["length", "stopped"].includes(said.ended) ? () => go(said) : null,
      edit: said.role === "user" ? (text) => anew(() => (conversation.add(message("user", text), said.up), conversation.add(message("assistant")))) : null,
      fork: (text, at, other) => {
        const forced = { ...said.tokens[at], text: other.text, share: other.share, others: said.tokens[at].others.map((one) => ({ ...one, taken: one.text === other.text })) };
        anew(() => conversation.add({ ...message("assistant", text + other.text), tokens: [...said.tokens.slice(0, at), forced], tools: said.tools.filter((tool) => tool.at <= text.length) }, said.up));
      },
      show: (other) => conversation.show(other),
    };
  };
  const key = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      ask(draft);
    }
  };
  return html`<div class="chat">
    ${conversation.said.length + conversations(of).length > 1 && html`<${Talks} conversation=${conversation} busy=${busy} model=${model?.name ?? ""} changed=${again} />`}
    <div class="talk" role="log" aria-label="Conversation" aria-live="polite">
      ${talk.map((said, i) => html`${i > 0 && i === firstSeen && html`<${Left} key="left" questions=${talk.slice(0, i).filter((one) => one.role === "user" && !one.failed).length} length=${talk.findLast((one) => one.context)?.context?.length} />`}
          <${Said} key=${`${conversation.id} ${i}`} number=${i} said=${said} versions=${conversation.versions(said)} showTokens=${showTokens} corpus=${corpus} traced=${traced} about=${subject(talk[i - 1]?.content ?? "")} acts=${actsOf(said)} />`)}
    </div>
    <${ContextMeter} talk=${talk} />
    ${!busy && html`<${Suggestions} questions=${open} ready=${ready} ask=${ask} />`}
    <form class="ask" ref=${form} onSubmit=${(e) => (e.preventDefault(), ask(draft))}>
      <label class="visually-hidden" for="question">Your message</label>
      <textarea id="question" rows="2" placeholder=${ready ? "Ask something …" : "Opens when the model is ready"} disabled=${!ready} value=${draft}
        maxlength="20000" onInput=${(e) => setDraft(e.target.value)} onKeyDown=${key}></textarea>
      ${busy ? html`<button type="button" class="primary stop" onClick=${() => conversation.abort?.abort()}>Stop</button>`
        : html`<button class="primary" disabled=${!ready || !draft.trim()}>Send</button>`}
    </form>
    <${Sampling} how=${conversation.how} set=${(next) => ((conversation.how = { ...conversation.how, ...next }), conversation.changed())} system>
      <label class="check"><input type="checkbox" checked=${showTokens} onChange=${(e) => setShowTokens(e.target.checked)} /> show how sure it was</label><//>
    <p class="caption">Temperature 0 always takes the likeliest token; the higher it is, the oftener another one is drawn.</p>
  </div>`;
}

/** Where the model's view of the conversation begins. @param {{questions: number, length: number | undefined}} props */
function Left({ questions, length }) {
  return html`<p class="left-note" role="note">The context of ${count(length)} tokens is full: the model no longer sees the ${questions === 1 ? "question" : `${count(questions)} questions`} above, nor ${questions === 1 ? "its answer" : "their answers"}.</p>`;
}

/** How full the context is. @param {{talk: Message[]}} props */
function ContextMeter({ talk }) {
  const context = inContext(talk).findLast((said) => said.context)?.context;
  if (!context) return null;
  const words = `${count(context.used)} of ${count(context.length)} tokens`;
  return html`<div class="context"><span id="context-name">Context used</span>
    <span class="share-bar" role="meter" aria-labelledby="context-name" aria-valuemin="0" aria-valuemax=${context.length} aria-valuenow=${context.used} aria-valuetext=${words}>
      <span style=${{ width: `${Math.min(100, (100 * context.used) / context.length)}%` }}></span></span>
    <span class="number">${words}</span></div>`;
}

/** @param {{questions: string[], ready: boolean, ask: (text: string) => void}} props */
function Suggestions({ questions, ready, ask }) {
  if (!questions.length) return null;
  return html`<div class="suggestions"><p class="caption">Try one of these</p>
    ${questions.map((question) => html`<button type="button" class="chip" key=${question} disabled=${!ready} onClick=${() => ask(question)}>${question}</button>`)}</div>`;
}
