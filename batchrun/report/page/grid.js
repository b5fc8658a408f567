// Where the places of the matrix are, in pixels: lines of tiles below each other, heads beside and
// above them. Without columns it is a gallery, whose lines break where the window ends. It knows no page.

/** @typedef {import("./layout.js").Arrangement} Arrangement */
/** @typedef {{first: number, last: number, from: number, to: number}} Part lines and columns, both ends included */

/** Pixels that browsers lay out exactly, and some to spare; a longer matrix scrolls faster. */
const TALLEST = 8_000_000;

/** Tiles beyond the edge of the screen that are there already. */
export const SPARE = 1;

export class Grid {
  /**
   * @param {Arrangement} arrangement
   * @param {number} wide pixels of the window that it is seen through
   * @param {number} high
   * @param {number} [size] pixels of a tile: those of the view
   */
  constructor(arrangement, wide, high, size = arrangement.view.size) {
    const { rows, columns, view } = arrangement;
    this.arrangement = arrangement;
    this.wide = wide;
    this.high = high;
    this.size = size;
    this.isGallery = view.columns.length === 0;
    /** Pixels of the heads. */
    this.left = this.isGallery ? 0 : Math.min(220, Math.max(84, Math.floor(wide / 5)));
    this.top = this.isGallery ? 0 : 6 + 18 * view.columns.length;
    this.across = this.isGallery ? Math.max(1, Math.floor(wide / this.size)) : columns.length;
    this.lines = this.isGallery ? Math.ceil(rows.length / this.across) : rows.length;
  }

  /** How many rows and columns of heads stand before those of cells. */
  get headed() {
    return this.isGallery ? 0 : 1;
  }

  /** Pixels of all, as they are scrolled. */
  get height() {
    return this.top + Math.min(TALLEST, this.lines * this.size);
  }

  get width() {
    return this.left + this.across * this.size;
  }

  /** How far the matrix goes down for each pixel that is scrolled. */
  get pace() {
    const full = this.lines * this.size;
    return full <= TALLEST ? 1 : (full - this.high + this.top) / (this.top + TALLEST - this.high);
  }

  /**
   * Return the place of a row and a column of the arrangement.
   * @param {number} row
   * @param {number} column
   * @returns {[line: number, column: number]}
   */
  place(row, column) {
    return this.isGallery ? [Math.floor(row / this.across), row % this.across] : [row, column];
  }

  /**
   * Return the row and the column of the arrangement that a place shows.
   * @param {number} line
   * @param {number} column
   * @returns {[row: number, column: number]}
   */
  spot(line, column) {
    return this.isGallery ? [line * this.across + column, 0] : [line, column];
  }

  /**
   * Return what is seen of a matrix that is scrolled so far, and a little more.
   * @param {number} down
   * @param {number} right
   * @returns {Part}
   */
  seen(down, right) {
    return {
      first: Math.max(0, Math.floor(down / this.size) - SPARE),
      last: Math.min(this.lines - 1, Math.floor((down + this.high) / this.size) + SPARE),
      from: Math.max(0, Math.floor(right / this.size) - SPARE),
      to: Math.min(this.across - 1, Math.floor((right + this.wide) / this.size) + SPARE),
    };
  }
}
