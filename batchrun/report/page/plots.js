// What the shown cells cost, how long their runs worked and waited, by an axis; and their timeline.
import { button, make, refill } from "./dom.js";
import { isOfLabels } from "./labels.js";
import { timelinePlot } from "./strips.js";
import { duration, numberOf, spelled, visible } from "./text.js";

/** @typedef {import("./table.js").Table} Table */
/** @typedef {import("./data.js").Data} Data */
/** @typedef {import("./layout.js").Arrangement} Arrangement */

/** Bars of a plot; more values are one bar of the rest. */
const MOST_BARS = 24;

/**
 * The shown cells with one value of an axis; times are in ms, sorted. *whole* has them of runs whose
 * start isn't known.
 * @typedef {{name: string, runs: number, cost: number, work: number[], queue: number[], whole: number[]}} Bar
 */

export class Plots {
  /** @param {Data} data @param {{by: (axis: string) => void, closed: () => void}} does */
  constructor({ table, head }, does) {
    this.table = table;
    this.head = head;
    this.does = does;
    this.body = make("div", { class: "plots" });
    this.dialog = make("dialog", { class: "plotting", attributes: { "aria-label": "plots of the shown cells" }, on: { close: () => this.dialog.open || does.closed() } }, this.body);
    document.body.append(this.dialog);
  }

  /** @param {string} axis @param {Arrangement} arrangement */
  show(axis, { points }) {
    const { table, head } = this;
    const title = visible(head.label === null ? head.name : `${head.name}@${head.label}`);
    const bars = barsOf(table, points, axis, isOfLabels(head, axis));
    const options = [...new Set(["alias", ...table.varying, axis])].map((name) =>
      make("option", { text: visible(name), attributes: { value: name, ...(name === axis ? { selected: "" } : {}) } }),
    );
    const select = make(
      "select",
      {
        attributes: { "aria-label": "by which axis", "data-key": "plotted axis" },
        on: { change: (event) => this.does.by(event.currentTarget.value) },
      },
      ...options,
    );
    refill(
      this.body,
      make("div", { class: "buttons" }, button("← back", () => this.dialog.close()), make("span", {}, make("bdi", { text: title }), make("span", { text: `: ${numberOf(points.length, "row")}, by` })), select),
      make("h2", { text: "What they cost, in USD" }),
      barPlot("cost", bars, { length: (bar) => bar.cost, said: (bar) => `${usd(bar.cost)} for ${numberOf(bar.runs, "cell")}` }),
      ...timePlots(bars),
      make("h2", { text: "Runs under way and 429s, by the service's clock" }),
      timelinePlot(table, points, head.throttles),
    );
    if (!this.dialog.open) this.dialog.showModal();
  }

  hide() {
    if (this.dialog.open) this.dialog.close();
  }
}

/**
 * Return the sums of the shown points by the values of an axis, in the grid's order. A cell with
 * several rows counts once.
 * @param {Table} table
 * @param {Int32Array} points
 * @param {string} name
 * @param {boolean} isOfTime whether its values are in the order of time: then the oldest are together
 * @returns {Bar[]}
 */
function barsOf(table, points, name, isOfTime) {
  const { values, codes } = table.axis(name);
  const { cost, whole, work, shared } = table;
  /** @type {Map<number, Bar>} */
  const found = new Map();
  for (const point of points) {
    if (shared[point] === 1) continue;
    let bar = found.get(codes[point]);
    if (bar === undefined) found.set(codes[point], (bar = { name: spelled(values[codes[point]]), runs: 0, cost: 0, work: [], queue: [], whole: [] }));
    bar.runs += 1;
    bar.cost += Number.isNaN(cost[point]) ? 0 : cost[point];
    if (work[point] >= 0) {
      bar.work.push(work[point]);
      bar.queue.push(whole[point] - work[point]);
    } else if (whole[point] >= 0) bar.whole.push(whole[point]);
  }
  const bars = [...found.entries()].sort(([a], [b]) => a - b).map(([, bar]) => bar);
  const more = Math.max(0, bars.length - MOST_BARS);
  const rest = bars.splice(isOfTime ? 0 : MOST_BARS, more);
  if (more > 0) bars.splice(isOfTime ? 0 : MOST_BARS, 0, together(rest));
  for (const bar of bars) for (const times of [bar.work, bar.queue, bar.whole]) times.sort((a, b) => a - b);
  return bars;
}

