// Where each point stands: rows and columns of the axes that the view names. It knows no page.

import { markedSo } from "./marks.js";

/** @typedef {import("./table.js").Table} Table */
/** @typedef {import("./view.js").View} View */

/**
 * A row or a column: the codes of its axes.
 * @typedef {Int32Array} Line
 */

export class Arrangement {
  /** @param {Table} table @param {View} view */
  constructor(table, view) {
    this.table = table;
    this.view = view;
    this.points = filtered(table, view);
    const rows = linesOf(table, view.rows, this.points);
    const columns = linesOf(table, view.columns, this.points);
    this.rows = rows.lines;
    this.columns = columns.lines;
    this.rowOf = rows.of;
    this.columnOf = columns.of;
    /** @type {Map<number, number[]>} */
    this.places = new Map();
    for (const [index, point] of this.points.entries()) {
      const place = rows.of[index] * this.columns.length + columns.of[index];
      const there = this.places.get(place);
      if (there === undefined) this.places.set(place, [point]);
      else there.push(point);
    }
  }

  /**
   * Return the points that stand in one place.
   * @param {number} row
   * @param {number} column
   * @returns {number[]}
   */
  at(row, column) {
    return this.places.get(row * this.columns.length + column) ?? [];
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
  let low = 0;
  let high = points.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (points[middle] === point) return middle;
    if (points[middle] < point) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}

/**
 * Return the points that the view lets through.
 * @param {Table} table
 * @param {View} view
 */
export function filtered(table, view) {
  const wanted = Object.entries(view.only).map(([name, tokens]) => wantedOf(table, name, tokens));
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
  const { numbers, codes, values } = table.axis(name);
  const wanted = new Uint8Array(values.length + 1); // the first is for points without a value
  for (const token of tokens) {
    if (token === "") wanted[0] = 1;
    const number = numbers.get(token);
    if (number !== undefined) wanted[number + 1] = 1;
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
    return (point) => axes.some((axis, number) => hits[number][axis.codes[point]] === true);
  });
}

/** @param {unknown} value @param {string} word */
function has(value, word) {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.toLocaleLowerCase().includes(word);
}

/**
 * Return the lines that points make along some axes, in the grid's order, and the line of each.
 * @param {Table} table
 * @param {string[]} names
 * @param {Int32Array} points
 * @returns {{lines: Line[], of: Int32Array}}
 */
function linesOf(table, names, points) {
  const axes = names.map((name) => table.axis(name));
  const of = new Int32Array(points.length);
  for (const { codes, values } of axes) {
    // Numbered anew at each axis, so that no number outgrows what is exact.
    const keys = new Float64Array(points.length);
    for (let index = 0; index < points.length; index += 1) {
      keys[index] = of[index] * (values.length + 1) + codes[points[index]];
    }
    const distinct = Float64Array.from(new Set(keys)).sort();
    const numbers = new Map();
    for (let number = 0; number < distinct.length; number += 1) numbers.set(distinct[number], number);
    for (let index = 0; index < keys.length; index += 1) of[index] = numbers.get(keys[index]);
  }
  /** @type {Line[]} */
  const lines = [];
  for (let index = 0; index < points.length; index += 1) {
    lines[of[index]] ??= Int32Array.from(axes, ({ codes }) => codes[points[index]]);
  }
  return { lines, of };
}
