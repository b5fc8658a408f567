// Steps from a point along one axis.

/** @typedef {import("./table.js").Table} Table */

/**
 * Return the point with the next value of an axis that agrees most with *from* in all others; null
 * at the end. Axes may hang together, such as a prompt and the words that it is made of: then no
 * point differs in one of them alone.
 * @param {Table} table
 * @param {Int32Array} points
 * @param {number} from
 * @param {string} name
 * @param {number} step 1 or -1
 */
export function along(table, points, from, name, step) {
  const axis = table.axis(name);
  const others = table.varying.filter((each) => each !== name).map((each) => table.axis(each).codes);
  for (let code = axis.codes[from] + step; code >= 0 && code < axis.values.length; code += step) {
    let best = null;
    let most = -1;
    for (const point of points) {
      if (axis.codes[point] !== code) continue;
      const alike = others.reduce((sum, codes) => sum + Number(codes[point] === codes[from]), 0);
      if (alike > most) [best, most] = [point, alike];
    }
    if (best !== null) return best;
  }
  return null;
}
