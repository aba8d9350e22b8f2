// @ts-check
/**
 * The backup that is open to be looked at, and what is being done with it. It lives in a module and not in a view, so that
 * switching the language or drawing the page anew touches none of it.
 */

import { openBackup } from '../../engine/index.js';
import { Task } from './task.js';

/**
 * @typedef {Awaited<ReturnType<typeof openBackup>>} Backup
 * @typedef {import('../../engine/protocol.js').Hit} Hit
 * @typedef {import('../../engine/protocol.js').Compared} Compared
 * @typedef {Awaited<ReturnType<Backup['search']>>} Matches
 * @typedef {Awaited<ReturnType<Backup['verify']>>} Verdict
 * @typedef {import('../failure.js').Problem} Problem
 * @typedef {{ collection: string, row: number, query?: string }} Shown A document, and what it was found by.
 */

class Inspecting extends EventTarget {
  /** @type {'idle' | 'opening' | 'open'} */
  state = 'idle';

  /** @type {Backup | null} */
  backup = null;

  /** What it is called. */
  name = '';

  /** Whether it is read from an address. */
  onServer = false;

  /** Share that was read, where opening is reading. */
  fraction = 0;

  /** @type {Problem | null} */
  error = null;

  /** The row that is marked in each collection. @type {Map<string, number>} */
  rows = new Map();

  /** The document that is shown. @type {Shown | null} */
  shown = null;

  /** What is searched for, and where; everywhere where there is no collection. */
  query = '';
  where = '';

  /** What was found, in the order of the backup. @type {Hit[]} */
  hits = [];

  /** @type {Task<Matches>} */
  search = new Task();

  /** @type {Task<Verdict>} */
  verify = new Task();

  /** The other backup. @type {File | null} */
  other = null;

  /** @type {Task<Compared[]>} */
  compare = new Task();

  /** What is written to a file. @type {Task<{ file: File, problem?: Problem | null }>} */
  takeOut = new Task();

  /** Where in the list of files the view begins, and whose they are. */
  filesFrom = 0;
  filesOf = '';

  /** @type {AbortController | null} */
  #opening = null;

  /**
   * Opens a file, or the one at an address.
   *
   * @param {File | string} file
   * @param {string} [name]
   * @param {import('../../engine/index.js').Auth} [auth] who reads what is on the server
   */
  async open(file, name = typeof file === 'string' ? file.replace(/^.*\//, '') : file.name, auth = undefined) {
    this.#forget();
    const mine = new AbortController();
    Object.assign(this, { name, onServer: typeof file === 'string', state: 'opening', fraction: 0 });
    this.#opening = mine;
    this.#fire('change');
    const onProgress = (/** @type {{ bytes: number, total: number }} */ { bytes, total }) => {
      this.fraction = Math.min(0.99, bytes / Math.max(1, total));
      this.#fire('tick');
    };
    try {
      const backup = await openBackup(file, { onProgress, auth, signal: mine.signal });
      if (this.#opening !== mine) return backup.close();
      Object.assign(this, { backup, state: 'open' });
    } catch (error) {
      if (this.#opening !== mine) return;
      Object.assign(this, { state: 'idle', error });
    }
    this.#opening = null;
    this.#fire('change');
  }

  /** Says why there is nothing to open. @param {Problem} error */
  fail(error) {
    this.#forget();
    this.error = error;
    this.#fire('change');
  }

  close() {
    this.#forget();
    this.#fire('change');
  }

  /** Goes to a room of the view; the browser's way back leads out of it again. @param {string} room */
  go(room) {
    location.hash = room ? `inspect/${room}` : 'inspect';
  }

  /**
   * Shows a document in its collection.
   *
   * @param {Shown} shown
   */
  show(shown) {
    this.shown = shown;
    this.rows.set(shown.collection, shown.row);
    const room = `in/${encodeURIComponent(shown.collection)}`;
    if (roomOf(location.hash) === room) this.#fire('show');
    else this.go(room);
  }

  #forget() {
    this.#opening?.abort();
    this.#opening = null;
    this.backup?.close();
    for (const task of [this.search, this.verify, this.compare, this.takeOut]) task.clear();
    Object.assign(this, { state: 'idle', backup: null, error: null, shown: null, other: null, hits: [], query: '', where: '' });
    Object.assign(this, { filesFrom: 0, filesOf: '', onServer: false });
    this.rows.clear();
  }

  /** @param {'change' | 'tick' | 'show'} name */
  #fire(name) {
    this.dispatchEvent(new Event(name));
  }
}

/**
 * The room of the view that an address names.
 *
 * @param {string} hash
 */
export function roomOf(hash) {
  return hash.replace(/^#inspect\/?/, '');
}

export const inspecting = new Inspecting();
