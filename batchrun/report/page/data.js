// Reads the chunks: those inside the page, or scripts beside it, which work without a server.
import { Table, unpacked } from "./table.js";
import { fromJson, visible } from "./text.js";

/** @typedef {import("./table.js").Packed} Packed */
/** @typedef {[path: string, bytes: number, type: string | null, thumbnail: string | null]} File */
/** @typedef {{rows: number, overview: string, details: string}} ChunkNames */

/**
 * @typedef {Object} Head
 * @property {string} sweep its id: marks are kept by it
 * @property {import("./labels.js").Sweep[]} sweeps those of a page of several; none where it is of one
 * @property {string} data the folder of its chunks
 * @property {string} name
 * @property {string | null} label
 * @property {string} endpoint
 * @property {boolean} simulated
 * @property {string} folder
 * @property {Partial<Record<string, number>>} counts
 * @property {string} cost
 * @property {string} written_at
 * @property {string | null} first_at
 * @property {string | null} last_at
 * @property {number} calls
 * @property {boolean} complete
 * @property {string} next
 * @property {{label: string | null, alias: string, code: string, message: string, count: number}[]} failures the label is null on the page of one sweep
 * @property {Record<string, string>} models
 * @property {string[]} axes
 * @property {ChunkNames[]} chunks
 * @property {number} undrawn
 * @property {{step: number, counts: [at: number, count: number][]}} throttles how many requests met a 429 in the *step* ms from *at* on
 */

/**
 * What is read of a point when it is shown.
 * @typedef {Object} Details
 * @property {string} cell
 * @property {string | null} run_id
 * @property {number} attempts
 * @property {string | null} completed_at
 * @property {string | null} failure_message
 * @property {Record<string, unknown>} input
 * @property {File[]} files
 * @property {[path: string, end: string] | null} logs the file in which those of its run are kept, and their last lines
 */

/** @returns {Head} */
export function readHead() {
  return /** @type {Head} */ (inPage("head"));
}

/** Return the marks that were taken in, by their sweeps. @returns {{sweep: string, marks: unknown[]}[]} */
export function readMarks() {
  return /** @type {{sweep: string, marks: unknown[]}[]} */ (inPage("marks"));
}

/** @param {string} name */
function inPage(name) {
  return fromJson(/** @type {HTMLElement} */ (document.getElementById(`data-${name}`)).textContent);
}

export class Data {
  /** @param {Head} head @param {(error: Error) => void} failed */
  constructor(head, failed) {
    this.head = head;
    this.failed = failed;
    this.table = new Table(head.chunks.reduce((sum, each) => sum + each.rows, 0), head.axes);
    /** @type {number[]} */
    this.starts = [];
    /** @type {Map<number, Record<string, Packed>>} */
    this.details = new Map();
    /** @type {Map<number, Promise<void>>} */
    this.coming = new Map();
    /** Why those of a chunk won't come. @type {Map<number, string>} */
    this.missing = new Map();
    /** What is to be done when details have come, or were found missing. */
    this.arrived = () => {};
    head.chunks.reduce((from, each) => (this.starts.push(from), from + each.rows), 0);
  }

  /** Read what all points have in common. */
  async open() {
    // All are asked for at once, and taken in order: an axis has its values in the grid's order.
    const chunks = this.head.chunks.map((each) => chunkOf(this.head.data, each.overview));
    for (const [number, chunk] of chunks.entries()) {
      this.table.take(this.starts[number], this.head.chunks[number].rows, await chunk);
    }
  }

  /**
   * Return the details of a point; null where they are still to come, which `arrived` says.
   * @param {number} point
   * @returns {Details | null}
   */
  of(point) {
    const number = this.chunkAt(point);
    const details = this.details.get(number);
    if (details === undefined) {
      void this.ask(number);
      return null;
    }
    const row = point - this.starts[number];
    /** @type {[string, unknown][]} */
    const values = Object.entries(details).map(([name, packed]) => [name, unpacked(packed, row)]);
    return /** @type {Details} */ (Object.fromEntries(values));
  }

  /** Say whether a point's details are there. @param {number} point */
  has(point) {
    return this.details.has(this.chunkAt(point));
  }

  /** Say in place of a point's details why they aren't there. @param {number} point */
  lack(point) {
    const words = this.missing.get(this.chunkAt(point));
    return words === undefined ? "…" : `${visible(words)}: reload the page`;
  }

  /** @param {number} point */
  chunkAt(point) {
    let low = 0;
    let high = this.starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.starts[middle] <= point) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** @param {number} number */
  ask(number) {
    let coming = this.coming.get(number);
    if (coming === undefined) {
      coming = chunkOf(this.head.data, this.head.chunks[number].details).then((details) => {
        this.details.set(number, details);
        this.arrived();
      }, (/** @type {unknown} */ error) => {
        const why = error instanceof Error ? error : new Error(String(error));
        this.missing.set(number, why.message);
        this.failed(why);
        this.arrived();
      });
      this.coming.set(number, coming);
    }
    return coming;
  }
}

/** @type {Map<string, (chunk: Record<string, Packed>) => void>} */
const waiting = new Map();

Object.assign(window, {
  /** Called by the scripts beside the page. @type {(name: string, chunk: Record<string, Packed>) => void} */
  batchrunTake(name, chunk) {
    waiting.get(name)?.(chunk);
    waiting.delete(name);
  },
});

/**
 * @param {string} folder
 * @param {string} name
 * @returns {Promise<Record<string, Packed>>}
 */
function chunkOf(folder, name) {
  const inside = document.getElementById(`data-${name}`);
  if (inside !== null) return Promise.resolve(/** @type {Record<string, Packed>} */ (fromJson(inside.textContent)));
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    const missing = () => reject(new Error(`${folder}/${name}.js can't be read`));
    waiting.set(name, resolve);
    script.async = true;
    script.src = `${folder}/${name}.js`;
    script.onerror = missing;
    script.onload = () => {
      script.remove();
      if (waiting.has(name)) missing(); // it was cut: it ran, and brought nothing
    };
    document.head.append(script);
  });
}
