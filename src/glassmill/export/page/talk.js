// A conversation with the network: the ids of glassmill's own chat template, and answers token by token, with the
// calculator between `<|tool_call|>` and `<|tool_result|>`, as `infer/compose.py` has it. A base model continues a text.

import { calculate } from "./calculator.js";
import { drawn, chance, kept } from "../../studio/static/js/lib/cuts.js";
import { argmax, shareOf } from "./network.js";

/** @import {Cuts} from "../../studio/static/js/lib/cuts.js" */
/** @import {Network} from "./network.js" */
/** @import {Tokenizer} from "./tokenizer.js" */

const ROOM_SHARE = 4;
const MAX_EXPRESSION_TOKENS = 64;
const FAILED = "error";

/**
 * One message: the ids it has in the context, the position of the first one there (-1: it has left), and of each id
 * whether a reader sees it. `forced`: written by the calculator. `shares`: its probability, in answers.
 * @typedef {{role: "user" | "assistant", ids: number[], at: number, seen: boolean[], forced: boolean[],
 *   shares: number[], tools: {expression: string, result: string}[],
 *   end: string, seconds: number, made: number}} Turn
 */

export class Talk {
  /** @param {Network} network @param {Tokenizer} tokenizer @param {{stops: number[], chat: boolean, begin: number[]}} how */
  constructor(network, tokenizer, how) {
    this.network = network;
    this.tokenizer = tokenizer;
    this.how = how;
    this.control = tokenizer.vocabulary.control;
    /** @type {Turn[]} */
    this.turns = [];
    /** What the network has read, by position. @type {number[]} */
    this.context = [];
    this.stopped = false;
  }

  /** Ids that stand around a turn: in front, and behind. @param {Turn} turn @returns {[number[], number[]]} */
  around(turn) {
    if (!this.how.chat) return [[], []];
    return [[this.control[turn.role === "user" ? "<|user|>" : "<|assistant|>"]], turn.role === "assistant" ? [this.control["<|im_end|>"]] : []];
  }

  /** Read what the turns are, from the first place on where the network has read something else.
   * @param {Turn[]} turns @param {boolean} commit @returns {number[]} */
  placed(turns, commit) {
    const ids = [...this.how.begin];
    turns.forEach((turn, i) => {
      const [front, behind] = this.around(turn);
      ids.push(...front);
      if (commit) turn.at = ids.length;
      ids.push(...turn.ids, ...(i < turns.length - 1 ? behind : []));
    });
    return ids;
  }

  /**
   * The answer to `text`, token by token; `changed` is called after each. The oldest turns leave a full context.
   * @param {string} text @param {Cuts} cuts @param {(turn: Turn) => void} changed
   */
  async ask(text, cuts, changed) {
    const made = this.turns.length;
    const question = this.turn("user", this.tokenizer.encode(text));
    const answer = this.turn("assistant", []);
    if (!this.how.chat) for (const old of this.turns) old.at = -1; // every text is one of its own
    this.turns.push(question, answer);
    const { context_length: length } = this.network.config;
    let ids = this.placed(this.inContext(), false);
    while (ids.length + Math.floor(length / ROOM_SHARE) > length && this.inContext().length > 2) {
      for (const old of this.inContext().slice(0, 2)) old.at = -1;
      ids = this.placed(this.inContext(), false);
    }
    if (ids.length >= length) {
      this.turns.splice(made);
      throw new RangeError(`That is ${ids.length.toLocaleString("en")} tokens long; the model reads ${length.toLocaleString("en")}, its answer included.`);
    }
    if (!ids.length) {
      this.turns.splice(made);
      throw new RangeError("There is nothing to continue.");
    }
    this.placed(this.inContext(), true);
    this.stopped = false;
    const begin = performance.now();
    await this.read(ids, changed, answer);
    await this.answer(answer, cuts, changed);
    answer.seconds = (performance.now() - begin) / 1000;
    changed(answer);
    return answer;
  }

  /** @param {Turn["role"]} role @param {number[]} ids @returns {Turn} */
  turn(role, ids) {
    return { role, ids, at: 0, seen: ids.map(() => true), forced: ids.map(() => false), shares: [], tools: [], end: "", seconds: 0, made: 0 };
  }

  /** The turns that the network still sees. */
  inContext() {
    return this.turns.filter((turn) => turn.at >= 0);
  }

  /** @param {number[]} ids @param {(turn: Turn) => void} changed @param {Turn} answer */
  async read(ids, changed, answer) {
    let same = 0;
    while (same < ids.length - 1 && this.context[same] === ids[same]) same++;
    this.context.length = Math.min(same, this.context.length);
    let breath = performance.now();
    for (let place = same; place < ids.length; place++) {
      this.network.read(ids[place], place, place === ids.length - 1);
      this.context[place] = ids[place];
      if (performance.now() - breath > 40) {
        changed(answer);
        await pause();
        breath = performance.now();
      }
    }
  }

  /** @param {Turn} answer @param {Cuts} cuts @param {(turn: Turn) => void} changed */
  async answer(answer, cuts, changed) {
    const { network, tokenizer, control } = this;
    const uses = this.how.chat && ["<|tool_call|>", "<|tool_result|>", "<|tool_end|>"].every((name) => name in control);
    const [call, result, end] = uses ? [control["<|tool_call|>"], control["<|tool_result|>"], control["<|tool_end|>"]] : [-1, -1, -1];
    /** @type {number[]} */
    const forced = [];
    /** @type {number[] | null} */
    let expression = null;
    let within = false;
    let breath = performance.now();
    while (this.context.length < network.config.context_length && !this.stopped) {
      const isForced = forced.length > 0;
      const token = forced.shift() ?? chosen(network.logits, cuts);
      if (this.how.stops.includes(token)) return this.ended(answer, "stop");
      let seen = !tokenizer.hidden.has(token) && !within && expression === null;
      if (within) within = token !== end;
      else if (expression !== null) {
        if (token !== result && expression.length < MAX_EXPRESSION_TOKENS) expression.push(token);
        else {
          const said = tokenizer.decode(expression.filter((id) => !tokenizer.hidden.has(id))).trim();
          expression = null;
          if (token === result) {
            const value = calculated(said);
            answer.tools.push({ expression: said, result: value });
            forced.push(...tokenizer.encode(value), end);
            within = true;
          } else seen = false;
        }
      } else if (token === call) expression = [];
      answer.ids.push(token);
      answer.seen.push(seen);
      answer.forced.push(isForced);
      answer.shares.push(shareOf(network.logits, token));
      answer.made++;
      network.read(token, this.context.length, true);
      this.context.push(token);
      if (performance.now() - breath > 24) {
        changed(answer);
        await pause();
        breath = performance.now();
      }
    }
    return this.ended(answer, this.stopped ? "stopped" : "length");
  }

  /** @param {Turn} answer @param {string} how */
  ended(answer, how) {
    answer.end = how;
  }

  /** What an answer says. @param {Turn} turn */
  text(turn) {
    return this.tokenizer.decode(turn.ids.filter((_, i) => turn.seen[i]));
  }
}

/** Let the browser draw, and take clicks. */
const pause = () => new Promise((go) => setTimeout(go, 0));

/** @param {Float32Array} logits @param {Cuts} cuts */
function chosen(logits, cuts) {
  return cuts.temperature === 0 ? argmax(logits) : drawn(kept(logits, cuts), chance());
}

/** @param {string} expression */
function calculated(expression) {
  try {
    return calculate(expression);
  } catch {
    return FAILED;
  }
}
