// All runs: what each came to and takes on disk, two of them side by side, and their end.

import { html, useEffect, useRef, useState } from "../lib/preact.js";
import { getJson, post } from "../lib/api.js";
import { bytes, count, plain, when } from "../lib/format.js";
import { Beside } from "../parts/beside.js";
import { Nothing, Room, Trouble } from "../parts/room.js";
import { address, change, usePlace } from "../state/address.js";
import { stageNames, stageRow } from "../state/stages.js";
import { STATUS_WORDS, sentence } from "../state/words.js";

/** @import {Ending, Listing, RunEntry} from "../state/answers.js" */

const MOST_NUMBERS = 4;

/** @param {{lines: any[]}} props */
export function Runs({ lines }) {
  const [listing, setListing] = useState(/** @type {Listing | null} */ (null));
  const [ending, setEnding] = useState(/** @type {{names: string[], told: Ending} | null} */ (null));
  const [trouble, setTrouble] = useState("");
  const look = () => getJson("/api/runs").then(setListing, (error) => setTrouble(error.message));
  useEffect(() => void look(), [JSON.stringify(lines)]);
  const { query } = usePlace();
  const [one, other] = [query.get("one"), query.get("other")];
  const ask = async (/** @type {string[]} */ names) => {
    setTrouble("");
    try {
      setEnding({ names, told: await (await post("/api/runs/delete", { runs: names })).json() });
    } catch (error) {
      setTrouble(/** @type {Error} */ (error).message);
    }
  };
  const end = async () => {
    const { names, told } = /** @type {{names: string[], told: Ending}} */ (ending);
    setEnding(null);
    await post("/api/runs/delete", { runs: names, confirmed: told.runs.map(({ run }) => run) }).catch((error) => setTrouble(error.message));
    await look();
  };
  if (!listing) return html`<${Room} id="runs" title="Runs" says="">${trouble ? html`<${Trouble} says=${trouble} />` : html`<${Nothing}>Counting …</${Nothing}>`}</${Room}>`;
  return html`<${Room} id="runs" title="Runs" says="A run takes one recipe through its stages. Each stage leaves a folder, and runs share those that are equal. Choose two runs to lay them side by side.">
      <${Trouble} says=${trouble} />
      <${Lines} listing=${listing} one=${one} other=${other} ask=${ask} />
      ${one && other && html`<${Beside} key=${`${one} ${other}`} one=${one} other=${other} />`}
      <${Folders} listing=${listing} ask=${ask} />
    </${Room}>
    ${ending && html`<${Confirm} told=${ending.told} close=${() => setEnding(null)} end=${end} />`}`;
}

/** The runs, newest first. @param {{listing: Listing, one: string | null, other: string | null, ask: (names: string[]) => void}} props */
function Lines({ listing, one, other, ask }) {
  const entries = new Map(listing.runs.map((entry) => [entry.run, entry]));
  const choose = (/** @type {string} */ name, /** @type {boolean} */ yes) => {
    const chosen = [one, other].filter((chosen) => chosen && chosen !== name);
    const [first, second] = yes ? [...chosen.slice(-1), name] : chosen;
    change({ one: first, other: second }, true);
  };
  return html`<div class="wide"><table class="listing"><thead><tr><th scope="col"><span class="visually-hidden">Compare</span></th><th scope="col">Run</th><th scope="col">State</th><th scope="col">Started</th><th scope="col">Came to</th><th scope="col" class="number">On disk</th><th scope="col"><span class="visually-hidden">Delete</span></th></tr></thead>
    <tbody>${listing.lines.map((line) => {
      const own = line.stages.flatMap(({ run }) => (run && entries.has(run) ? [/** @type {RunEntry} */ (entries.get(run))] : []));
      return html`<tr key=${line.name}>
        <td><input type="checkbox" aria-label=${`Compare ${line.name}`} checked=${line.name === one || line.name === other} onChange=${(e) => choose(line.name, e.target.checked)} /></td>
        <th scope="row"><a href=${address("home", {}, line.name)}>${line.name}</a></th>
        <td><span class="state" data-status=${line.status}>${STATUS_WORDS[line.status]}</span></td><td>${when(line.started)}</td>
        <td><${Numbers} numbers=${Object.assign({}, ...own.map((entry) => entry.numbers))} last /></td>
        <td class="number">${bytes(own.reduce((sum, entry) => sum + entry.bytes, 0))}</td>
        <td>${own.length > 0 && line.status !== "running" && html`<button type="button" class="quiet" aria-label=${`Delete ${line.name} …`} onClick=${() => ask(own.map((entry) => entry.run))}>Delete …</button>`}</td></tr>`;
    })}</tbody></table></div>`;
}

