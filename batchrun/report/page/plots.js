// What the shown cells took and cost: bars by an axis, and runs under way over time.
import { button, make } from "./dom.js";
import { duration, numberOf, spelled, visible } from "./text.js";

/** @typedef {import("./table.js").Table} Table */
/** @typedef {import("./layout.js").Arrangement} Arrangement */

/** Bars of a plot; more values are one bar of the rest. */
const MOST_BARS = 24;

/** Steps of the line of runs under way. */
const STEPS = 160;

/** @typedef {{name: string, runs: number, cost: number, times: number[]}} Bar */

export class Plots {
  /** @param {Table} table */
  constructor(table) {
    this.table = table;
    this.axis = "alias";
    /** @type {Arrangement | null} */
    this.arrangement = null;
    this.body = make("div", { class: "plots" });
    this.dialog = make("dialog", { class: "plotting", attributes: { "aria-label": "plots of the shown cells" } }, this.body);
    document.body.append(this.dialog);
  }

  /** @param {Arrangement} arrangement */
  show(arrangement) {
    this.arrangement = arrangement;
    this.draw();
    this.dialog.showModal();
  }

  draw() {
    const { table, arrangement } = this;
    if (arrangement === null) return;
    const bars = barsOf(table, arrangement.points, this.axis);
    const options = ["alias", ...table.varying.filter((name) => name !== "alias")].map((name) =>
      make("option", { text: visible(name), attributes: { value: name, ...(name === this.axis ? { selected: "" } : {}) } }),
    );
    const select = make(
      "select",
      {
        attributes: { "aria-label": "by which axis" },
        on: { change: (event) => ((this.axis = event.target.value), this.draw()) },
      },
      ...options,
    );
    this.body.replaceChildren(
      make("div", { class: "buttons" }, button("← back", () => this.dialog.close()), make("span", { text: `${numberOf(arrangement.points.length, "row")}, by` }), select),
      make("h2", { text: "What they cost, in USD" }),
      barPlot(bars, (bar) => bar.cost, (bar) => `${bar.cost.toFixed(2)} for ${numberOf(bar.runs, "cell")}`),
      make("h2", { text: "How long a run took: the middle one, and the slowest of 20" }),
      barPlot(bars, (bar) => rank(bar.times, 0.95), (bar) => (bar.times.length ? `${duration(rank(bar.times, 0.5))}, ${duration(rank(bar.times, 0.95))}` : "not known"), (bar) => rank(bar.times, 0.5)),
      make("h2", { text: "Runs under way, by the service's times" }),
      timeline(table, arrangement.points),
    );
  }
}

/**
 * Return the sums of the shown points by the values of an axis, in the grid's order. A cell with
 * several rows counts once.
 * @param {Table} table
 * @param {Int32Array} points
 * @param {string} name
 * @returns {Bar[]}
 */
function barsOf(table, points, name) {
  const { values, codes } = table.axis(name);
  /** @type {Map<number, Bar>} */
  const bars = new Map();
  for (const point of points) {
    if (table.shared[point] === 1) continue;
    const code = codes[point] >= MOST_BARS ? MOST_BARS : codes[point];
    let bar = bars.get(code);
    if (bar === undefined) {
      const rest = numberOf(values.length - MOST_BARS, "other value");
      bars.set(code, (bar = { name: code === MOST_BARS ? rest : spelled(values[code]), runs: 0, cost: 0, times: [] }));
    }
    bar.runs += 1;
    bar.cost += Number.isNaN(table.cost[point]) ? 0 : table.cost[point];
    if (!Number.isNaN(table.duration[point])) bar.times.push(table.duration[point]);
  }
  const found = [...bars.entries()].sort(([a], [b]) => a - b).map(([, bar]) => bar);
  for (const bar of found) bar.times.sort((a, b) => a - b);
  return found;
}

/** @param {number[]} sorted @param {number} share */
function rank(sorted, share) {
  return sorted.length === 0 ? 0 : sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

/**
 * @param {Bar[]} bars
 * @param {(bar: Bar) => number} length
 * @param {(bar: Bar) => string} said
 * @param {(bar: Bar) => number} [inner]
 */
function barPlot(bars, length, said, inner) {
  const most = Math.max(...bars.map(length), Number.MIN_VALUE);
  const rows = bars.map((bar) => {
    const [row, track] = [make("div", { class: "bar-row" }), make("span", { class: "track" })];
    for (const [kind, value] of /** @type {[string, number][]} */ ([["whole", length(bar)], ...(inner ? [["inner", inner(bar)]] : [])])) {
      const stripe = make("span", { class: kind });
      stripe.style.width = `${(100 * value) / most}%`;
      track.append(stripe);
    }
    row.append(make("span", { class: "name", text: bar.name, attributes: { title: bar.name } }), track, make("span", { text: said(bar) }));
    return row;
  });
  return make("div", { class: "bars" }, ...rows);
}

/** @param {Table} table @param {Int32Array} points */
function timeline(table, points) {
  const runs = [...points].filter((point) => table.shared[point] === 0 && table.created[point] + table.duration[point] >= 0);
  if (runs.length === 0) return make("p", { class: "kind", text: "no run has ended" });
  let [first, last] = [Number.POSITIVE_INFINITY, 0];
  for (const point of runs) {
    first = Math.min(first, table.created[point]);
    last = Math.max(last, table.created[point] + table.duration[point]);
  }
  const step = Math.max(1, (last - first) / STEPS);
  const changes = new Int32Array(STEPS + 2);
  for (const point of runs) {
    changes[Math.floor((table.created[point] - first) / step)] += 1;
    changes[Math.min(STEPS, Math.floor((table.created[point] + table.duration[point] - first) / step)) + 1] -= 1;
  }
  let open = 0;
  const heights = Array.from(changes.subarray(0, STEPS + 1), (change) => (open += change));
  const most = Math.max(...heights);
  const line = heights.map((height, place) => `${place},${(50 - (48 * height) / most).toFixed(2)}`).join(" ");
  const svg = drawn("svg", { viewBox: `0 0 ${STEPS} 52`, preserveAspectRatio: "none", role: "img", "aria-label": `at most ${most} at once` });
  svg.append(drawn("polygon", { points: `0,50 ${line} ${STEPS},50` }));
  return make("figure", {}, svg, make("figcaption", { text: `at most ${most} at once, in ${duration(last - first)}` }));
}

/** @param {string} tag @param {Record<string, string>} attributes */
function drawn(tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}
