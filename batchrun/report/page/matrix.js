// The matrix of tiles. Only the tiles on the screen are in the page's tree: a sweep of 100,000 cells
// scrolls like one of a hundred. It is a grid for screen readers, and keys walk in it.
//
// The tiles stand in a window that stays where it is while the canvas behind it scrolls: a browser
// scrolls ahead of the page's code, and would show a gap where the code is late. What stays on the
// screen stays the same element, whatever comes: it may have the focus, or play under the pointer.
import { make } from "./dom.js";
import { Grid, SPARE } from "./grid.js";
import { framesOf, gridOnPaper, stillClips, turnPaper } from "./paper.js";
import { actOf } from "./matrix_keys.js";
import { heard, tile } from "./tile.js";
import { cut, named, spelled } from "./text.js";

/** @typedef {import("./data.js").Data} Data */
/** @typedef {import("./grid.js").Part} Part */
/** @typedef {import("./marking.js").Marking} Marking */
/** @typedef {import("./layout.js").Arrangement} Arrangement */
/** @typedef {{element: HTMLElement, cells: Map<number, HTMLElement>}} Row its cells by their columns */

/** Lines that are printed: more is a book. */
const PRINTED = 400;

/** Characters of a value that stands beside or above tiles: a prompt may have 100,000. */
const LONGEST_HEAD = 400;

/** Characters of each where more values stand beside tiles than have a line of their own. */
const LONGEST_OF_MANY = 24;

/** Pixels of a line beside tiles. */
const LINE = 21;

export class Matrix {
  /**
   * @param {HTMLElement} host
   * @param {Data} data
   * @param {{open: (point: number) => void, mark: (point: number) => void, marking: Marking}} does
   */
  constructor(host, data, does) {
    this.data = data;
    this.does = does;
    /** @type {Grid | null} */
    this.grid = null;
    this.shown = "";
    this.printing = false;
    /** How many columns are printed. */
    this.fitting = 0;
    this.unprinted = make("p", { class: "unprinted" });
    /** @type {number | null} the point that is kept for a comparison */
    this.kept = null;
    this.hadFocus = false;
    /** The place with the focus: its line, and the column in it. @type {[number, number]} */
    this.focused = [0, 0];
    /** Which of the points of a row and a column is on top. @type {Map<string, number>} */
    this.turned = new Map();
    /** @type {Map<number, Row>} */
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
    host.append(this.unprinted, this.scroller);
    new ResizeObserver(() => this.resized()).observe(this.scroller);
    addEventListener("beforeprint", () => this.print(true));
    addEventListener("afterprint", () => this.print(false));
  }

  /**
   * Show an arrangement from its beginning, or from where the one before was scrolled to: then only
   * the size of the tiles is another one.
   * @param {Arrangement} arrangement
   * @param {boolean} [stays]
   */
  show(arrangement, stays = false) {
    if (!stays) {
      this.turned.clear();
      this.focused = [0, 0];
      this.grid = null;
    }
    this.layOut(arrangement);
  }

  resized() {
    const { grid, scroller } = this;
    if (grid === null || scroller.clientWidth === 0) return; // a phone shows the choices in its place
    if (grid.wide !== scroller.clientWidth || grid.high !== scroller.clientHeight) this.layOut(grid.arrangement);
  }

  /** Lay out anew, with what had the focus and what was at the top still there. @param {Arrangement} arrangement */
  layOut(arrangement) {
    const { scroller, grid: before } = this;
    const grid = this.printing ? this.onPaper(arrangement) : new Grid(arrangement, scroller.clientWidth, scroller.clientHeight);
    let [down, right] = [0, 0];
    if (before !== null) {
      const [lines, columns] = [this.offset / before.size, scroller.scrollLeft / before.size];
      const [line] = grid.place(...before.spot(Math.floor(lines), 0));
      [down, right] = [(line + (lines % 1)) * grid.size, columns * grid.size];
      this.focused = grid.place(...before.spot(...this.focused));
    }
    this.grid = grid;
    this.canvas.style.height = `${grid.height}px`;
    this.canvas.style.width = `${grid.width}px`;
    this.window.style.height = `${grid.high}px`;
    this.window.style.width = this.printing ? "100%" : `${grid.wide}px`;
    scroller.setAttribute("aria-rowcount", String(grid.lines + grid.headed));
    scroller.setAttribute("aria-colcount", String(grid.across + grid.headed));
    scroller.scrollTop = down / grid.pace;
    scroller.scrollLeft = right;
    this.redraw();
  }

