// What keys do in the matrix: the focus walks, and the focused cell is opened, compared or marked.

/** @typedef {import("./grid.js").Grid} Grid */
/** @typedef {import("./matrix.js").Matrix} Matrix */

/**
 * Return what a key does to the place with the focus; undefined where it does nothing.
 * @param {Matrix} matrix
 * @param {Grid} grid
 * @param {string} key
 */
export function actOf(matrix, grid, key) {
  const [line, column] = matrix.focused;
  const { isGallery, across } = grid;
  const page = Math.max(1, Math.floor(grid.high / grid.size) - 1);
  const point = matrix.points(line, column).at(0);
  const { marking, open, mark } = matrix.does;
  /** @type {Record<string, () => void>} */
  const ways = {
    ArrowUp: () => matrix.focus(line - 1, column),
    ArrowDown: () => matrix.focus(line + 1, column),
    ArrowLeft: () => (isGallery && column === 0 ? matrix.focus(line - 1, across - 1) : matrix.focus(line, column - 1)),
    ArrowRight: () => (isGallery && column === across - 1 ? matrix.focus(line + 1, 0) : matrix.focus(line, column + 1)),
    PageUp: () => matrix.focus(line - page, column),
    PageDown: () => matrix.focus(line + page, column),
    Home: () => matrix.focus(0, 0),
    End: () => matrix.focus(grid.lines - 1, column),
    ",": () => matrix.turn(-1),
    ".": () => matrix.turn(1),
  };
  if (Object.hasOwn(ways, key)) return ways[key];
  if (point === undefined) return undefined;
  if (key === "Enter") return () => open(point);
  if (key === "c") return () => mark(point);
  return marking.has(key) ? () => marking.press(key, point) : undefined;
}
