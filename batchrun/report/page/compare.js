// Two points over each other: a slider that uncovers one of them, or a flicker between the two.
import { button, make } from "./dom.js";
import { large } from "./media.js";
import { cut, spelled, visible } from "./text.js";

/** @typedef {import("./data.js").Data} Data */

/** Milliseconds between the two pictures of a flicker. */
const BEAT = 600;

/** Characters of a value in the name of a picture. */
const LONGEST_NAME = 300;

export class Compare {
  /** @param {Data} data @param {() => void} closed */
  constructor(data, closed) {
    this.data = data;
    this.closed = closed;
    /** @type {[number, number] | null} */
    this.points = null;
    /** What is drawn. */
    this.drawn = "";
    /** @type {ReturnType<typeof setInterval> | undefined} */
    this.beat = undefined;
    /** Whether the machine's owner wants little to move. */
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.under = make("div", { class: "layer" });
    this.over = make("div", { class: "layer over" });
    this.slider = make("input", {
      attributes: { type: "range", min: "0", max: "100", value: "50", "aria-label": "how much of the left one is uncovered" },
      on: { input: () => this.slide(Number(this.slider.value)) },
    });
    this.names = [make("span", { class: "name" }), make("span", { class: "name" })];
    this.flickering = button("flicker (space)", () => this.flicker(), { "aria-pressed": "false" });
    this.playing = button("play or pause", () => this.play());
    /** Which one a flicker shows. */
    this.isLeft = true;
    this.dialog = make(
      "dialog",
      {
        class: "compare",
        attributes: { "aria-label": "two cells compared", tabindex: "-1" },
        on: { keydown: (event) => this.key(event), close: () => this.close() },
      },
      make("div", { class: "buttons" }, button("← back", () => this.dialog.close()), this.flickering, button("swap", () => this.swap()), this.playing),
      make("div", { class: "layers" }, this.under, this.over),
      make("div", { class: "slide" }, this.names[0], this.slider, this.names[1]),
    );
    document.body.append(this.dialog);
  }

  /** @param {number} left @param {number} right */
  show(left, right) {
    this.points = [left, right];
    this.draw();
    if (this.dialog.open) return;
    this.dialog.showModal();
    if (!this.slider.hidden) this.slider.focus();
  }

  hide() {
    if (this.dialog.open) this.dialog.close();
  }

  close() {
    if (this.dialog.open) return; // it was opened again before this was heard of
    this.stop();
    this.points = null;
    for (const layer of [this.over, this.under]) layer.replaceChildren(); // or it would play on
    this.drawn = "";
    this.closed();
  }

  draw() {
    if (this.points === null) return;
    const [left, right] = this.points;
    const state = this.points.map((point) => `${point} ${this.data.has(point) ? "" : this.data.lack(point)}`).join("\n");
    if (state === this.drawn) return; // what plays, plays on
    this.drawn = state;
    this.over.replaceChildren(this.picture(left));
    this.under.replaceChildren(this.picture(right));
    this.names[0].textContent = this.name(left, right);
    this.names[1].textContent = this.name(right, left);
    this.playing.hidden = this.dialog.querySelector("video") === null;
    const isSeen = this.dialog.querySelector("audio") === null; // sounds stand side by side
    this.dialog.classList.toggle("sounds", !isSeen);
    for (const each of [this.slider, this.flickering]) each.hidden = !isSeen;
    this.slide(Number(this.slider.value));
  }

  /** @param {number} point */
  picture(point) {
    const details = this.data.of(point);
    const file = details?.files.at(0);
    if (file === undefined) return make("span", { class: "kind", text: details === null ? this.data.lack(point) : "no file" });
    const element = large(file, this.name(point, point));
    if (element instanceof HTMLVideoElement) {
      [element.muted, element.autoplay, element.controls] = [true, !this.still.matches, false];
    }
    return element;
  }

  /** Name a point by what tells it from the other one. @param {number} point @param {number} other */
  name(point, other) {
    const { table } = this.data;
    const names = table.varying.filter((name) => point === other || table.value(name, point) !== table.value(name, other));
    return names.map((name) => cut(`${visible(name)} ${spelled(table.value(name, point))}`, LONGEST_NAME)).join(" · ");
  }

  /** @param {number} percent */
  slide(percent) {
    if (this.slider.hidden) percent = 100;
    this.over.style.clipPath = `inset(0 ${100 - percent}% 0 0)`;
  }

  swap() {
    if (this.points !== null) this.show(this.points[1], this.points[0]);
  }

  /** Begin to show one and the other in turn, or end it. Where little shall move, turn once. */
  flicker() {
    if (this.beat !== undefined) this.stop();
    else if (this.still.matches) this.turn();
    else {
      this.flickering.setAttribute("aria-pressed", "true");
      this.turn();
      this.beat = setInterval(() => this.turn(), BEAT);
    }
  }

  turn() {
    this.isLeft = !this.isLeft;
    this.slide(this.isLeft ? 100 : 0);
  }

  /** Let videos play, or stop all that do. */
  play() {
    const videos = [...this.dialog.querySelectorAll("video")];
    const isPlaying = videos.some((video) => !video.paused);
    for (const video of videos) {
      if (isPlaying) video.pause();
      else void video.play().catch(() => {});
    }
  }

  stop() {
    clearInterval(this.beat);
    this.beat = undefined;
    this.flickering.setAttribute("aria-pressed", "false");
    this.slide(Number(this.slider.value));
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.key === " " && !this.flickering.hidden && !(event.target instanceof HTMLButtonElement)) {
      event.preventDefault();
      this.flicker();
    }
  }
}
