// Line charts in SVG: values under the pointer or the arrow keys, a range drawn with the pointer, logarithmic axes.

import { html, useEffect, useMemo, useRef, useState } from "./preact.js";
import { count, plain } from "./format.js";

/** A row of the data; `right`: on an axis of its own. @typedef {{label: string, colour: string, width?: number, right?: boolean}} Series */
/** From a value to a pixel and back. @typedef {{to: (value: number) => number, from: (pixel: number) => number, ticks: number[]}} Axis */

const FEW = 4;
const [TOP, BOTTOM, LEFT, RIGHT, EDGE] = [10, 40, 54, 54, 6];
const TICK = 80; // pixels from one to the next, at least
const DRAWN = 8; // pixels that make a range

/** Curves over steps of their own as the data of one chart: all steps, and a row for each. @param {[number[], (number | null)[]][]} curves */
export function together(curves) {
  const steps = [...new Set(curves.flatMap(([own]) => own))].sort((a, b) => a - b);
  const rows = curves.map(([own, values]) => new Map(own.map((step, i) => [step, values[i]])));
  return [steps, ...rows.map((row) => steps.map((step) => row.get(step) ?? null))];
}

/**
 * @param {{data: (number | null)[][], series: Series[], height?: number, xLabel: string, yLabel: string, rightLabel?: string, describe: string, children?: any}} props
 *   data: x, rising, then one row for each series; children: more for the legend
 */
