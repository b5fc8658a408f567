// The element that shows a file, by what its bytes are: a picture, a video, a sound.
import { make } from "./dom.js";

/** @typedef {import("./data.js").File} File */
/** @typedef {"image" | "video" | "audio" | "other"} Kind */

/**
 * Say how a file is shown. Pictures may only be shown: one with a program inside doesn't run so.
 * @param {File} file
 * @returns {Kind}
 */
export function kindOf(file) {
  const kind = (file[2] ?? "").split("/")[0];
  return kind === "image" || kind === "video" || kind === "audio" ? kind : "other";
}

/** Names by which browsers take a file for media or plain text: what is in it doesn't run. */
const PLAIN = /\.(png|jpe?g|webp|gif|avif|heic|bmp|jxl|mp4|mov|webm|mkv|mp3|m4a|aac|wav|ogg|flac|weba|txt|json|csv|vtt)$/;

/**
 * Say whether a file may be opened by itself: neither a page nor a drawing with scripts. From a disk
 * its name decides what it is, from a server also its type.
 * @param {File} file
 */
export function isSafe(file) {
  return PLAIN.test(file[0]) && !/svg|xml|html/.test(file[2] ?? "");
}

/** @type {Record<string, string> | null} */
let inside = null;

/** Return the files that stand in the page itself, by their paths. */
function filesInside() {
  inside ??= Object.assign(Object.create(null), JSON.parse(document.getElementById("data-media")?.textContent ?? "{}"));
  return /** @type {Record<string, string>} */ (inside);
}

/**
 * Return the address of a path below the page's folder, whatever characters it has.
 * @param {string} path
 */
export function address(path) {
  const whole = path.replace(/\p{Cs}/gu, "\ufffd"); // half of a character has no place in an address
  return filesInside()[path] ?? `./${whole.split("/").map(encodeURIComponent).join("/")}`;
}

/**
 * Return a small element for a tile, which says itself what it is of.
 * @param {File} file
 */
export function small(file) {
  const kind = kindOf(file);
  if (kind === "image") return picture({ alt: "", decoding: "async", draggable: "false" }, file[3] ?? file[0], file[0]);
  if (kind === "video") {
    const video = make("video", { attributes: { preload: "metadata" } });
    [video.muted, video.loop, video.playsInline] = [true, true, true];
    video.onerror = () => video.replaceWith(gone());
    video.src = address(file[0]);
    return video;
  }
  return make("span", { class: "kind", text: kind === "audio" ? "♪" : (file[2] ?? "file") });
}

/**
 * Return an element that shows all of a file.
 * @param {File} file
 * @param {string} label
 */
export function large(file, label) {
  const kind = kindOf(file);
  if (kind === "image") return picture({ alt: label }, file[0], file[3] ?? file[0]); // a page that was sent alone has the thumbnail
  if (kind === "other") return make("p", { class: "kind", text: `${file[2] ?? "a file"}: not shown here` });
  const player = make(kind, { attributes: { controls: "", preload: "auto", "aria-label": label } });
  player.loop = kind === "video";
  player.onerror = () => player.replaceWith(gone());
  player.src = address(file[0]);
  return player;
}

/**
 * Return a picture of what is at one path, or else at another one.
 * @param {Record<string, string>} attributes
 * @param {string} path
 * @param {string} other
 */
function picture(attributes, path, other) {
  const picture = make("img", { attributes });
  const paths = path === other ? [] : [other];
  picture.onerror = () => {
    const next = paths.pop();
    if (next === undefined) picture.replaceWith(gone());
    else picture.src = address(next);
  };
  picture.src = address(path);
  return picture;
}

function gone() {
  return make("span", { class: "kind", text: "the file isn't there" });
}
