// Draws a timeline: a strip for each stretch, with its figures above, and those of a moment below.
import { make } from "./dom.js";
import { duration, numberOf } from "./text.js";
import { STEPS, roundTimes, stretchesOf } from "./timeline.js";

/** @typedef {import("./table.js").Table} Table */
/** @typedef {import("./timeline.js").Stretch} Stretch */
/** @typedef {import("./timeline.js").Throttles} Throttles */

/** The part of a strip up to which a mark of its time axis has room for its text. */
const LABELLED = 0.82;

/** Height of a drawing, in its own units. */
const HIGH = 100;

/**
 * @param {Table} table
 * @param {Int32Array} points
 * @param {Throttles} throttles
 * @returns {HTMLElement}
 */
export function timelinePlot(table, points, throttles) {
  const stretches = stretchesOf(table, points, throttles);
  if (stretches.length === 0) return make("p", { class: "kind", text: "no run has ended" });
  const most = { open: highest(stretches.flatMap((each) => each.open)), refused: highest(stretches.flatMap((each) => [...each.refused.values()].map((count) => count / each.width))) };
  const strips = stretches.flatMap((each, place) => {
    const pause = place === 0 ? 0 : each.from - stretches[place - 1].to;
    const gap = make("p", { class: "gap", text: `nothing for ${duration(pause)}` });
    return pause > 0 ? [gap, strip(each, place, most)] : [strip(each, place, most)];
  });
  const isUnknown = points.some((point) => table.whole[point] >= 0 && Number.isNaN(table.work[point]));
  /** @type {[kind: string, text: string, is: boolean][]} */
  const kinds = [
    ["busy", "runs in work", stretches.some((each) => highest(each.busy) > 0)],
    ["open", isUnknown ? "in the queue, or not known whether" : "in the queue", most.open > 0],
    ["refused", "429s, of all requests", most.refused > 0],
  ];
  const legend = kinds.filter(([, , is]) => is).map(([kind, text]) => make("span", { class: `legend ${kind}`, text }));
  return make("div", { class: "timeline" }, make("p", { class: "legends" }, ...legend), ...strips);
}

/**
 * *most* is the height of all strips: runs at once, and 429s a millisecond.
 * @param {Stretch} stretch
 * @param {number} place
 * @param {{open: number, refused: number}} most
 */
function strip(stretch, place, most) {
  const caption = make("figcaption", { text: figures(stretch), attributes: { id: `strip-${place}` } });
  const said = make("p", { class: "moment", attributes: { "aria-hidden": "true" } });
  const runs = drawn(
    "svg",
    { class: "runs", viewBox: `0 0 ${STEPS} ${HIGH}`, preserveAspectRatio: "none", role: "img", "aria-labelledby": caption.id },
    area("open", stretch.open, most.open),
    area("busy", stretch.busy, most.open),
  );
  const lanes = most.refused > 0 ? [runs, refusals(stretch, most.refused)] : [runs];
  const field = make("div", { class: "field-of-time" }, ...lanes, ticks(stretch), cursor(stretch, said));
  return make("figure", { class: "strip" }, caption, scale(most), field, said);
}

/** @param {{open: number, refused: number}} most */
function scale(most) {
  const texts = [most.open.toLocaleString("en"), "0"];
  if (most.refused > 0) texts.push(`${Math.round(most.refused * 60_000).toLocaleString("en")}/min`);
  return make("div", { class: "scale", attributes: { "aria-hidden": "true" } }, ...texts.map((text) => make("span", { text })));
}

/** @param {Stretch} stretch */
function ticks({ from, to }) {
  const { times, between } = roundTimes(from, to);
  const marks = times.map((time) => {
    const share = (time - from) / (to - from);
    const mark = make("span", { text: share < LABELLED ? clock(time, between) : "" });
    mark.style.left = `${100 * share}%`;
    return mark;
  });
  return make("div", { class: "ticks", attributes: { "aria-hidden": "true" } }, ...marks);
}

/**
 * Return what is moved along a strip, by the pointer or by arrows; the figures there are *said*.
 * @param {Stretch} stretch
 * @param {HTMLElement} said
 */
