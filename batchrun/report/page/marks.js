// Marks of cells, as lines of picks.jsonl: what they come to, and how the browser keeps them. It
// knows no page. `batchrun/sweep/picks.py` reads the same lines, and folds them in the same way.
import { fromJson } from "./text.js";

/** @typedef {"pick" | "reject" | "redo" | "note"} Kind */
/** @typedef {{id: string, sweep: string, cell: string, kind: Kind, note: string, at: string, off?: boolean}} Mark */
/** @typedef {Partial<Record<Kind, Mark>>} Standing the marks of one cell that count */

/** @type {Record<Kind, number>} */
export const BITS = { pick: 1, reject: 2, redo: 4, note: 8 };

/** Of these a cell has one: the later mark. @type {Partial<Record<Kind, Kind>>} */
const OPPOSITE = { pick: "reject", reject: "pick" };

/** What a filter calls cells without a mark. */
export const NONE = "none";

export const LONGEST_NOTE = 10_000;

/** How the page writes a moment. */
const FORM = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** No later mark could be made than one of the end of time. */
const LATEST = Date.UTC(9000, 0);

const ID = /^[A-Za-z0-9._:-]{1,64}$/;
const CELL = /^[0-9a-z]{1,128}$/;

export class Marks {
  /**
   * @param {string} sweep
   * @param {() => void} changed
   * @param {unknown[]} given marks that the page itself has: the browser keeps them once something is marked
   */
  constructor(sweep, changed, given) {
    this.sweep = sweep;
    this.changed = changed;
    this.key = `batchrun.marks.${sweep}`;
    /** The last mark of each kind of a cell. @type {Map<string, Mark>} */
    this.last = new Map();
    /** @type {Map<string, Standing>} */
    this.standing = new Map();
    /** What the browser was seen to keep. */
    this.seen = "";
    /** Whether the browser keeps what is in hand. */
    this.isKept = true;
    /** Whether it was saved as a file. */
    this.isSaved = true;
    const there = given.map((each) => asMark({ ...Object(each), sweep })).filter((mark) => mark !== null);
    this.take(there);
    this.read();
    addEventListener("storage", (event) => {
      if (event.key !== this.key) return;
      this.read(); // another tab has marked
      this.changed();
    });
    addEventListener("beforeunload", (event) => {
      if (!this.isSafe) event.preventDefault();
    });
  }

  /** @param {string} cell @returns {Standing} */
  of(cell) {
    return this.standing.get(cell) ?? {};
  }

  /** @param {string} cell */
  bitsOf(cell) {
    return Object.keys(this.of(cell)).reduce((bits, kind) => bits | BITS[/** @type {Kind} */ (kind)], 0);
  }

  /** Return how many cells have a mark of each kind. */
  get counts() {
    const counts = { pick: 0, reject: 0, redo: 0, note: 0 };
    for (const marks of this.standing.values()) for (const kind of Object.keys(marks)) counts[/** @type {Kind} */ (kind)] += 1;
    return counts;
  }

  /** Set a mark, or take it away if it stands. @param {string} cell @param {Kind} kind */
  toggle(cell, kind) {
    const stands = this.of(cell)[kind] !== undefined;
    const opposite = OPPOSITE[kind];
    const others = opposite !== undefined && this.of(cell)[opposite] !== undefined ? [this.made(cell, opposite, "", true)] : [];
    this.add([...(stands ? [] : others), this.made(cell, kind, "", stands)]);
    return !stands;
  }

  /** Write a note; without text there is none. @param {string} cell @param {string} note */
  write(cell, note) {
    const text = wellFormed(note.trim().slice(0, LONGEST_NOTE));
    if (text !== (this.of(cell).note?.note ?? "")) this.add([this.made(cell, "note", text, text === "")]);
  }

  /** @param {string} cell @param {Kind} kind @param {string} note @param {boolean} off @returns {Mark} */
  made(cell, kind, note, off) {
    // Later than what it replaces, whatever the clock says: the last mark counts.
    const times = [...(OPPOSITE[kind] ? [kind, OPPOSITE[kind]] : [kind])].map((each) => this.last.get(`${each} ${cell}`));
    const before = times.map((mark) => (mark === undefined ? 0 : Date.parse(mark.at) + 1));
    const at = new Date(Math.max(Date.now(), ...before)).toISOString();
    const mark = { id: newId(), sweep: this.sweep, cell, kind, note, at };
    return off ? { ...mark, off } : mark;
  }

  /** Whether nothing is lost when the page is left. */
  get isSafe() {
    return this.isKept || this.isSaved;
  }

  /** @param {Mark[]} marks */
  add(marks) {
    this.read(); // another tab may have marked since
    this.take(marks);
    this.isSaved = false;
    this.keep();
    this.changed();
  }

