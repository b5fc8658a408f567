// The marks of all sweeps on the page. A mark belongs to its cell's own sweep, and is kept by that:
// the sweep's own page shows it, too.
import { Marks, order, parsed } from "./marks.js";

/** @typedef {import("./marks.js").Kind} Kind */
/** @typedef {import("./marks.js").Mark} Mark */
/** @typedef {import("./marks.js").Standing} Standing */

/**
 * A cell of one of the sweeps, as one word: two nights have cells of one key.
 * @param {string} sweep
 * @param {string} cell
 */
export function cellIn(sweep, cell) {
  return `${cell} ${sweep}`;
}

export class AllMarks {
  /** @param {string[]} sweeps @param {() => void} changed */
  constructor(sweeps, changed) {
    this.changed = changed;
    /** @type {Map<string, Marks>} */
    this.of_sweep = new Map();
    for (const each of sweeps) if (!this.of_sweep.has(each)) this.of_sweep.set(each, new Marks(each, changed));
  }

  /** @param {string} cell as of `cellIn` @returns {[Marks, string]} */
  at(cell) {
    const space = cell.indexOf(" ");
    return [/** @type {Marks} */ (this.of_sweep.get(cell.slice(space + 1))), cell.slice(0, space)];
  }

  /** @param {string} cell @returns {Standing} */
  of(cell) {
    const [marks, key] = this.at(cell);
    return marks.of(key);
  }

  /** Set a mark, or take it away if it stands. @param {string} cell @param {Kind} kind */
  toggle(cell, kind) {
    const [marks, key] = this.at(cell);
    return marks.toggle(key, kind);
  }

  /** @param {string} cell @param {string} note */
  write(cell, note) {
    const [marks, key] = this.at(cell);
    marks.write(key, note);
  }

  /** The cells that have marks, and these as bits. @returns {[string, number][]} */
  get bits() {
    return [...this.of_sweep.values()].flatMap((marks) =>
      [...marks.standing.keys()].map((key) => /** @type {[string, number]} */ ([cellIn(marks.sweep, key), marks.bitsOf(key)])),
    );
  }

  /** How many cells have a mark of each kind. */
  get counts() {
    const sums = { pick: 0, reject: 0, redo: 0, note: 0 };
    for (const { counts } of this.of_sweep.values()) for (const kind of Object.keys(counts)) sums[/** @type {Kind} */ (kind)] += counts[/** @type {Kind} */ (kind)];
    return sums;
  }

  get size() {
    return [...this.of_sweep.values()].reduce((sum, marks) => sum + marks.last.size, 0);
  }

  /** Whether the browser keeps all of them. */
  get isKept() {
    return [...this.of_sweep.values()].every((marks) => marks.isKept);
  }

  /** The lines of picks.jsonl. */
  get text() {
    return [...this.of_sweep.values()]
      .flatMap((marks) => [...marks.last.values()])
      .sort(order)
      .map((mark) => `${JSON.stringify(mark)}\n`)
      .join("");
  }

  /**
   * Take in the text of a picks.jsonl; return how many marks were new. Throws an Error that names
   * what is wrong with it: then nothing is taken in.
   * @param {string} text
   */
  receive(text) {
    /** @type {Map<string, Mark[]>} */
    const by_sweep = new Map();
    for (const mark of parsed(text)) by_sweep.set(mark.sweep, [...(by_sweep.get(mark.sweep) ?? []), mark]);
    const others = [...by_sweep].filter(([sweep]) => !this.of_sweep.has(sweep));
    if (others.length > 0) {
      const count = others.reduce((sum, [, marks]) => sum + marks.length, 0);
      throw new Error(`${count} of its marks are of another sweep, ${others[0][0].slice(0, 64)}: this page is of ${[...this.of_sweep.keys()].join(", ")}`);
    }
    return [...by_sweep].reduce((sum, [sweep, marks]) => sum + /** @type {Marks} */ (this.of_sweep.get(sweep)).receive(marks), 0);
  }
}
