// The choices: where each axis goes, which of its values are shown, what a cell may have cost.
import { button, make, refill } from "./dom.js";
import { cut, numberOf, spelled, visible } from "./text.js";
import { SIZES, amount, showingOnly } from "./view.js";

/** @typedef {import("./marking.js").Marking} Marking */
/** @typedef {import("./table.js").Table} Table */
/** @typedef {import("./view.js").View} View */

/** Values of an axis that are listed; the search finds the others. */
const LISTED = 60;

/** Characters of a value that is listed. */
const LONGEST_CHOICE = 400;

/** Axes that stand apart: they are what became of cells, and not what made them. */
const OUTCOMES = ["status", "failure_code"];

const PLACES = { rows: "rows", columns: "columns", tab: "tabs", stack: "behind each other" };

export class Panel {
  /** @param {HTMLElement} host @param {Table} table @param {Marking} marking @param {(view: View) => void} changed */
  constructor(host, table, marking, changed) {
    this.marking = marking;
    this.table = table;
    this.changed = changed;
    /** @type {View | null} */
    this.view = null;
    this.host = host;
    /** @type {Set<string>} */
    this.unfolded = new Set();
  }

  /** @param {View} view */
  show(view) {
    this.view = view;
    const { table } = this;
    const names = [...new Set([...table.varying, ...view.rows, ...view.columns, ...(view.tab === null ? [] : [view.tab]), ...Object.keys(view.only)])].filter((name) => !OUTCOMES.includes(name));
    refill(
      this.host,
      make("h2", { text: "Show" }),
      this.search(view),
      this.costs(view),
      this.sizes(view),
      ...OUTCOMES.filter((name) => table.axis(name).values.length > 0).map((name) => this.values(name, view)),
      this.marking.panel(view, (change) => this.change(change)),
      make("h2", { text: "Axes" }),
      ...names.map((name) => this.axis(name, view)),
    );
  }

  /** @param {Partial<View>} change */
  change(change) {
    if (this.view !== null) this.changed({ ...this.view, ...change });
  }

  /** @param {View} view */
  search(view) {
    const input = make("input", {
      attributes: { type: "search", placeholder: "any value", value: view.search, "data-key": "search" },
      on: { change: (event) => this.change({ search: event.currentTarget.value.trim() }) },
    });
    return make("label", { class: "field" }, make("span", { text: "search" }), input);
  }

  /** @param {View} view */
  costs(view) {
    const field = (/** @type {"low" | "high"} */ name, /** @type {string} */ text) =>
      make("input", {
        attributes: { type: "number", min: "0", step: "any", value: String(view[name] ?? ""), "aria-label": text, placeholder: text, "data-key": name },
        on: { change: (event) => this.change({ [name]: amount(event.currentTarget.value) }) },
      });
    return make("div", { class: "field" }, make("span", { text: "USD" }), field("low", "at least"), field("high", "at most"));
  }

  /** @param {View} view */
  sizes(view) {
    const buttons = [
      button("−", () => this.resize(-1), { "aria-label": "smaller tiles", "data-key": "smaller" }),
      button("+", () => this.resize(1), { "aria-label": "larger tiles", "data-key": "larger" }),
    ];
    return make("div", { class: "field" }, make("span", { text: "tiles" }), ...buttons, make("span", { text: `${view.size}` }));
  }

  /** @param {number} step */
  resize(step) {
    if (this.view === null) return;
    const place = SIZES.indexOf(this.view.size) + step;
    if (place >= 0 && place < SIZES.length) this.change({ size: SIZES[place] });
  }

  /** @param {string} name @param {View} view */
  axis(name, view) {
    const place = view.rows.includes(name) ? "rows" : view.columns.includes(name) ? "columns" : view.tab === name ? "tab" : "stack";
    const options = Object.entries(PLACES).map(([value, text]) =>
      make("option", { text, attributes: { value, ...(value === place ? { selected: "" } : {}) } }),
    );
    const select = make(
      "select",
      { attributes: { "aria-label": `where ${visible(name)} goes`, "data-key": `place ${name}` }, on: { change: (event) => this.put(name, event.currentTarget.value) } },
      ...options,
    );
    return make("div", { class: "axis" }, select, this.values(name, view));
  }

  /** @param {string} name @param {string} place */
  put(name, place) {
    if (this.view === null) return;
    const without = (/** @type {string[]} */ names) => names.filter((each) => each !== name);
    const [rows, columns] = [without(this.view.rows), without(this.view.columns)];
    if (place === "rows") rows.push(name);
    if (place === "columns") columns.push(name);
    const left = this.view.tab === name ? null : this.view.tab;
    const tab = place === "tab" ? name : left;
    const at = tab === null ? null : tab === this.view.tab ? this.view.at : (this.table.axis(tab).tokens[0] ?? null);
    this.change({ rows, columns, tab, at });
  }

  /** @param {string} name @param {View} view */
  values(name, view) {
    const { values, tokens, codes } = this.table.axis(name);
    const only = view.only[name];
    const counted = only === undefined ? `${values.length}` : `${only.length} of ${values.length}`;
    const details = make("details", {}, make("summary", { text: `${visible(name)} (${counted})`, attributes: { title: visible(name), "data-key": `values ${name}` } }));
    const fill = () => {
      const listed = values.slice(0, LISTED).map((value, code) => this.choice(name, code, tokens[code], cut(spelled(value), LONGEST_CHOICE), only));
      if (codes.includes(-1)) listed.push(this.choice(name, -1, "", "none", only));
      details.append(...listed);
      if (values.length > LISTED) details.append(make("p", { text: `and ${numberOf(values.length - LISTED, "value")}: search finds them` }));
      // The focus goes back to the values: there is no such button any more.
      if (only !== undefined) details.append(button("all", () => this.choose(name, null), { "data-key": `values ${name}` }));
    };
    details.open = this.unfolded.has(name);
    details.ontoggle = () => {
      if (details.open) this.unfolded.add(name);
      else this.unfolded.delete(name);
      if (details.open && details.childElementCount === 1) fill();
    };
    if (details.open) fill();
    return details;
  }

  /** @param {string} name @param {number} code @param {string} token @param {string} text @param {string[] | undefined} only */
  choice(name, code, token, text, only) {
    const box = make("input", {
      attributes: { type: "checkbox", "data-key": `only ${name} ${code}` },
      on: { change: (event) => this.choose(name, token, event.currentTarget.checked) },
    });
    box.checked = only !== undefined && only.includes(token);
    return make("label", { class: "choice" }, box, make("span", { text, attributes: { title: text } }));
  }

  /**
   * Show only points with chosen values; without a choice, all.
   * @param {string} name
   * @param {string | null} token
   * @param {boolean} [isWanted]
   */
  choose(name, token, isWanted = true) {
    if (this.view === null) return;
    const { only } = this.view;
    const after = token === null ? [] : (only[name] ?? []).filter((each) => each !== token);
    if (token !== null && isWanted) after.push(token);
    this.change({ only: showingOnly(only, name, after) });
  }
}