  /** Take in marks of this sweep; return how many were new. @param {Mark[]} marks */
  receive(marks) {
    const before = new Set([...this.last.values()].map((mark) => mark.id));
    this.add(marks);
    return [...this.last.values()].filter((mark) => !before.has(mark.id)).length;
  }

  /** Return the lines of picks.jsonl. */
  get text() {
    return [...this.last.values()]
      .sort(order)
      .map((mark) => `${JSON.stringify(mark)}\n`)
      .join("");
  }

  /** @param {Mark[]} marks */
  take(marks) {
    /** @type {Set<string>} */
    const cells = new Set();
    for (const mark of marks) {
      const place = `${mark.kind} ${mark.cell}`;
      const before = this.last.get(place);
      if (before !== undefined && order(before, mark) >= 0) continue;
      this.last.set(place, mark);
      cells.add(mark.cell);
    }
    for (const cell of cells) this.fold(cell);
  }

  /** Find out which marks of a cell count. @param {string} cell */
  fold(cell) {
    /** @type {Standing} */
    const standing = {};
    const marks = Object.keys(BITS).map((kind) => this.last.get(`${kind} ${cell}`));
    for (const mark of marks.filter((each) => each !== undefined).sort(order)) {
      if (mark.off || (mark.kind === "note" && mark.note.trim() === "")) continue;
      const opposite = OPPOSITE[mark.kind];
      if (opposite !== undefined) delete standing[opposite];
      standing[mark.kind] = mark;
    }
    if (Object.keys(standing).length > 0) this.standing.set(cell, standing);
    else this.standing.delete(cell);
  }

  read() {
    try {
      const text = localStorage.getItem(this.key) ?? "";
      if (text === this.seen) return;
      this.take(text.split("\n").map(markOf).filter((mark) => mark !== null));
      this.seen = text;
    } catch {
      this.isKept = false; // the browser keeps nothing for files, or nothing at all
    }
  }

  keep() {
    try {
      const { text } = this;
      localStorage.setItem(this.key, text);
      this.seen = text;
      this.isKept = true;
    } catch {
      this.isKept = false; // as above, or it is full
    }
  }
}

/**
 * Return what lets points through that have one of the marks in *words*; NONE is one without any.
 * @param {Uint8Array} marked bits by point
 * @param {string[]} words
 * @returns {(point: number) => boolean}
 */
export function markedSo(marked, words) {
  const bits = words.reduce((sum, word) => sum | (isKind(word) ? BITS[word] : 0), 0);
  const none = words.includes(NONE);
  return (point) => (marked[point] & bits) !== 0 || (none && marked[point] === 0);
}

/** @param {Mark} one @param {Mark} other */
export function order(one, other) {
  const isOurs = FORM.test(one.at) && FORM.test(other.at); // as text, thousands take a moment
  return (isOurs ? compared(one.at, other.at) : Date.parse(one.at) - Date.parse(other.at)) || compared(one.id, other.id);
}

/** @param {string} one @param {string} other */
function compared(one, other) {
  return one < other ? -1 : Number(one > other);
}

/** Return the marks of a picks.jsonl; throws an Error for a line that is none. @param {string} text @returns {Mark[]} */
export function parsed(text) {
  const lines = text.replace(/^\ufeff/, "").split("\n");
  /** @type {Mark[]} */
  const marks = [];
  for (const [index, line] of lines.entries()) {
    if (line.trim() === "") continue;
    const mark = markOf(line);
    if (mark === null) throw new Error(`line ${index + 1} is no mark`);
    marks.push(mark);
  }
  return marks;
}

/** Return the mark of a line, with no more than it should have; null where it is none. @param {string} line @returns {Mark | null} */
function markOf(line) {
  try {
    return asMark(fromJson(line));
  } catch {
    return null;
  }
}

/** Return what a value says of a mark; null where it is none. @param {unknown} value @returns {Mark | null} */
function asMark(value) {
  if (typeof value !== "object" || value === null) return null;
  const { id, sweep, cell, kind, note = "", at, off = false } = /** @type {Record<string, unknown>} */ (value);
  if (!isText(id) || !isText(sweep) || !isText(cell) || !isText(kind) || !isText(note) || !isText(at) || typeof off !== "boolean") return null;
  if (!ID.test(id) || !CELL.test(cell) || !isKind(kind)) return null;
  if (note.length > 2 * LONGEST_NOTE || !(Date.parse(at) < LATEST)) return null;
  const mark = { id, sweep, cell, kind, note, at };
  return off ? { ...mark, off } : mark;
}

/** @param {unknown} value @returns {value is string} */
function isText(value) {
  return typeof value === "string";
}

/** @param {string} word @returns {word is Kind} */
function isKind(word) {
  return Object.hasOwn(BITS, word);
}

/** Return a random id (UUID 4). A page from a server without https has no randomUUID. */
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const digits = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** Half of a character has no place in UTF-8. @param {string} text */
function wellFormed(text) {
  return text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd");
}
