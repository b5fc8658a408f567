// One point at full size: its file, what made it, what it cost, and why it failed.
import { button, copied, make, refill } from "./dom.js";
import { sweepOf } from "./labels.js";
import { address, isSafe, large } from "./media.js";
import { bytes, cut, duration, jsonOf, moment, named, spelled, visible, words } from "./text.js";
import { along } from "./walk.js";

/** @typedef {import("./data.js").Data} Data */
/** @typedef {import("./data.js").Details} Details */
/** @typedef {import("./data.js").File} File */
/** @typedef {import("./marking.js").Marking} Marking */
/** @typedef {import("./layout.js").Arrangement} Arrangement */

/** Characters of a value in the name of a cell. */
const LONGEST_TITLE = 60;

/**
 * @typedef {Object} Does
 * @property {(point: number) => void} go
 * @property {() => void} closed
 * @property {(point: number) => void} mark
 * @property {Marking} marking
 */

export class Viewer {
  /** @param {Data} data @param {Does} does */
  constructor(data, does) {
    this.data = data;
    this.does = does;
    /** @type {number | null} */
    this.point = null;
    this.place = 0;
    /** What is drawn. */
    this.drawn = "";
    /** @type {Arrangement | null} */
    this.arrangement = null;
    this.stage = make("div", { class: "stage" });
    this.facts = make("div");
    this.title = make("h2", { class: "title", attributes: { id: "viewer-title", "aria-live": "polite" } });
    this.said = make("p", { class: "said", attributes: { role: "status", "aria-live": "polite" } });
    this.dialog = make(
      "dialog",
      {
        class: "viewer",
        attributes: { "aria-labelledby": this.title.id, tabindex: "-1" },
        on: { keydown: (event) => this.key(event), close: () => this.closed() },
      },
      this.stage,
      make("div", { class: "facts" }, this.title, this.said, this.facts),
    );
    document.body.append(this.dialog);
  }

  /** @param {number} point @param {Arrangement} arrangement */
  show(point, arrangement) {
    if (point !== this.point) {
      this.place = 0;
      this.say("");
    }
    this.point = point;
    this.arrangement = arrangement;
    this.draw();
    if (!this.dialog.open) this.dialog.showModal();
  }

  hide() {
    if (this.dialog.open) this.dialog.close();
  }

  /** Say something where it is seen: a dialog is above all else. @param {string} text */
  say(text) {
    this.said.textContent = text;
  }

  closed() {
    if (this.dialog.open) return; // it was opened again before this was heard of
    this.point = null;
    this.drawn = "";
    this.stage.replaceChildren();
    this.does.closed();
  }

  draw() {
    if (this.point === null) return;
    const details = this.data.of(this.point);
    const state = `${this.point} ${this.place} ${details === null ? this.data.lack(this.point) : ""}`;
    if (state === this.drawn) return; // what plays, plays on
    this.drawn = state;
    const title = this.name(this.point);
    if (this.title.textContent !== title) this.title.textContent = title; // it is read out when it changes
    if (details === null) {
      this.stage.replaceChildren(make("span", { class: "kind", text: this.data.lack(this.point) }));
      return; // drawn again when they have come
    }
    const { files } = details;
    const file = files.at(Math.min(this.place, files.length - 1));
    const places = files.length > 1 ? [this.places(files)] : [];
    refill(this.stage, file === undefined ? this.nothing(details) : large(file, title), ...places);
    refill(this.facts, ...this.content(this.point, details, file));
    if (this.dialog.open && document.activeElement === document.body) this.dialog.focus(); // keys go on from there
  }

  /** Name a cell by its values of the axes in which cells differ, and by how it stands. @param {number} point */
  name(point) {
    const { table } = this.data;
    const names = table.varying.filter((name) => table.axis(name).codes[point] >= 0);
    const values = names.map((name) => cut(named(name, table.value(name, point)), LONGEST_TITLE));
    return [...values, words(String(table.value("status", point)))].join(" · ");
  }

  /** @param {Details} details */
  nothing(details) {
    const status = String(this.data.table.value("status", /** @type {number} */ (this.point)));
    const reason = visible(details.failure_message ?? "there is no file");
    return make("div", { class: "nothing" }, make("span", { class: `chip ${status}`, text: words(status) }), make("p", { text: reason }));
  }

  /** @param {File[]} files */
  places(files) {
    const buttons = files.map((_, place) =>
      button(`${place + 1}`, () => {
        this.place = place;
        this.draw();
      }, { "data-key": `place ${place}`, ...(place === this.place ? { "aria-current": "true" } : {}) }),
    );
    return make("div", { class: "places" }, ...buttons);
  }