export function Chart({ data, series, height = 280, xLabel, yLabel, rightLabel = "", describe, children }) {
  const place = useRef(/** @type {HTMLElement | null} */ (null));
  const [width, setWidth] = useState(600);
  const [log, setLog] = useState({ x: false, y: false });
  const [range, setRange] = useState(/** @type {[number, number] | null} */ (null));
  const [at, setAt] = useState(/** @type {number | null} */ (null));
  const [drag, setDrag] = useState(/** @type {[number, number] | null} from pixel to pixel */ (null));
  useEffect(() => {
    const host = /** @type {HTMLElement} */ (place.current);
    const resize = new ResizeObserver(() => setWidth(host.clientWidth));
    resize.observe(host);
    return () => resize.disconnect();
  }, []);
  const xs = /** @type {number[]} */ (data[0]);
  const right = series.some((one) => one.right) ? RIGHT : 12;
  const [inside, tall] = [Math.max(80, width - LEFT - right), height - TOP - BOTTOM];
  const { first, last, x, left, other, paths } = useMemo(() => drawn(data, series, range, log, inside, tall), [data, series.map((one) => one.label).join(), range, log, inside, tall]);
  const nearest = (/** @type {number} */ pixel) => xs.reduce((best, one, i) => (Math.abs(x.to(one) - pixel) < Math.abs(x.to(xs[best]) - pixel) ? i : best), last);
  const pixel = (/** @type {any} */ event) => Math.min(inside, Math.max(0, event.clientX - event.currentTarget.getBoundingClientRect().left - LEFT));
  const here = at == null || at >= xs.length ? null : at;
  const told = (/** @type {number} */ i) => (xs.length ? `${xLabel} ${count(xs[i])}: ${series.flatMap((one, row) => (near(data[row + 1], i) == null ? [] : `${one.label} ${plain(near(data[row + 1], i))}`)).join(", ")}` : "");
  const press = (/** @type {any} */ event) => {
    event.currentTarget.setPointerCapture(event.pointerId); // the pointer may leave the chart and come back
    setDrag([pixel(event), pixel(event)]);
  };
  const move = (/** @type {any} */ event) => {
    setAt(nearest(pixel(event)));
    if (drag) setDrag([drag[0], pixel(event)]);
  };
  const release = () => {
    const [from, to] = [...(drag ?? [0, 0])].sort((a, b) => a - b);
    if (to - from > DRAWN) setRange([x.from(from), x.from(to)]);
    setDrag(null);
  };
  const key = (/** @type {any} */ event) => {
    const from = here ?? last;
    const reach = Math.ceil((last - first) / 4);
    const to = /** @type {Record<string, number>} */ ({ ArrowLeft: from - 1, ArrowRight: from + 1, Home: first, End: last })[event.key];
    if (event.key === "Escape" || event.key === "-") setRange(null);
    else if (event.key === "+") setRange([xs[Math.max(first, from - reach)], xs[Math.min(last, from + reach)]]);
    else if (to === undefined) return;
    else setAt(Math.max(first, Math.min(last, to)));
    event.preventDefault();
  };
  const box = (/** @type {"x" | "y"} */ axis, /** @type {string} */ name) => html`<label><input type="checkbox" checked=${log[axis]} onChange=${() => setLog((old) => ({ ...old, [axis]: !old[axis] }))} /> ${name}</label>`;
  const scale = (/** @type {Axis} */ axis, /** @type {number} */ where, /** @type {string} */ anchor, /** @type {boolean} */ lines) => axis.ticks.map((tick) => html`<g key=${tick}>
    ${lines && html`<line class="grid" x1=${LEFT} x2=${LEFT + inside} y1=${TOP + axis.to(tick)} y2=${TOP + axis.to(tick)} />`}<text x=${where} y=${TOP + axis.to(tick) + 4} text-anchor=${anchor}>${plain(tick)}</text></g>`);
  return html`<div class="legend">${series.map(({ label, colour }) => html`<span class="key" key=${label} style=${{ "--key": `var(${colour})` }}>${label}</span>`)}${children}</div>
  <div class="chart" ref=${place}>
    <svg width=${width} height=${height} role="slider" tabindex="0" aria-label=${describe} aria-valuemin=${xs[0] ?? 0} aria-valuemax=${xs.at(-1) ?? 0} aria-valuenow=${xs[here ?? last] ?? 0} aria-valuetext=${told(here ?? last)}
      onKeyDown=${key} onPointerDown=${press} onPointerMove=${move} onPointerUp=${release} onPointerCancel=${() => setDrag(null)} onPointerLeave=${() => setAt(null)} onDblClick=${() => setRange(null)}>
      ${scale(left, LEFT - 8, "end", true)}${other && scale(other, LEFT + inside + 8, "start", false)}
      ${x.ticks.map((tick) => html`<text key=${tick} x=${LEFT + x.to(tick)} y=${height - BOTTOM + 16} text-anchor="middle">${plain(tick)}</text>`)}
      <text x=${LEFT + inside / 2} y=${height - 4} text-anchor="middle">${xLabel}</text>
      <text transform=${`translate(12 ${TOP + tall / 2}) rotate(-90)`} text-anchor="middle">${yLabel}</text>
      ${other && html`<text transform=${`translate(${width - 4} ${TOP + tall / 2}) rotate(-90)`} text-anchor="middle">${rightLabel}</text>`}
      <svg x=${LEFT - EDGE} y=${TOP - EDGE} width=${inside + 2 * EDGE} height=${tall + 2 * EDGE} viewBox=${`${-EDGE} ${-EDGE} ${inside + 2 * EDGE} ${tall + 2 * EDGE}`}>
        ${drag && html`<rect class="drawn" x=${Math.min(...drag)} width=${Math.abs(drag[1] - drag[0])} height=${tall} />`}
        ${here != null && isFinite(x.to(xs[here])) && html`<line class="hair" x1=${x.to(xs[here])} x2=${x.to(xs[here])} y1="0" y2=${tall} />`}
        ${paths.map(({ line, points }, i) => html`<g key=${i} style=${{ "--series": `var(${series[i].colour})` }}><path d=${line} stroke-width=${series[i].width ?? 2} />
          ${points.length < FEW && points.map(([a, b]) => html`<circle key=${a} cx=${a} cy=${b} r="4" />`)}</g>`)}
      </svg>
    </svg>
    <p class="chart-foot"><span class="chart-reading">${here == null ? "Point at the curve, or use the arrow keys, for its values. Draw a range, or press +, to see it larger." : told(here)}</span>
      <span class="chart-axes">${box("x", `log ${xLabel}`)} ${box("y", "log values")}${range && html` <button type="button" class="link" onClick=${() => setRange(null)}>The whole curve</button>`}</span></p>
  </div>`;
}

/** A row's value at a place, or the last one before it: rows are measured at steps of their own. @param {(number | null)[]} row @param {number} at */
function near(row, at) {
  while (at > 0 && row[at] == null) at -= 1;
  return row[at];
}

