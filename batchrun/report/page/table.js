// All points of the sweep, in columns: which value each has, as a number.
import { cut } from "./text.js";

/**
 * Values of a column as Python packs them: see columns.py.
 * @typedef {{all?: unknown, values?: unknown[], codes?: number[]}} Packed
 */

/**
 * A column whose values repeat. A point's code counts *values*; -1: it has none. *tokens* are what
 * addresses call the values, *numbers* their codes by their JSON.
 * @typedef {{name: string, values: unknown[], tokens: string[], codes: Int32Array, numbers: Map<string, number>}} Axis
 */

/** @typedef {"alias" | "replicate" | "status" | "failure_code"} Ours */

/** Characters of a token: an address has room for 2 MB, and a prompt may have 100,000. */
const LONGEST_TOKEN = 200;

const OURS = ["alias", "replicate", "status", "failure_code"];

export class Table {
  /** @param {number} length @param {string[]} axes */
  constructor(length, axes) {
    this.length = length;
    this.names = axes;
    /** @type {Map<string, Axis>} */
    this.axes = new Map();
    for (const name of [...axes, ...OURS]) {
      const codes = new Int32Array(length).fill(-1);
      this.axes.set(name, { name, values: [], tokens: [], codes, numbers: new Map() });
    }
    /** The columns that are no axes, as they came. @type {{from: number, rows: number, chunk: Record<string, Packed>}[]} */
    this.chunks = [];
    /** Those of them that were asked for. @type {Map<string, Float64Array>} */
    this.numbers = new Map();
    /** The marks of each point, as bits: see marks.js. */
    this.marked = new Uint8Array(length);
  }

  /**
   * Take in a chunk of points, the first of which is number *from*.
   * @param {number} from
   * @param {number} rows
   * @param {Record<string, Packed>} chunk
   */
  take(from, rows, chunk) {
    for (const axis of this.axes.values()) {
      const packed = chunk[axis.name];
      if (isPacked(packed)) addCodes(axis, from, rows, packed);
    }
    this.chunks.push({ from, rows, chunk });
  }

  /** USD of each point; NaN where it has none. */
  get cost() {
    return this.column("cost", (value) => (value === null ? Number.NaN : Number(value)));
  }

  /** When each run was created, in milliseconds since 1970; NaN, here and below, where that isn't known. */
  get created() {
    return this.column("created_at", numberOrNaN);
  }

  /** Milliseconds from there to its end. */
  get whole() {
    return this.column("completed_at", numberOrNaN);
  }

  /** Milliseconds from the start of its work to its end: what is left of the whole is the queue. */
  get work() {
    return this.column("duration_ms", numberOrNaN);
  }

  /** 1 for each point that has its run from an earlier one. */
  get shared() {
    return this.column("shared", Number);
  }

  /**
   * Return a column of numbers, which is read when it is asked for first: a page opens without most.
   * @param {string} name
   * @param {(value: unknown) => number} read
   */
  column(name, read) {
    let numbers = this.numbers.get(name);
    if (numbers === undefined) {
      numbers = new Float64Array(this.length).fill(Number.NaN);
      for (const { from, rows, chunk } of this.chunks) fill(numbers, from, rows, chunk[name], read);
      this.numbers.set(name, numbers);
    }
    return numbers;
  }

  /** @param {string} name @returns {Axis} */
  axis(name) {
    const axis = this.axes.get(name);
    if (axis === undefined) throw new Error(`no axis ${name}`);
    return axis;
  }

  /**
   * Return the value that a point has; undefined where it has none.
   * @param {string} name
   * @param {number} point
   */
  value(name, point) {
    const axis = this.axis(name);
    return axis.values[axis.codes[point]];
  }

  /** The axes with more than one value, or one that not all points have: those one can look along. */
  get varying() {
    return ["alias", ...this.names, "replicate"].filter((name) => {
      const axis = this.axis(name);
      return axis.values.length > 1 || (axis.values.length === 1 && axis.codes.includes(-1));
    });
  }
}

/**
 * Return what an address calls a value: its JSON, or where that is long, its beginning and a hash.
 * @param {unknown} value
 */
export function tokenOf(value) {
  const json = JSON.stringify(value);
  if (json.length <= LONGEST_TOKEN) return json;
  const hashes = [0x811c9dc5, 0x01000193].map((seed) => {
    let hash = seed; // FNV-1a, of characters
    for (let place = 0; place < json.length; place += 1) hash = Math.imul(hash ^ json.charCodeAt(place), 0x01000193);
    return (hash >>> 0).toString(16).padStart(8, "0");
  });
  return `${cut(json, LONGEST_TOKEN / 4)}#${hashes.join("")}`;
}

/**
 * Return one value of a packed column.
 * @param {Packed} packed
 * @param {number} row
 */
export function unpacked(packed, row) {
  if (packed.values === undefined) return packed.all;
  return packed.codes === undefined ? packed.values[row] : packed.values[packed.codes[row]];
}

/**
 * Say whether a chunk has a column: of an axis called `constructor` each object has something.
 * @param {Packed | undefined} packed
 * @returns {packed is Packed}
 */
function isPacked(packed) {
  return packed !== undefined && (Array.isArray(packed.values) || Object.hasOwn(packed, "all"));
}

/** @param {unknown} value */
function numberOrNaN(value) {
  return typeof value === "number" ? value : Number.NaN;
}

/** @param {Axis} axis @param {number} from @param {number} rows @param {Packed} packed */
function addCodes(axis, from, rows, packed) {
  if (packed.values === undefined) {
    axis.codes.fill(numberIn(axis, packed.all), from, from + rows);
    return;
  }
  const numbers = packed.values.map((value) => numberIn(axis, value));
  for (let row = 0; row < rows; row += 1) {
    const code = packed.codes === undefined ? row : packed.codes[row];
    if (code >= 0) axis.codes[from + row] = numbers[code];
  }
}

/**
 * Return the code of a value, -1 for null in a column of ours: the point has none.
 * @param {Axis} axis
 * @param {unknown} value
 */
function numberIn(axis, value) {
  if (value === null && OURS.includes(axis.name)) return -1;
  const json = JSON.stringify(value);
  let number = axis.numbers.get(json);
  if (number === undefined) {
    number = axis.values.length;
    axis.numbers.set(json, number);
    axis.values.push(value);
    axis.tokens.push(tokenOf(value));
  }
  return number;
}

/**
 * @param {Float64Array} column
 * @param {number} from
 * @param {number} rows
 * @param {Packed | undefined} packed
 * @param {(value: unknown) => number} read
 */
function fill(column, from, rows, packed, read) {
  if (packed === undefined) return;
  if (packed.values === undefined) {
    column.fill(read(packed.all), from, from + rows);
    return;
  }
  const numbers = packed.values.map(read);
  for (let row = 0; row < rows; row += 1) {
    const code = packed.codes === undefined ? row : packed.codes[row];
    if (code >= 0) column[from + row] = numbers[code];
  }
}
