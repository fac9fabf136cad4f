// The room of a stage that has no drawing of its own: its progress, its numbers, and its output.

import { html, useEffect, useState } from "../lib/preact.js";
import { getJson } from "../lib/api.js";
import { plain } from "../lib/format.js";
import { Figure, Nothing, Room } from "../parts/room.js";
import { has, isFinished, stageRow } from "../state/stages.js";
import { sentence } from "../state/words.js";

/** @import {RoomRow} from "../state/answers.js" */
/** @import {Line} from "../state/store.js" */

const MAX_NUMBERS = 12;

/** @param {{room: RoomRow, line: Line, now: number}} props */
export function Card({ room, line, now }) {
  const stage = line.stages[room.main];
  const numbers = useNumbers(isFinished(stage) ? stage.run : null);
  if (!room.stages.some((name) => has(line, name))) return null;
  return html`<${Room} id=${room.id} title=${room.heading} says=${room.says} now=${now} stages=${room.stages.map((name) => line.stages[name])}>
    ${stage.status === "waiting" && html`<${Nothing}>${room.waits || "It starts when the stages before it are done."}</${Nothing}>`}
    ${numbers.length > 0 && html`<div class="figures">${numbers.map(([name, value]) => html`<${Figure} key=${name} name=${sentence(name)} value=${plain(value)} />`)}</div>`}
    ${isFinished(stage) && html`<p class="caption">Output: ${stageRow(room.main).leaves}, in the run folder ${stage.run}.</p>`}
  </${Room}>`;
}

/** The plain numbers in the stats of a finished run. @param {string | null} run */
function useNumbers(run) {
  const [numbers, setNumbers] = useState(/** @type {[string, number][]} */ ([]));
  useEffect(() => {
    setNumbers([]);
    if (!run) return;
    const take = (/** @type {Record<string, unknown>} */ stats) =>
      setNumbers(/** @type {[string, number][]} */ (Object.entries(stats).filter(([, value]) => typeof value === "number").slice(0, MAX_NUMBERS)));
    getJson(`/api/runs/${run}/files/stats.json`).then(take, () => {});
  }, [run]);
  return numbers;
}