  /** Draw all again: places are other ones. */
  redraw() {
    const hasFocus = this.hasFocus;
    for (const row of this.drawn.values()) row.element.remove();
    this.drawn.clear();
    this.shown = "";
    this.draw(hasFocus);
    if (hasFocus) this.element(...this.focused)?.focus({ preventScroll: true });
  }

  /** Show which point is kept for a comparison, null for none. @param {number | null} point */
  keep(point) {
    this.kept = point;
    this.refresh();
  }

  /** Bring the tiles up to date: details have come, or marks were made. */
  refresh() {
    for (const [line, { cells }] of this.drawn) for (const [column, cell] of cells) this.fill(cell, line, column);
  }

  /** How far the whole matrix is scrolled, in its own pixels. */
  get offset() {
    return this.grid === null ? 0 : this.scroller.scrollTop * this.grid.pace;
  }

  get hasFocus() {
    return this.scroller.contains(document.activeElement);
  }

  /**
   * Draw what is on the screen, and take away what is not. The place with the focus stays, wherever
   * it is: keys go on from there.
   * @param {boolean} hasFocus
   */
  draw(hasFocus = this.hasFocus) {
    const { grid, scroller } = this;
    if (grid === null) return;
    const [down, right] = this.printing ? [0, 0] : [this.offset, scroller.scrollLeft];
    const part = this.printing
      ? { first: 0, last: Math.min(grid.lines, PRINTED) - 1, from: 0, to: this.fitting - 1 }
      : grid.seen(down, right);
    const { first, last, from, to } = part;
    const [focusedLine, focusedColumn] = hasFocus && grid.lines > 0 && !this.printing ? this.focused : [-1, -1];
    if (this.shown !== `${from} ${to}`) this.drawHeads(grid, from, to);
    this.shown = `${from} ${to}`;
    for (const [line, row] of this.drawn) {
      if ((line >= first && line <= last) || line === focusedLine) continue;
      row.element.remove();
      this.drawn.delete(line);
    }
    for (let line = first; line <= last; line += 1) this.drawRow(grid, line);
    if (focusedLine >= 0) this.drawRow(grid, focusedLine);
    for (const [line, { element, cells }] of this.drawn) {
      const isSeen = line >= first && line <= last;
      for (const [column, cell] of cells) {
        if ((isSeen && column >= from && column <= to) || (line === focusedLine && column === focusedColumn)) continue;
        cell.remove();
        cells.delete(column);
      }
      if (isSeen) for (let column = from; column <= to; column += 1) this.drawCell(grid, line, column);
      if (line === focusedLine) this.drawCell(grid, line, focusedColumn);
      element.style.transform = `translateY(${Math.round(grid.top + line * grid.size - down)}px)`;
    }
    this.window.style.setProperty("--across", `${right}px`);
    if (grid.lines > 0 && !this.printing && this.element(...this.focused) === null) {
      this.focused = [Math.min(last, first + SPARE), Math.min(to, from + SPARE)]; // Tab leads to what is seen
      this.element(...this.focused)?.setAttribute("tabindex", "0");
    }
  }