function cursor(stretch, said) {
  const line = make("span");
  const range = { "aria-valuemin": "0", "aria-valuemax": String(STEPS - 1), "aria-valuenow": "0", "aria-valuetext": at(stretch, 0.5 / STEPS) };
  let step = 0;
  const layer = make(
    "div",
    {
      class: "cursor",
      attributes: { role: "slider", tabindex: "0", "aria-label": "the figures of a moment", ...range },
      on: { pointermove: point, pointerdown: point, pointerleave: leave, focus: () => show((step + 0.5) / STEPS), blur: leave, keydown: walk },
    },
    line,
  );
  return layer;

  /** @param {number} share of the strip's width */
  function show(share) {
    step = Math.floor(share * STEPS);
    layer.classList.add("at");
    layer.setAttribute("aria-valuenow", String(step));
    layer.setAttribute("aria-valuetext", at(stretch, share));
    line.style.left = `${100 * share}%`;
    said.textContent = at(stretch, share);
  }

  function leave() {
    layer.classList.remove("at");
  }

  /** @param {PointerEvent} event */
  function point(event) {
    const box = layer.getBoundingClientRect();
    show(Math.min(0.9999, Math.max(0, (event.clientX - box.left) / box.width)));
  }

  /** @param {KeyboardEvent} event */
  function walk(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1, PageDown: -10, PageUp: 10, Home: -STEPS, End: STEPS }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    show((Math.min(STEPS - 1, Math.max(0, step + by)) + 0.5) / STEPS);
  }
}

/** Say what is on one place of a strip. @param {Stretch} stretch @param {number} share of its width */
function at(stretch, share) {
  const step = Math.floor(share * STEPS);
  const time = stretch.from + share * (stretch.to - stretch.from);
  const refused = stretch.refused.get(Math.floor((time - stretch.from) / stretch.width)) ?? 0;
  const met = refused > 0 ? `; ${numberOf(refused, "request")} met a 429 within ${duration(stretch.width)}` : "";
  return `${clock(time, 0)} UTC: ${stretch.open[step].toLocaleString("en")} under way, ${stretch.busy[step].toLocaleString("en")} of them in work${met}`;
}

/** Say the figures of a whole stretch. @param {Stretch} stretch */
function figures(stretch) {
  const refused = [...stretch.refused.values()].reduce((sum, count) => sum + count, 0);
  const [from, to] = [whenOf(stretch.from), whenOf(stretch.to)];
  const until = from.slice(0, 10) === to.slice(0, 10) ? to.slice(11) : to;
  const busy = highest(stretch.busy);
  const parts = [
    `${from} to ${until} UTC, ${duration(stretch.to - stretch.from)}`,
    stretch.runs === 0 ? "no run" : `${numberOf(stretch.runs, "run")}, at most ${highest(stretch.open).toLocaleString("en")} under way at once${busy > 0 ? ` and ${busy.toLocaleString("en")} in work` : ""}`,
    `${refused > 0 ? numberOf(refused, "request") : "no request"} met a 429`,
  ];
  return parts.join("; ");
}

/** @param {"open" | "busy"} kind @param {number[]} heights @param {number} most */
function area(kind, heights, most) {
  const tops = heights.map((height, place) => {
    const top = (HIGH * (1 - height / Math.max(most, 1))).toFixed(2);
    return `${place},${top} ${place + 1},${top}`;
  });
  return drawn("polygon", { class: kind, points: `0,${HIGH} ${tops.join(" ")} ${STEPS},${HIGH}` });
}

/** @param {Stretch} stretch @param {number} most */
function refusals(stretch, most) {
  const bars = [...stretch.refused].map(([piece, count]) => {
    const high = Math.max(8, (HIGH * count) / stretch.width / most);
    return drawn("rect", { x: String(piece * stretch.width), width: String(stretch.width), y: String(HIGH - high), height: String(high) });
  });
  const viewBox = `0 0 ${stretch.to - stretch.from} ${HIGH}`;
  return drawn("svg", { class: "refusals", viewBox, preserveAspectRatio: "none", "aria-hidden": "true" }, ...bars);
}

/** @param {number[]} numbers */
function highest(numbers) {
  return numbers.reduce((most, each) => Math.max(most, each), 0);
}

/** @param {number} at */
function whenOf(at) {
  return new Date(at).toISOString().slice(0, 19).replace("T", " ");
}

/** Spell a time as exactly as its neighbours need it. @param {number} at @param {number} between */
function clock(at, between) {
  const text = whenOf(at);
  if (between >= 86_400_000) return text.slice(5, 10);
  return between >= 60_000 ? text.slice(11, 16) : text.slice(11);
}

/** @param {string} tag @param {Record<string, string>} attributes @param {Element[]} children */
function drawn(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}
