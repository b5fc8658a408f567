// The matrix of tiles. Only the tiles on the screen are in the page's tree: a sweep of 100,000 cells
// scrolls like one of a hundred. It is a grid for screen readers, and keys walk in it.
//
// The tiles stand in a window that stays where it is while the canvas behind it scrolls: a browser
// scrolls ahead of the page's code, and would show a gap where the code is late.
import { make } from "./dom.js";
import { heard, tile } from "./tile.js";
import { cut, named, spelled } from "./text.js";

/** @typedef {import("./data.js").Data} Data */
/** @typedef {import("./marking.js").Marking} Marking */
/** @typedef {import("./layout.js").Arrangement} Arrangement */

/** Pixels that browsers lay out exactly, and some to spare; a longer matrix scrolls faster. */
const TALLEST = 8_000_000;

/** Tiles beyond the edge of the screen that are there already. */
const SPARE = 1;

/** Rows that are printed: more is a book. */
const PRINTED = 400;

/** Characters of a value that stands beside or above tiles: a prompt may have 100,000. */
const LONGEST_HEAD = 400;

export class Matrix {
  /**
   * @param {HTMLElement} host
   * @param {Data} data
   * @param {{open: (point: number) => void, mark: (point: number) => void, marking: Marking}} does
   */
  constructor(host, data, does) {
    this.data = data;
    this.does = does;
    /** @type {Arrangement | null} */
    this.arrangement = null;
    this.size = 168;
    this.top = 0;
    this.left = 0;
    this.lines = 0;
    this.across = 1;
    this.shown = "";
    this.printing = false;
    /** The place with the focus: its line, and the column in it. @type {[number, number]} */
    this.focused = [0, 0];
    /** Which of the points of a place is on top. @type {Map<string, number>} */
    this.turned = new Map();
    /** @type {Map<number, HTMLElement>} */
    this.drawn = new Map();
    this.heads = make("div", { class: "heads", attributes: { role: "row", "aria-rowindex": "1" } });
    this.window = make("div", { class: "window" }, this.heads);
    this.canvas = make("div", { class: "canvas" }, this.window);
    this.scroller = make(
      "div",
      {
        class: "matrix",
        attributes: { role: "grid", "aria-label": "cells", tabindex: "-1" },
        on: {
          scroll: () => this.draw(),
          keydown: (event) => this.key(event),
          click: (event) => this.click(event),
          focusin: (event) => this.focusin(event),
        },
      },
      this.canvas,
    );
    host.append(this.scroller);
    new ResizeObserver(() => this.resized()).observe(this.scroller);
    addEventListener("beforeprint", () => this.print(true));
    addEventListener("afterprint", () => this.print(false));
  }

  /** @param {Arrangement} arrangement */
  show(arrangement) {
    this.arrangement = arrangement;
    this.turned.clear();
    this.focused = [0, 0];
    this.scroller.scrollTop = 0;
    this.scroller.scrollLeft = 0;
    this.resized();
  }

  /** Lay out anew: the size of the window or of the tiles is another one. */
  resized() {
    const { arrangement } = this;
    if (arrangement === null) return;
    this.size = arrangement.view.size;
    const wide = this.scroller.clientWidth;
    this.isGallery = arrangement.view.columns.length === 0;
    this.left = this.isGallery ? 0 : Math.min(220, Math.max(84, Math.floor(wide / 5)));
    this.top = this.isGallery ? 0 : 6 + 18 * arrangement.view.columns.length;
    this.across = this.isGallery ? Math.max(1, Math.floor(wide / this.size)) : arrangement.columns.length;
    this.lines = this.isGallery ? Math.ceil(arrangement.rows.length / this.across) : arrangement.rows.length;
    this.canvas.style.height = `${this.top + Math.min(TALLEST, this.lines * this.size)}px`;
    this.window.style.height = `${this.scroller.clientHeight}px`;
    this.window.style.width = this.printing ? "100%" : `${wide}px`;
    this.canvas.style.width = `${this.left + this.across * this.size}px`;
    this.scroller.setAttribute("aria-rowcount", String(this.lines + this.headed));
    this.scroller.setAttribute("aria-colcount", String(this.across + this.headed));
    this.redraw();
  }

  /** Draw all again: details have come. */
  redraw() {
    const hadFocus = this.scroller.contains(document.activeElement);
    for (const row of this.drawn.values()) row.remove();
    this.drawn.clear();
    this.shown = "";
    this.draw();
    if (hadFocus) this.element(...this.focused)?.focus({ preventScroll: true });
  }

  /** How many rows and columns of heads stand before those of cells. */
  get headed() {
    return this.isGallery ? 0 : 1;
  }

  /** How far the whole matrix is scrolled, in its own pixels. */
  get offset() {
    const { scrollTop, clientHeight } = this.scroller;
    const full = this.lines * this.size;
    if (full <= TALLEST) return scrollTop;
    const room = this.top + TALLEST - clientHeight;
    return (Math.min(1, scrollTop / room) * (full - clientHeight + this.top));
  }

