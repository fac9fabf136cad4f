// Byte-level BPE, with the same ids as glassmill's tokenizer. Text is cut into pieces by the vocabulary's pattern over a
// frozen table of Unicode classes (a browser's own \p{L} changes with its version), and merges never cross a piece.
// No text becomes a control token: those exist as ids only.

/**
 * `symbols`: the bytes of every id, a character a byte; null for control tokens and unused ids. `order`: the rank of the
 * merge that makes an id, -1 for none. `classes`: first code point * 8 + class of every run of the table.
 * @typedef {{symbols: (string | null)[], order: number[], whole: boolean, form: string | null, pattern: string,
 *   classes: number[], control: Record<string, number>}} Vocabulary
 */

// The classes of the table, as `tokens/plain_split.py` names them.
const [SPACE, NUMBER, UPPER, LOWER, CASELESS, MARK] = [1, 2, 3, 4, 5, 6];
/** @type {Record<string, number[]>} */
const CLASSES = {
  "\\s": [SPACE],
  "\\S": [SPACE],
  "\\p{L}": [UPPER, LOWER, CASELESS],
  "\\p{N}": [NUMBER],
  "\\p{M}": [MARK],
  "\\p{Ll}": [LOWER],
  "\\p{Lu}\\p{Lt}": [UPPER],
  "\\p{Lm}\\p{Lo}": [CASELESS],
};

/** The text with every lone surrogate as U+FFFD. @param {string} text */
function repaired(text) {
  return text.replace(/\p{Surrogate}/gu, "\uFFFD");
}

/** The bytes of UTF-8, a character a byte. @param {string} text */
function utf8(text) {
  let out = "";
  for (const byte of new TextEncoder().encode(text)) out += String.fromCharCode(byte);
  return out;
}

export class Tokenizer {
  /** @param {Vocabulary} vocabulary */
  constructor(vocabulary) {
    this.vocabulary = vocabulary;
    /** @type {Map<string, number>} */
    this.ids = new Map();
    vocabulary.symbols.forEach((symbol, id) => symbol != null && this.ids.set(symbol, id));
    this.pattern = compiled(vocabulary.pattern, vocabulary.classes);
    this.hidden = new Set(Object.values(vocabulary.control));
  }

  /** @param {string} text @returns {number[]} */
  encode(text) {
    const { form } = this.vocabulary;
    const clean = form ? repaired(text).normalize(form) : repaired(text);
    return this.pieces(clean).flatMap((piece) => this.merged(utf8(piece)));
  }

  /** What no branch of the pattern matches is a piece too. @param {string} text */
  pieces(text) {
    const pieces = [];
    let at = 0;
    for (const match of text.matchAll(this.pattern)) {
      if (match.index > at) pieces.push(text.slice(at, match.index));
      if (match[0]) pieces.push(match[0]);
      at = match.index + match[0].length;
    }
    if (at < text.length) pieces.push(text.slice(at));
    return pieces;
  }

  /** The ids of one piece: of its neighbours, those that training joined first are joined first. @param {string} piece */
  merged(piece) {
    const { order, whole } = this.vocabulary;
    const known = this.ids.get(piece);
    if (whole && known !== undefined) return [known];
    const parts = [...piece];
    const rank = (/** @type {number} */ i) => {
      const made = this.ids.get(parts[i] + parts[i + 1]);
      return made === undefined || order[made] < 0 ? Infinity : order[made];
    };
    const ranks = parts.slice(1).map((_, i) => rank(i));
    while (ranks.length) {
      let best = 0;
      for (let i = 1; i < ranks.length; i++) if (ranks[i] < ranks[best]) best = i;
      if (ranks[best] === Infinity) break;
      parts.splice(best, 2, parts[best] + parts[best + 1]);
      ranks.splice(best, 1);
      if (best > 0) ranks[best - 1] = rank(best - 1);
      if (best < ranks.length) ranks[best] = rank(best);
    }
    return parts.map((part) => /** @type {number} */ (this.ids.get(part)));
  }

  /** The bytes of an id in a text; none for control tokens. @param {number} id */
  bytes(id) {
    const symbol = this.vocabulary.symbols[id] ?? "";
    return Uint8Array.from(symbol, (char) => char.charCodeAt(0));
  }

  /** A token for people: its text, or a control token's name. @param {number} id */
  shown(id) {
    const name = Object.keys(this.vocabulary.control).find((one) => this.vocabulary.control[one] === id);
    return name ?? new TextDecoder("utf-8", { ignoreBOM: true }).decode(this.bytes(id));
  }

  /** The text of ids. @param {number[]} ids */
  decode(ids) {
    const stream = new TextDecoder("utf-8", { ignoreBOM: true });
    return ids.map((id) => stream.decode(this.bytes(id), { stream: true })).join("") + stream.decode();
  }
}

/** The pattern with its classes written out. @param {string} pattern @param {number[]} runs */
function compiled(pattern, runs) {
  const hex = (/** @type {number} */ point) => `\\u{${point.toString(16)}}`;
  const ranges = (/** @type {number[]} */ kinds) =>
    runs
      .map((run, i) => (kinds.includes(run & 7) ? `${hex(run >> 3)}-${hex((i + 1 < runs.length ? runs[i + 1] >> 3 : 0x110000) - 1)}` : ""))
      .join("");
  const atoms = Object.keys(CLASSES).sort((a, b) => b.length - a.length).map((atom) => atom.replace(/[\\{}]/g, "\\$&"));
  let inSet = false;
  const written = pattern.replace(new RegExp(`${atoms.join("|")}|\\\\.|\\[\\^?|\\]`, "g"), (atom) => {
    if (CLASSES[atom]) return inSet ? ranges(CLASSES[atom]) : `[${atom === "\\S" ? "^" : ""}${ranges(CLASSES[atom])}]`;
    inSet = (inSet || atom.startsWith("[")) && atom !== "]";
    return atom;
  });
  return new RegExp(written, "gu");
}
