// The one place that names the vendored library, with the types of what is used of it.

import * as library from "../../vendor/htm-preact.js";

const preact = /** @type {any} */ (library);

/** What may stand in a template; a function there needs no types of its own. @typedef {((...given: any[]) => any) | object | string | number | boolean | null | undefined} Value */
/** @type {(strings: TemplateStringsArray, ...values: Value[]) => any} */
export const html = preact.html;
/** @type {(tree: any, place: Element) => void} */
export const render = preact.render;
/** @type {<T>(initial: T | (() => T)) => [T, (next: T | ((old: T) => T)) => void]} */
export const useState = preact.useState;
/** @type {<T>(initial: T) => {current: T}} */
export const useRef = preact.useRef;
/** @type {<T>(make: () => T, inputs: any[]) => T} */
export const useMemo = preact.useMemo;
/** @type {(effect: () => any, inputs?: any[]) => void} */
export const useEffect = preact.useEffect;
/** @type {(effect: () => any, inputs?: any[]) => void} */
export const useLayoutEffect = preact.useLayoutEffect;
