// @ts-check
/**
 * The one backup that may run in this page. It lives here and not in a view, so that switching the language or drawing
 * the page anew never touches it.
 *
 * It fires `change` when it begins or ends and `tick` while it runs.
 */

import { createBackup, resumeBackup } from '../engine/index.js';
import { keep, kept } from './memory.js';
import { askToSignIn } from './login.js';
import { Pace } from './pace.js';
import { authorised, Failure } from './session.js';

/**
 * @typedef {import('../engine/index.js').Auth} Auth
 * @typedef {import('../engine/index.js').Watching} Watching
 * @typedef {import('../engine/protocol.js').Progress} Progress
 * @typedef {import('../engine/protocol.js').Notice} Notice
 * @typedef {import('../engine/protocol.js').Category} Category
 * @typedef {Awaited<ReturnType<typeof createBackup>>} Finished
 * @typedef {import('./failure.js').Problem} Problem
 * @typedef {{ name: string, finished: string, size: number }} Last
 */

const LAST = 'dikas.last-backup';
const TICK = 500;

class Job extends EventTarget {
  /** @type {'idle' | 'running' | 'done' | 'failed'} */
  state = 'idle';

  /** What was left out, by category. @type {readonly string[]} */
  without = [];

  /** @type {Progress | null} */
  progress = null;

  /** @type {Notice[]} */
  notices = [];

  /** @type {Finished | null} */
  result = null;

  /** @type {Problem | null} */
  error = null;

  pace = new Pace();
  cancelling = false;

  #began = 0;
  #ended = 0;
  #moved = 0;
  #abort = new AbortController();

  /** Seconds since the start, or from start to end. */
  get elapsed() {
    return ((this.state === 'running' ? performance.now() : this.#ended) - this.#began) / 1000;
  }

  /** Seconds since something last arrived. */
  get still() {
    return (performance.now() - this.#moved) / 1000;
  }

  get secondsLeft() {
    return this.pace.left(performance.now() / 1000);
  }

  /**
   * @param {readonly Category[] | undefined} categories undefined means everything
   * @param {readonly string[]} without what that leaves out
   * @param {boolean} onServer whether the server shall make it
   */
  async start(categories, without, onServer) {
    const chosen = categories && [...categories];
    await this.#run(without, (auth, watching) => createBackup({ auth, categories: chosen, onServer, ...watching }));
  }

  /**
   * Goes on with a backup that was interrupted.
   *
   * @param {string} id
   */
  async resume(id) {
    await this.#run(this.without, async (auth, watching) => {
      try {
        return await resumeBackup({ id, auth, ...watching });
      } catch (error) {
        const { kind, message } = /** @type {Problem} */ (error);
        throw kind === 'snapshot-gone' ? new Failure('moment-gone', String(message)) : error;
      }
    });
  }

  /**
   * @param {readonly string[]} without
   * @param {(auth: Auth, watching: Watching) => Promise<Finished>} work
   */
  async #run(without, work) {
    if (this.state === 'running') return;
    Object.assign(this, { state: 'running', without, progress: null, notices: [], result: null, error: null });
    this.cancelling = false;
    this.pace = new Pace();
    this.#abort = new AbortController();
    this.#began = this.#moved = performance.now();
    this.#fire('change');
    const timer = setInterval(() => this.#tick(), TICK);
    const awake = stayAwake();
    try {
      const watching = {
        onProgress: (/** @type {Progress} */ progress) => this.#take(progress),
        onNotice: (/** @type {Notice} */ notice) => this.#notice(notice),
        signal: this.#abort.signal,
      };
      const wanted = () => this.state === 'running' && !this.cancelling;
      const signInAgain = () => (wanted() ? askToSignIn() : Promise.reject(this.error));
      const result = await authorised((auth) => work(auth, watching), signInAgain);
      this.result = result;
      const { name, finished, size } = result.archive;
      keep(LAST, JSON.stringify({ name, finished, size }));
      this.state = 'done';
    } catch (error) {
      this.error = /** @type {Problem} */ (error);
      this.state = 'failed';
    } finally {
      clearInterval(timer);
      this.#ended = performance.now();
      awake.then((lock) => lock?.release()).catch(() => {});
      this.#fire('change');
    }
  }

  cancel() {
    this.cancelling = true;
    this.#abort.abort();
    this.#fire('tick');
  }

  /** Lets the result or the error go. */
  clear() {
    if (this.state === 'running') return;
    Object.assign(this, { state: 'idle', result: null, error: null });
    this.#fire('change');
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
    this.#fire('tick');
  }

  #tick() {
    if (this.progress) this.pace.note(this.progress, performance.now() / 1000);
    this.#fire('tick');
  }

  /** @param {'change' | 'tick'} name */
  #fire(name) {
    this.dispatchEvent(new Event(name));
  }
}

export const job = new Job();

/** The last backup that this device made, as far as it remembers. @returns {Last | null} */
export function lastBackup() {
  try {
    return JSON.parse(kept(LAST) ?? 'null');
  } catch {
    return null;
  }
}

/** A tablet that falls asleep stops the work; where the browser allows, it stays awake. */
async function stayAwake() {
  return (await navigator.wakeLock?.request('screen').catch(() => null)) ?? null;
}
