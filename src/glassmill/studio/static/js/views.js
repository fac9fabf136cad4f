// The views of the page, in the order of the side bar: one line each, and a file in views/.

import { Card } from "./views/card.js";
import { Chat } from "./views/chat.js";
import { Coin } from "./views/coin.js";
import { Funnel } from "./views/funnel.js";
import { Home } from "./views/home.js";
import { Inside } from "./views/inside.js";
import { Notebook } from "./views/notebook.js";
import { Practice } from "./views/practice.js";
import { Report } from "./views/report.js";
import { Runs } from "./views/runs.js";
import { Snippets } from "./views/snippets.js";
import { TokenizerRoom } from "./views/tokenizer.js";
import { Training } from "./views/training.js";
import { Windows } from "./views/windows.js";
import { firstTraining, has, rooms } from "./state/stages.js";

/** @import {Line} from "./state/store.js" */
/** @import {RoomRow} from "./state/answers.js" */

/**
 * `id` is the name in the address. `shows`: it draws the rooms of the stages that the registry wants drawn so, once for
 * each; without, it is drawn once. `needs`: a run, a run that trains, or a model that can be talked to, without which it
 * is left out.
 * @typedef {{id: string, title: string, draw: any, shows?: string, needs?: "run" | "training" | "model"}} View
 */

/** @type {View[]} */
const VIEWS = [
  { id: "home", title: "Overview", draw: Home, needs: "run" },
  { id: "documents", title: "Documents", draw: Funnel, shows: "funnel" },
  { id: "tokenizer", title: "Tokenizer", draw: TokenizerRoom, shows: "vocabulary" },
  { id: "windows", title: "Windows", draw: Windows, needs: "training" },
  { id: "training", title: "Training", draw: Training, shows: "curve" },
  { id: "practice", title: "Practice", draw: Practice, shows: "rollouts" },
  { id: "report", title: "Report", draw: Report, shows: "scores" },
  { id: "chat", title: "Chat", draw: Chat, needs: "model" },
  { id: "notebook", title: "Notebook", draw: Notebook, needs: "model" },
  { id: "inside", title: "Inside", draw: Inside, needs: "model" },
  { id: "coin", title: "Coin", draw: Coin, needs: "model" },
  { id: "runs", title: "Runs", draw: Runs, needs: "run" },
  { id: "api", title: "API", draw: Snippets, needs: "model" },
];
/** After which a stage without a drawing of its own stands, a view a stage. */
const CARDS_AFTER = "training";

/** A view of this page, with the rooms that it draws. @typedef {View & {rooms: RoomRow[]}} Shown */

/** The views of `line`; those of every run as long as it is not there. @param {Line} line @param {any} about @returns {Shown[]} */
export function viewsOf(line, about) {
  const inLine = rooms().filter((room) => (line.name === "" ? room.shows !== "card" : room.stages.some((name) => has(line, name))));
  const drawn = new Set(VIEWS.map((view) => view.shows));
  const cards = inLine.filter((room) => !drawn.has(room.shows)).map((room) => ({ id: room.id, title: room.heading, draw: Card, shows: "card", rooms: [room] }));
  return VIEWS.flatMap((view) => {
    const shown = { ...view, rooms: (about.model && view.shows === "vocabulary" ? rooms() : inLine).filter((room) => room.shows === view.shows) };
    const here = view.shows ? shown.rooms.length > 0 && (about.runs || view.shows === "vocabulary") : view.needs === "model" || (about.runs && (view.needs === "run" || line.name === "" || has(line, firstTraining())));
    return [...(here ? [shown] : []), ...(view.id === CARDS_AFTER && about.runs ? cards : [])];
  });
}
