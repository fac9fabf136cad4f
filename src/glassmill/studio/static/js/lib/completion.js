// One answer of the model, streamed: text, tokens with their probabilities, uses of the calculator.

import { messages, post } from "./api.js";

/** @typedef {{text: string, share: number, others: {text: string, share: number}[]}} Token */
/** @typedef {{role: "user" | "assistant", content: string, tokens: Token[], tools: any[], note: string, seconds: number, busy: boolean}} Message */

/** @param {"user" | "assistant"} role @param {string} [content] @returns {Message} */
export function message(role, content = "") {
  return { role, content, tokens: [], tools: [], note: "", seconds: 0, busy: false };
}

/**
 * Ask for the answer to `before`; `answer` is filled while it comes in.
 * @param {{model: string, before: Message[], answer: Message, temperature: number, signal: AbortSignal, changed: () => void}} request
 */
export async function complete({ model, before, answer, temperature, signal, changed }) {
  const begin = performance.now();
  answer.busy = true;
  changed();
  try {
    const body = {
      model,
      messages: before.map(({ role, content, tools }) => (tools.length ? { role, content, tool_uses: tools } : { role, content })),
      temperature,
      stream: true,
      logprobs: true,
      top_logprobs: 5,
    };
    const response = await post("/v1/chat/completions", body, signal);
    for await (const { data } of messages(response)) {
      if (data === "[DONE]") break;
      takeIn(answer, JSON.parse(data));
      answer.seconds = (performance.now() - begin) / 1000;
      changed();
    }
  } catch (error) {
    answer.note = signal.aborted ? "stopped" : String(/** @type {Error} */ (error).message);
  }
  answer.busy = false;
  changed();
}

/** @param {Message} answer @param {any} chunk */
function takeIn(answer, chunk) {
  if (chunk.error) throw new Error(chunk.error.message ?? "the model failed");
  const choice = chunk.choices?.[0];
  if (!choice) return;
  answer.content += choice.delta?.content ?? "";
  for (const entry of choice.logprobs?.content ?? []) answer.tokens.push(token(entry));
  for (const use of choice.delta?.tool_uses ?? []) answer.tools.push(use);
  if (choice.finish_reason === "length") answer.note = "cut: no more room";
}

/** @param {any} entry @returns {Token} */
function token(entry) {
  const others = (entry.top_logprobs ?? []).map((/** @type {any} */ other) => ({ text: other.token, share: Math.exp(other.logprob) }));
  return { text: entry.token, share: Math.exp(entry.logprob), others };
}
