// One answer of the model, streamed: text, tokens with their probabilities, uses of the calculator.

import { messages, post } from "./api.js";

/**
 * A token as it was drawn: `share` and those of `others` are of the distribution that `temperature` gives; at 0, where
 * the likeliest is always taken, of the model's own (as at 1). `others` are the likeliest, and the token is among them.
 * @typedef {{text: string, share: number, taken: boolean}} Share
 * @typedef {{text: string, share: number, temperature: number, others: Share[]}} Token
 */
/**
 * `left`: no longer in the model's context. `failed`: not part of the conversation. `ended`: the API's finish reason, or
 * "stopped"; `made` counts tokens, those of the calculator included, and `context` says how full the context is.
 * `citations`: the passages that hold an answer from documents; null where it is not from any.
 * @typedef {{document: string, section: string, start: number, end: number, text: string, support: number}} Citation
 * @typedef {{role: "user" | "assistant", content: string, tokens: Token[], tools: any[], note: string, seconds: number, busy: boolean,
 *   left: boolean, failed: boolean, ended: string, made: number, context: {length: number, used: number} | null, citations: Citation[] | null}} Message
 */

/** @param {"user" | "assistant"} role @param {string} [content] @returns {Message} */
export function message(role, content = "") {
  return { role, content, tokens: [], tools: [], note: "", seconds: 0, busy: false, left: false, failed: false, ended: "", made: 0, context: null, citations: null };
}

/** What of a conversation the model is to see. @param {Message[]} talk */
export function inContext(talk) {
  return talk.filter((said) => !said.left && !said.failed);
}

/**
 * Ask for the answer to `before`; `answer` is filled while it comes in. If `answer` is the last of `before`, it goes on.
 * Where the context is full the server leaves out the oldest turns, and they are marked here.
 * @param {{model: string, before: Message[], answer: Message, temperature: number, signal: AbortSignal, changed: () => void}} request
 */
export async function complete({ model, before, answer, temperature, signal, changed }) {
  const begin = performance.now();
  const spent = answer.seconds;
  const at = [...answer.content].length;
  const sent = inContext(before);
  Object.assign(answer, { busy: true, note: "", ended: "" });
  changed();
  try {
    const body = {
      model,
      messages: sent.map(({ role, content, tools }) => (tools.length ? { role, content, tool_uses: tools } : { role, content })),
      temperature,
      stream: true,
      stream_options: { include_usage: true },
      truncation: "auto",
      logprobs: true,
      top_logprobs: 5,
      logprobs_mode: temperature > 0 ? "processed_logprobs" : "raw_logprobs",
    };
    const response = await post("/v1/chat/completions", body, signal);
    for await (const { data } of messages(response)) {
      if (data === "[DONE]") break;
      const chunk = JSON.parse(data);
      if (chunk.context) {
        for (const old of sent.slice(0, chunk.context.messages_left)) old.left = true;
        answer.context = { length: chunk.context.length, used: chunk.context.prompt_tokens };
      }
      if (chunk.usage && answer.context) {
        answer.context.used = chunk.usage.total_tokens;
        answer.made += chunk.usage.completion_tokens;
      }
      takeIn(answer, chunk, at, temperature);
      answer.seconds = spent + (performance.now() - begin) / 1000;
      changed();
    }
    if (answer.ended === "length") answer.note = `cut: the context of ${answer.context?.length ?? "so many"} tokens is full`;
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

/** @param {Message} answer @param {any} chunk @param {number} at how many characters came before @param {number} temperature */
function takeIn(answer, chunk, at, temperature) {
  if (chunk.error) throw new Error(chunk.error.message ?? "the model failed");
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
