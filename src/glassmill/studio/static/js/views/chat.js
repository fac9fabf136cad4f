// The end of the line: the chat box.

import { html, useEffect, useRef, useState } from "../lib/preact.js";
import { complete, inContext, message } from "../lib/completion.js";
import { count, decimals, duration, percent, visible } from "../lib/format.js";
import { Markdown } from "../lib/markdown.js";
import { Room } from "../parts/room.js";
import { Sources, subject } from "../parts/sources.js";
import { Trace } from "../parts/trace.js";
import { address, change, usePlace } from "../state/address.js";
import { conversationWith } from "../state/conversations.js";
import { has, isFinished, lastModel, stageNames, stageRow, stageShowing } from "../state/stages.js";
import { secondsLeft } from "../state/store.js";

/** @import {Citation, Message, Token} from "../lib/completion.js" */
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
  if (model?.state === "failed") return html`<p class="trouble" role="alert">The model cannot be opened: ${model.text}</p>`;
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
  const conversation = conversationWith(of);
  const { talk, changed } = conversation;
  useEffect(() => conversation.subscribe(() => redraw((n) => n + 1)), []);
  const form = useRef(/** @type {HTMLElement | null} */ (null));
  const [draft, setDraft] = useState("");
  const [temperature, setTemperature] = useState(0);
  const [showTokens, setShowTokens] = useState(false);
  const busy = talk.at(-1)?.busy ?? false;

  const go = (/** @type {Message} */ said) => {
    conversation.abort = new AbortController();
    complete({ model: model.name, before: talk.filter((one) => one !== said || said.content), answer: said, temperature, signal: conversation.abort.signal, changed });
  };
  const answer = () => {
    const said = message("assistant");
    talk.push(said);
    go(said);
  };
  const ask = (/** @type {string} */ text) => {
    if (!text.trim() || busy || !ready) return;
    talk.push(message("user", text.trim()));
    setDraft("");
    answer();
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
  const again = () => {
    talk.pop();
    const question = talk.at(-1);
    if (question) question.failed = false;
    answer();
  };
  const more = () => {
    const said = talk.at(-1);
    if (said) go(said);
  };
  const firstSeen = talk.findIndex((said) => !said.left);
  const key = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      ask(draft);
    }
  };
  return html`<div class="chat">
    <div class="talk" role="log" aria-label="Conversation" aria-live="polite">
      ${talk.map((said, i) => {
        const last = i === talk.length - 1 && !busy && said.role === "assistant";
        return html`${i > 0 && i === firstSeen && html`<${Left} key="left" questions=${talk.slice(0, i).filter((one) => one.role === "user" && !one.failed).length} length=${talk.findLast((one) => one.context)?.context?.length} />`}
          <${Said} key=${i} number=${i} said=${said} showTokens=${showTokens} corpus=${corpus} traced=${traced} about=${subject(talk[i - 1]?.content ?? "")} again=${last ? again : null} more=${last && said.content && ["length", "stopped"].includes(said.ended) ? more : null} />`;
      })}
    </div>
    <${ContextMeter} talk=${talk} />
    ${!busy && html`<${Suggestions} questions=${open} ready=${ready} ask=${ask} />`}
    <form class="ask" ref=${form} onSubmit=${(/** @type {Event} */ e) => (e.preventDefault(), ask(draft))}>
      <label class="visually-hidden" for="question">Your message</label>
      <textarea id="question" rows="2" placeholder=${ready ? "Ask something …" : "Opens when the model is ready"} disabled=${!ready} value=${draft}
        maxlength="20000" onInput=${(/** @type {any} */ e) => setDraft(e.target.value)} onKeyDown=${key}></textarea>
      ${busy ? html`<button type="button" class="primary stop" onClick=${() => conversation.abort?.abort()}>Stop</button>`
        : html`<button class="primary" disabled=${!ready || !draft.trim()}>Send</button>`}
    </form>
    <div class="chat-settings">
      <label>Temperature <input type="range" min="0" max="1.5" step="0.1" value=${temperature} onInput=${(/** @type {any} */ e) => setTemperature(Number(e.target.value))} />
        <output>${decimals(temperature, 1)}</output></label>
      <label class="check"><input type="checkbox" checked=${showTokens} onChange=${(/** @type {any} */ e) => setShowTokens(e.target.checked)} /> show how sure it was</label>
      ${talk.length > 0 && html`<button type="button" class="quiet" disabled=${busy} onClick=${() => (talk.splice(0), changed())}>New conversation</button>`}
    </div>
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

/** @param {{number: number, said: Message, showTokens: boolean, corpus: string | null, traced: string | null, about: string, again: (() => void) | null, more: (() => void) | null}} props */
function Said({ number, said, showTokens, corpus, traced, about, again, more }) {
  const words = useRef(/** @type {HTMLElement | null} */ (null));
  const mine = said.role === "user";
  const speed = said.seconds > 0 && said.made > 1 ? `${decimals(said.made / said.seconds, 0)} tokens/s` : "";
  const complete = !mine && !said.busy && said.content && !said.left && !said.failed;
  return html`<article class="said" data-role=${said.role} data-out=${said.left || said.failed} aria-label=${mine ? "You" : "The model"}>
    ${said.tools.map((tool, i) => html`<p class="tool" key=${i}><span class="tool-name">calculator</span><code>${tool.arguments}</code> = <code>${tool.result}</code></p>`)}
    <div ref=${words}>${mine ? html`<p class="own">${said.content}</p>`
      : showTokens && said.tokens.length ? html`<${Tokens} tokens=${said.tokens} />`
      : said.content ? html`<${Markdown} text=${said.content} />`
      : said.busy ? html`<p class="thinking" aria-label="The model is thinking"><i></i><i></i><i></i></p>`
      : !said.note && html`<p class="nothing-said">The model ended its answer without a word.</p>`}</div>
    ${said.citations && html`<${Citations} citations=${said.citations} />`}
    ${!mine && (said.note || speed || again || complete) && html`<p class="said-foot">${[said.note, speed].filter(Boolean).join(" · ")}
      ${more && html` <button type="button" class="link" onClick=${more}>Continue</button>`}
      ${again && html` <button type="button" class="link" onClick=${again}>Try again</button>`}
      ${complete && html` <a class="link" href=${address("inside", { talk: number, prompt: null, token: null })}>Look inside</a>
        <a class="link" href=${address("coin", { talk: number, prompt: null })}>Flip the coin</a>`}</p>`}
    ${!mine && !said.busy && said.content && traced && html`<${Trace} key=${said.content} run=${traced} text=${said.content} place=${words} />`}
    ${!mine && !said.busy && corpus && about && html`<${Sources} key=${about} run=${corpus} about=${about} />`}
  </article>`;
}

/** Which passages hold the answer. @param {{citations: Citation[]}} props */
function Citations({ citations }) {
  if (!citations.length) return html`<p class="caption">No passage of the documents holds this answer.</p>`;
  return html`<div class="sources"><ul>${citations.map((one) => html`<li key=${`${one.document} ${one.start}`}><details>
    <summary><span class="url">${one.document}</span>${one.section && ` ${one.section}`}${one.support < 1 && ` (${percent(one.support)} of the answer's words)`}</summary>
    <p class="excerpt">${one.text}</p></details></li>`)}</ul></div>`;
}

/** Every token, the paler the surer; one that is chosen shows what else it could have been. @param {{tokens: Token[]}} props */
function Tokens({ tokens }) {
  const [picked, setPicked] = useState(/** @type {number | null} */ (null));
  const token = picked == null ? null : tokens[picked];
  return html`<div><p class="sure">${tokens.map((one, i) => html`<button type="button" key=${i} class="sure-token" data-doubt=${doubt(one.share)} aria-pressed=${picked === i}
      onClick=${() => setPicked(i)} onMouseEnter=${() => setPicked(i)} title=${percent(one.share)}>${one.text.replaceAll("\n", "⏎\n")}</button>`)}</p>
    ${token ? html`<${Others} token=${token} />`
      : html`<p class="caption">The stronger the colour, the smaller the share of the token that was written. Choose one to see the others.</p>`}</div>`;
}

/** The likeliest tokens at one place, with the one that was written. @param {{token: Token}} props */
function Others({ token }) {
  const rest = 1 - token.others.reduce((sum, other) => sum + other.share, 0);
  return html`<div class="others" role="status"><p class="caption">${token.temperature > 0
      ? `The chance of each token at temperature ${decimals(token.temperature, 1)}:`
      : "The model's own share for each token; temperature 0 always writes the largest:"}</p>
    ${token.others.map((other, i) => html`<div class="other" key=${i} data-taken=${other.taken}>
      <code>${visible(other.text)}${other.taken && html`<span class="visually-hidden"> (written)</span>`}</code>
      <span class="share-bar" aria-hidden="true"><span style=${{ width: `${other.share * 100}%` }}></span></span><span class="number">${percent(other.share)}</span></div>`)}
    ${rest > 0.0005 && html`<div class="other rest"><span>all others</span><span class="share-bar" aria-hidden="true"><span style=${{ width: `${rest * 100}%` }}></span></span><span class="number">${percent(rest)}</span></div>`}</div>`;
}

/** 0 (sure) to 4 (a guess). @param {number} share */
function doubt(share) {
  return [0.9, 0.6, 0.3, 0.1].filter((bound) => share < bound).length;
}