/** Axes and lines, and which points lie in the range. @param {(number | null)[][]} data @param {Series[]} series @param {[number, number] | null} range @param {{x: boolean, y: boolean}} log @param {number} inside @param {number} tall */
function drawn(data, series, range, log, inside, tall) {
  const xs = /** @type {number[]} */ (data[0]);
  const all = xs.flatMap((x, i) => (!log.x || x > 0 ? [i] : []));
  const some = all.filter((i) => !range || (xs[i] >= range[0] && xs[i] <= range[1]));
  const whole = some.length > 1 ? some : all;
  const [first, last] = [whole[0] ?? 0, whole.at(-1) ?? 0];
  const x = axis(whole.length ? [xs[first], xs[last]] : [1, 10], log.x, 0, inside, Math.floor(inside / TICK), 1);
  const of = (/** @type {boolean} */ right) => {
    const values = series.flatMap((one, i) => (!one.right === !right ? whole.flatMap((at) => data[i + 1][at] ?? []) : [])).filter((value) => !log.y || value > 0);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const room = (high - low) * 0.05 || Math.abs(high) * 0.05 || 1;
    return values.length ? axis(log.y ? [low / 1.1, high * 1.1] : [low - room, high + room], log.y, tall, 0, Math.floor(tall / 44), 0) : null;
  };
  const left = of(false) ?? axis([0, 1], false, tall, 0, 2, 0);
  const other = of(true);
  const paths = series.map((one, i) => {
    const y = one.right && other ? other : left;
    const points = xs.flatMap((place, at) => {
      const value = data[i + 1][at];
      return value == null || (log.x && place <= 0) || (log.y && value <= 0) ? [] : [[x.to(place), y.to(value)]];
    });
    return { points, line: points.map(([a, b], at) => `${at ? "L" : "M"}${a.toFixed(1)} ${b.toFixed(1)}`).join("") };
  });
  return { first, last, x, left, other, paths };
}

/** @param {[number, number]} ends @param {boolean} log @param {number} first pixel of the lower end @param {number} last @param {number} number of ticks, at most @param {number} least between two ticks @returns {Axis} */
function axis([low, high], log, first, last, number, least) {
  const scale = log ? Math.log10 : (/** @type {number} */ value) => value;
  const [from, to] = [scale(low), scale(high)];
  const span = to - from || 1;
  return {
    to: (value) => first + (to > from ? (scale(value) - from) / span : 0.5) * (last - first),
    from: (pixel) => {
      const value = from + ((pixel - first) / (last - first)) * span;
      return log ? 10 ** value : value;
    },
    ticks: log && span > 1 ? powers(from, to, number) : even(low, high, number, least),
  };
}

/** @param {number} low @param {number} high @param {number} number @param {number} least */
function even(low, high, number, least) {
  const rough = (high - low) / Math.max(1, number) || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const gap = Math.max(least, power * ([1, 2, 5].find((digit) => digit * power >= rough) ?? 10));
  const ticks = [];
  for (let i = Math.ceil(low / gap); i * gap <= high * (1 + 1e-9) && ticks.length < 50; i++) ticks.push(Number((i * gap).toPrecision(12)));
  return ticks;
}

/** @param {number} from @param {number} to exponents of ten @param {number} number */
function powers(from, to, number) {
  const digits = 3 * (to - from) <= number ? [1, 2, 5] : [1];
  const stride = Math.max(1, Math.ceil(((to - from) * digits.length) / Math.max(1, number)));
  const ticks = [];
  for (let power = Math.floor(from); power <= to; power += stride) ticks.push(...digits.map((digit) => Number((digit * 10 ** power).toPrecision(6))));
  return ticks.filter((tick) => tick >= 10 ** from * 0.999 && tick <= 10 ** to * 1.001);
}

/** A small curve without axes. @param {{values: number[], describe: string}} props */
export function Spark({ values, describe }) {
  if (values.length < 2) return null;
  const low = Math.min(...values);
  const span = Math.max(...values) - low || 1;
  const stride = Math.max(1, Math.floor(values.length / 160));
  const points = values.filter((_, i) => i % stride === 0 || i === values.length - 1)
    .map((value, i, all) => `${((i / (all.length - 1)) * 100).toFixed(2)},${(26 - ((value - low) / span) * 24).toFixed(2)}`);
  return html`<svg class="spark" viewBox="0 0 100 28" preserveAspectRatio="none" role="img" aria-label=${describe}><polyline points=${points.join(" ")} /></svg>`;
}