/** @param {{numbers: Record<string, number>, last?: boolean}} props */
function Numbers({ numbers, last }) {
  const all = Object.entries(numbers);
  return html`<span class="numbers">${(last ? all.slice(-MOST_NUMBERS) : all).map(([name, value]) => html`<span key=${name}>${name === "val_bpb" ? "bits per byte" : sentence(name).toLowerCase()} <strong>${plain(value)}</strong></span>`)}</span>`;
}

/** What lies in the runs folder, stage by stage. @param {{listing: Listing, ask: (names: string[]) => void}} props */
function Folders({ listing, ask }) {
  const title = (/** @type {string} */ run) => (stageNames().includes(run.split("/")[0]) ? stageRow(run.split("/")[0]).title : run.split("/")[0]);
  return html`<details class="more"><summary>What the stages left: ${count(listing.runs.length)} ${listing.runs.length === 1 ? "folder" : "folders"}, ${bytes(listing.bytes)}</summary>
    <div class="wide"><table class="listing"><thead><tr><th scope="col">Stage</th><th scope="col">Folder</th><th scope="col">State</th><th scope="col">Changed</th><th scope="col">Came to</th><th scope="col">Made from</th><th scope="col" class="number">On disk</th><th scope="col"><span class="visually-hidden">Delete</span></th></tr></thead>
    <tbody>${listing.runs.map((entry) => html`<tr key=${entry.run}><td>${title(entry.run)}</td><th scope="row"><code>${entry.run}</code></th>
      <td><span class="state" data-status=${entry.state}>${entry.state}</span></td><td>${when(entry.changed)}</td><td><${Numbers} numbers=${entry.numbers} /></td>
      <td class="origins">${entry.made_from.join(", ")}</td><td class="number">${bytes(entry.bytes)}</td>
      <td>${entry.state !== "running" && html`<button type="button" class="quiet" aria-label=${`Delete ${entry.run} …`} onClick=${() => ask([entry.run])}>Delete …</button>`}</td></tr>`)}</tbody></table></div></details>`;
}

/** Says what goes before anything does. @param {{told: Ending, close: () => void, end: () => void}} props */
function Confirm({ told, close, end }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => dialog.current?.showModal(), []);
  const others = told.runs.filter(({ why }) => why !== "named").length;
  return html`<dialog class="ask-first" ref=${dialog} aria-labelledby="ask-first" onClose=${close}>
    <h2 id="ask-first">Delete ${count(told.runs.length)} ${told.runs.length === 1 ? "folder" : "folders"}, ${bytes(told.bytes)}?</h2>
    <p class="says">${others ? `${count(others)} of them ${others === 1 ? "was" : "were"} made from what you chose, and would be of no use without it. ` : ""}This cannot be undone; the same command makes them again.</p>
    <ul>${told.runs.map(({ run, bytes: size, why }) => html`<li key=${run}><code>${run}</code> <span class="caption">${why === "named" ? "chosen" : why}</span> <span class="number">${bytes(size)}</span></li>`)}</ul>
    <p class="buttons"><button type="button" class="quiet" autofocus onClick=${() => dialog.current?.close()}>Keep them</button>
      <button type="button" class="primary stop" onClick=${end}>Delete</button></p></dialog>`;
}
