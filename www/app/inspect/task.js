// @ts-check
/** Something long that is done with the open backup: it outlives every drawing of the page, and can be stopped. */

/**
 * @typedef {import('../failure.js').Problem} Problem
 * @typedef {{ bytes: number, total: number }} Done
 * @typedef {{ onProgress: (done: Done) => void, signal: AbortSignal }} Reading
 */

/** @template Result */
export class Task extends EventTarget {
  /** @type {'idle' | 'running' | 'done' | 'stopped' | 'failed'} */
  state = 'idle';

  /** Share that is done. */
  fraction = 0;

  /** @type {Result | null} */
  result = null;

  /** @type {Problem | null} */
  error = null;

  #stop = new AbortController();

  /**
   * Does the work; one that is under way already is stopped. Fires `change` at the beginning and the end, `tick` between.
   *
   * @param {(reading: Reading) => Promise<Result>} work
   * @returns {Promise<Result | null>} null where it failed or was stopped
   */
  async run(work) {
    this.#stop.abort();
    const mine = (this.#stop = new AbortController());
    Object.assign(this, { state: 'running', fraction: 0, result: null, error: null });
    this.#fire('change');
    const onProgress = (/** @type {Done} */ { bytes, total }) => {
      if (this.#stop !== mine) return;
      this.fraction = Math.min(0.99, bytes / Math.max(1, total));
      this.#fire('tick');
    };
    try {
      const result = await work({ onProgress, signal: mine.signal });
      if (this.#stop !== mine) return null;
      Object.assign(this, { state: 'done', fraction: 1, result });
      return result;
    } catch (error) {
      if (this.#stop !== mine) return null;
      const problem = /** @type {Problem} */ (error);
      Object.assign(this, { state: problem.kind === 'cancelled' ? 'stopped' : 'failed', error: problem });
      return null;
    } finally {
      if (this.#stop === mine) this.#fire('change');
    }
  }

  stop() {
    this.#stop.abort();
  }

  /** Forgets everything, and stops what is under way without a word. */
  clear() {
    this.#stop.abort();
    this.#stop = new AbortController();
    Object.assign(this, { state: 'idle', fraction: 0, result: null, error: null });
  }

  /** @param {'change' | 'tick'} name */
  #fire(name) {
    this.dispatchEvent(new Event(name));
  }
}
