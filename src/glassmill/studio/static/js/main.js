// The page: which line is shown, what is known of it, and its rooms in the order of the line.

import { html, render, useEffect, useRef, useState } from "./lib/preact.js";
import { getJson, rememberKey, whenKeyNeeded } from "./lib/api.js";
import { follow } from "./lib/follow.js";
import { Header } from "./views/header.js";
import { Funnel } from "./views/funnel.js";
import { TokenizerRoom } from "./views/tokenizer.js";
import { Training } from "./views/training.js";
import { useModel } from "./state/model.js";
import { Report } from "./views/report.js";
import { Card } from "./views/card.js";
import { Chat } from "./views/chat.js";
import { Snippets } from "./views/snippets.js";
import { useNow } from "./parts/room.js";
import { loadStages, rooms } from "./state/stages.js";
import { emptyLine, takeIn } from "./state/store.js";
import { loadWords } from "./state/words.js";

const REDRAW_MS = 500;
const LOOK_FOR_LINES_MS = 3000;
/** @type {Record<string, any>} How a row of the registry wants its room drawn. */
const VIEWS = { funnel: Funnel, vocabulary: TokenizerRoom, curve: Training, scores: Report, card: Card };

/** Asks the server what it has before anything is drawn. */
function Studio() {
  const [about, setAbout] = useState(/** @type {any} */ (null));
  const [keyNeeded, setKeyNeeded] = useState(false);
  useEffect(() => {
    whenKeyNeeded(() => setKeyNeeded(true));
    const open = async () => {
      const [answer] = await Promise.all([getJson("/api/studio"), loadStages()]);
      if (answer.runs) await loadWords();
      setAbout(answer);
    };
    open().catch(() => {});
  }, []);
  if (keyNeeded) return html`<${KeyRequest} />`;
  return about ? html`<${Rooms} about=${about} />` : html`<p class="first-word">Opening the studio …</p>`;
}

/** @param {{about: any}} props */
function Rooms({ about }) {
  const [lines, setLines] = useState(/** @type {any[]} */ ([]));
  const [chosen, setChosen] = useState(new URLSearchParams(location.search).get("line"));
  const name = about.line ?? chosen ?? lines[0]?.name ?? null;

  useEffect(() => {
    if (!about.runs) return;
    const look = () => getJson("/api/lines").then((answer) => setLines(answer.lines), () => {});
    look();
    const timer = setInterval(look, LOOK_FOR_LINES_MS);
    return () => clearInterval(timer);
  }, []);

  const line = useLine(name);
  const chatOnly = !about.runs;
  const model = useModel(line.name, line.model, chatOnly || line.name !== "");
  const running = line.status === "running";
  const now = useNow(line.ahead, running);

  const choose = (/** @type {string} */ wanted) => {
    history.replaceState(null, "", `?line=${encodeURIComponent(wanted)}${location.hash}`);
    setChosen(wanted);
  };
  const shown = chatOnly ? rooms().filter((room) => room.shows === "vocabulary") : name ? rooms() : [];
  return html`
    <a class="skip" href="#chat">Skip to the chat</a>
    <${Header} line=${line} lines=${about.line ? [] : lines} choose=${choose} now=${now} about=${about} model=${model} />
    <main>
      ${about.runs && !name && html`<${Waiting} />`}
      ${shown.map((room) => html`<${VIEWS[room.shows] ?? Card} key=${`${room.id}-${name}`} room=${room} line=${line} lines=${lines} now=${now} about=${about} />`)}
      <${Chat} key=${`chat-${name}`} line=${line} model=${model} now=${now} chatOnly=${chatOnly} />
      <${Snippets} about=${about} model=${model} />
    </main>
    <footer><p>Everything on this page is made, stored and shown on this machine. Nothing is sent anywhere.</p></footer>`;
}

/** The line called `name`, kept up to date. @param {string | null} name */
function useLine(name) {
  const line = useRef(emptyLine());
  const [, redraw] = useState(0);
  useEffect(() => {
    line.current = emptyLine();
    redraw((n) => n + 1);
    if (!name) return;
    let waiting = 0;
    const soon = () => {
      waiting ||= setTimeout(() => {
        waiting = 0;
        redraw((n) => n + 1);
      }, REDRAW_MS);
    };
    const stop = follow(name, {
      update(message) {
        takeIn(line.current, message);
        soon();
      },
      connected(yes) {
        line.current.connected = yes;
        soon();
      },
    });
    return () => {
      stop();
      clearTimeout(waiting);
    };
  }, [name]);
  return line.current;
}

function Waiting() {
  return html`<section class="room"><h2>No line yet</h2>
    <p class="says">A line is one recipe's run through all stages. It appears here as soon as it starts. Start one in a terminal:</p>
    <pre class="code">glassmill run demo</pre></section>`;
}

function KeyRequest() {
  const [key, setKey] = useState("");
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    rememberKey(key.trim());
    location.reload();
  };
  return html`<main><section class="room narrow"><h1>glassmill</h1>
    <p class="says">This server requires its API key. The key stays in this browser tab.</p>
    <form class="key-form" onSubmit=${submit}>
      <label for="key">API key</label>
      <input id="key" type="password" autocomplete="off" required value=${key} onInput=${(/** @type {any} */ e) => setKey(e.target.value)} />
      <button class="primary">Open the studio</button>
    </form></section></main>`;
}

const root = document.getElementById("app");
if (root) {
  root.replaceChildren();
  render(html`<${Studio} />`, root);
}