  /** @param {number} point @param {Details} details @param {File | undefined} file @returns {Node[]} */
  content(point, details, file) {
    const { table } = this.data;
    const prompt = details.input.prompt;
    const copy = (/** @type {string} */ name, /** @type {string} */ text) => button(`copy ${name}`, () => void this.copy(name, text), { "data-key": `copy ${name}` });
    return [
      make(
        "div",
        { class: "buttons" },
        button("← back", () => this.hide(), { class: "back", "data-key": "back" }),
        button("compare (c)", () => this.does.mark(point), { "data-key": "compare" }),
        typeof prompt === "string" ? copy("prompt", prompt) : null,
        copy("inputs", jsonOf(details.input, 1)),
        copy("command", `batchrun why ${quoted(sweepOf(this.data.head, point).folder)} ${details.cell.slice(0, 12)}`),
        file !== undefined && isSafe(file) ? opener("the file", file[0]) : null,
        details.logs === null ? null : opener("the logs", details.logs[0]),
      ),
      this.does.marking.barOf(point),
      make("h3", { text: "Axes" }),
      make("dl", {}, ...table.varying.filter((name) => table.axis(name).codes[point] >= 0).flatMap((name) => this.axis(name, point))),
      make("h3", { text: "Run" }),
      make("dl", {}, ...this.run(point, details, file)),
      ...(details.logs?.[1] ? [make("h3", { text: "Log" }), make("pre", { class: "log", text: visible(details.logs[1]) })] : []),
      make("h3", { text: "Inputs as sent" }),
      make("dl", {}, ...Object.entries(details.input).flatMap(([name, value]) => fact(visible(name), spelled(value)))),
    ];
  }

  /** Return an axis with ways along it. @param {string} name @param {number} point */
  axis(name, point) {
    const step = (/** @type {number} */ by, /** @type {string} */ arrow) =>
      button(arrow, () => this.step(name, by), { "aria-label": `${by < 0 ? "previous" : "next"} ${visible(name)}`, "data-key": `${by} ${name}` });
    const value = make("span", { text: spelled(this.data.table.value(name, point)) });
    return [make("dt", { text: visible(name) }), make("dd", { class: "axis" }, step(-1, "‹"), step(1, "›"), value)];
  }

  /** @param {number} point @param {Details} details @param {File | undefined} file @returns {Node[]} */
  run(point, details, file) {
    const { table } = this.data;
    const value = (/** @type {string} */ name) => table.value(name, point);
    const alias = String(value("alias"));
    const [cost, whole, work] = [table.cost[point], table.whole[point], table.work[point]];
    const shared = table.shared[point] === 1 ? "with an earlier row: shown there" : "";
    return [
      ...fact("status", words(String(value("status")))),
      ...fact("failure", value("failure_code") === undefined ? "" : spelled(value("failure_code"))),
      ...fact("message", visible(details.failure_message ?? "")),
      ...fact("cost", Number.isNaN(cost) ? shared || (details.run_id === null ? "none: there was no run" : "not known") : `${cost} USD`),
      ...fact("queued", Number.isNaN(work) ? "" : duration(whole - work)),
      ...(Number.isNaN(work) ? fact("took", Number.isNaN(whole) ? "" : duration(whole)) : fact("worked", duration(work))),
      ...fact("ended", moment(details.completed_at)),
      ...fact("model", spelled(sweepOf(this.data.head, point).models[alias] ?? alias)),
      ...fact("run", visible(details.run_id ?? "")),
      ...fact("attempts", String(details.attempts)),
      ...fact("replicate", String(value("replicate"))),
      ...fact("cell", details.cell),
      ...fact("file", file === undefined ? "" : `${visible(file[0])} (${bytes(file[1])}, ${visible(file[2] ?? "unknown type")})`),
    ];
  }

  /** @param {string} name @param {string} text */
  async copy(name, text) {
    this.say((await copied(text)) ? `${name} copied` : `the browser doesn't let ${name} be copied`);
  }

  /** @param {string} name @param {number} by */
  step(name, by) {
    if (this.point === null || this.arrangement === null) return;
    const next = along(this.data.table, this.arrangement.points, this.point, name, by);
    if (next === null) this.say(`no ${by < 0 ? "earlier" : "further"} value of ${visible(name)}`);
    else this.does.go(next);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const { point, arrangement } = this;
    if (point === null || arrangement === null || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target instanceof HTMLMediaElement && event.key.startsWith("Arrow")) return;
    const place = arrangement.placeOf(point);
    const there = place === null ? [] : arrangement.at(...place);
    /** @type {Partial<Record<string, () => number | null | undefined>>} */
    const ways = {
      ArrowUp: () => arrangement.beyond(point, -1, 0),
      ArrowDown: () => arrangement.beyond(point, 1, 0),
      ArrowLeft: () => arrangement.beyond(point, ...(arrangement.columns.length > 1 ? left : up)),
      ArrowRight: () => arrangement.beyond(point, ...(arrangement.columns.length > 1 ? right : down)),
      ",": () => there[there.indexOf(point) - 1],
      ".": () => there[there.indexOf(point) + 1],
    };
    if (event.key === "c") this.does.mark(point);
    else if (this.does.marking.has(event.key)) this.does.marking.press(event.key, point);
    else {
      const way = ways[event.key];
      if (way === undefined) return;
      const next = way();
      if (next !== null && next !== undefined) this.does.go(next);
    }
    event.preventDefault();
  }
}

/** @type {[number, number]} */
const left = [0, -1];
/** @type {[number, number]} */
const right = [0, 1];
/** @type {[number, number]} */
const up = [-1, 0];
/** @type {[number, number]} */
const down = [1, 0];

/** @param {string} name @param {string} text @returns {Node[]} */
function fact(name, text) {
  return text === "" ? [] : [make("dt", { text: name }), make("dd", { text })];
}

/** @param {string} what @param {string} path */
function opener(what, path) {
  return make("a", { text: `open ${what}`, attributes: { href: address(path), target: "_blank", rel: "noopener noreferrer" } });
}

/** @param {string} word */
function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;
}
