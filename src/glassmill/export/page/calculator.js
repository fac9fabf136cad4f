// The one tool that a glassmill model may call: exact arithmetic by a small parser, the twin of `infer/tools.py`.
// No eval; bounds on length, nesting and size, because the expression comes from a model.

const MAX_CHARACTERS = 200;
const MAX_DEPTH = 40;
const MAX_BITS = 256;
const DECIMALS = 10n;
const TOKEN = /[ \t\n\r\f\v]*(?:(\d+(?:,\d{3})+(?:\.\d+)?(?![\d,])|\d+(?:\.\d+)?|\.\d+)|(\*\*|\/\/|[-+*/%()]))/y;
/** @type {Record<string, string>} */
const SPELLINGS = { "×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "^": "**" };

/** @typedef {{over: bigint, under: bigint}} Fraction `under` is positive, and nothing divides both. */

/** @param {bigint} value */
const absolute = (value) => (value < 0n ? -value : value);
/** Bits of a number. @param {bigint} value */
const bits = (value) => (value === 0n ? 0 : absolute(value).toString(2).length);
/** Rounded towards minus infinity. @param {bigint} over @param {bigint} under */
const floored = (over, under) => over / under - (over % under !== 0n && over < 0n !== under < 0n ? 1n : 0n);

/** @param {bigint} over @param {bigint} under @returns {Fraction} */
function fraction(over, under = 1n) {
  let [a, b] = [absolute(over), absolute(under)];
  while (b) [a, b] = [b, a % b];
  const sign = under < 0n ? -1n : 1n;
  return bounded({ over: (sign * over) / (a || 1n), under: (sign * under) / (a || 1n) });
}

/** @param {Fraction} value */
function bounded(value) {
  if (Math.max(bits(value.over), bits(value.under)) > MAX_BITS) throw new RangeError("number too large");
  return value;
}

/** The value of an expression as text. Throws where it is none. @param {string} expression */
export function calculate(expression) {
  if ([...expression].length > MAX_CHARACTERS) throw new RangeError("expression too long");
  const tokens = tokensOf(expression.replace(/[×·÷−–^]/g, (sign) => SPELLINGS[sign]));
  let at = 0;
  const sum = (/** @type {number} */ depth) => {
    let value = term(depth);
    while (tokens[at] === "+" || tokens[at] === "-") {
      const sign = tokens[at++] === "+" ? 1n : -1n;
      const right = term(depth);
      value = fraction(value.over * right.under + sign * right.over * value.under, value.under * right.under);
    }
    return value;
  };
  const term = (/** @type {number} */ depth) => {
    let value = factor(depth);
    while (["*", "/", "//", "%"].includes(tokens[at])) {
      const operator = tokens[at++];
      const right = factor(depth);
      if (operator !== "*" && right.over === 0n) throw new RangeError("division by zero");
      if (operator === "*") value = fraction(value.over * right.over, value.under * right.under);
      else {
        const [over, under] = [value.over * right.under, value.under * right.over];
        const times = floored(over, under);
        if (operator === "/") value = fraction(over, under);
        else if (operator === "//") value = fraction(times);
        else value = fraction(value.over * right.under - times * right.over * value.under, value.under * right.under);
      }
    }
    return value;
  };
  /** @type {(depth: number) => Fraction} */
  const factor = (depth) => {
    if (depth > MAX_DEPTH) throw new RangeError("nested too deep");
    if (tokens[at] !== "+" && tokens[at] !== "-") return raised(depth);
    const sign = tokens[at++] === "-" ? -1n : 1n;
    const value = factor(depth + 1);
    return { over: sign * value.over, under: value.under };
  };
  const raised = (/** @type {number} */ depth) => {
    const base = atom(depth);
    if (tokens[at] !== "**") return base;
    at++;
    return power(base, factor(depth + 1));
  };
  const atom = (/** @type {number} */ depth) => {
    const token = tokens[at++];
    if (token === undefined) throw new RangeError("expression ends too early");
    if (token === "(") {
      const value = sum(depth + 1);
      if (tokens[at++] !== ")") throw new RangeError("a bracket is not closed");
      return value;
    }
    if (!/^[\d.]/.test(token)) throw new RangeError("unexpected sign");
    const [whole, decimals = ""] = token.split(".");
    return fraction(BigInt(whole + decimals), 10n ** BigInt(decimals.length));
  };
  const value = sum(0);
  if (at < tokens.length) throw new RangeError("unexpected sign");
  return written(value);
}

/** @param {string} expression */
function tokensOf(expression) {
  const tokens = [];
  const text = expression.replace(/[ =\t\n]+$/, "");
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const match = TOKEN.exec(text);
    if (!match) throw new RangeError("unexpected sign");
    tokens.push(match[0].trim().replaceAll(",", ""));
  }
  return tokens;
}

/** Refused before it is computed where it would be too large. @param {Fraction} base @param {Fraction} exponent */
function power(base, exponent) {
  if (exponent.under !== 1n) throw new RangeError("only whole exponents");
  if (base.over === 0n && exponent.over < 0n) throw new RangeError("division by zero");
  const size = absolute(base.over) > base.under ? absolute(base.over) : base.under;
  const times = absolute(exponent.over);
  if (times * BigInt(bits(size) - 1) > BigInt(MAX_BITS)) throw new RangeError("number too large");
  const few = size === 1n ? (times % 2n) + 2n * (times ? 1n : 0n) : times; // -1, 0, 1: any exponent is made small
  const [over, under] = [base.over ** few, base.under ** few];
  return exponent.over < 0n ? fraction(under, over) : fraction(over, under);
}

/** A finite decimal of at most ten digits in full, anything else rounded half up. @param {Fraction} value */
function written(value) {
  const scaled = absolute(value.over) * 10n ** DECIMALS;
  const rounded = (2n * scaled + value.under) / (2n * value.under);
  const [whole, rest] = [rounded / 10n ** DECIMALS, rounded % 10n ** DECIMALS];
  const digits = `${whole}.${rest.toString().padStart(Number(DECIMALS), "0")}`.replace(/\.?0+$/, "");
  return value.over < 0n && rounded ? `-${digits}` : digits;
}
