// Points in groups, by the codes that they have on some axes. It knows no page.

/**
 * The group of each of some points, and how many groups there are.
 * @typedef {{of: Int32Array, count: number}} Groups
 */

/** Numbers up to which a table of them is made, for each point: above, they are sorted. */
const ROOM = 8;

/** @param {number} length @returns {Groups} */
export function oneGroup(length) {
  return { of: new Int32Array(length), count: Math.min(1, length) };
}

/**
 * Part each group by one more code, and number the parts in the order of group and code.
 * @param {Groups} groups
 * @param {number} size codes are from -1 to below it
 * @param {(index: number) => number} codeAt
 * @returns {Groups}
 */
export function parted(groups, size, codeAt) {
  const { length } = groups.of;
  const across = size + 1;
  const keys = new Float64Array(length); // exact, however many groups and codes there are
  for (let index = 0; index < length; index += 1) keys[index] = groups.of[index] * across + codeAt(index) + 1;
  return groups.count * across <= ROOM * length + across ? counted(keys, groups.count * across) : sorted(keys);
}

/** @param {Float64Array} keys @param {number} most @returns {Groups} */
function counted(keys, most) {
  const of = new Int32Array(keys.length);
  const numbers = new Int32Array(most);
  for (let index = 0; index < keys.length; index += 1) numbers[keys[index]] = 1;
  let count = 0;
  for (let key = 0; key < most; key += 1) if (numbers[key] === 1) numbers[key] = count++;
  for (let index = 0; index < keys.length; index += 1) of[index] = numbers[keys[index]];
  return { of, count };
}

/** @param {Float64Array} keys @returns {Groups} */
function sorted(keys) {
  const distinct = Float64Array.from(new Set(keys)).sort();
  /** @type {Map<number, number>} */
  const numbers = new Map();
  for (const key of distinct) numbers.set(key, numbers.size);
  return { of: Int32Array.from(keys, (key) => numbers.get(key) ?? 0), count: numbers.size };
}

/**
 * The numbers below the length of *of* in the order of their groups: those of group g are from
 * *starts[g]* to below *starts[g + 1]*. Within a group they stand as in *order*.
 * @param {Groups} groups
 * @param {Int32Array} [order]
 */
export function gathered({ of, count }, order) {
  const starts = new Int32Array(count + 1);
  for (let place = 0; place < of.length; place += 1) starts[of[place] + 1] += 1;
  for (let group = 0; group < count; group += 1) starts[group + 1] += starts[group];
  const next = starts.slice(0, count);
  const indices = new Int32Array(of.length);
  for (let place = 0; place < of.length; place += 1) {
    const index = order === undefined ? place : order[place];
    indices[next[of[index]]++] = index;
  }
  return { starts, indices };
}
