// Markdown of a model's answer as safe nodes. The text is untrusted: HTML and images in it are shown as source text
// (loading an image is a request to somebody's server); links open in a new tab and send no referrer. The renderer's
// output is sanitised as well.

import { Marked } from "../../vendor/marked.js";
import { html, useLayoutEffect, useRef } from "./preact.js";

const markdown = new Marked({
  gfm: true,
  breaks: true,
  renderer: { html: asWritten, image: asWritten },
});

const ALLOWED = {
  ALLOWED_TAGS: ["p", "br", "hr", "strong", "em", "del", "code", "pre", "blockquote", "ul", "ol", "li", "a", "h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"],
  ALLOWED_ATTR: ["href", "title", "start"],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  ADD_URI_SAFE_ATTR: ["start"], // a number, not an address
  RETURN_DOM_FRAGMENT: true,
};

/** @param {{raw: string}} token */
function asWritten(token) {
  return token.raw.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

/** "408." alone on a line is the answer to a sum, not the empty item of a list. */
const BARE_NUMBER = /^(\s*\d+)([.)])[ \t]*$/gm;

/** @param {string} text @returns {DocumentFragment} */
function safeNodes(text) {
  const parsed = markdown.parse(text.replace(BARE_NUMBER, "$1\\$2"), { async: false });
  const fragment = /** @type {any} */ (window).DOMPurify.sanitize(parsed, ALLOWED);
  for (const link of fragment.querySelectorAll("a")) {
    link.rel = "noopener noreferrer nofollow";
    link.target = "_blank";
  }
  return fragment;
}

/** @param {{text: string}} props */
export function Markdown({ text }) {
  const place = useRef(/** @type {HTMLElement | null} */ (null));
  useLayoutEffect(() => place.current?.replaceChildren(safeNodes(text)), [text]);
  return html`<div class="markdown" ref=${place}></div>`;
}
