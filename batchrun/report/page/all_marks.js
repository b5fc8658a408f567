// The marks of all sweeps on the page. A mark belongs to its cell's own sweep, and is kept by that:
// the sweep's own page shows it, too.
import { Marks, order, parsed } from "./marks.js";

/** @typedef {import("./marks.js").Kind} Kind */
/** @typedef {import("./marks.js").Mark} Mark */
/** @typedef {import("./marks.js").Standing} Standing */

export class AllMarks {
  /**
   * @param {string[]} sweeps
   * @param {() => void} changed
   * @param {{sweep: string, marks: unknown[]}[]} given the marks that the page itself has
   */
  constructor(sweeps, changed, given) {
    const marks = new Map(given.map((each) => [each.sweep, each.marks]));
    this.sweeps = [...new Set(sweeps)];
    this.all = this.sweeps.map((each) => new Marks(each, changed, marks.get(each) ?? []));
    this.places = new Map(this.sweeps.map((each, place) => [each, place]));
  }

  /**
   * Return a cell of one of the sweeps as one word: two nights have cells of one key.
   * @param {string} sweep
   * @param {string} key
   */
  cellIn(sweep, key) {
    return `${this.places.get(sweep)} ${key}`;
  }

  /** @param {string} cell as of `cellIn` @returns {[Marks, string]} */
  at(cell) {
    const space = cell.indexOf(" ");
    return [this.all[Number(cell.slice(0, space))], cell.slice(space + 1)];
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
    return this.all.flatMap((marks) =>
      [...marks.standing.keys()].map((key) => /** @type {[string, number]} */ ([this.cellIn(marks.sweep, key), marks.bitsOf(key)])),
    );
  }

  /** How many cells have a mark of each kind. */
  get counts() {
    const sums = { pick: 0, reject: 0, redo: 0, note: 0 };
    for (const { counts } of this.all) for (const kind of Object.keys(counts)) sums[/** @type {Kind} */ (kind)] += counts[/** @type {Kind} */ (kind)];
    return sums;
  }

  get size() {
    return this.all.reduce((sum, marks) => sum + marks.last.size, 0);
  }

  /** Whether nothing is lost when the page is left. */
  get isSafe() {
    return this.all.every((marks) => marks.isSafe);
  }

  /** All of them were saved as a file. */
  saved() {
    for (const marks of this.all) marks.isSaved = true;
  }

  /** The lines of picks.jsonl. */
  get text() {
    return this.all
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
    const marks = parsed(text);
    const others = marks.filter((mark) => !this.places.has(mark.sweep));
    if (others.length > 0) throw new Error(`${others.length} of its marks are of another sweep, ${others[0].sweep.slice(0, 64)}: this page is of ${this.sweeps.length === 1 ? this.sweeps[0] : `${this.sweeps.length} others`}`);
    const given = new Map(this.all.map((each) => [each, marks.filter((mark) => mark.sweep === each.sweep)]));
    return [...given].reduce((sum, [each, its]) => sum + (its.length === 0 ? 0 : each.receive(its)), 0);
  }
}
