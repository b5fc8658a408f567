// How values, amounts and times are spelled. Text from outside goes through `visible`.

const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\u{e0000}-\u{e007f}]/gu;

/**
 * Return the text with names for marks that can't be seen: they turn the direction of writing
 * around, hide in it, or are half of a character.
 * @param {string} text
 */
export function visible(text) {
  return text.replace(CONTROLS, (mark) => `⟨${/** @type {number} */ (mark.codePointAt(0)).toString(16).padStart(4, "0")}⟩`);
}

/** Return what a JSON text says; throws a SyntaxError. @param {string} text @returns {unknown} */
export function fromJson(text) {
  return JSON.parse(text);
}

/** Texts that look like something else: the number 1, or no value. */
const ALIKE = /^(|-?\d+(\.\d+)?(e[+-]?\d+)?|true|false|null|none)$/i;

/**
 * Spell a value for people: text as it is, anything else as JSON.
 * @param {unknown} value
 */
export function spelled(value) {
  if (value === undefined) return "none";
  return visible(typeof value === "string" && !ALIKE.test(value) ? value : jsonOf(value));
}

/**
 * Return a value as JSON, with the numbers that JavaScript doesn't have: see columns.py.
 * @param {unknown} value
 * @param {number} [indent]
 */
export function jsonOf(value, indent) {
  return JSON.stringify(value, null, indent).replace(/\{\s*"\$number":\s*"([^"\\]*)"\s*\}/g, "$1");
}

/**
 * Spell a value of an axis so that it can stand alone: "red", but "seed 1".
 * @param {string} name
 * @param {unknown} value
 */
export function named(name, value) {
  return typeof value === "string" ? spelled(value) : `${visible(name)} ${spelled(value)}`;
}

/**
 * Return no more of a text than there is room for.
 * @param {string} text
 * @param {number} most characters
 */
export function cut(text, most) {
  return text.length <= most ? text : `${text.slice(0, most).replace(/[\ud800-\udbff]$/, "")}…`;
}

/** @param {number} number @param {string} noun */
export function numberOf(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

/** @param {number} milliseconds */
export function duration(milliseconds) {
  const seconds = milliseconds / 1000;
  if (seconds < 90) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** @param {number} count */
export function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB"];
  let power = 0;
  while (count >= 1024 && power < units.length - 1) {
    count /= 1024;
    power += 1;
  }
  return `${power ? count.toFixed(1) : count} ${units[power]}`;
}

/**
 * Spell a moment: "2026-11-29 21:45:54", in UTC.
 * @param {string | null} at
 */
export function moment(at) {
  return at === null ? "" : visible(at.slice(0, 19).replace("T", " "));
}

/** @param {string} status */
export function words(status) {
  return visible(status).replaceAll("_", " ");
}
