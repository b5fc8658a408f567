// How many runs were under way, and how many requests met a 429, over time. It knows no page.
// Pauses are cut out: a sweep of several nights is a stretch for each. All times are in ms.

/** @typedef {import("./table.js").Table} Table */
/** @typedef {import("./data.js").Head["throttles"]} Throttles */

/** Steps of a stretch. */
export const STEPS = 160;

/** The most stretches; more pauses stay in. */
const MOST = 12;

/** A pause that is cut out takes so much at least. */
const PAUSE = 60_000;

/** And so much of the time in which something was under way. */
const PART = 0.1;

/**
 * A time in which something was under way. *open* and *busy* are the most runs at once in each step,
 * *refused* the requests that met a 429 in each piece of *width*, numbered from *from* on.
 * @typedef {Object} Stretch
 * @property {number} from
 * @property {number} to
 * @property {number} runs
 * @property {number[]} open runs under way: created, and not at their end
 * @property {number[]} busy of these, those whose work has started
 * @property {Map<number, number>} refused
 * @property {number} width
 */

/** @typedef {{starts: Float64Array, ends: Float64Array}} Spans each sorted for itself */

/**
 * Return the stretches of the shown points. 429s are of all requests; where cells are filtered out,
 * only those are taken that came while shown runs went on.
 * @param {Table} table
 * @param {Int32Array} points
 * @param {Throttles} throttles
 * @returns {Stretch[]}
 */
export function stretchesOf(table, points, throttles) {
  const { created, whole, work, shared } = table;
  const ended = points.filter((point) => shared[point] !== 1 && created[point] + whole[point] >= 0);
  const worked = ended.filter((point) => work[point] >= 0);
  const open = spans(ended, (point) => created[point], (point) => created[point] + whole[point]);
  const busy = spans(worked, (point) => created[point] + whole[point] - work[point], (point) => created[point] + whole[point]);
  const isAll = points.length === table.length;
  const counts = throttles.counts.filter(([at]) => isAll || (at + throttles.step >= open.starts[0] && at <= open.ends[open.ends.length - 1]));
  const places = counts.map((_, place) => place);
  const steps = spans(places, (place) => counts[place][0], (place) => counts[place][0] + throttles.step);
  const marks = { open: { at: 0, to: 0 }, busy: { at: 0, to: 0 } };
  return withoutPauses(open, steps).map(([from, to]) => {
    const step = (to - from) / STEPS;
    const before = marks.open.at;
    const heights = { open: peaks(open, marks.open, from, step), busy: peaks(busy, marks.busy, from, step) };
    const width = Math.max(throttles.step, step);
    /** @type {Map<number, number>} */
    const refused = new Map();
    for (const [at, count] of counts) {
      if (at < from || at >= to) continue;
      const piece = Math.floor((at - from) / width);
      refused.set(piece, (refused.get(piece) ?? 0) + count);
    }
    return { from, to, runs: marks.open.at - before, ...heights, refused, width };
  });
}

/**
 * @template {number} Item
 * @param {ArrayLike<Item>} items
 * @param {(item: Item) => number} start
 * @param {(item: Item) => number} end
 * @returns {Spans} each of a millisecond at least
 */
function spans(items, start, end) {
  const starts = Float64Array.from(items, start).sort();
  return { starts, ends: Float64Array.from(items, (item) => Math.max(end(item), start(item) + 1)).sort() };
}

/**
 * Return from when to when there was something, with short pauses left in.
 * @param {...Spans} of
 * @returns {[number, number][]}
 */
function withoutPauses(...of) {
  const starts = Float64Array.from(of.flatMap((each) => [...each.starts])).sort();
  const ends = Float64Array.from(of.flatMap((each) => [...each.ends])).sort();
  if (starts.length === 0) return [];
  /** Where so many have ended as have begun, there is a pause before the next. @type {[number, number][]} */
  const pauses = [];
  for (let place = 1; place < starts.length; place += 1) {
    if (ends[place - 1] < starts[place]) pauses.push([ends[place - 1], starts[place]]);
  }
  const last = ends[ends.length - 1];
  const length = (/** @type {[number, number]} */ [from, to]) => to - from;
  const going = last - starts[0] - pauses.reduce((sum, each) => sum + length(each), 0);
  const long = pauses.filter((each) => length(each) > Math.max(PAUSE, PART * going));
  const longest = [...long].sort((a, b) => length(b) - length(a)).slice(0, MOST - 1);
  const kept = longest.sort(([a], [b]) => a - b);
  return [starts[0], ...kept.map(([, to]) => to)].map((from, place) => [from, place < kept.length ? kept[place][0] : last]);
}

/**
 * Return the most spans at once in each step of a stretch, and go on with the next one from there.
 * @param {Spans} spans
 * @param {{at: number, to: number}} mark how many have begun, and how many have ended
 * @param {number} from
 * @param {number} step
 */
function peaks({ starts, ends }, mark, from, step) {
  return Array.from({ length: STEPS }, (_, number) => {
    const until = number === STEPS - 1 ? from + STEPS * step + 0.5 : from + (number + 1) * step;
    close(from + number * step);
    let most = mark.at - mark.to;
    while (starts[mark.at] < until) {
      close(starts[mark.at]);
      mark.at += 1;
      most = Math.max(most, mark.at - mark.to);
    }
    return most;
  });

  /** @param {number} at */
  function close(at) {
    while (ends[mark.to] <= at) mark.to += 1;
  }
}

/** Lengths between which marks of a time axis may stand, in ms. */
const BETWEEN = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800].map((seconds) => seconds * 1000);

/**
 * Return round times between two, five at most.
 * @param {number} from
 * @param {number} to
 */
export function roundTimes(from, to) {
  const between = BETWEEN.find((each) => (to - from) / each <= 5) ?? (to - from) / 5;
  const times = [];
  for (let at = Math.ceil(from / between) * between; at <= to; at += between) times.push(at);
  return { times, between };
}
