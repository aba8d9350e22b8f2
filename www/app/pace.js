// @ts-check
/**
 * How far a backup or restore is, how fast, and how long it will take: one steady figure out of phases that count different
 * things. Only the result reads 100 %.
 */

/** @typedef {import('../engine/protocol.js').Progress} Progress */

/** Shares of a backup, as measured: fetching and compressing is most of it, reading the archive back the rest. */
const FETCH = 0.88;
const FINISH = 0.9;
const MOST = 0.99;

/** Those of a restore: reading and checking all of it, sending it, and having the server compare. */
const CHECK = 0.35;
const STAGE = 0.95;

/** Speeds are taken over the last so many seconds. A new guess replaces the old one as slowly as that, fast at first. */
const WINDOW = 12;
const SETTLE = 6;

export class Pace {
  /** @type {{ time: number, fraction: number, bytes: number, phase: string }[]} */
  #marks = [];

  /** @type {number | null} */
  #left = null;

  #leftAt = 0;
  #since = 0;

  /** Share done, 0 to 0.99; it never goes back unless the job started over. */
  fraction = 0;

  /**
   * Takes note of a report.
   *
   * @param {Progress} progress
   * @param {number} time in seconds, on any clock that only goes on
   */
  note(progress, time) {
    this.fraction = Math.max(this.fraction, overall(progress));
    const last = this.#marks.at(-1);
    if (last && kind(last.phase) !== kind(progress.phase)) this.#marks = [];
    this.#marks.push({ time, fraction: this.fraction, bytes: progress.bytes, phase: progress.phase });
    while (this.#marks.length > 2 && (this.#marks[0]?.time ?? time) < time - WINDOW) this.#marks.shift();
  }

  /** Begins anew, when the job does. */
  restart() {
    this.#marks = [];
    this.#left = null;
    this.fraction = 0;
  }

  /** Bytes per second, or null while too little is known. */
  get rate() {
    return this.#slope((mark) => mark.bytes);
  }

  /**
   * Seconds left, or null while too little is known. It counts down by the clock and leans towards the newest guess.
   *
   * @param {number} time
   */
  left(time) {
    const speed = this.#slope((mark) => mark.fraction);
    const passed = time - this.#leftAt;
    this.#leftAt = time;
    // Nothing moves: then neither does the guess.
    if (!speed) return this.#left;
    const guess = (1 - this.fraction) / speed;
    if (this.#left === null) this.#since = time;
    const settle = Math.min(SETTLE, 1 + (time - this.#since) / 3);
    const expected = this.#left === null ? guess : Math.max(0, this.#left - passed);
    this.#left = expected + (guess - expected) * (1 - Math.exp(-passed / settle));
    return this.#left;
  }

  /** @param {(mark: { fraction: number, bytes: number }) => number} of */
  #slope(of) {
    const first = this.#marks[0];
    const last = this.#marks.at(-1);
    if (!first || !last || last.time - first.time < 1) return null;
    const slope = (of(last) - of(first)) / (last.time - first.time);
    return slope > 0 ? slope : null;
  }
}

/**
 * Phases of a kind count the same bytes at about the same speed.
 *
 * @param {string} phase
 */
function kind(phase) {
  return ['documents', 'attachments', 'finish'].includes(phase) ? 'fetch' : phase;
}

/** @param {Progress} progress */
function overall({ phase, bytes, bytesTotal }) {
  const share = bytesTotal > 0 ? Math.min(1, bytes / bytesTotal) : 0;
  switch (phase) {
    case 'open':
      return 0;
    case 'resume':
    case 'documents':
    case 'attachments':
      return FETCH * share;
    case 'finish':
      return FETCH;
    case 'verify':
      return FINISH + (MOST - FINISH) * share;
    case 'check':
      return CHECK * share;
    case 'stage':
      return CHECK + (STAGE - CHECK) * share;
    case 'preview':
    case 'commit':
      return STAGE;
  }
}
