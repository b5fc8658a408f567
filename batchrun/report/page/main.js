// Puts the page together: the address says what is shown, and every choice changes the address.
import { Compare } from "./compare.js";
import { Data, readHead } from "./data.js";
import { button, make, refill } from "./dom.js";
import { showHead } from "./head.js";
import { sideBySide } from "./labels.js";
import { Arrangement } from "./layout.js";
import { Marking } from "./marking.js";
import { Matrix } from "./matrix.js";
import { Plots } from "./plots.js";
import { Panel } from "./panel.js";
import { cut, numberOf, spelled, visible } from "./text.js";
import { tokenOf } from "./table.js";
import { firstView, hashOf, showingOnly, viewOf } from "./view.js";
import { Viewer } from "./viewer.js";

/** @typedef {import("./view.js").View} View */

/** Values of the tabs' axis up to which each has a tab; more are a list. */
const MOST_TABS = 12;

/** Characters of a value on its tab. */
const LONGEST_TAB = 120;

async function main() {
  const head = readHead();
  const top = make("header");
  const tabs = make("div", { class: "tabs", attributes: { role: "group" } });
  const said = make("p", { class: "said", attributes: { role: "status", "aria-live": "polite" } });
  const side = make("aside", { attributes: { "aria-label": "what is shown" } });
  const host = make("main");
  const plotting = button("plots", () => go({ ...view, plot: "alias" }), { "data-key": "plots" });
  const folding = button("choose axes and cells", () => unfold(folding.ariaExpanded !== "true"), { class: "fold" });
  const bar = make("section", { class: "bar", attributes: { "aria-label": "ways to look" } }, folding, plotting, tabs, said);
  document.body.append(top, bar, side, host);

  const data = new Data(head, fail);
  await data.open();
  const { table } = data;

  const opening = sideBySide(firstView(table), table, head);
  let view = viewOf(location.hash, table, opening);
  /** @type {number | null} */
  let marked = null;
  const marking = new Marking(data, { changed: () => matrix.refresh(), say: sayBoth });
  if (view.marks.length > 0) await marking.index();
  const panel = new Panel(side, table, marking, go);
  const matrix = new Matrix(host, data, { open: (point) => go({ ...view, open: point, beside: null }), mark, marking });
  const plots = new Plots(data, { by: (plot) => go({ ...view, plot }), closed: () => view.plot !== null && go({ ...view, plot: null }) });
  const viewer = new Viewer(data, {
    go: (open) => go({ ...view, open, beside: null }),
    closed: () => view.open !== null && go({ ...view, open: null, beside: null }),
    mark,
    marking,
  });
  const compare = new Compare(data, () => view.beside !== null && go({ ...view, beside: null }));
  /** @type {Arrangement} what stands where; `apply` lays it out */
  let arrangement;
  data.arrived = () => {
    matrix.refresh();
    viewer.draw();
    compare.draw();
  };
  showHead(top, head, (values) => {
    const only = Object.entries(values).reduce((before, [name, value]) => showingOnly(before, name, [tokenOf(value)]), view.only);
    go({ ...view, only, open: null });
  });
  addEventListener("hashchange", () => {
    if (location.hash !== hashOf(view)) apply(viewOf(location.hash, table, opening));
  });
  addEventListener("keydown", (event) => {
    if (event.key === "/" && isFree(event)) {
      event.preventDefault();
      unfold(true);
      /** @type {HTMLElement | null} */ (side.querySelector("[type=search]"))?.focus();
    }
  });
  unfold(innerWidth >= 900);
  apply(view, true);
  document.documentElement.dataset.ready = "yes";

  /** Show the choices, or fold them away. @param {boolean} isOpen */
  function unfold(isOpen) {
    document.body.classList.toggle("unfolded", isOpen);
    folding.setAttribute("aria-expanded", String(isOpen));
  }

  /** Go to a view, and let the address say so. @param {View} next */
  function go(next) {
    const isStep = (next.open !== null && view.open !== null) || (next.plot !== null && view.plot !== null); // a walk is one step back
    history[isStep ? "replaceState" : "pushState"](null, "", hashOf(next));
    apply(next);
  }

  /** @param {View} next @param {boolean} [isFirst] */
  function apply(next, isFirst = false) {
    if (next.marks.length > 0 && marking.points === null) {
      void marking.index().then(() => location.hash === hashOf(next) && apply(next, isFirst));
      return;
    }
    const before = view;
    view = next;
    if (isFirst || laidOut(before) !== laidOut(next)) {
      arrangement = new Arrangement(table, next);
      matrix.show(arrangement, !isFirst && laidOut({ ...before, size: next.size }) === laidOut(next));
      showTabs();
      panel.show(next);
      host.dataset.empty = arrangement.points.length === 0 ? "no cell is like that: take a filter away" : "";
      say(`${numberOf(arrangement.points.length, "row")} of ${table.length.toLocaleString("en")} shown`);
    }
    if (next.plot === null) plots.hide();
    else plots.show(next.plot, arrangement);
    if (next.open === null) viewer.hide();
    else viewer.show(next.open, arrangement);
    if (next.open !== null && next.beside !== null) compare.show(next.open, next.beside);
    else compare.hide();
    if (next.open === null && before.open !== null) matrix.focusPoint(before.open);
  }

  /** Keep a point to be compared; with the second one, do it. @param {number} point */
  function mark(point) {
    if (marked === null || marked === point) {
      marked = marked === null ? point : null;
      matrix.keep(marked);
      sayBoth(marked === null ? "not kept for comparison any more" : "kept for comparison: press c on another one");
      return;
    }
    const [open, beside] = [marked, point];
    marked = null;
    matrix.keep(null);
    go({ ...view, open, beside });
  }

  function showTabs() {
    if (view.tab === null) {
      tabs.replaceChildren();
      return;
    }
    const { values, tokens } = table.axis(view.tab);
    const texts = values.map((value) => cut(spelled(value), LONGEST_TAB));
    const name = make("span", { text: visible(view.tab) });
    tabs.setAttribute("aria-label", visible(view.tab));
    if (values.length > MOST_TABS) {
      const options = texts.map((text, code) =>
        make("option", { text, attributes: { value: tokens[code], ...(tokens[code] === view.at ? { selected: "" } : {}) } }),
      );
      const select = make("select", { attributes: { "aria-label": visible(view.tab), "data-key": "tab" }, on: { change: (event) => go({ ...view, at: event.currentTarget.value }) } }, ...options);
      refill(tabs, name, select);
      return;
    }
    refill(
      tabs,
      name,
      ...texts.map((text, code) =>
        button(text, () => go({ ...view, at: tokens[code] }), { "aria-pressed": String(tokens[code] === view.at), "data-key": `tab ${code}` }),
      ),
    );
  }

  /** Say something where it is seen: below a cell at full size, too. @param {string} text */
  function sayBoth(text) {
    say(text);
    viewer.say(text);
  }

  /** @param {string} text */
  function say(text) {
    said.textContent = text;
  }
}

/** What of a view decides where tiles stand. @param {View} view */
function laidOut(view) {
  return hashOf({ ...view, open: null, beside: null, plot: null });
}

/** Say whether a key is the page's own: no text is written, and nothing lies above the page. @param {KeyboardEvent} event */
function isFree(event) {
  const isText = event.target instanceof Element && event.target.matches("input:not([type=checkbox]), select, textarea");
  return !isText && !event.altKey && !event.ctrlKey && !event.metaKey && document.querySelector("dialog[open]") === null;
}

/** Say what is wrong in place of a page that looks as if all were well. @param {unknown} error */
function fail(error) {
  const words = error instanceof Error ? error.message : String(error);
  const advice = "The report may have been written anew: reload the page. If it was moved, take the folders beside it along; `batchrun report` writes it again.";
  document.querySelector(".alert")?.remove();
  document.body.prepend(make("p", { class: "alert", attributes: { role: "alert" }, text: `This page is not complete: ${visible(words)}. ${advice}` }));
}

main().catch(fail);
