// All points of the sweep, in columns: which value each has, as a number.

/**
 * Values of a column as Python packs them: see columns.py.
 * @typedef {{all?: unknown, values?: unknown[], codes?: number[]}} Packed
 */

/**
 * A column whose values repeat. A point's code counts *values*; -1: it has none.
 * @typedef {{name: string, values: unknown[], tokens: string[], codes: Int32Array, numbers: Map<string, number>}} Axis
 */

/** @typedef {"alias" | "replicate" | "status" | "failure_code"} Ours */

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
    this.cost = new Float64Array(length).fill(Number.NaN);
    this.duration = new Float64Array(length).fill(Number.NaN);
    /** Milliseconds since 1970. */
    this.created = new Float64Array(length).fill(Number.NaN);
    this.shared = new Uint8Array(length);
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
    fill(this.cost, from, rows, chunk.cost, (value) => (value === null ? Number.NaN : Number(value)));
    fill(this.duration, from, rows, chunk.duration_ms, (value) => (typeof value === "number" ? value : Number.NaN));
    fill(this.created, from, rows, chunk.created_at, (value) => (typeof value === "string" ? Date.parse(value) : Number.NaN));
    fill(this.shared, from, rows, chunk.shared, Number);
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
  const token = JSON.stringify(value);
  let number = axis.numbers.get(token);
  if (number === undefined) {
    number = axis.values.length;
    axis.numbers.set(token, number);
    axis.values.push(value);
    axis.tokens.push(token);
  }
  return number;
}

/**
 * @param {Float64Array | Uint8Array} column
 * @param {number} from
 * @param {number} rows
 * @param {Packed | undefined} packed
 * @param {(value: unknown) => number} read
 */
function fill(column, from, rows, packed, read) {
  if (packed === undefined) return;
  for (let row = 0; row < rows; row += 1) column[from + row] = read(unpacked(packed, row));
}
