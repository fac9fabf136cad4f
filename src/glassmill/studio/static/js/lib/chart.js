// uPlot in this page's colours, redrawn when the theme or the width changes.

import { html, useEffect, useRef } from "./preact.js";

/** @typedef {{label: string, colour: string, width?: number}} Series */

const FEW = 4;
const WHOLE = [0, 1, 2, 3, 4, 5, 6].flatMap((power) => [1, 2, 5].map((digit) => digit * 10 ** power));

/** @param {string} name */
function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/**
 * A line chart.
 * @param {{data: (number | null)[][], series: Series[], height?: number, xLabel: string, yLabel: string, describe: string}} props
 *   data: x first, then one row for each series
 */
export function Chart({ data, series, height = 260, xLabel, yLabel, describe }) {
  const place = useRef(/** @type {HTMLElement | null} */ (null));
  const plot = useRef(/** @type {any} */ (null));
  const latest = useRef(data);
  latest.current = data;

  useEffect(() => {
    const host = place.current;
    if (!host) return;
    const draw = () => {
      plot.current?.destroy();
      plot.current = new /** @type {any} */ (window).uPlot(options(host.clientWidth, height, series, xLabel, yLabel), latest.current, host);
    };
    draw();
    const resize = new ResizeObserver(() => plot.current?.setSize({ width: host.clientWidth, height }));
    resize.observe(host);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", draw);
    addEventListener("themechange", draw);
    return () => {
      resize.disconnect();
      scheme.removeEventListener("change", draw);
      removeEventListener("themechange", draw);
      plot.current?.destroy();
      plot.current = null;
    };
  }, [series.length, height]);

  useEffect(() => plot.current?.setData(data), [data]);
  return html`<div class="chart" ref=${place} role="img" aria-label=${describe}></div>`;
}

/** @param {number} width @param {number} height @param {Series[]} series @param {string} xLabel @param {string} yLabel */
function options(width, height, series, xLabel, yLabel) {
  const [ink, grid] = [colour("--soft"), colour("--line")];
  const axis = { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 }, font: "12px system-ui, sans-serif", labelFont: "12px system-ui, sans-serif", labelSize: 18 };
  return {
    width,
    height,
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, points: { size: 7 } },
    scales: { x: { time: false } },
    axes: [{ ...axis, label: xLabel, size: 34, incrs: WHOLE }, { ...axis, label: yLabel, size: 46 }],
    series: [{ label: xLabel }, ...series.map((one) => ({
      label: one.label,
      stroke: colour(one.colour),
      width: one.width ?? 2,
      spanGaps: true,
      points: { show: (/** @type {any} */ plot) => plot.data[0].length < FEW, size: 6, fill: colour(one.colour) },
    }))],
  };
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
