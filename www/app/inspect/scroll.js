// @ts-check
/**
 * Which row stands at the top of a list that may have millions of them.
 *
 * A browser makes no element higher than some 17 million pixels. A longer list is mapped onto a bar of that height: a drag
 * of the bar goes to that share of the list, while a turn of the wheel or a swipe moves by the pixels that it is, or a
 * finger's breadth would be a thousand rows.
 */

/** The highest element that every browser makes, in pixels, with a good distance. */
const HIGHEST = 15_000_000;

export class Scroll {
  #rows = 0;
  #rowHeight = 1;
  #view = 0;

  /** Where the view begins, in pixels of the list. */
  top = 0;

  /** What `scrollTop` was last. */
  #bar = 0;

  /**
   * @param {number} rows
   * @param {number} rowHeight in pixels
   * @param {number} view height of what is seen, in pixels
   */
  resize(rows, rowHeight, view) {
    [this.#rows, this.#rowHeight, this.#view] = [rows, rowHeight, view];
    this.top = Math.min(this.top, this.#most);
  }

  /** Height of the element that is scrolled. */
  get height() {
    return Math.min(this.#rows * this.#rowHeight, HIGHEST);
  }

  /** Whether a pixel of the bar is more than one of the list. */
  get mapped() {
    return this.#rows * this.#rowHeight > HIGHEST;
  }

  /** The rows that are seen, if only in part: from and to, the last one not among them. */
  get seen() {
    const from = Math.floor(this.top / this.#rowHeight);
    return [from, Math.min(this.#rows, Math.ceil((this.top + this.#view) / this.#rowHeight))];
  }

  /** Where a row stands, in pixels below the top of the view. @param {number} row */
  offset(row) {
    return row * this.#rowHeight - this.top;
  }

  /** Where the bar has to be. */
  get bar() {
    return this.mapped ? Math.round((this.top / this.#most) * (this.height - this.#view)) : this.top;
  }

  /**
   * Takes what the person did with the bar.
   *
   * @param {number} scrollTop
   */
  follow(scrollTop) {
    const moved = scrollTop - this.#bar;
    this.#bar = scrollTop;
    if (!this.mapped) {
      this.top = Math.max(0, Math.min(scrollTop, this.#most));
    } else if (Math.abs(moved) > this.#view) {
      this.top = (scrollTop / (this.height - this.#view)) * this.#most;
    } else {
      this.by(moved);
    }
  }

  /**
   * Moves by so many pixels of the list.
   *
   * @param {number} pixels
   */
  by(pixels) {
    this.top = Math.max(0, Math.min(this.top + pixels, this.#most));
  }

  /**
   * Notes where the bar was put, so that it is not taken for something that the person did.
   *
   * @param {number} scrollTop
   */
  settled(scrollTop) {
    this.#bar = scrollTop;
  }

  /**
   * Moves as little as it takes to see all of a row, or brings it into the middle when it is far away.
   *
   * @param {number} row
   */
  reveal(row) {
    const offset = this.offset(row);
    const room = this.#view - this.#rowHeight;
    if (offset >= 0 && offset <= room) return;
    const near = offset >= -this.#view && offset <= 2 * this.#view;
    this.by(near ? (offset < 0 ? offset : offset - room) : offset - Math.max(0, room / 2));
  }

  get #most() {
    return Math.max(0, this.#rows * this.#rowHeight - this.#view);
  }
}
