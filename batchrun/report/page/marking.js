// How people mark cells: keys, buttons, the note, what stands on tiles, and the way out as a file.
import { AllMarks } from "./all_marks.js";
import { readMarks } from "./data.js";
import { button, make } from "./dom.js";
import { sweepIds, sweepOf } from "./labels.js";
import { NONE } from "./marks.js";
import { Noting } from "./noting.js";
import { numberOf, visible } from "./text.js";

/** @typedef {import("./data.js").Data} Data */
/** @typedef {import("./marks.js").Kind} Kind */
/** @typedef {import("./view.js").View} View */

/** @type {{kind: Kind, key: string, does: string, words: string, sign: string}[]} */
const KINDS = [
  { kind: "pick", key: "p", does: "pick", words: "picked", sign: "✓" },
  { kind: "reject", key: "x", does: "reject", words: "rejected", sign: "✕" },
  { kind: "redo", key: "r", does: "redo", words: "to redo", sign: "↻" },
  { kind: "note", key: "n", does: "note", words: "with a note", sign: "✎" },
];

export class Marking {
  /** @param {Data} data @param {{changed: () => void, say: (text: string) => void}} does */
  constructor(data, does) {
    this.data = data;
    this.does = does;
    this.marks = new AllMarks(sweepIds(data.head), () => this.changed(), readMarks());
    /** The points of each cell, once they were asked for. @type {Map<string, number[]> | null} */
    this.points = null;
    /** @type {number | null} the point at full size */
    this.point = null;
    this.bar = make("div", { class: "marking" });
    this.section = make("div", { class: "marking" });
    /** @type {Map<string, HTMLElement>} */
    this.counts = new Map();
    this.noting = new Noting(this.marks, (text) => this.say(text));
  }

  /** @param {string} key */
  has(key) {
    return KINDS.some((each) => each.key === key);
  }

  /** Return the cell of a point, with its sweep; undefined until its details are there. @param {number} point */
  cellOf(point) {
    const details = this.data.of(point);
    return details === null ? undefined : this.marks.cellIn(sweepOf(this.data.head, point).sweep, details.cell);
  }

  /** Do what a key says of a point. @param {string} key @param {number} point */
  press(key, point) {
    for (const each of KINDS) if (each.key === key) void this.act(each.kind, point);
  }

  /** @param {Kind} kind @param {number} point */
  async act(kind, point) {
    await this.data.ask(this.data.chunkAt(point));
    const cell = this.cellOf(point);
    if (cell === undefined) return;
    if (kind === "note") this.noting.open(cell);
    else {
      const stands = this.marks.toggle(cell, kind);
      const { words } = /** @type {typeof KINDS[0]} */ (KINDS.find((each) => each.kind === kind));
      this.say(stands ? words : `not ${words} any more`);
    }
  }

  /** @param {string} text */
  say(text) {
    this.does.say(this.marks.isSafe ? text : `${text}; this browser doesn't keep marks: save picks.jsonl before you leave`);
  }

  changed() {
    this.fill();
    this.drawBar();
    const { counts } = this.marks;
    for (const [kind, element] of this.counts) element.textContent = countOf(counts, kind);
    this.does.changed();
  }

  /** Return the marks of a point's cell for its tile, and in words. @param {number} point */
  ofTile(point) {
    const cell = this.cellOf(point);
    const marks = cell === undefined ? {} : this.marks.of(cell);
    const found = KINDS.filter(({ kind }) => marks[kind] !== undefined);
    const title = marks.note === undefined ? {} : { title: visible(marks.note.note) };
    const signs = found.map(({ kind, sign, words }) => make("span", { class: `mark ${kind}`, text: sign, attributes: { title: words, ...(kind === "note" ? title : {}) } }));
    return {
      words: found.map(({ words }) => words),
      content: signs.length === 0 ? [] : [make("span", { class: "marks", attributes: { "aria-hidden": "true" } }, ...signs)],
    };
  }

  /** Return the marks of a point's cell as a text that changes with them. @param {number} point */
  stateOf(point) {
    const cell = this.cellOf(point);
    return cell === undefined ? "" : JSON.stringify(this.marks.of(cell));
  }

  /** Return the buttons of a point at full size. @param {number} point */
  barOf(point) {
    if (this.point !== point) {
      this.point = point;
      this.bar.replaceChildren();
    }
    this.drawBar();
    return this.bar;
  }

