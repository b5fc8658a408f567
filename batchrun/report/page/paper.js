// The matrix on paper: as many columns as fit, and clips as they stand on the screen.
import { make } from "./dom.js";
import { Grid } from "./grid.js";

/** @typedef {import("./layout.js").Arrangement} Arrangement */

/** Pixels across a printed page with usual margins, upright and on its side. */
const UPRIGHT = 700;
const SIDEWAYS = 1000;

/** Pixels of the smallest tile that still shows something. */
const SMALLEST = 44;

const ON_ITS_SIDE = "@page { size: landscape }";

/**
 * Return a grid that fits on paper, how many of its columns do, and whether the paper is on its side.
 * @param {Arrangement} arrangement
 * @param {number} high
 */
export function gridOnPaper(arrangement, high) {
  const upright = new Grid(arrangement, UPRIGHT, high);
  if (upright.isGallery || upright.width <= UPRIGHT) return { grid: upright, fitting: upright.across, isSideways: false };
  const { left, size, across } = new Grid(arrangement, SIDEWAYS, high);
  const fitted = Math.max(SMALLEST, Math.min(size, Math.floor((SIDEWAYS - left) / across)));
  const fitting = Math.min(across, Math.floor((SIDEWAYS - left) / fitted));
  return { grid: new Grid(arrangement, SIDEWAYS, high, fitted), fitting, isSideways: true };
}

/** Lay the paper on its side, or upright. @param {boolean} isSideways */
export function turnPaper(isSideways) {
  const [sheet] = document.styleSheets;
  const last = sheet.cssRules.length - 1;
  if (sheet.cssRules[last].cssText.startsWith("@page")) sheet.deleteRule(last);
  if (isSideways) sheet.insertRule(ON_ITS_SIDE, sheet.cssRules.length);
}

/** Return the frames that clips show, by their addresses. @param {HTMLElement} host */
export function framesOf(host) {
  /** @type {Map<string, HTMLVideoElement>} */
  const frames = new Map();
  for (const video of host.querySelectorAll("video")) if (video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA) frames.set(video.src, video);
  return frames;
}

/**
 * Put pictures in place of clips, which paper shows as black squares.
 * @param {HTMLElement} host
 * @param {Map<string, HTMLVideoElement>} frames
 */
export function stillClips(host, frames) {
  for (const video of host.querySelectorAll("video")) {
    const seen = frames.get(video.src);
    if (seen === undefined) {
      video.replaceWith(make("span", { class: "kind", text: "▶" }));
      continue;
    }
    const canvas = make("canvas", { attributes: { width: String(seen.videoWidth), height: String(seen.videoHeight) } });
    canvas.getContext("2d")?.drawImage(seen, 0, 0);
    video.replaceWith(canvas);
  }
}