  /** Draw what is on the screen, and take away what is not. */
  draw() {
    if (this.arrangement === null) return;
    const { size, scroller } = this;
    const [offset, across] = this.printing ? [0, 0] : [this.offset, scroller.scrollLeft];
    let first = Math.max(0, Math.floor(offset / size) - SPARE);
    let last = Math.min(this.lines - 1, Math.floor((offset + scroller.clientHeight) / size) + SPARE);
    let from = Math.max(0, Math.floor(across / size) - SPARE);
    let to = Math.min(this.across - 1, Math.floor((across + scroller.clientWidth) / size) + SPARE);
    if (this.printing) [first, last, from, to] = [0, Math.min(this.lines, PRINTED) - 1, 0, this.across - 1];
    const columns = `${from} ${to}`;
    if (columns !== this.shown) {
      for (const row of this.drawn.values()) row.remove();
      this.drawn.clear();
      this.drawHeads(from, to);
      this.shown = columns;
    }
    for (const [line, row] of this.drawn) {
      // The row with the focus stays, wherever it is: keys go on from there.
      if ((line < first || line > last) && !row.contains(document.activeElement)) {
        row.remove();
        this.drawn.delete(line);
      }
    }
    for (let line = first; line <= last; line += 1) {
      if (this.drawn.has(line)) continue;
      const row = this.row(line, from, to);
      const below = Math.min(...[...this.drawn.keys()].filter((each) => each > line));
      this.window.insertBefore(row, this.drawn.get(below) ?? null); // rows are read out in this order
      this.drawn.set(line, row);
    }
    this.window.style.setProperty("--across", `${across}px`);
    for (const [line, row] of this.drawn) row.style.transform = `translateY(${Math.round(this.top + line * size - offset)}px)`;
    if (this.lines > 0 && this.element(...this.focused) === null) {
      this.focused = [Math.min(last, first + SPARE), Math.min(to, from + SPARE)]; // Tab leads to what is seen
      this.element(...this.focused)?.setAttribute("tabindex", "0");
    }
  }

  /** @param {number} from @param {number} to */
  drawHeads(from, to) {
    const { arrangement } = this;
    this.heads.hidden = this.isGallery === true;
    this.heads.replaceChildren();
    if (arrangement === null || this.isGallery) return;
    this.heads.style.height = `${this.top}px`;
    const corner = make("div", { class: "corner", attributes: { role: "columnheader", "aria-colindex": "1" } });
    corner.append(...arrangement.view.rows.map((name) => make("span", { text: spelled(name) })));
    corner.style.width = `${this.left}px`;
    this.heads.append(corner);
    for (let column = from; column <= to; column += 1) {
      const texts = this.texts(arrangement.view.columns, arrangement.columns[column]);
      const head = make("div", { class: "head", attributes: { role: "columnheader", "aria-colindex": `${column + 2}`, title: texts.join("\n") } });
      head.append(...texts.map((text) => make("span", { text })));
      head.style.left = `${this.left + column * this.size}px`;
      head.style.width = `${this.size}px`;
      this.heads.append(head);
    }
  }

  /** @param {string[]} names @param {number} point */
  texts(names, point) {
    return names.map((name) => cut(named(name, this.data.table.value(name, point)), LONGEST_HEAD));
  }

  /** @param {number} line @param {number} from @param {number} to */
  row(line, from, to) {
    const arrangement = /** @type {Arrangement} */ (this.arrangement);
    const row = make("div", { class: "row", attributes: { role: "row", "aria-rowindex": `${line + 1 + this.headed}` } });
    row.style.height = `${this.size}px`;
    if (!this.isGallery) {
      const texts = this.texts(arrangement.view.rows, arrangement.rows[line]);
      const head = make("div", { class: "side", attributes: { role: "rowheader", "aria-colindex": "1", title: texts.join("\n") } });
      head.append(...texts.map((text) => make("span", { text })));
      head.style.width = `${this.left}px`;
      row.append(head);
    }
    for (let column = from; column <= to; column += 1) row.append(this.cell(line, column));
    return row;
  }

  /**
   * Return the points of a place, the one that is turned to the front first.
   * @param {number} line
   * @param {number} column
   */
  points(line, column) {
    const { arrangement } = this;
    if (arrangement === null) return [];
    const place = this.isGallery ? line * this.across + column : line;
    const points = arrangement.at(place, this.isGallery ? 0 : column);
    const turned = this.turned.get(`${line} ${column}`) ?? 0;
    return [...points.slice(turned), ...points.slice(0, turned)];
  }

  /** @param {number} line @param {number} column */
  cell(line, column) {
    const points = this.points(line, column);
    const isFocused = line === this.focused[0] && column === this.focused[1];
    const cell = make("div", {
      class: points.length ? "cell" : "cell empty",
      attributes: { role: "gridcell", "aria-colindex": `${column + 1 + this.headed}`, tabindex: isFocused ? "0" : "-1" },
    });
    cell.dataset.place = `${line} ${column}`;
    cell.style.left = `${this.left + column * this.size}px`;
    cell.style.width = `${this.size}px`;
    if (points.length === 0) {
      cell.append(heard(["no cell"]));
      return cell;
    }
    const arrangement = /** @type {Arrangement} */ (this.arrangement);
    const content = tile(this.data, points, this.isGallery ? arrangement.view.rows : [], this.does.marking);
    cell.dataset.point = String(points[0]);
    cell.append(make("div", { class: "tile" }, ...content));
    const video = cell.querySelector("video");
    if (video !== null) {
      cell.onmouseenter = () => void video.play().catch(() => {});
      cell.onmouseleave = () => video.pause();
    }
    return cell;
  }

