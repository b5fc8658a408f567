// Where each point stands: rows and columns of the axes that the view names. It knows no page.

import { gathered, oneGroup, parted } from "./groups.js";
import { markedSo } from "./marks.js";

/** @typedef {import("./groups.js").Groups} Groups */
/** @typedef {import("./table.js").Table} Table */
/** @typedef {import("./view.js").View} View */

export class Arrangement {
  /** @param {Table} table @param {View} view */
  constructor(table, view) {
    this.table = table;
    this.view = view;
    this.points = filtered(table, view);
    const rows = linesOf(table, view.rows, this.points);
    const columns = linesOf(table, view.columns, this.points);
    /** A point of each row: its values are those of the row. */
    this.rows = rows.points;
    this.columns = columns.points;
    this.rowOf = rows.of;
    this.columnOf = columns.of;
    // By row, in a row by column, in a place as they come.
    this.places = gathered(rows, gathered(columns).indices);
  }

  /**
   * Return the points that stand in one place.
   * @param {number} row
   * @param {number} column
   * @returns {number[]}
   */
  at(row, column) {
    if (row >= this.rows.length) return [];
    const { starts, indices } = this.places;
    const columnAt = (/** @type {number} */ place) => this.columnOf[indices[place]];
    const end = starts[row + 1];
    let place = firstFrom(column, starts[row], end, columnAt);
    /** @type {number[]} */
    const found = [];
    for (; place < end && columnAt(place) === column; place += 1) found.push(this.points[indices[place]]);
    return found;
  }

  /**
   * Return the row and the column of a point; null where it is filtered out.
   * @param {number} point
   * @returns {[number, number] | null}
   */
  placeOf(point) {
    const index = indexOf(this.points, point);
    return index < 0 ? null : [this.rowOf[index], this.columnOf[index]];
  }

  /**
   * Return the next point from a point's place that way, over places without any.
   * @param {number} point
   * @param {number} down
   * @param {number} right
   */
  beyond(point, down, right) {
    const place = this.placeOf(point);
    if (place === null) return null;
    let [row, column] = place;
    for (;;) {
      row += down;
      column += right;
      if (row < 0 || column < 0 || row >= this.rows.length || column >= this.columns.length) return null;
      const there = this.at(row, column);
      if (there.length > 0) return there[0];
    }
  }
}

/** @param {Int32Array} points ascending @param {number} point */
function indexOf(points, point) {
  const index = firstFrom(point, 0, points.length, (each) => points[each]);
  return points[index] === point ? index : -1;
}

/**
 * Return the first index from *low* to below *high* whose value is at least *wanted*; *high* if none is.
 * @param {number} wanted
 * @param {number} low
 * @param {number} high
 * @param {(index: number) => number} valueAt ascending
 */
function firstFrom(wanted, low, high, valueAt) {
  while (low < high) {
    const middle = (low + high) >> 1;
    if (valueAt(middle) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Return the points that the view lets through.
 * @param {Table} table
 * @param {View} view
 */
export function filtered(table, view) {
  const wanted = Object.entries(view.only).map(([name, tokens]) => wantedOf(table, name, tokens ?? []));
  if (view.tab !== null && view.at !== null) wanted.push(wantedOf(table, view.tab, [view.at]));
  if (view.marks.length > 0) wanted.push(markedSo(table.marked, view.marks));
  if (view.search) wanted.push(...found(table, view.search));
  const points = new Int32Array(table.length);
  let count = 0;
  for (let point = 0; point < table.length; point += 1) {
    if (isWanted(point)) points[count++] = point;
  }
  return points.subarray(0, count);

  /** @param {number} point */
  function isWanted(point) {
    if (view.low !== null && !(table.cost[point] >= view.low)) return false;
    if (view.high !== null && !(table.cost[point] <= view.high)) return false;
    return wanted.every((each) => each(point));
  }
}

/** @typedef {(point: number) => boolean} Wanted */

/**
 * @param {Table} table
 * @param {string} name
 * @param {string[]} tokens
 * @returns {Wanted}
 */
function wantedOf(table, name, tokens) {
  const { tokens: known, codes, values } = table.axis(name);
  const wanted = new Uint8Array(values.length + 1); // the first is for points without a value
  for (const token of tokens) {
    if (token === "") wanted[0] = 1;
    const number = known.indexOf(token);
    if (number >= 0) wanted[number + 1] = 1;
  }
  return (point) => wanted[codes[point] + 1] === 1;
}

/**
 * Return what finds each word of a search in a value of any axis.
 * @param {Table} table
 * @param {string} search
 * @returns {Wanted[]}
 */
function found(table, search) {
  const axes = [...table.axes.values()].filter((axis) => axis.values.length > 0);
  const words = search.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  return words.map((word) => {
    const hits = axes.map((axis) => axis.values.map((value) => has(value, word)));
    return (point) => axes.some((axis, number) => hits[number][axis.codes[point]]);
  });
}

/** @param {unknown} value @param {string} word */
function has(value, word) {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.toLocaleLowerCase().includes(word);
}

/**
 * Return the lines that points make along some axes, in the grid's order: the line of each point, and
 * a point of each line.
 * @param {Table} table
 * @param {string[]} names
 * @param {Int32Array} points
 * @returns {Groups & {points: Int32Array}}
 */
function linesOf(table, names, points) {
  let groups = oneGroup(points.length);
  for (const { codes, values } of names.map((name) => table.axis(name))) {
    groups = parted(groups, values.length, (index) => codes[points[index]]);
  }
  const lines = new Int32Array(groups.count);
  for (let index = 0; index < points.length; index += 1) lines[groups.of[index]] = points[index];
  return { ...groups, points: lines };
}
