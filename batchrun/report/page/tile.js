// One place of the matrix: the first of its points, as a small picture or as words.
import { make } from "./dom.js";
import { small } from "./media.js";
import { cut, named, spelled, visible, words } from "./text.js";

/** @typedef {import("./data.js").Data} Data */
/** @typedef {import("./marking.js").Marking} Marking */

/** Characters of a value or a reason that a tile has room for. */
const LONGEST_WORDS = 400;

/**
 * Return what stands in a place. It can be seen, or only be heard where it is seen otherwise.
 * @param {Data} data
 * @param {number[]} points
 * @param {string[]} said axes whose values stand on the tile
 * @param {Marking} marking
 * @returns {Node[]}
 */
export function tile(data, points, said, marking) {
  const [point] = points;
  const { table } = data;
  const status = String(table.value("status", point));
  const caption = said.map((name) => cut(named(name, table.value(name, point)), LONGEST_WORDS)).join(" · ");
  const cost = table.cost[point];
  const marks = marking.ofTile(point);
  const isShared = table.shared[point] === 1;
  const before = [said.includes("alias") ? "" : spelled(table.value("alias", point)), status === "succeeded" ? "succeeded" : ""];
  const after = [
    ...marks.words,
    Number.isNaN(cost) ? "" : `${cost} USD`,
    isShared ? "the same run as an earlier row" : "",
    points.length > 1 ? `1 of ${points.length} here` : "",
  ];
  return [
    heard(before),
    ...body(data, point, status),
    ...marks.content,
    ...(caption ? [make("span", { class: "caption", text: caption, attributes: { title: caption } })] : []),
    ...(isShared ? [badge("=", "badge same", "the same run as an earlier row")] : []),
    ...(points.length > 1 ? [badge(`${points.length}`, "badge", "cells behind each other")] : []),
    heard(after),
  ];
}

/** Return words for who can't see. @param {string[]} words */
export function heard(words) {
  return make("span", { class: "heard", text: words.filter(Boolean).join(", ") });
}

/** @param {string} text @param {string} kind @param {string} title */
function badge(text, kind, title) {
  return make("span", { class: kind, text, attributes: { title, "aria-hidden": "true" } });
}

/**
 * @param {Data} data
 * @param {number} point
 * @param {string} status
 * @returns {Node[]}
 */
function body(data, point, status) {
  const details = data.of(point);
  const succeeded = status === "succeeded" || status === "partial_succeeded";
  if (details === null) return [make("span", { class: "kind", text: data.lack(point) })];
  const chip = status === "succeeded" ? [] : [make("span", { class: `chip ${status}`, text: words(status) })];
  if (details.files.length > 0) return [small(details.files[0]), ...chip];
  if (succeeded) return [make("span", { class: "kind", text: "no file yet" }), ...chip];
  const code = data.table.value("failure_code", point);
  const reason = [typeof code === "string" ? visible(code) : "", visible(details.failure_message ?? "")];
  return [...chip, make("span", { class: "reason", text: cut(reason.filter(Boolean).join(": "), LONGEST_WORDS) })];
}
