// The notebook: a text that the model goes on with, as it stands. What a base model has learned, and nothing else.

import { html, useEffect, useRef, useState } from "../lib/preact.js";
import { goOn } from "../lib/completion.js";
import { count } from "../lib/format.js";
import { Copy, Nothing, Room } from "../parts/room.js";
import { Sampling } from "../parts/sampling.js";
import { Tokens } from "../parts/sure.js";
import { talkOf } from "../parts/prompt.js";
import { address } from "../state/address.js";
import { parsed, write } from "../state/conversations.js";
import { lastModel } from "../state/stages.js";

/** @import {How, Token} from "../lib/completion.js" */
/** @import {Line} from "../state/store.js" */
/** `written` begins behind `from` characters of `text`. @typedef {{text: string, from: number, written: Token[], how: How}} Page */

const KEY = "glassmill-notebook:";
const LONGEST = 100_000;
const LINKED = 2000;
const TAKEN_BACK = 50;
/** @type {Page} */
const EMPTY = { text: "", from: 0, written: [], how: { temperature: 0.7, max_tokens: 64 } };

/** @param {{line: Line, model: any}} props */
export function Notebook({ line, model }) {
  const ready = model?.state === "ready";
  const of = talkOf(line, model);
  const base = lastModel(line)?.model === "base" ? "This is a base model: going on is all that it has learned." : "This model has also learned to answer; here it goes on with your text as if it were a page it reads.";
  return html`<${Room} id="notebook" title="Notebook" says=${`Write the beginning of a text, and the model goes on with it. ${base}`}>
    ${!ready && html`<${Nothing}>${model?.state === "failed" ? `The model cannot be opened: ${model.text}` : "There is no model to go on yet."}</${Nothing}>`}
    ${ready && html`<${Text} key=${of} of=${of} name=${model.name} />`}</${Room}>`;
}

/** @param {{of: string, name: string}} props */
function Text({ of, name }) {
  const [page, setPage] = useState(/** @type {() => Page} */ (() => ({ ...EMPTY, ...parsed(KEY + of) })));
  const [before, setBefore] = useState(/** @type {Page[]} */ ([]));
  const [note, setNote] = useState("");
  const [abort, setAbort] = useState(/** @type {AbortController | null} */ (null));
  const field = useRef(/** @type {HTMLTextAreaElement | null} */ (null));
  const { text, from, written, how } = page;
  useEffect(() => void (abort || write(KEY + of, text ? JSON.stringify(page) : null)), [page, abort]);
  useEffect(() => () => abort?.abort(), [abort]);
  useEffect(() => {
    if (abort && field.current) field.current.scrollTop = field.current.scrollHeight;
  }, [text]);

  /** Let the model go on; `begun`: what it is made to begin with. @param {string} start @param {Token[]} [begun] */
  const go = async (start, begun = []) => {
    const stop = new AbortController();
    const whole = { text: start + begun.map((one) => one.text).join(""), from: start.length, written: begun, how };
    setBefore([...before, page].slice(-TAKEN_BACK));
    setAbort(stop);
    setNote("");
    setPage({ ...whole });
    try {
      const ended = await goOn(name, whole.text, how, stop.signal, (more, tokens) => {
        whole.text += more;
        whole.written = [...whole.written, ...tokens];
        setPage({ ...whole });
      });
      setNote(ended === "stop" ? "The model ended the text here." : "");
    } catch (error) {
      setNote(stop.signal.aborted ? "Stopped." : `It did not go on: ${/** @type {Error} */ (error).message}`);
    }
    setAbort(null);
    write(KEY + of, JSON.stringify(whole)); // the reader may have gone to another view
  };
  const key = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && text && !abort) event.preventDefault(), go(text);
  };
  return html`<div class="notebook">
    <label class="visually-hidden" for="page">Text</label>
    <textarea id="page" ref=${field} rows="12" maxlength=${LONGEST} readonly=${abort !== null} value=${text} placeholder="The town …" aria-busy=${abort !== null}
      onInput=${(e) => setPage({ ...page, text: e.target.value, written: [] })} onKeyDown=${key}></textarea>
    <div class="moves">
      ${abort ? html`<button type="button" class="primary stop" onClick=${() => abort.abort()}>Stop</button>` : html`<button type="button" class="primary" disabled=${!text} onClick=${() => go(text)} title="Ctrl + Enter">Continue</button>`}
      <button type="button" class="quiet" disabled=${!before.length || abort} onClick=${() => (setPage(before[before.length - 1]), setBefore(before.slice(0, -1)), setNote(""))}>Take back</button>
      <button type="button" class="quiet" disabled=${!written.length || abort} onClick=${() => go(text.slice(0, from))}>Try again</button>
      <${Copy} text=${text} />
      ${text && text.length <= LINKED && html`<a href=${address("inside", { prompt: text, as: "text", talk: null, token: null })}>Look inside</a> <a href=${address("coin", { prompt: text, as: "text", talk: null })}>Flip the coin</a>`}
    </div>
    <p class="caption" role="status">${note || (abort ? "Writing …" : "")}</p>
    <${Sampling} how=${how} set=${(next) => setPage((old) => ({ ...old, how: { ...old.how, ...next } }))} />
    ${written.length > 0 && !abort && html`<section><h3>What the model wrote, ${count(written.length)} tokens</h3>
      <${Tokens} key=${text} tokens=${written} text=${text.slice(from)} fork=${(_, at, other) => go(text.slice(0, from), [...written.slice(0, at), { ...written[at], text: other.text, share: other.share }])} /></section>`}</div>`;
}
