// What stands above the columns of the matrix and beside its rows: the values that their cells have.
import { make } from "./dom.js";
import { cut, named, spelled } from "./text.js";

/** @typedef {import("./grid.js").Grid} Grid */
/** @typedef {import("./table.js").Table} Table */

/** Characters of a value there: a prompt may have 100,000. */
const LONGEST_HEAD = 400;

/** Characters of each where more values stand beside tiles than have a line of their own. */
const LONGEST_OF_MANY = 24;

/** Pixels of a line beside tiles. */
const LINE = 21;

/**
 * Return the heads of some columns, and before them the corner with the names of the rows' axes.
 * @param {Grid} grid
 * @param {Table} table
 * @param {number} from
 * @param {number} to
 */
export function headsOf(grid, table, from, to) {
  if (grid.isGallery) return [];
  const { view, columns } = grid.arrangement;
  const corner = head("corner", "columnheader", 1, view.rows.map(spelled), grid.left);
  const heads = [corner];
  for (let column = from; column <= to; column += 1) {
    const texts = textsOf(table, view.columns, columns[column]);
    const element = head("head", "columnheader", column + 2, texts, grid.size);
    element.style.left = `${grid.left + column * grid.size}px`;
    heads.push(element);
  }
  return heads;
}

/**
 * Return the head of a line: a value of each axis can be seen, if there is any room for that.
 * @param {Grid} grid
 * @param {Table} table
 * @param {number} line
 */
export function sideOf(grid, table, line) {
  const { view, rows } = grid.arrangement;
  const texts = textsOf(table, view.rows, rows[line]);
  if (texts.length * LINE <= grid.size - 2 * LINE) return head("side", "rowheader", 1, texts, grid.left);
  const element = head("side many", "rowheader", 1, texts.map((text) => cut(text, LONGEST_OF_MANY)), grid.left);
  element.title = texts.join("\n");
  return element;
}

/** @param {string} kind @param {string} role @param {number} place @param {string[]} texts @param {number} wide */
function head(kind, role, place, texts, wide) {
  const spans = texts.map((text) => make("span", { text }));
  const element = make("div", { class: kind, attributes: { role, "aria-colindex": String(place), title: texts.join("\n") } }, ...spans);
  element.style.width = `${wide}px`;
  return element;
}

/** @param {Table} table @param {string[]} names @param {number} point */
function textsOf(table, names, point) {
  return names.map((name) => cut(named(name, table.value(name, point)), LONGEST_HEAD));
}
