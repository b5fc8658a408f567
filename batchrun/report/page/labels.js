// The sweeps of a page: one, or several of one name side by side, by their labels.
import { button, make } from "./dom.js";
import { moment, numberOf, visible, words } from "./text.js";
import { sizeFor } from "./view.js";

/** @typedef {import("./data.js").Head} Head */
/** @typedef {import("./table.js").Table} Table */
/** @typedef {import("./view.js").View} View */
/** @typedef {(values: Record<string, string>) => void} Only shows the cells that have these values of axes, beside what is chosen */

/**
 * One of the sweeps of a page of several; its points stand behind those of the ones before it.
 * @typedef {Object} Sweep
 * @property {string} sweep its id
 * @property {string | null} label
 * @property {string} value what the axis of labels has for it
 * @property {string} folder
 * @property {number} rows
 * @property {Partial<Record<string, number>>} counts
 * @property {string} cost
 * @property {string | null} first_at
 * @property {string | null} last_at
 * @property {boolean} complete
 * @property {Record<string, string>} models
 * @property {string | null} problem why it isn't there, or not all of it
 */

/** The axis on which they stand side by side. */
const LABEL = "label";

/** How cells stand that need a look, or are still to come. */
const TO_SEE = ["partial_succeeded", "failed", "rejected", "cancelled", "parked", "in_doubt", "pending", "in_flight", "unsaved", "lost"];

/**
 * Return what is known of the sweep of a point: of the page's one where it has no others.
 * @param {Head} head
 * @param {number} point
 * @returns {Pick<Sweep, "sweep" | "folder" | "models">}
 */
export function sweepOf(head, point) {
  let left = point;
  for (const each of head.sweeps) {
    if (left < each.rows) return each;
    left -= each.rows;
  }
  return head;
}

/** Return the ids of the sweeps that have points on the page. @param {Head} head */
export function sweepIds(head) {
  return head.sweeps.length === 0 ? [head.sweep] : head.sweeps.filter((each) => each.rows > 0).map((each) => each.sweep);
}

/** Say whether an axis is that of the labels, which are in the order of time. @param {Head} head @param {string} axis */
export function isOfLabels(head, axis) {
  return head.sweeps.length > 0 && axis === LABEL;
}

/**
 * Return a view with the labels as columns, however many there are: they are what such a page
 * compares. What else was to have columns has rows.
 * @param {View} view
 * @param {Table} table
 * @param {Head} head
 * @returns {View}
 */
export function sideBySide(view, table, head) {
  if (head.sweeps.length === 0 || !table.varying.includes(LABEL)) return view;
  const others = [...view.rows, ...view.columns].filter((name) => name !== LABEL);
  const rows = table.varying.filter((name) => others.includes(name));
  return { ...view, rows, columns: [LABEL], size: sizeFor(table.axis(LABEL).values.length) };
}

/**
 * Return a line for each label: when, how its cells stand, and what they cost.
 * @param {Head} head
 * @param {Only} only
 */
export function labelsTable(head, only) {
  const lines = head.sweeps.map((each) => {
    const text = visible(each.value);
    const [cells, cost] = each.rows === 0 ? ["", ""] : [(each.counts.cells ?? 0).toLocaleString("en"), each.cost];
    return make(
      "tr",
      {},
      make("th", { attributes: { scope: "row" } }, each.rows === 0 ? make("bdi", { text }) : button(text, () => only({ [LABEL]: each.value }), { title: `show only ${text}` })),
      make("td", { text: moment(each.first_at).slice(0, 16) }),
      make("td", { class: "number", text: cells }),
      make("td", { class: "number", text: cost }),
      make("td", { text: standing(each) }),
    );
  });
  const heads = ["label", "began (UTC)", "cells", "USD", "how they stand"].map((text, place) =>
    make("th", { text, class: place === 2 || place === 3 ? "number" : "", attributes: { scope: "col" } }),
  );
  const troubled = head.sweeps.filter((each) => each.problem !== null).length;
  const summary = make("summary", { class: troubled > 0 ? "troubled" : "", text: `${numberOf(head.sweeps.length, "label")}${troubled > 0 ? `, ${troubled} with a problem` : ""}` });
  return make("details", { class: "labels" }, summary, make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...lines)));
}

/** @param {Sweep} sweep */
function standing({ counts, problem, rows }) {
  const seen = TO_SEE.map((name) => ({ name, count: counts[name] ?? 0 })).filter(({ count }) => count > 0).map(({ name, count }) => `${count.toLocaleString("en")} ${words(name)}`);
  const stands = rows === 0 ? [] : seen.length > 0 ? seen : ["all succeeded"];
  return [...(problem === null ? [] : [visible(problem)]), ...stands].join(", ");
}