  /** @param {Grid} grid @param {number} from @param {number} to */
  drawHeads(grid, from, to) {
    this.heads.hidden = grid.isGallery;
    this.heads.replaceChildren();
    if (grid.isGallery) return;
    const { view, columns } = grid.arrangement;
    this.heads.style.height = `${grid.top}px`;
    const corner = make("div", { class: "corner", attributes: { role: "columnheader", "aria-colindex": "1" } });
    corner.append(...view.rows.map((name) => make("span", { text: spelled(name) })));
    corner.style.width = `${grid.left}px`;
    this.heads.append(corner);
    for (let column = from; column <= to; column += 1) {
      const texts = this.texts(view.columns, columns[column]);
      const head = make("div", { class: "head", attributes: { role: "columnheader", "aria-colindex": `${column + 2}`, title: texts.join("\n") } });
      head.append(...texts.map((text) => make("span", { text })));
      head.style.left = `${grid.left + column * grid.size}px`;
      head.style.width = `${grid.size}px`;
      this.heads.append(head);
    }
  }

  /** @param {string[]} names @param {number} point */
  texts(names, point) {
    return names.map((name) => cut(named(name, this.data.table.value(name, point)), LONGEST_HEAD));
  }

  /** Draw the row of a line, without its cells, where it isn't drawn. @param {Grid} grid @param {number} line */
  drawRow(grid, line) {
    if (this.drawn.has(line)) return;
    const element = make("div", { class: "row", attributes: { role: "row", "aria-rowindex": `${line + 1 + grid.headed}` } });
    element.style.height = `${grid.size}px`;
    if (!grid.isGallery) {
      const { view, rows } = grid.arrangement;
      const texts = this.texts(view.rows, rows[line]);
      const isMany = texts.length * LINE > grid.size - 2 * LINE;
      const head = make("div", { class: isMany ? "side many" : "side", attributes: { role: "rowheader", "aria-colindex": "1", title: texts.join("\n") } });
      head.append(...texts.map((text) => make("span", { text: isMany ? cut(text, LONGEST_OF_MANY) : text })));
      head.style.width = `${grid.left}px`;
      element.append(head);
    }
    const below = following(this.drawn, line)?.element ?? null; // rows and cells are read out in this order
    this.window.insertBefore(element, below);
    this.drawn.set(line, { element, cells: new Map() });
  }

  /** Draw a cell in its row, where it isn't drawn. @param {Grid} grid @param {number} line @param {number} column */
  drawCell(grid, line, column) {
    const { element, cells } = /** @type {Row} */ (this.drawn.get(line));
    if (cells.has(column)) return;
    const isFocused = line === this.focused[0] && column === this.focused[1];
    const cell = make("div", {
      class: "cell",
      attributes: { role: "gridcell", "aria-colindex": `${column + 1 + grid.headed}`, tabindex: isFocused ? "0" : "-1" },
      on: {
        mouseenter: () => void cell.querySelector("video")?.play().catch(() => {}),
        mouseleave: () => cell.querySelector("video")?.pause(),
      },
    });
    cell.dataset.place = `${line} ${column}`;
    cell.style.left = `${grid.left + column * grid.size}px`;
    cell.style.width = `${grid.size}px`;
    element.insertBefore(cell, following(cells, column) ?? null);
    cells.set(column, cell);
    this.fill(cell, line, column);
  }

  /** Put into a cell what stands there by now. @param {HTMLElement} cell @param {number} line @param {number} column */
  fill(cell, line, column) {
    const { data, grid } = this;
    const { marking } = this.does;
    const points = this.points(line, column);
    const point = points.at(0);
    cell.classList.toggle("kept", point !== undefined && point === this.kept);
    const state = point === undefined ? "none" : [points, data.has(point) ? "" : data.lack(point), marking.stateOf(point)].join("\n");
    if (grid === null || cell.dataset.state === state) return;
    cell.dataset.state = state;
    if (point === undefined) {
      cell.classList.add("empty");
      cell.replaceChildren(heard(["no cell"]));
      return;
    }
    const fresh = make("div", { class: "tile" }, ...tile(data, points, grid.isGallery ? grid.arrangement.view.rows : [], marking));
    const [media, same] = [fresh, cell].map((each) => /** @type {HTMLMediaElement | null} */ (each.querySelector("img, video")));
    if (media !== null && same !== null && media.src === same.src) media.replaceWith(same); // it may play
    cell.dataset.point = String(point);
    cell.replaceChildren(fresh);
  }