  /** @param {number} line @param {number} column @returns {HTMLElement | null} */
  element(line, column) {
    return this.canvas.querySelector(`[data-place="${line} ${column}"]`);
  }

  /** @param {MouseEvent} event */
  click(event) {
    const cell = /** @type {HTMLElement} */ (event.target).closest("[data-point]");
    if (!(cell instanceof HTMLElement)) return;
    const point = Number(cell.dataset.point);
    if (event.shiftKey) this.does.mark(point);
    else this.does.open(point);
  }

  /** @param {FocusEvent} event */
  focusin(event) {
    const place = /** @type {HTMLElement} */ (event.target).dataset.place;
    if (place === undefined) return;
    const [line, column] = place.split(" ").map(Number);
    this.element(...this.focused)?.setAttribute("tabindex", "-1");
    this.focused = [line, column];
    this.element(line, column)?.setAttribute("tabindex", "0");
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const [line, column] = this.focused;
    const page = Math.max(1, Math.floor(this.scroller.clientHeight / this.size) - 1);
    /** @type {Partial<Record<string, () => void>>} */
    const keys = {
      ArrowUp: () => this.focus(line - 1, column),
      ArrowDown: () => this.focus(line + 1, column),
      ArrowLeft: () => (this.isGallery && column === 0 ? this.focus(line - 1, this.across - 1) : this.focus(line, column - 1)),
      ArrowRight: () => (this.isGallery && column === this.across - 1 ? this.focus(line + 1, 0) : this.focus(line, column + 1)),
      PageUp: () => this.focus(line - page, column),
      PageDown: () => this.focus(line + page, column),
      Home: () => this.focus(0, 0),
      End: () => this.focus(this.lines - 1, column),
      Enter: () => this.points(line, column).slice(0, 1).forEach(this.does.open),
      c: () => this.points(line, column).slice(0, 1).forEach(this.does.mark),
      ",": () => this.turn(-1),
      ".": () => this.turn(1),
    };
    const act = keys[event.key] ?? this.marks(event.key);
    if (act === undefined) return;
    event.preventDefault();
    act();
  }

  /** Return what a key says of the focused cell's marks, if it says anything. @param {string} key */
  marks(key) {
    const point = this.points(...this.focused).at(0);
    const { marking } = this.does;
    return point !== undefined && marking.has(key) ? () => marking.press(key, point) : undefined;
  }

  /** Bring another point of the focused place to the front. @param {number} step */
  turn(step) {
    const [line, column] = this.focused;
    const count = this.points(line, column).length;
    if (count < 2) return;
    const place = `${line} ${column}`;
    this.turned.set(place, ((this.turned.get(place) ?? 0) + step + count) % count);
    const cell = this.cell(line, column);
    this.element(line, column)?.replaceWith(cell);
    cell.focus();
  }

  /** Move the focus to a place, and the place onto the screen. @param {number} line @param {number} column */
  focus(line, column) {
    line = Math.max(0, Math.min(this.lines - 1, line));
    column = Math.max(0, Math.min(this.across - 1, column));
    this.reveal(line, column);
    this.element(...this.focused)?.setAttribute("tabindex", "-1");
    this.focused = [line, column];
    const cell = this.element(line, column);
    cell?.setAttribute("tabindex", "0");
    cell?.focus({ preventScroll: true });
  }

  /** Move the focus to a point, where it is shown. @param {number} point */
  focusPoint(point) {
    const place = this.arrangement?.placeOf(point);
    if (!place) return;
    const [row, column] = place;
    if (this.isGallery) this.focus(Math.floor(row / this.across), row % this.across);
    else this.focus(row, column);
  }

  /** @param {number} line @param {number} column */
  reveal(line, column) {
    const { scroller, size } = this;
    const high = scroller.clientHeight - this.top;
    const wide = scroller.clientWidth - this.left;
    let offset = this.offset;
    if (line * size < offset) offset = line * size;
    else if ((line + 1) * size > offset + high) offset = (line + 1) * size - high;
    const full = this.lines * size;
    const scale = full <= TALLEST ? 1 : (this.top + TALLEST - scroller.clientHeight) / (full - scroller.clientHeight + this.top);
    if (offset !== this.offset) scroller.scrollTop = offset * scale;
    if (column * size < scroller.scrollLeft) scroller.scrollLeft = column * size;
    else if ((column + 1) * size > scroller.scrollLeft + wide) scroller.scrollLeft = (column + 1) * size - wide;
    this.draw();
  }

  /** @param {boolean} printing */
  print(printing) {
    this.printing = printing;
    document.documentElement.classList.toggle("printing", printing);
    this.resized();
  }
}
