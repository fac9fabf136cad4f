// The stages of the line as the server's registry has them: their order, their words, and how the page shows each.

import { getJson } from "../lib/api.js";

/** @import {RoomRow, StageRow} from "./answers.js" */
/** @import {Line} from "./store.js" */

/** @type {StageRow[]} */
let rows = [];
/** @type {string[]} */
let finished = [];

/** Must be awaited once before anything else here is used. */
export async function loadStages() {
  ({ stages: rows, finished } = await getJson("/api/stages"));
}

export const stageNames = () => rows.map((row) => row.name);

/** @param {string} name of a stage of the registry */
export const stageRow = (name) => /** @type {StageRow} */ (rows.find((row) => row.name === name));

/** Whether a stage's work is done, now or by an earlier command. @param {{status: string}} stage */
export const isFinished = (stage) => finished.includes(stage.status);

/** The rooms of the page in the order of the line. A room may show several stages; its words are those of `main`. @returns {RoomRow[]} */
export function rooms() {
  return [...new Set(rows.map((row) => row.room))].map((id) => {
    const inside = rows.filter((row) => row.room === id);
    const main = inside.find((row) => row.name === id) ?? inside[inside.length - 1];
    const { shows, heading, says, waits } = main;
    return { id, main: main.name, stages: inside.map((row) => row.name), shows, heading, says, waits };
  });
}

/** The stage that makes a model of nothing but text. */
export const firstTraining = () => rows.find((row) => row.model === "base")?.name ?? "";

/** The stage of `line` that the page shows as `shows`, such as "funnel". @param {Line} line @param {string} shows */
export const stageShowing = (line, shows) => line.stages[rooms().find((room) => room.shows === shows)?.main ?? ""];

/** Whether stage `name` belongs to `line`. @param {Line} line @param {string} name */
export const has = (line, name) => (line.stages[name]?.status ?? "absent") !== "absent";

/** The last stage of `line` that leaves a model, or undefined. @param {Line} line */
export const lastModel = (line) => rows.findLast((row) => row.model && has(line, row.name));
