// Markdown of a model's answer as nodes of the page. No HTML is ever parsed: markup in the text, images (loading one is a
// request to somebody's server) and links that are not to the web are shown as they were written. Of GitHub's Markdown:
// headings, lists, quotes, tables, code, rules, emphasis, links; a line end is a line end.

import { html } from "./preact.js";

const DEEPEST = 12; // quotes and lists inside each other; what is deeper is text
const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$/;
const RULE = /^ {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$/;
const QUOTE = /^ {0,3}> ?/;
/** "408." alone on a line is the answer to a sum, not the empty item of a list. */
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])([ \t]+)(?=\S)/;
const TABLE_RULE = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;
const INLINE = new RegExp(
  [
    /\\([!-/:-@[-`{-~])/, // 1: escaped
    /(`+)(?!`)(.+?)(?<!`)\2(?!`)/, // 2, 3: code
    /(!\[[^\]\n]*\]\([^)\n]*\))/, // 4: image
    /\[((?:[^[\]\\\n]|\\.)+)\]\((\S+?)(?:[ \t]+"[^"\n]*")?\)/, // 5, 6: link
    /<(https?:\/\/[^\s<>]+)>/, // 7: address in brackets
    /(https?:\/\/[^\s<>"'`*|]*[^\s<>"'`*|.,:;!?)\]])/, // 8: bare address
    /\*\*(?=\S)([^]+?)(?<=\S)\*\*(?!\*)/, // 9: strong
    /(?<![\p{L}\p{N}_])__(?=\S)([^]+?)(?<=\S)__(?![\p{L}\p{N}_])/u, // 10: strong
    /\*(?=[^\s*])((?:[^*]|\*\*[^*\n]+\*\*)*?[^\s*])\*(?!\*)/, // 11: emphasis
    /(?<![\p{L}\p{N}_])_(?=[^\s_])([^]*?[^\s_])_(?![\p{L}\p{N}_])/u, // 12: emphasis
    /~~(?=\S)([^]+?)(?<=\S)~~/, // 13: struck out
    /(\n)/, // 14: line end
  ].map((part) => part.source).join("|"),
  "gu",
);

/** @param {{text: string}} props */
export function Markdown({ text }) {
  return html`<div class="markdown">${blocks(text.replaceAll("\r\n", "\n").split("\n"), 0)}</div>`;
}

/** @param {string[]} lines @param {number} depth @returns {any[]} */
function blocks(lines, depth) {
  const made = [];
  for (let at = 0; at < lines.length; ) {
    const [node, next] = block(lines, at, depth);
    if (node) made.push(node);
    at = next;
  }
  return made;
}

/** The block that begins at line `at`, and the line after it. @param {string[]} lines @param {number} at @param {number} depth @returns {[any, number]} */
function block(lines, at, depth) {
  const line = lines[at];
  if (!line.trim()) return [null, at + 1];
  const fence = line.match(FENCE);
  if (fence) return fenced(lines, at, fence[1]);
  const heading = line.match(HEADING);
  if (heading) return [html`<${`h${heading[1].length}`}>${inline(heading[2] ?? "", depth)}<//>`, at + 1];
  if (RULE.test(line)) return [html`<hr />`, at + 1];
  if (depth < DEEPEST && QUOTE.test(line)) return quote(lines, at, depth);
  if (depth < DEEPEST && ITEM.test(line)) return list(lines, at, depth);
  if (isTable(lines, at)) return table(lines, at, depth);
  let end = at + 1;
  while (end < lines.length && !begins(lines, end)) end += 1;
  return [html`<p>${inline(lines.slice(at, end).map((one) => one.trim()).join("\n"), depth)}</p>`, end];
}

/** Whether a paragraph ends before line `at`. @param {string[]} lines @param {number} at */
function begins(lines, at) {
  const line = lines[at];
  return !line.trim() || [FENCE, HEADING, RULE, QUOTE, ITEM].some((form) => form.test(line)) || isTable(lines, at);
}

/** Code up to a fence as long as the first; to the end while it is still being written. @param {string[]} lines @param {number} at @param {string} mark @returns {[any, number]} */
function fenced(lines, at, mark) {
  let end = at + 1;
  const closes = (/** @type {string} */ line) => line.trim().length >= mark.length && line.trim() === mark[0].repeat(line.trim().length);
  while (end < lines.length && !closes(lines[end])) end += 1;
  return [html`<pre><code>${lines.slice(at + 1, end).join("\n")}</code></pre>`, end + 1];
}

/** @param {string[]} lines @param {number} at @param {number} depth @returns {[any, number]} */
function quote(lines, at, depth) {
  let end = at;
  while (end < lines.length && (QUOTE.test(lines[end]) || !begins(lines, end))) end += 1;
  return [html`<blockquote>${blocks(lines.slice(at, end).map((line) => line.replace(QUOTE, "")), depth + 1)}</blockquote>`, end];
}

/** Items with the same kind of mark; what is indented below one belongs to it. @param {string[]} lines @param {number} at @param {number} depth @returns {[any, number]} */
function list(lines, at, depth) {
  const kind = (/** @type {RegExpMatchArray} */ item) => item[2].at(-1);
  const first = /** @type {RegExpMatchArray} */ (lines[at].match(ITEM));
  /** @type {string[][]} */
  const items = [];
  let width = 0;
  let loose = false;
  let end = at;
  for (; end < lines.length; end++) {
    const line = lines[end];
    const item = line.match(ITEM);
    if (item && item[1].length < Math.max(width, 1) && kind(item) === kind(first) && !RULE.test(line)) {
      loose ||= items.length > 0 && !lines[end - 1].trim();
      width = item[0].length;
      items.push([line.slice(width)]);
    } else if (!line.trim()) {
      if (!(lines[end + 1] ?? "").trim()) break;
      items.at(-1)?.push("");
    } else if (line.search(/\S/) >= Math.min(width, 2) && items.length) {
      items.at(-1)?.push(line.slice(Math.min(width, line.search(/\S/))));
    } else if (!lines[end - 1].trim() || begins(lines, end)) break;
    else items.at(-1)?.push(line);
  }
  const content = items.map((item) => html`<li>${tight(item, loose, depth)}</li>`);
  const number = parseInt(first[2], 10);
  return [isNaN(number) ? html`<ul>${content}</ul>` : html`<ol start=${number}>${content}</ol>`, end];
}

/** An item's text stands without a paragraph around it where no blank lines separate the items. @param {string[]} item @param {boolean} loose @param {number} depth */
function tight(item, loose, depth) {
  if (loose) return blocks(item, depth + 1);
  let end = 1;
  while (end < item.length && !begins(item, end)) end += 1;
  return [inline(item.slice(0, end).map((line) => line.trim()).join("\n"), depth), ...blocks(item.slice(end), depth + 1)];
}

/** @param {string} line */
const cells = (line) => line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));

/** @param {string[]} lines @param {number} at */
function isTable(lines, at) {
  const rule = lines[at + 1] ?? "";
  return lines[at].includes("|") && TABLE_RULE.test(rule) && cells(lines[at]).length === cells(rule).length;
}

/** @param {string[]} lines @param {number} at @param {number} depth @returns {[any, number]} */
function table(lines, at, depth) {
  let end = at + 2;
  while (end < lines.length && lines[end].trim() && lines[end].includes("|")) end += 1;
  const head = cells(lines[at]);
  const rows = lines.slice(at + 2, end).map(cells);
  return [html`<table><thead><tr>${head.map((cell) => html`<th>${inline(cell, depth)}</th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr>${head.map((_, i) => html`<td>${inline(row[i] ?? "", depth)}</td>`)}</tr>`)}</tbody></table>`, end];
}

/** Text with its emphasis, code and links. @param {string} text @param {number} depth @returns {any[]} */
function inline(text, depth) {
  if (depth > DEEPEST) return [text];
  const made = [];
  let from = 0;
  for (const found of text.matchAll(INLINE)) {
    if (found.index > from) made.push(text.slice(from, found.index));
    made.push(piece(found, depth + 1));
    from = found.index + found[0].length;
  }
  return from < text.length ? [...made, text.slice(from)] : made;
}

/** @param {RegExpMatchArray} found @param {number} depth */
function piece(found, depth) {
  const [whole, escaped, , code, , label, to, bracketed, bare, strong, strong2, em, em2, struck] = found;
  const inside = (/** @type {string} */ text) => inline(text, depth);
  if (escaped) return escaped;
  if (code) return html`<code>${code.trim() && /^ .* $/.test(code) ? code.slice(1, -1) : code}</code>`;
  if (label && /^(https?:\/\/|mailto:)/i.test(to)) return link(to, inside(label));
  if (bracketed ?? bare) return link(bracketed ?? bare, [bracketed ?? bare]);
  if (strong ?? strong2) return html`<strong>${inside(strong ?? strong2)}</strong>`;
  if (em ?? em2) return html`<em>${inside(em ?? em2)}</em>`;
  if (struck) return html`<del>${inside(struck)}</del>`;
  return whole === "\n" ? html`<br />` : whole;
}

/** In a new tab, which learns nothing of this one. @param {string} to @param {any[]} words */
function link(to, words) {
  return html`<a href=${to} target="_blank" rel="noopener noreferrer nofollow">${words}</a>`;
}
