// One place of the matrix: the first of its points, as a small picture or as words.
import { make } from "./dom.js";
import { small } from "./media.js";
import { named, spelled, visible, words } from "./text.js";

/** @typedef {import("./data.js").Data} Data */
/** @typedef {import("./marking.js").Marking} Marking */

/**
 * Return what stands in a place: its content, and its words for who can't see it.
 * @param {Data} data
 * @param {number[]} points
 * @param {string[]} said axes whose values stand on the tile
 * @param {Marking} marking
 * @returns {{label: string, content: Node[]}}
 */
export function tile(data, points, said, marking) {
  const [point] = points;
  const { table } = data;
  const status = String(table.value("status", point));
  const caption = said.map((name) => named(name, table.value(name, point))).join(" · ");
  const cost = table.cost[point];
  const marks = marking.ofTile(point);
  const label = [
    ...["alias", ...said.filter((name) => name !== "alias")].map((name) => spelled(table.value(name, point))),
    words(status),
    ...marks.words,
    Number.isNaN(cost) ? "" : `${cost} USD`,
    table.shared[point] === 1 ? "the same run as an earlier row" : "",
    points.length > 1 ? `1 of ${points.length} here` : "",
  ];
  return {
    label: label.filter(Boolean).join(", "),
    content: [
      ...body(data, point, status, caption),
      ...marks.content,
      ...(caption ? [make("span", { class: "caption", text: caption })] : []),
      ...(table.shared[point] === 1 ? [make("span", { class: "badge same", text: "=", attributes: { title: "the same run as an earlier row" } })] : []),
      ...(points.length > 1 ? [make("span", { class: "badge", text: `${points.length}` })] : []),
    ],
  };
}

/**
 * @param {Data} data
 * @param {number} point
 * @param {string} status
 * @param {string} caption
 * @returns {Node[]}
 */
function body(data, point, status, caption) {
  const details = data.of(point);
  const succeeded = status === "succeeded" || status === "partial_succeeded";
  if (details === null) return [make("span", { class: "kind", text: "…" })];
  const chip = status === "succeeded" ? [] : [make("span", { class: `chip ${status}`, text: words(status) })];
  if (details.files.length > 0) return [small(details.files[0], caption), ...chip];
  if (succeeded) return [make("span", { class: "kind", text: "no file yet" }), ...chip];
  const code = data.table.value("failure_code", point);
  const reason = [code === undefined ? "" : visible(String(code)), visible(details.failure_message ?? "")];
  return [...chip, make("span", { class: "reason", text: reason.filter(Boolean).join(": ") })];
}
