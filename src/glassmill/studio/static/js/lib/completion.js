// What the model writes, streamed: an answer, or a text that goes on, with the probabilities of its tokens and the uses of
// the calculator.

import { messages, post } from "./api.js";

/**
 * A token as it was drawn: `share` and those of `others` are of the distribution that `temperature` gives; at 0, where
 * the likeliest is always taken, of the model's own (as at 1). `others` are the likeliest, and the token is among them.
 * @typedef {{text: string, share: number, taken: boolean}} Share
 * @typedef {{text: string, share: number, temperature: number, others: Share[]}} Token
 */
/**
 * How tokens are drawn, in the API's words; what is undefined is left to the server. `system`: the system prompt.
 * @typedef {{temperature: number, top_k?: number, top_p?: number, min_p?: number, seed?: number, max_tokens?: number, system?: string}} How
 */
/**
 * `up`: the place of the message before it in its conversation, -1 for the first. `left`: no longer in the model's context. `failed`: not part of the conversation. `ended`: the API's finish reason, or
 * "stopped"; `made` counts tokens, those of the calculator included, and `context` says how full the context is.
 * `citations`: the passages that hold an answer from documents; null where it is not from any.
 * @typedef {{document: string, section: string, start: number, end: number, text: string, support: number}} Citation
 * @typedef {{role: "user" | "assistant", content: string, tokens: Token[], tools: any[], note: string, seconds: number, busy: boolean,
 *   up: number, left: boolean, failed: boolean, ended: string, made: number, context: {length: number, used: number} | null, citations: Citation[] | null}} Message
 */

/** @param {"user" | "assistant"} role @param {string} [content] @returns {Message} */
export function message(role, content = "") {
  return { role, content, tokens: [], tools: [], note: "", seconds: 0, busy: false, up: -1, left: false, failed: false, ended: "", made: 0, context: null, citations: null };
}

/** What of a conversation the model is to see. @param {Message[]} talk */
export function inContext(talk) {
  return talk.filter((said) => !said.left && !said.failed);
}

/**
 * Ask for the answer to `before`; `answer` is filled while it comes in. If `answer` is the last of `before`, it goes on.
 * Where the context is full the server leaves out the oldest turns, and they are marked here.
 * @param {{model: string, before: Message[], answer: Message, how: How, signal: AbortSignal, changed: () => void}} request
 */
export async function complete({ model, before, answer, how, signal, changed }) {
  const { system, ...drawn } = how;
  const begin = performance.now();
  const spent = answer.seconds;
  const at = [...answer.content].length;
  const sent = inContext(before);
  Object.assign(answer, { busy: true, note: "", ended: "" });
  changed();
  try {
    const messages = [...(system ? [{ role: "system", content: system }] : []), ...sent.map(asSent)];
    const body = { model, messages, ...drawn, ...streamed(how), truncation: "auto", logprobs: true, top_logprobs: LISTED };
    for await (const chunk of chunks("/v1/chat/completions", body, signal)) {
      if (chunk.context) {
        for (const old of sent.slice(0, chunk.context.messages_left)) old.left = true;
        answer.context = { length: chunk.context.length, used: chunk.context.prompt_tokens };
      }
      if (chunk.usage && answer.context) {
        answer.context.used = chunk.usage.total_tokens;
        answer.made += chunk.usage.completion_tokens;
      }
      takeIn(answer, chunk, at, how.temperature);
      answer.seconds = spent + (performance.now() - begin) / 1000;
      changed();
    }
    if (answer.ended === "length") answer.note = answer.context && answer.context.used < answer.context.length ? "cut: that was the longest answer" : `cut: the context of ${answer.context?.length ?? "so many"} tokens is full`;
  } catch (error) {
    answer.ended = signal.aborted ? "stopped" : "error";
    answer.note = signal.aborted ? "stopped" : `not answered: ${/** @type {Error} */ (error).message}`;
    answer.failed = answer.ended === "error" ? !at : !answer.content && !answer.tools.length;
    const question = before.findLast((said) => said.role === "user");
    if (answer.failed && question) question.failed = true;
  }
  answer.busy = false;
  changed();
}

/**
 * Go on with a text.
 * @param {string} model @param {string} prompt @param {How} how @param {AbortSignal} signal
 * @param {(text: string, tokens: Token[]) => void} wrote called for every piece
 * @returns {Promise<string>} why it ended
 */
export async function goOn(model, prompt, { system: _, ...how }, signal, wrote) {
  let ended = "";
  const body = { model, prompt, ...how, ...streamed(how), logprobs: LISTED };
  for await (const { choices: [choice] } of chunks("/v1/completions", body, signal)) {
    if (!choice) continue;
    const { tokens = [], token_logprobs: logprobs, top_logprobs: top } = choice.logprobs ?? {};
    wrote(choice.text, tokens.map((/** @type {string} */ text, /** @type {number} */ i) => {
      const others = Object.entries(top[i] ?? {}).map(([other, value]) => ({ text: other, share: Math.exp(value), taken: other === text }));
      return { text, share: Math.exp(logprobs[i]), temperature: how.temperature, others: others.sort((a, b) => b.share - a.share) };
    }));
    ended = choice.finish_reason ?? ended;
  }
  return ended;
}

const LISTED = 5;

/** @param {How} how */
const streamed = ({ temperature }) => ({ stream: true, stream_options: { include_usage: true }, logprobs_mode: temperature > 0 ? "processed_logprobs" : "raw_logprobs" });

/** A message as the API takes it. @param {Message} said */
export const asSent = ({ role, content, tools }) => (tools.length ? { role, content, tool_uses: tools } : { role, content });

/** @param {string} path @param {any} body @param {AbortSignal} signal @returns {AsyncGenerator<any>} */
async function* chunks(path, body, signal) {
  for await (const { data } of messages(await post(path, body, signal))) {
    if (data === "[DONE]") return;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new Error(chunk.error.message ?? "the model failed");
    yield chunk;
  }
}

/** @param {Message} answer @param {any} chunk @param {number} at how many characters came before @param {number} temperature */
function takeIn(answer, chunk, at, temperature) {
  const choice = chunk.choices?.[0];
  if (!choice) return;
  answer.content += choice.delta?.content ?? "";
  for (const entry of choice.logprobs?.content ?? []) answer.tokens.push(token(entry, temperature));
  for (const use of choice.delta?.tool_uses ?? []) answer.tools.push({ ...use, at: use.at + at });
  if (choice.delta?.citations) answer.citations = choice.delta.citations;
  if (choice.finish_reason) answer.ended = choice.finish_reason;
}

/** @param {any} entry @param {number} temperature @returns {Token} */
function token(entry, temperature) {
  const share = Math.exp(entry.logprob);
  const bytes = String(entry.bytes);
  const others = (entry.top_logprobs ?? []).map((/** @type {any} */ other) => ({ text: other.token, share: Math.exp(other.logprob), taken: String(other.bytes) === bytes }));
  if (!others.some((/** @type {Share} */ other) => other.taken)) others.push({ text: entry.token, share, taken: true });
  return { text: entry.token, share, temperature, others };
}
