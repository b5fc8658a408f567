// The sweep as a whole: its name, how its cells stand, what it cost, what is still open.
import { button, make } from "./dom.js";
import { labelsTable } from "./labels.js";
import { duration, moment, numberOf, visible, words } from "./text.js";

/** @typedef {import("./data.js").Head} Head */

const STANDINGS = ["succeeded", "partial_succeeded", "failed", "rejected", "cancelled", "parked", "in_doubt", "pending", "in_flight"];

/**
 * @param {HTMLElement} host
 * @param {Head} head
 * @param {(name: string, value: string) => void} only
 */
export function showHead(host, head, only) {
  const { counts } = head;
  const countOf = (/** @type {string} */ name) => counts[name] ?? 0;
  const standings = STANDINGS.filter((name) => countOf(name) > 0).map((name) =>
    button(`${countOf(name).toLocaleString("en")} ${words(name)}`, () => only("status", name), { class: `chip ${name}`, title: "show only these" }),
  );
  const took = head.first_at && head.last_at ? Date.parse(head.last_at) - Date.parse(head.first_at) : Number.NaN;
  const open = ["pending", "in_flight", "parked", "in_doubt", "unsaved"].reduce((sum, name) => sum + countOf(name), 0);
  const facts = [
    numberOf(countOf("cells"), "cell"),
    `${head.cost} USD`,
    Number.isNaN(took) ? "" : `${duration(took)} since ${moment(head.first_at)}`,
    numberOf(head.calls, "call"),
    open > 0 ? `${open.toLocaleString("en")} still open` : "nothing open",
    counts.lost ? `${numberOf(counts.lost, "cell")} with a lost file` : "",
    counts.folded ? `${numberOf(counts.folded, "row")} share a run` : "",
    head.undrawn ? `${numberOf(head.undrawn, "picture")} without a thumbnail: \`batchrun report\` makes them` : "",
    `as of ${moment(head.written_at)} UTC`,
    head.simulated ? "made by the simulator: nothing here is real" : "",
  ];
  host.replaceChildren(
    make("h1", {}, make("bdi", { text: visible(head.name) }), head.label === null ? null : make("bdi", { class: "label", text: `@${visible(head.label)}` }), head.sweeps.length === 0 ? null : make("span", { class: "label", text: " by label" })),
    make("p", { class: "standings" }, ...standings),
    make("p", { class: "sums" }, ...facts.filter(Boolean).map((text) => make("span", { text }))),
    ...(head.complete || !head.next ? [] : [make("p", { class: "next", text: visible(head.next) })]),
    ...(head.sweeps.length > 0 ? [labelsTable(head, only)] : []),
    ...(head.failures.length > 0 ? [failures(head, only)] : []),
  );
}

/** @param {Head} head @param {(name: string, value: string) => void} only */
function failures(head, only) {
  const lines = head.failures.slice(0, 50).map((each) =>
    make(
      "li",
      {},
      button(`${each.count.toLocaleString("en")} ${visible(each.alias)}: ${visible(each.code)}`, () => only("failure_code", each.code)),
      make("span", { text: ` ${visible(each.message)}` }),
    ),
  );
  const sum = head.failures.reduce((count, each) => count + each.count, 0);
  return make("details", { class: "failures" }, make("summary", { text: `why ${numberOf(sum, "cell")} failed` }), make("ul", {}, ...lines));
}
