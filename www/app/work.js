// @ts-check
/**
 * Work of the engine that goes on while the page shows how far it is. It lives in a module and not in a view, so that
 * switching the language or drawing the page anew never touches it.
 *
 * It fires `change` when it begins or ends and `tick` while it runs.
 */

import { askToSignIn } from './login.js';
import { Pace } from './pace.js';
import { authorised } from './session.js';

/**
 * @typedef {import('../engine/index.js').Auth} Auth
 * @typedef {import('../engine/protocol.js').Progress} Progress
 * @typedef {import('../engine/protocol.js').Notice} Notice
 * @typedef {import('./failure.js').Problem} Problem
 * @typedef {{ onProgress: (progress: Progress) => void, onNotice: (notice: Notice) => void, signal: AbortSignal }} Watching
 */

const TICK = 500;

export class Work extends EventTarget {
  /** @type {Progress | null} */
  progress = null;

  /** @type {Notice[]} */
  notices = [];

  /** @type {Problem | null} */
  error = null;

  pace = new Pace();
  cancelling = false;

  /** Whether it can still be cancelled. */
  cancellable = true;

  #working = false;
  #began = 0;
  #ended = 0;
  #moved = 0;
  #abort = new AbortController();

  /** Seconds since the start, or from start to end. */
  get elapsed() {
    return ((this.#working ? performance.now() : this.#ended) - this.#began) / 1000;
  }

  /** Seconds since something last arrived. */
  get still() {
    return (performance.now() - this.#moved) / 1000;
  }

  get secondsLeft() {
    return this.pace.left(performance.now() / 1000);
  }

  /**
   * Runs the work, and asks the person to sign in again where that is needed. Its failure becomes `error`.
   *
   * @template {object} T
   * @param {(auth: Auth, watching: Watching) => Promise<T>} work
   * @returns {Promise<T | null>} null when it has failed
   */
  async run(work) {
    Object.assign(this, { progress: null, notices: [], error: null, cancelling: false });
    this.pace = new Pace();
    this.#abort = new AbortController();
    this.#began = this.#moved = performance.now();
    this.#working = true;
    this.fire('change');
    const timer = setInterval(() => this.#tick(), TICK);
    const awake = stayAwake();
    try {
      const watching = {
        onProgress: (/** @type {Progress} */ progress) => this.#take(progress),
        onNotice: (/** @type {Notice} */ notice) => this.#notice(notice),
        signal: this.#abort.signal,
      };
      const wanted = () => this.#working && !this.cancelling;
      /** @type {unknown} */
      let gaveUp = null;
      // Requests that were under way together are refused together: whoever gives up is not asked once for each.
      const signInAgain = async () => {
        if (gaveUp || !wanted()) throw gaveUp ?? this.error;
        await askToSignIn().catch((error) => {
          throw (gaveUp = error);
        });
      };
      return await authorised((auth) => work(auth, watching), signInAgain);
    } catch (error) {
      this.error = /** @type {Problem} */ (error);
      return null;
    } finally {
      clearInterval(timer);
      this.#working = false;
      this.#ended = performance.now();
      awake.then((lock) => lock?.release()).catch(() => {});
    }
  }

  cancel() {
    this.cancelling = true;
    this.#abort.abort();
    this.fire('tick');
  }

  /** @param {'change' | 'tick'} name */
  fire(name) {
    this.dispatchEvent(new Event(name));
  }

  /** @param {Progress} progress */
  #take(progress) {
    const last = this.progress;
    this.progress = progress;
    if (progress.bytes !== last?.bytes) this.#moved = performance.now();
    if (progress.phase !== last?.phase) this.#tick();
  }

  /** @param {Notice} notice */
  #notice(notice) {
    if (notice.kind === 'started-over') this.pace.restart();
    this.notices = [...this.notices.filter(({ kind }) => kind !== notice.kind), notice];
    this.fire('tick');
  }

  #tick() {
    if (this.progress) this.pace.note(this.progress, performance.now() / 1000);
    this.fire('tick');
  }
}

/** A tablet that falls asleep stops the work; where the browser allows, it stays awake. */
async function stayAwake() {
  return (await navigator.wakeLock?.request('screen').catch(() => null)) ?? null;
}
