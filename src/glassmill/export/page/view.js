// What one sees: the conversation as tokens, and, for the one pointed at, the step that wrote it: what else it could have
// been, where each head looked, and what every layer would have said. All text is set as text, never as markup.

import { calculate } from "./calculator.js";
import { drawn, kept } from "../../studio/static/js/lib/cuts.js";
import { Network, argmax, shareOf } from "./network.js";
import { Talk } from "./talk.js";
import { Tokenizer } from "./tokenizer.js";
import { unpack } from "./unpack.js";

/** @import {Inside} from "./network.js" */
/** @import {Turn} from "./talk.js" */
/** @typedef {{turn: Turn, index: number}} Place */

const DOUBT = [0.9, 0.6, 0.3, 0.1];
const LOOKED_AT = 5;

/** An element. @param {string} tag @param {Record<string, any>} [set] attributes, or `on…` @param {...(Node | string | null | undefined | false)} inside
 * @returns {HTMLElement} */
function h(tag, set = {}, ...inside) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(set)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value != null && value !== false) element.setAttribute(name, String(value));
  }
  element.append(.../** @type {(Node | string)[]} */ (inside.filter((one) => one != null && one !== false)));
  return element;
}

/** @param {number} share */
const percent = (share) => `${share >= 0.9995 ? "100" : (share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
/** White space made visible. @param {string} text */
const visible = (text) => text.replace(/^ /, "␣").replaceAll("\n", "⏎").replaceAll("\t", "⇥") || "·";

/** A bar of a share from 0 to 1. @param {number} share */
function bar(share) {
  const fill = h("span");
  fill.style.width = `${(100 * share).toFixed(1)}%`;
  return h("span", { class: "bar", "aria-hidden": "true" }, fill);
}

class Page {
  /** @param {any} about @param {Network} network @param {Tokenizer} tokenizer */
  constructor(about, network, tokenizer) {
    this.about = about;
    this.network = network;
    this.tokenizer = tokenizer;
    this.talk = new Talk(network, tokenizer, about.how);
    this.busy = false;
    /** @type {Place | null} */
    this.pinned = null;
    /** @type {Place | null} */
    this.shown = null;
    /** @type {{layer: number, head: number} | null} the mean of all, if null */
    this.head = null;
    /** @type {Map<HTMLElement, Place>} */
    this.places = new Map();
    this.cuts = { temperature: 0, topK: 0, topP: 1, minP: 0 };
    this.log = h("div", { class: "log", role: "log", "aria-label": "Conversation" });
    this.panel = h("div", { class: "panel-body" });
    this.box = /** @type {HTMLTextAreaElement} */ (h("textarea", { id: "box", rows: 2, maxlength: 8000, placeholder: this.chats ? "Ask something …" : "Begin a text …",
      onkeydown: (/** @type {KeyboardEvent} */ e) => e.key === "Enter" && !e.shiftKey && !e.isComposing && (e.preventDefault(), this.send(this.box.value)) }));
    this.button = h("button", { class: "send" }, "Send");
    this.note = h("p", { class: "note", role: "status" });
    this.suggested = h("div", { class: "suggested" });
    this.side = h("aside", { class: "panel", "aria-label": "Inside the model", "data-open": "false" },
      h("button", { class: "close", "aria-label": "Close", onclick: () => this.pin(null) }, "×"), this.panel);
  }

  get chats() {
    return this.about.how.chat;
  }

  /** Everything, once. */
  build() {
    const { config, name, parameters } = this.about;
    const facts = `${(parameters / 1e6).toFixed(1)} million parameters · ${config.num_layers} layers of ${config.num_heads} heads · ${config.vocab_size.toLocaleString("en")} tokens`;
    const form = h("form", { class: "ask", onsubmit: (/** @type {Event} */ e) => (e.preventDefault(), this.busy ? (this.talk.stopped = true) : this.send(this.box.value)) },
      h("label", { for: "box", class: "unseen" }, this.chats ? "Your message" : "Your text"), this.box, this.button);
    document.body.replaceChildren(
      h("header", {}, h("h1", {}, name), h("p", { class: "facts" }, facts),
        h("p", { class: "soft" }, this.chats ? "A small language model, whole, in this one file. It answers on your machine; nothing is sent anywhere." : "A small base model, whole, in this one file: it goes on with what you write. Nothing is sent anywhere.")),
      h("main", {}, h("section", { class: "talk" }, this.log, this.suggested, form, this.settings(), this.note), this.side));
    this.log.addEventListener("pointerover", (event) => this.over(event.target));
    this.log.addEventListener("pointerleave", () => this.show(this.pinned));
    this.log.addEventListener("click", (event) => {
      const place = this.places.get(/** @type {HTMLElement} */ (event.target));
      if (place) this.pin(place);
    });
    this.log.addEventListener("keydown", (event) => this.key(event));
    this.suggest();
    this.show(null);
    this.box.focus();
  }

  settings() {
    const one = (/** @type {string} */ label, /** @type {"temperature" | "topK" | "topP"} */ name, /** @type {any} */ set) => {
      const out = h("output", {}, set.value);
      return h("label", {}, `${label} `, h("input", { type: "range", ...set, oninput: (/** @type {any} */ e) => {
        this.cuts[name] = Number(e.target.value);
        out.textContent = name === "topK" && !this.cuts.topK ? "all" : e.target.value;
      } }), out);
    };
    const all = one("top-k", "topK", { min: 0, max: 100, step: 1, value: "0" });
    /** @type {HTMLElement} */ (all.querySelector("output")).textContent = "all";
    return h("div", { class: "settings" }, one("temperature", "temperature", { min: 0, max: 2, step: 0.1, value: "0" }), all,
      one("top-p", "topP", { min: 0.05, max: 1, step: 0.05, value: "1" }),
      h("button", { class: "again", onclick: () => this.renew() }, "New conversation"));
  }

  renew() {
    this.talk.stopped = true;
    this.talk = new Talk(this.network, this.tokenizer, this.about.how);
    this.log.replaceChildren();
    this.places.clear();
    this.pin(null);
    this.suggest();
  }

  suggest() {
    const asked = new Set(this.talk.turns.map((turn) => this.talk.text(turn)));
    const left = this.about.questions.filter((/** @type {string} */ one) => !asked.has(one));
    this.suggested.replaceChildren(...left.slice(0, 6).map((/** @type {string} */ text) => h("button", { onclick: () => this.send(text) }, text)));
  }

  /** @param {string} text */
  async send(text) {
    if (this.busy || !(this.chats ? text.trim() : text)) return;
    const talk = this.talk;
    this.busy = true;
    this.button.textContent = "Stop";
    this.note.textContent = "";
    this.pin(null);
    try {
      const asking = talk.ask(this.chats ? text.trim() : text, this.cuts, () => this.talk === talk && this.draw());
      this.draw();
      this.box.value = "";
      const answer = await asking;
      const speed = answer.made / Math.max(answer.seconds, 1e-3);
      this.note.textContent = [answer.end === "length" ? "The context is full." : answer.end === "stopped" ? "Stopped." : "",
        answer.made ? `${answer.made} tokens, ${speed.toFixed(0)} a second.` : "", "Point at a word to see why it was written."].filter(Boolean).join(" ");
    } catch (error) {
      this.box.value = text;
      this.note.textContent = /** @type {Error} */ (error).message;
    }
    this.busy = false;
    this.button.textContent = "Send";
    if (this.talk === talk) this.draw();
    this.suggest();
    this.box.focus();
  }

  /** The conversation, token by token. Turns that are drawn and cannot change stay. */
  draw() {
    this.talk.turns.forEach((turn, number) => {
      const old = this.log.children[number];
      const key = `${turn.ids.length} ${turn.at < 0} ${turn.end}`;
      if (old?.getAttribute("data-key") === key) return;
      const drawn = this.drawn(turn, key);
      if (old) old.replaceWith(drawn);
      else this.log.append(drawn);
    });
    while (this.log.children.length > this.talk.turns.length) this.log.lastElementChild?.remove();
    for (const element of this.places.keys()) if (!element.isConnected) this.places.delete(element);
    this.log.lastElementChild?.scrollIntoView({ block: "nearest" });
  }

  /** @param {Turn} turn @param {string} key */
  drawn(turn, key) {
    const stream = new TextDecoder("utf-8", { ignoreBOM: true });
    const tokens = turn.ids.map((id, index) => {
      if (!turn.seen[index]) return null;
      const text = stream.decode(this.tokenizer.bytes(id), { stream: true });
      const element = h("span", { class: "token", role: "button", tabindex: -1, "data-doubt": turn.role === "assistant" && DOUBT.filter((bound) => turn.shares[index] < bound).length }, text || "·");
      this.places.set(element, { turn, index });
      return element;
    });
    tokens.find(Boolean)?.setAttribute("tabindex", "0");
    const tools = turn.tools.map(({ expression, result }) => h("p", { class: "tool" }, h("span", {}, "calculator "), `${expression} = ${result}`));
    const wait = turn.role === "assistant" && !turn.ids.length && !turn.end;
    return h("article", { class: "turn", "data-role": turn.role, "data-key": key, "data-gone": turn.at < 0, "aria-label": turn.role === "user" ? "You" : "The model" },
      ...tools, h("p", { class: "words" }, wait ? "…" : "", ...tokens), turn.at < 0 && h("p", { class: "soft" }, "no longer in the model's context"));
  }

  /** @param {EventTarget | null} target */
  over(target) {
    const place = this.places.get(/** @type {HTMLElement} */ (target));
    if (place && !this.pinned) this.show(place);
  }

  /** Arrows go from token to token, Enter keeps one, Escape lets it go. @param {KeyboardEvent} event */
  key(event) {
    const here = /** @type {HTMLElement} */ (event.target);
    const all = [...this.log.querySelectorAll(".token")];
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const place = this.places.get(here);
    if (step && place) {
      const next = /** @type {HTMLElement | undefined} */ (all[all.indexOf(here) + step]);
      const there = next && this.places.get(next);
      if (!next || !there) return;
      here.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
      this.pinned = null;
      this.show(there);
    } else if ((event.key === "Enter" || event.key === " ") && place) this.pin(place);
    else if (event.key === "Escape") this.pin(null);
    else return;
    event.preventDefault();
  }

  /** @param {Place | null} place */
  pin(place) {
    this.pinned = place && this.pinned && place.turn === this.pinned.turn && place.index === this.pinned.index ? null : place;
    this.side.dataset.open = String(this.pinned !== null);
    this.show(this.pinned);
  }

  /** The step that wrote a token. @param {Place | null} place */
  show(place) {
    this.shown = place;
    for (const element of this.places.keys()) {
      element.style.removeProperty("--seen");
      element.removeAttribute("data-chosen");
    }
    if (!place || this.busy) return void this.panel.replaceChildren(h("h2", {}, "Inside"), h("p", { class: "soft" }, "Point at a word of the conversation, or go there with Tab and the arrow keys. A click keeps it."), this.picture());
    const at = place.turn.at + place.index;
    const id = place.turn.ids[place.index];
    this.mark((element, where) => where.turn === place.turn && where.index === place.index && element.setAttribute("data-chosen", ""));
    if (place.turn.at < 0) return void this.panel.replaceChildren(h("h2", {}, visible(this.tokenizer.shown(id))), h("p", { class: "soft" }, "This turn has left the model's context."));
    if (at === 0) return void this.panel.replaceChildren(h("h2", {}, visible(this.tokenizer.shown(id))), h("p", { class: "soft" }, "The first token: nothing comes before it."));
    const inside = this.network.inside(this.talk.context[at - 1], at - 1);
    const share = shareOf(this.network.logits, id);
    this.panel.replaceChildren(...this.why(place, id, share, inside), ...this.looked(inside), ...this.layers(inside));
    this.tint(inside);
  }

  /** @param {(element: HTMLElement, where: Place) => void} with_ */
  mark(with_) {
    for (const [element, where] of this.places) with_(element, where);
  }

  /** The model's shape, where no token is chosen. */
  picture() {
    const { config } = this.about;
    const row = (/** @type {string} */ name, /** @type {string} */ shape) => h("li", {}, h("span", {}, name), h("code", {}, shape));
    return h("ol", { class: "shape" }, row("embedding", `${config.vocab_size} × ${config.d_model}`),
      h("li", { class: "times" }, h("span", {}, `${config.num_layers} layers, each:`), h("ol", {},
        row(`attention, ${config.num_heads} heads`, `${config.num_heads} × ${config.head_dim}`), row("feed-forward", `${config.d_model} → ${config.d_ff} → ${config.d_model}`))),
      row("next token", `${config.d_model} → ${config.vocab_size}`), row("reads at most", `${config.context_length} tokens`));
  }

  /** @param {Place} place @param {number} id @param {number} share @param {Inside} inside */
  why(place, id, share, inside) {
    const guesses = /** @type {import("./network.js").Guess[]} */ (inside.lens.at(-1));
    const others = guesses.some((one) => one.id === id) ? guesses : [...guesses, { id, share }];
    const mine = place.turn.role === "assistant";
    const says = place.turn.forced[place.index] ? "The calculator wrote this." : mine ? "What could have stood here, by the model's own probabilities:" : "You wrote this. What the model would have expected here:";
    return [h("h2", {}, `“${visible(this.tokenizer.shown(id))}” `, h("small", {}, percent(share))), h("p", { class: "soft" }, says),
      h("ul", { class: "bars" }, ...others.map((one) => h("li", { "data-taken": one.id === id }, h("code", {}, visible(this.tokenizer.shown(one.id))), bar(one.share), h("span", { class: "number" }, percent(one.share)))))];
  }

  /** @param {Inside} inside */
  looked(inside) {
    const { num_layers: L, num_heads: N } = this.about.config;
    const choose = (/** @type {{layer: number, head: number} | null} */ head) => {
      this.head = head;
      this.show(this.shown);
    };
    const same = (/** @type {number} */ layer, /** @type {number} */ head) => this.head?.layer === layer && this.head?.head === head;
    const grid = h("div", { class: "heads", role: "group", "aria-label": "Heads" });
    grid.style.setProperty("--heads", String(N));
    for (let layer = 0; layer < L; layer++) {
      grid.append(h("span", { class: "layer" }, `layer ${layer + 1}`));
      for (let head = 0; head < N; head++) {
        const weights = inside.attention[layer][head];
        const most = argmax(Float32Array.from(weights));
        const button = h("button", { "aria-pressed": same(layer, head), title: `layer ${layer + 1}, head ${head + 1}: ${percent(weights[most])} on “${visible(this.tokenizer.shown(this.talk.context[most]))}”`, onclick: () => choose(same(layer, head) ? null : { layer, head }),
          onpointerenter: () => this.tint(inside, { layer, head }), onpointerleave: () => this.tint(inside), onfocus: () => this.tint(inside, { layer, head }) },
          h("span", { class: "unseen" }, `layer ${layer + 1}, head ${head + 1}`));
        button.style.setProperty("--strength", weights[most].toFixed(3));
        grid.append(button);
      }
    }
    this.list = h("ul", { class: "bars" });
    this.listed = h("p", { class: "soft" });
    return [h("h3", {}, "Where it looked"), h("p", { class: "soft" }, "One field a head; the darker, the more it looked at one place. The conversation is tinted by what is looked at."), grid, this.listed, this.list];
  }

  /** Colour the conversation by a head's weights, or the mean of all. @param {Inside} inside @param {{layer: number, head: number} | null} [which] */
  tint(inside, which = this.head) {
    const weights = which ? inside.attention[which.layer][which.head] : mean(inside.attention);
    const largest = Math.max(...weights);
    this.mark((element, { turn, index }) => {
      const weight = turn.at < 0 ? 0 : (weights[turn.at + index] ?? 0);
      element.style.setProperty("--seen", `${Math.round((100 * weight) / largest)}%`);
    });
    const most = weights.map((weight, at) => ({ weight, at })).sort((a, b) => b.weight - a.weight).slice(0, LOOKED_AT);
    if (this.listed) this.listed.textContent = which ? `Layer ${which.layer + 1}, head ${which.head + 1} looked at:` : "All heads together looked at:";
    this.list?.replaceChildren(...most.map(({ weight, at }) => h("li", {}, h("code", {}, visible(this.tokenizer.shown(this.talk.context[at]))), bar(weight), h("span", { class: "number" }, percent(weight)))));
  }

  /** @param {Inside} inside */
  layers(inside) {
    const rows = inside.lens.map((guesses, reading) => {
      const added = inside.added[reading - 1];
      const title = added ? `attention adds a vector of length ${added.attention.toFixed(1)}, the feed-forward layer one of ${added.mlp.toFixed(1)}; the sum has ${inside.norms[reading].toFixed(1)}` : `length ${inside.norms[reading].toFixed(1)}`;
      return h("li", { title }, h("span", {}, reading ? `layer ${reading}` : "embedding"), h("code", {}, visible(this.tokenizer.shown(guesses[0].id))), bar(guesses[0].share), h("span", { class: "number" }, percent(guesses[0].share)));
    });
    return [h("h3", {}, "If it ended here"), h("p", { class: "soft" }, "What the model would have said after each layer."), h("ul", { class: "bars lens" }, ...rows)];
  }
}

/** @param {number[][][]} attention */
function mean(attention) {
  const heads = attention.flat();
  return heads[0].map((_, at) => heads.reduce((sum, weights) => sum + weights[at], 0) / heads.length);
}

/** Unpack and start. `globalThis.glassmill` has the parts, for whoever opens the console. */
async function start() {
  const held = (/** @type {string} */ id) => document.getElementById(id)?.textContent ?? "";
  const begin = performance.now();
  const about = JSON.parse(held("about"));
  const network = new Network(about.config, await unpack(held("weights"), about.tensors));
  const tokenizer = new Tokenizer(about.vocabulary);
  const page = new Page(about, network, tokenizer);
  page.build();
  Object.assign(globalThis, { glassmill: { about, network, tokenizer, page, Tokenizer, Talk, calculate, kept, drawn, seconds: (performance.now() - begin) / 1000 } });
}

start().catch((error) => {
  document.body.textContent = `This page does not work here: ${error.message}. It needs a browser of 2023 or newer.`;
});
