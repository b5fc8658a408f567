// What is shown, and how: kept in the page's address, so that a view is a link.
import { oneGroup, parted } from "./groups.js";
import { BITS, NONE } from "./marks.js";

/** @typedef {import("./table.js").Table} Table */

/**
 * *only* has, by axis, the values that are shown, spelled as JSON; "" stands for none.
 * @typedef {Object} View
 * @property {string[]} rows
 * @property {string[]} columns
 * @property {string | null} tab
 * @property {string | null} at the value of the tab's axis that is shown, as JSON
 * @property {Partial<Record<string, string[]>>} only
 * @property {number | null} low USD
 * @property {number | null} high
 * @property {string} search
 * @property {string[]} marks kinds of marks of which a cell has one; "none" stands for none
 * @property {number} size of a tile, in pixels
 * @property {number | null} open the point that is shown large
 * @property {number | null} beside the one that it is compared with
 * @property {string | null} plot the axis that the plots are by, while they are shown
 */

export const SIZES = [96, 128, 168, 224, 320];

/** The most columns that are laid out unasked. */
const WIDE = 8;

/**
 * Return the view that a page opens with: no two points in one place, if that can be had.
 * @param {Table} table
 * @returns {View}
 */
export function firstView(table) {
  const split = splitting(table);
  const sizes = new Map(split.map((name) => [name, table.axis(name).values.length]));
  /** @type {string[]} */
  const columns = [];
  let wide = 1;
  for (const name of [...split].sort((a, b) => Number(b === "alias") - Number(a === "alias") || size(a) - size(b))) {
    if (wide * size(name) > (isNarrow() ? 3 : WIDE)) break;
    if (columns.length === split.length - 1 && split.length > 1) break;
    columns.push(name);
    wide *= size(name);
  }
  const rows = split.filter((name) => !columns.includes(name));
  const placed = rows.length === 0 ? { rows: columns, columns: [] } : { rows, columns };
  const none = { tab: null, at: null, only: showingOnly(null, "", []), low: null, high: null, search: "", marks: [], open: null, beside: null, plot: null };
  return { ...placed, ...none, size: placed.columns.length === 0 ? 168 : sizeFor(wide) };

  /** @param {string} name */
  function size(name) {
    return sizes.get(name) ?? 1;
  }
}

function isNarrow() {
  return window.innerWidth < 640;
}

/** Return the size of tiles of which so many stand side by side on the screen, if they can. @param {number} wide */
export function sizeFor(wide) {
  const room = window.innerWidth - (isNarrow() ? 84 : 500);
  return SIZES.filter((each) => each <= 224 && each * wide <= room).pop() ?? (isNarrow() ? 96 : 128);
}

/**
 * Return the axes in which points differ, none that follows from those before it, and none that
 * only some models have.
 * @param {Table} table
 */
function splitting(table) {
  /** @type {string[]} */
  const found = [];
  let groups = oneGroup(table.length);
  for (const name of table.varying) {
    const { codes, values } = table.axis(name);
    if (codes.includes(-1)) continue;
    const parts = parted(groups, values.length, (point) => codes[point]);
    if (parts.count === groups.count) continue;
    groups = parts;
    found.push(name);
  }
  return found;
}

/**
 * Return what is shown with other values of one axis; none of them stands for all. An axis may be
 * called `constructor`: the object has no names but those of axes.
 * @param {View["only"] | null} only
 * @param {string} name
 * @param {string[]} values
 * @returns {View["only"]}
 */
export function showingOnly(only, name, values) {
  /** @type {View["only"]} */
  const next = Object.assign(/** @type {object} */ (nothing()), only);
  if (values.length > 0) next[name] = values;
  else delete next[name];
  return next;
}

/** Return an object that has nothing, not even what each object has. @returns {unknown} */
function nothing() {
  return Object.create(null);
}

/** @param {View} view */
export function hashOf(view) {
  const words = new URLSearchParams();
  for (const name of view.rows) words.append("row", name);
  for (const name of view.columns) words.append("column", name);
  if (view.tab !== null) words.set("tab", view.tab);
  if (view.at !== null) words.set("at", view.at);
  for (const [name, values] of Object.entries(view.only)) {
    for (const value of values ?? []) words.append(`only.${name}`, value);
  }
  if (view.low !== null) words.set("from", String(view.low));
  if (view.high !== null) words.set("to", String(view.high));
  for (const kind of view.marks) words.append("mark", kind);
  if (view.search) words.set("search", view.search);
  words.set("size", String(view.size));
  if (view.open !== null) words.set("open", String(view.open));
  if (view.beside !== null) words.set("beside", String(view.beside));
  if (view.plot !== null) words.set("plot", view.plot);
  return `#${words}`;
}

/**
 * Return the view of an address; what it names and the sweep doesn't have is left out, and what it
 * doesn't name is as the page opens.
 * @param {string} hash
 * @param {Table} table
 * @param {View} opening
 * @returns {View}
 */
export function viewOf(hash, table, opening) {
  const words = new URLSearchParams(hash.slice(1));
  const view = { ...opening, only: showingOnly(opening.only, "", []) };
  if (words.has("size")) {
    view.rows = known(words.getAll("row"));
    view.columns = known(words.getAll("column")).filter((name) => !view.rows.includes(name));
    view.tab = known(words.getAll("tab")).at(0) ?? null;
    view.at = view.tab === null ? null : words.get("at");
  }
  for (const name of new Set(words.keys())) {
    if (name.startsWith("only.") && table.axes.has(name.slice(5))) view.only[name.slice(5)] = words.getAll(name);
  }
  view.low = amount(words.get("from"));
  view.high = amount(words.get("to"));
  view.marks = words.getAll("mark").filter((word) => word === NONE || Object.hasOwn(BITS, word));
  view.search = words.get("search") ?? "";
  const size = Number(words.get("size"));
  if (SIZES.includes(size)) view.size = size;
  view.open = point(words.get("open"));
  view.beside = view.open === null ? null : point(words.get("beside"));
  view.plot = known(words.getAll("plot"))[0] ?? null;
  return view;

  /** @param {string[]} names */
  function known(names) {
    return [...new Set(names)].filter((name) => table.axes.has(name));
  }

  /** @param {string | null} word */
  function point(word) {
    const number = Number(word);
    return word !== null && /^\d+$/.test(word) && number < table.length ? number : null;
  }
}

/** @param {string | null} word */
export function amount(word) {
  const number = Number(word);
  return word === null || word === "" || !Number.isFinite(number) ? null : number;
}