  drawBar() {
    const { point } = this;
    const cell = point === null ? undefined : this.cellOf(point);
    if (point === null || cell === undefined) return;
    const marks = this.marks.of(cell);
    if (this.bar.childElementCount === 0) {
      const buttons = KINDS.map(({ kind, key, does }) =>
        button(`${does} (${key})`, () => void this.act(kind, point), { "aria-keyshortcuts": key, "data-mark": kind, "data-key": kind }),
      );
      this.bar.append(make("div", { class: "buttons" }, ...buttons), make("p", { class: "noted" }));
    }
    for (const { kind } of KINDS) this.bar.querySelector(`[data-mark=${kind}]`)?.setAttribute("aria-pressed", String(marks[kind] !== undefined));
    /** @type {HTMLElement} */ (this.bar.querySelector(".noted")).textContent = visible(marks.note?.note ?? "");
  }

  /** Return the choices that are about marks. @param {View} view @param {(change: Partial<View>) => void} change */
  panel(view, change) {
    this.counts.clear();
    const { counts } = this.marks;
    const choices = [...KINDS, { kind: NONE, words: "without a mark" }].map(({ kind, words }) => {
      const box = make("input", {
        attributes: { type: "checkbox", "data-key": `mark ${kind}` },
        on: { change: (event) => change({ marks: event.currentTarget.checked ? [...view.marks, kind] : view.marks.filter((each) => each !== kind) }) },
      });
      box.checked = view.marks.includes(kind);
      const count = make("span", { text: countOf(counts, kind) });
      this.counts.set(kind, count);
      return make("label", { class: "choice" }, box, make("span", { text: words }), count);
    });
    const file = make("input", {
      attributes: { type: "file", accept: ".jsonl,.json,.txt", "aria-label": "read picks.jsonl", "data-key": "marks file" },
      on: { change: (event) => void this.receive(event.currentTarget) },
    });
    const keys = KINDS.map(({ key, does }) => `${key} ${does}`).join(", ");
    this.section.replaceChildren(
      make("h2", { text: "Marks" }),
      ...choices,
      make("p", { class: "hint", text: `on a tile and at full size: ${keys}` }),
      make("div", { class: "buttons" }, button("save picks.jsonl", () => this.save(), { "data-key": "marks save" })),
      make("label", { class: "field" }, make("span", { text: "read" }), file),
    );
    return this.section;
  }

  save() {
    const { text } = this.marks;
    const address = URL.createObjectURL(new Blob([text], { type: "application/jsonl" }));
    const link = make("a", { attributes: { href: address, download: "picks.jsonl" } });
    link.click();
    this.marks.saved();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
    this.say(`${numberOf(this.marks.size, "mark")} saved as picks.jsonl; \`batchrun picks\` takes them in`);
  }

  /** @param {HTMLInputElement} chooser */
  async receive(chooser) {
    const file = chooser.files?.[0];
    if (file === undefined) return;
    try {
      const count = this.marks.receive(await file.text());
      this.say(`${numberOf(count, "mark")} taken in from ${visible(file.name)}`);
    } catch (error) {
      this.does.say(`nothing was taken in from ${visible(file.name)}: ${visible(error instanceof Error ? error.message : String(error))}`);
    }
    chooser.value = "";
  }

  /** Find the points of all cells, so that marks can be filtered by; once it has returned, they are kept. */
  async index() {
    if (this.points !== null) return;
    await Promise.all(this.data.head.chunks.map((_, number) => this.data.ask(number)));
    /** @type {Map<string, number[]>} */
    const points = new Map();
    for (let point = 0; point < this.data.table.length; point += 1) {
      const cell = this.cellOf(point);
      if (cell === undefined) continue;
      const there = points.get(cell);
      if (there === undefined) points.set(cell, [point]);
      else there.push(point);
    }
    this.points = points;
    this.fill();
  }

  /** Say in the table which marks each point has, where the points of cells are known. */
  fill() {
    if (this.points === null) return;
    const { marked } = this.data.table;
    marked.fill(0);
    for (const [cell, bits] of this.marks.bits) {
      for (const point of this.points.get(cell) ?? []) marked[point] = bits;
    }
  }
}

/** @param {Record<Kind, number>} counts @param {string} kind */
function countOf(counts, kind) {
  return kind === NONE ? "" : String(counts[/** @type {Kind} */ (kind)]);
}
