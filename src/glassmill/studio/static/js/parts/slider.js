// One of many moments, chosen with a slider.

import { html } from "../lib/preact.js";

/** @param {{label: string, at: number, most: number, says: string, ends: [string, string], choose: (at: number) => void}} props `at`: from 0 to `most`, in words `says` */
export function Slider({ label, at, most, says, ends, choose }) {
  if (!most) return null;
  return html`<label class="slider"><span class="visually-hidden">${label}</span>
    <input type="range" min="0" max=${most} step="1" value=${at} onInput=${(e) => choose(Number(e.target.value))} aria-valuetext=${says} />
    <span class="slider-ends"><span>${ends[0]}</span><span>${ends[1]}</span></span></label>`;
}
