// @ts-check
/** The one backup that may run in this page. */

import { createBackup, resumeBackup } from '../engine/index.js';
import { keep, kept } from './memory.js';
import { Failure } from './http.js';
import { Work } from './work.js';

/**
 * @typedef {import('../engine/index.js').Auth} Auth
 * @typedef {import('./work.js').Watching} Watching
 * @typedef {import('../engine/protocol.js').Category} Category
 * @typedef {import('../engine/protocol.js').DocumentKey} DocumentKey
 * @typedef {Awaited<ReturnType<typeof createBackup>>} Finished
 * @typedef {import('./failure.js').Problem} Problem
 * @typedef {{ name: string, finished: string, size: number }} Last
 */

const LAST = 'dikas.last-backup';

class Job extends Work {
  /** @type {'idle' | 'running' | 'done' | 'failed'} */
  state = 'idle';

  /** What was left out, by category. @type {readonly string[]} */
  without = [];

  /** Documents that are left out where they are damaged. @type {DocumentKey[]} */
  damaged = [];

  /** @type {Finished | null} */
  result = null;

  /**
   * @param {readonly Category[] | undefined} categories undefined means everything
   * @param {readonly string[]} without what that leaves out
   * @param {boolean} onServer whether the server shall make it
   * @param {DocumentKey[]} damaged documents that are left out where they are damaged
   */
  async start(categories, without, onServer, damaged) {
    if (this.state === 'running') return;
    this.damaged = damaged;
    const options = { categories: categories && [...categories], without: damaged, onServer };
    await this.#make(without, (auth, watching) => createBackup({ auth, ...options, ...watching }));
  }

  /**
   * Goes on with a backup that was interrupted.
   *
   * @param {string} id
   */
  async resume(id) {
    await this.#make(this.without, async (auth, watching) => {
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
  async #make(without, work) {
    if (this.state === 'running') return;
    Object.assign(this, { state: 'running', without, result: null });
    this.result = await this.run(work);
    this.state = this.result ? 'done' : 'failed';
    if (this.result) {
      const { name, finished, size } = this.result.archive;
      keep(LAST, JSON.stringify({ name, finished, size }));
    }
    this.fire('change');
  }

  /** Lets the result or the error go. */
  clear() {
    if (this.state === 'running') return;
    Object.assign(this, { state: 'idle', result: null, error: null });
    this.fire('change');
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
