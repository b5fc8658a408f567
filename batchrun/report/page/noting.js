// The dialog in which a note is written. What isn't saved is kept until the page is left.
import { button, make } from "./dom.js";
import { LONGEST_NOTE } from "./marks.js";

/** @typedef {import("./all_marks.js").AllMarks} AllMarks */

export class Noting {
  /** @param {AllMarks} marks @param {(text: string) => void} say */
  constructor(marks, say) {
    this.marks = marks;
    this.say = say;
    /** @type {string | null} the cell whose note is written */
    this.cell = null;
    /** Texts that were left unsaved, by cell. @type {Map<string, string>} */
    this.drafts = new Map();
    this.text = make("textarea", { attributes: { rows: "6", maxlength: String(LONGEST_NOTE), "aria-label": "note" } });
    this.dialog = make(
      "dialog",
      {
        class: "noting",
        attributes: { "aria-label": "a note on the cell" },
        on: { keydown: (event) => this.key(event), close: () => this.closed() },
      },
      make("h2", { text: "Note" }),
      this.text,
      make("div", { class: "buttons" }, button("save (Ctrl+Enter)", () => this.save()), button("discard", () => this.discard())),
    );
    document.body.append(this.dialog);
  }

  /** @param {string} cell */
  open(cell) {
    this.cell = cell;
    this.text.value = this.drafts.get(cell) ?? this.kept(cell);
    this.dialog.showModal();
    this.text.focus();
  }

  /** @param {string} cell */
  kept(cell) {
    return this.marks.of(cell).note?.note ?? "";
  }

  save() {
    const cell = this.over();
    if (cell === null) return;
    this.marks.write(cell, this.text.value);
    this.say(this.kept(cell) === "" ? "no note" : "note kept");
  }

  discard() {
    this.over();
    this.say("");
  }

  /** Close the dialog, and return the cell that it was about; nothing is left unsaved. */
  over() {
    const { cell } = this;
    this.cell = null;
    if (cell !== null) this.drafts.delete(cell);
    this.dialog.close();
    return cell;
  }

  /** Keep what Escape would lose. */
  closed() {
    const { cell } = this;
    this.cell = null;
    if (cell === null || this.text.value === this.kept(cell)) return;
    this.drafts.set(cell, this.text.value);
    this.say("the note is not saved: press n to go on with it");
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    event.stopPropagation(); // letters are text here, and no keys of the page
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.save();
  }
}
