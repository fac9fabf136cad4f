// The page: which run and view its address names, what is known of them, and the frame around them.

import { html, render, useEffect, useRef, useState } from "./lib/preact.js";
import { getJson, rememberKey, whenKeyNeeded } from "./lib/api.js";
import { Frame } from "./frame.js";
import { Nothing, useNow } from "./parts/room.js";
import { address, usePlace } from "./state/address.js";
import { useLine } from "./state/line.js";
import { useModel } from "./state/model.js";
import { loadStages } from "./state/stages.js";
import { loadWords } from "./state/words.js";
import { viewsOf } from "./views.js";

const LOOK_FOR_LINES_MS = 3000;

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
  return about ? html`<${Page} about=${about} />` : html`<p class="first-word">Opening the studio …</p>`;
}

/** @param {{about: any}} props */
function Page({ about }) {
  const place = usePlace();
  const lines = useLines(about.runs);
  const name = about.line ?? named(place.run, lines) ?? lines[0]?.name ?? null;
  const line = useLine(about.runs ? name : null);
  const chatOnly = !about.runs;
  const model = useModel(line.name, line.model, chatOnly || line.name !== "");
  const now = useNow(line.ahead, line.status === "running");
  const views = viewsOf(line, about);
  const view = views.find((one) => one.id === place.view) ?? (chatOnly ? views.find((one) => one.id === "chat") : null);
  const title = view?.title ?? "Not here";
  const heading = useHeading(`${place.run} ${place.view}`, [title, line.name, "glassmill"].filter(Boolean).join(" · "));
  return html`<${Frame} views=${views} here=${view?.id ?? ""} line=${line} lines=${about.line ? [] : lines} now=${now} about=${about} model=${model}>
    <h1 class="visually-hidden" tabindex="-1" ref=${heading}>${title}${line.name && ` of ${line.name}`}</h1>
    ${about.runs && !name ? html`<${Waiting} />` : about.runs && line.name !== name ? html`<${Opening} name=${name} lines=${lines} />` : !view ? html`<${Elsewhere} name=${line.name} />`
      : (view.shows ? view.rooms : [null]).map((room) => html`<${view.draw} key=${`${view.id}-${room?.id}-${name}`} room=${room} line=${line} lines=${lines} now=${now} about=${about} model=${model} views=${views} />`)}
  <//>`;
}

/** The line that an address names; a recipe's name stands for its newest variant, `demo-3f9a1c`. @param {string | null} run @param {{name: string}[]} lines */
function named(run, lines) {
  const variant = (/** @type {{name: string}} */ line) => line.name.slice(0, -7) === run && /-[0-9a-f]{6}$/.test(line.name);
  return run && (lines.find((line) => line.name === run) ?? lines.find(variant))?.name || run;
}

/** All lines of the runs folder, newest first, looked for again and again. @param {boolean} wanted */
function useLines(wanted) {
  const [lines, setLines] = useState(/** @type {any[]} */ ([]));
  useEffect(() => {
    if (!wanted) return;
    const look = () => getJson("/api/lines").then((answer) => setLines(answer.lines), () => {});
    look();
    const timer = setInterval(look, LOOK_FOR_LINES_MS);
    return () => clearInterval(timer);
  }, [wanted]);
  return lines;
}

/** The page's heading, which gets the focus when the reader goes to another view. @param {string} place @param {string} title */
function useHeading(place, title) {
  const heading = useRef(/** @type {HTMLElement | null} */ (null));
  const shown = useRef(place);
  useEffect(() => {
    document.title = title;
  }, [title]);
  useEffect(() => {
    if (shown.current === place) return;
    shown.current = place;
    scrollTo({ top: 0, behavior: "instant" });
    heading.current?.focus({ preventScroll: true });
  }, [place]);
  return heading;
}

function Waiting() {
  return html`<section class="room"><h2>No run yet</h2>
    <p class="says">A run takes one recipe through all stages, from pages to a model. It appears here as soon as it starts. Start one in a terminal:</p>
    <pre class="code">glassmill run demo</pre></section>`;
}

/** @param {{name: string, lines: {name: string}[]}} props */
function Opening({ name, lines }) {
  if (!lines.length || lines.some((line) => line.name === name)) return html`<${Nothing}>Opening the run ${name} …</${Nothing}>`;
  return html`<section class="room"><h2>No such run</h2>
    <p class="says">There is no run ${name} here. <a href=${address("home", {}, lines[0].name)}>Open the newest one, ${lines[0].name}</a>, or choose one in the list of runs.</p></section>`;
}

/** @param {{name: string}} props */
function Elsewhere({ name }) {
  return html`<section class="room"><h2>No such view</h2><p class="says">The run ${name} has no such view. Its <a href=${address("home")}>overview</a> shows what it has.</p></section>`;
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
      <input id="key" type="password" autocomplete="off" required value=${key} onInput=${(e) => setKey(e.target.value)} />
      <button class="primary">Open the studio</button>
    </form></section></main>`;
}

/** `?line=demo`, as addresses were written before views had one. */
function moveOldAddress() {
  const line = new URLSearchParams(location.search).get("line");
  if (line && !location.hash.startsWith("#/run/")) history.replaceState(null, "", `${location.pathname}${address("home", {}, line)}`);
}

const root = document.getElementById("app");
if (root) {
  moveOldAddress();
  root.replaceChildren();
  render(html`<${Studio} />`, root);
}
