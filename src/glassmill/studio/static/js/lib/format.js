// Numbers, durations and sizes, formatted for people.

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** 12345 -> "12,345"; unknown -> "–". @param {number | null | undefined} value */
export function count(value) {
  return value == null || !isFinite(value) ? "–" : WHOLE.format(value);
}

/** 9_437_184 -> "9.4 million". @param {number | null | undefined} value */
export function roughly(value) {
  if (value == null || !isFinite(value)) return "–";
  if (value >= 1e9) return `${decimals(value / 1e9, 1)} billion`;
  if (value >= 1e6) return `${decimals(value / 1e6, 1)} million`;
  return WHOLE.format(value);
}

/** @param {number | null | undefined} value @param {number} digits */
export function decimals(value, digits) {
  return value == null || !isFinite(value) ? "–" : value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** A number of unknown size, to three significant digits. @param {number | null | undefined} value */
export function plain(value) {
  if (value == null || !isFinite(value)) return "–";
  if (Number.isInteger(value)) return WHOLE.format(value);
  if (Math.abs(value) >= 100) return WHOLE.format(value);
  return String(Number(value.toPrecision(3)));
}

/** 0.8312 -> "83 %"; one more digit below 10 and close to 100, and never 0 or 100 for what is neither. @param {number | null | undefined} share */
export function percent(share) {
  if (share == null || !isFinite(share)) return "–";
  const value = share * 100;
  if (value > 0 && value < 0.05) return "< 0.1 %";
  if (value >= 99.95 && value < 100) return "> 99.9 %";
  const edge = (value > 0 && value < 9.95) || (value > 98 && value < 100);
  return `${decimals(value, edge ? 1 : 0)} %`;
}

/** 75 -> "1:15"; 3700 -> "1:01:40". @param {number | null | undefined} seconds */
export function clock(seconds) {
  if (seconds == null || !isFinite(seconds)) return "–";
  const whole = Math.max(0, Math.round(seconds));
  const pad = (/** @type {number} */ n) => String(n).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  return hours ? `${hours}:${pad(minutes)}:${pad(whole % 60)}` : `${minutes}:${pad(whole % 60)}`;
}

/** 75 -> "1 min 15 s", in words for a sentence. @param {number | null | undefined} seconds */
export function duration(seconds) {
  if (seconds == null || !isFinite(seconds)) return "an unknown time";
  if (seconds < 9.95) return `${decimals(seconds, seconds < 1 ? 2 : 1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return whole % 60 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${whole / 60} min`;
  return `${Math.floor(whole / 3600)} h ${Math.round((whole % 3600) / 60)} min`;
}

/** 3 of 8 pages; bytes as megabytes. @param {number} done @param {number} total @param {string} [unit] */
export function amount(done, total, unit = "") {
  if (unit !== "bytes") return `${count(done)} of ${count(total)} ${unit}`;
  const size = total >= 1e9 ? 1e9 : 1e6;
  return `${decimals(done / size, 1)} of ${decimals(total / size, 1)} ${size === 1e9 ? "GB" : "MB"}`;
}

/** Spaces and line ends made visible. @param {string} text */
export function visible(text) {
  return String(text ?? "").replaceAll(" ", "␣").replaceAll("\n", "⏎").replaceAll("\t", "⇥");
}

/** 9_437_184 -> "9.4 MB". @param {number | null | undefined} value */
export function bytes(value) {
  if (value == null || !isFinite(value)) return "–";
  const power = value < 1000 ? 0 : Math.min(4, Math.floor(Math.log10(value) / 3));
  return `${decimals(value / 1000 ** power, power ? 1 : 0)} ${["bytes", "kB", "MB", "GB", "TB"][power]}`;
}

/** A time in seconds since 1970 -> "29 Nov, 05:12". @param {number | null | undefined} seconds */
export function when(seconds) {
  if (seconds == null || !isFinite(seconds)) return "–";
  return new Date(seconds * 1000).toLocaleString("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
}