  /**
   * Return the points of a place, the one that is turned to the front first.
   * @param {number} line
   * @param {number} column
   */
  points(line, column) {
    if (this.grid === null) return [];
    const [row, across] = this.grid.spot(line, column);
    const points = this.grid.arrangement.at(row, across);
    const turned = this.turned.get(`${row} ${across}`) ?? 0;
    return [...points.slice(turned), ...points.slice(0, turned)];
  }

  /** @param {number} line @param {number} column */
  element(line, column) {
    return this.drawn.get(line)?.cells.get(column) ?? null;
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
    this.stopAt(line, column);
  }

  /** Make a place the one to which the tabulator leads. @param {number} line @param {number} column */
  stopAt(line, column) {
    this.element(...this.focused)?.setAttribute("tabindex", "-1");
    this.focused = [line, column];
    this.element(line, column)?.setAttribute("tabindex", "0");
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (this.grid === null || event.altKey || event.ctrlKey || event.metaKey) return;
    const act = actOf(this, this.grid, event.key);
    if (act === undefined) return;
    event.preventDefault();
    act();
  }

  /** Bring another point of the focused place to the front. @param {number} step */
  turn(step) {
    const [line, column] = this.focused;
    const [count, cell] = [this.points(line, column).length, this.element(line, column)];
    if (this.grid === null || cell === null || count < 2) return;
    const spot = this.grid.spot(line, column).join(" ");
    this.turned.set(spot, ((this.turned.get(spot) ?? 0) + step + count) % count);
    this.fill(cell, line, column);
  }

  /** Move the focus to a place, and the place onto the screen. @param {number} line @param {number} column */
  focus(line, column) {
    const { grid } = this;
    if (grid === null) return;
    line = Math.max(0, Math.min(grid.lines - 1, line));
    column = Math.max(0, Math.min(grid.across - 1, column));
    this.reveal(grid, line, column);
    this.stopAt(line, column);
    this.element(line, column)?.focus({ preventScroll: true });
  }

  /** Move the focus to a point, where it is shown. @param {number} point */
  focusPoint(point) {
    const spot = this.grid?.arrangement.placeOf(point);
    if (this.grid !== null && spot) this.focus(...this.grid.place(...spot));
  }

  /** @param {Grid} grid @param {number} line @param {number} column */
  reveal(grid, line, column) {
    const { scroller } = this;
    const { size } = grid;
    const [high, wide] = [grid.high - grid.top, grid.wide - grid.left];
    const [down, right] = [this.offset, scroller.scrollLeft];
    if (line * size < down) scroller.scrollTop = (line * size) / grid.pace;
    else if ((line + 1) * size > down + high) scroller.scrollTop = ((line + 1) * size - high) / grid.pace;
    if (column * size < right) scroller.scrollLeft = column * size;
    else if ((column + 1) * size > right + wide) scroller.scrollLeft = (column + 1) * size - wide;
    this.draw();
  }

  /** @param {Arrangement} arrangement */
  onPaper(arrangement) {
    const { grid, fitting, isSideways } = gridOnPaper(arrangement, this.scroller.clientHeight);
    turnPaper(isSideways && document.querySelector("dialog[open]") === null); // plots are printed upright
    this.fitting = fitting;
    this.unprinted.textContent = fitting < grid.across ? `only ${fitting} of ${grid.across} columns are printed: choose fewer, or put an axis into the rows` : "";
    return grid;
  }

  /** @param {boolean} printing */
  print(printing) {
    if (printing) this.hadFocus = this.hasFocus;
    this.printing = printing;
    const frames = framesOf(this.window);
    if (this.grid !== null) this.layOut(this.grid.arrangement);
    if (printing) stillClips(this.window, frames);
    if (!printing && this.hadFocus) this.element(...this.focused)?.focus({ preventScroll: true });
  }
}

/**
 * Return what stands behind a number.
 * @template Item
 * @param {Map<number, Item>} items
 * @param {number} number
 */
function following(items, number) {
  let next = Infinity;
  for (const each of items.keys()) if (each > number && each < next) next = each;
  return items.get(next);
}