/** @param {Bar[]} bars @returns {Bar} */
function together(bars) {
  const sum = (/** @type {(bar: Bar) => number} */ of) => bars.reduce((all, bar) => all + of(bar), 0);
  const all = (/** @type {(bar: Bar) => number[]} */ of) => bars.flatMap(of);
  return {
    name: numberOf(bars.length, "other value"),
    runs: sum((bar) => bar.runs),
    cost: sum((bar) => bar.cost),
    work: all((bar) => bar.work),
    queue: all((bar) => bar.queue),
    whole: all((bar) => bar.whole),
  };
}

/**
 * Plot how long runs worked and how long they waited before; where the service says of none when its
 * work began, how long they took.
 * @param {Bar[]} bars
 */
function timePlots(bars) {
  const count = (/** @type {(bar: Bar) => number[]} */ of) => bars.reduce((sum, bar) => sum + of(bar).length, 0);
  const [known, unknown] = [count((bar) => bar.work), count((bar) => bar.whole)];
  if (known === 0) return [...timeHead("How long a run took, the queue in it"), timePlot("whole", bars, (bar) => bar.whole)];
  const left = unknown === 0 ? null : make("p", { class: "hint", text: `${numberOf(unknown, "run")} more ended, and when their work began is not known` });
  return [
    ...timeHead("How long a run worked"),
    timePlot("work", bars, (bar) => bar.work),
    ...timeHead("How long it waited in the queue before that"),
    timePlot("queue", bars, (bar) => bar.queue),
    ...(left === null ? [] : [left]),
  ];
}

/** @param {string} text */
function timeHead(text) {
  return [make("h2", { text }), make("p", { class: "hint", text: "median, and 95th percentile" })];
}

/** @param {string} what @param {Bar[]} bars @param {(bar: Bar) => number[]} of */
function timePlot(what, bars, of) {
  const middle = (/** @type {Bar} */ bar) => rank(of(bar), 0.5);
  const slow = (/** @type {Bar} */ bar) => rank(of(bar), 0.95);
  return barPlot(what, bars, {
    length: slow,
    inner: middle,
    said: (bar) => (of(bar).length ? `${duration(middle(bar))}, ${duration(slow(bar))}` : "not known"),
    more: (bar) => (of(bar).length ? `${numberOf(of(bar).length, "run")}, the longest ${duration(rank(of(bar), 1))}` : ""),
  });
}

/** @param {number[]} sorted @param {number} share */
function rank(sorted, share) {
  return sorted.length === 0 ? 0 : sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

/**
 * *inner* is a shorter bar inside, *more* stands in the text that shows where the pointer rests.
 * @typedef {Object} Lengths
 * @property {(bar: Bar) => number} length
 * @property {(bar: Bar) => string} said
 * @property {(bar: Bar) => number} [inner]
 * @property {(bar: Bar) => string} [more]
 */

/** @param {string} what @param {Bar[]} bars @param {Lengths} lengths */
function barPlot(what, bars, { length, said, inner, more }) {
  const most = Math.max(...bars.map(length), Number.MIN_VALUE);
  const rows = bars.map((bar) => {
    const track = make("span", { class: "track", attributes: { "aria-hidden": "true" } });
    for (const [kind, value] of /** @type {[string, number][]} */ ([["whole", length(bar)], ...(inner ? [["inner", inner(bar)]] : [])])) {
      const stripe = make("span", { class: kind });
      stripe.style.width = `${(100 * value) / most}%`;
      track.append(stripe);
    }
    const title = [bar.name, said(bar), more?.(bar) ?? ""].filter(Boolean).join("; ");
    const [name, figure] = [make("span", { class: "name", text: bar.name }), make("span", { class: "figure", text: said(bar) })];
    return make("div", { class: "bar-row", attributes: { role: "listitem", title } }, name, track, figure);
  });
  return make("div", { class: `bars of-${what}`, attributes: { role: "list" } }, ...rows);
}

/** Spell an amount with the digits that it needs. @param {number} amount */
function usd(amount) {
  if (amount >= 1 || amount === 0) return amount.toFixed(2);
  const text = amount.toFixed(6).replace(/0+$/, "");
  return text.length < 4 ? amount.toFixed(2) : text;
}
