// @ts-check
/** The one restore, or undo of one, that may go on in this page: from a file to what it has changed. */

import {
  openBackup, prepareRestore, previewUndo, restoreEnd, stopRestore, undo,
} from '../engine/index.js';
import { TAB } from './http.js';
import { authorised, reader } from './session.js';
import { forgetServed } from './served.js';
import { Work } from './work.js';

/**
 * @typedef {import('../engine/protocol.js').Category} Category
 * @typedef {import('../engine/protocol.js').ManifestHead} Manifest
 * @typedef {import('../engine/protocol.js').Summary} Summary
 * @typedef {import('../engine/protocol.js').RestoreMode} Mode
 * @typedef {import('../engine/protocol.js').RestorePreview} Preview
 * @typedef {import('../engine/protocol.js').RestoreOutcome} Outcome
 * @typedef {Pick<import('../engine/protocol.js').RestorePoint, 'id' | 'created' | 'action'>} Point
 * @typedef {import('./failure.js').Problem} Problem
 * @typedef {Awaited<ReturnType<typeof prepareRestore>>} Prepared
 * @typedef {{ file: File | string, name: string, manifest: Manifest | null, summary: Summary }} Backup
 * @typedef {{ acknowledgeSigned?: number, acknowledgeFilesLeftOut?: number, pauseTill: boolean }} Agreement
 * @typedef {{ id: string, secret: string, committing: boolean }} Session
 * @typedef {Awaited<ReturnType<typeof restoreEnd>>} End
 */

const KEY = `${TAB}.restore`;

class Restoring extends Work {
  /** @type {'idle' | 'opening' | 'chosen' | 'staging' | 'comparing' | 'ready' | 'committing' | 'done'} */
  state = 'idle';

  /** What is to be restored. @type {Backup | null} */
  backup = null;

  /** @type {Mode} */
  mode = 'full';

  /** Categories that are not chosen; a full restore takes them all the same. @type {Set<string>} */
  leftOut = new Set();

  /** The business name that has to be typed for a backup that is foreign or of unknown origin, as it is typed. */
  businessName = '';

  /**
   * Whose backup it is, once the server has said that it is not its own or does not say.
   *
   * @type {{ backup: string | null, here: string } | null}
   */
  foreign = null;

  /** What is to be undone, instead of a backup. @type {Point | null} */
  point = null;

  /** @type {Preview | null} */
  preview = null;

  /** Files of the backup that would not be restored, each with the reason. @type {readonly Problem[]} */
  notRestored = [];

  /**
   * Why a commit did not come about and the preview is a fresh one.
   *
   * @type {'live-changed' | 'signed-loss' | 'files-left-out' | null}
   */
  refused = null;

  /** @type {Outcome | null} */
  outcome = null;

  /** Whether `error` leaves open if the change was made. */
  unsure = false;

  /** What became of a restore that a reload has interrupted. @type {'nothing-changed' | null} */
  recovered = null;

  /** @type {Prepared | null} */
  #prepared = null;

  /** @type {AbortController | null} */
  #opening = null;

  /** Whether leaving the page would end something. */
  get busy() {
    return ['staging', 'ready', 'committing'].includes(this.state) && !(this.state === 'ready' && this.point);
  }

  /**
   * Takes a file, or the one at an address, and looks what is in it.
   *
   * @param {File | string} file
   * @param {string} [name]
   */
  async open(file, name = typeof file === 'string' ? file.replace(/^.*\//, '') : file.name) {
    this.close(false);
    const mine = new AbortController();
    this.#opening = mine;
    this.#become('opening');
    try {
      const opened = await openBackup(file, { salvage: false, auth: reader, signal: mine.signal });
      const { manifest, summary } = opened;
      opened.close();
      if (this.#opening !== mine) return;
      this.backup = { file, name, manifest, summary };
      this.#become('chosen');
    } catch (error) {
      if (this.#opening !== mine) return;
      this.error = /** @type {Problem} */ (error);
      this.#become('idle');
    } finally {
      if (this.#opening === mine) this.#opening = null;
    }
  }

  /** Lets go the file, and whatever was to become of it. */
  close(draw = true) {
    this.#opening?.abort();
    this.#opening = null;
    void this.#abort();
    this.leftOut.clear();
    Object.assign(this, { backup: null, point: null, preview: null, outcome: null, error: null, foreign: null });
    Object.assign(this, { mode: 'full', businessName: '', refused: null, unsure: false, recovered: null, notRestored: [] });
    if (draw) this.#become('idle');
  }

  /** Lets go an archive on the server that nobody has done anything with yet. */
  forgetServed() {
    const untouched = this.state === 'opening' || (this.state === 'chosen' && typeof this.backup?.file === 'string');
    if (!untouched) return;
    this.close(false);
    this.state = 'idle';
  }

  /**
   * Sends what is chosen to the server, and asks what it would change.
   *
   * @param {string} [inTheWay] the restore of somebody else, to be ended before
   */
  async prepare(inTheWay) {
    const { backup, mode } = this;
    if (!backup || this.state !== 'chosen') return;
    Object.assign(this, { state: 'staging', recovered: null, unsure: false, refused: null });
    const all = backup.summary.collections.map(({ category }) => category);
    const chosen = [...new Set(all)].filter((category) => category !== 'other' && !this.leftOut.has(category));
    const choice = mode === 'full' ? { mode } : { mode, categories: chosen };
    const options = { file: backup.file, name: backup.name, choice, businessName: this.businessName.trim() || undefined };
    const onBegun = (/** @type {{ id: string, secret: string }} */ session) => note({ ...session, committing: false });
    const prepared = await this.run(async (auth, watching) => {
      if (inTheWay) await stopRestore({ auth, id: inTheWay, signal: watching.signal });
      return prepareRestore({ ...options, auth, onBegun, ...watching });
    });
    if (!prepared) {
      note(null);
      if (NAMES.includes(this.error?.kind ?? '')) this.foreign = /** @type {any} */ (this.error?.data ?? null);
      return this.#become('chosen');
    }
    this.#prepared = prepared;
    this.preview = prepared.preview;
    this.notRestored = prepared.leftOut;
    this.#become('ready');
  }

  /**
   * Asks what going back to a restore point would change.
   *
   * @param {Point} point
   */
  async prepareUndo(point) {
    this.close(false);
    Object.assign(this, { state: 'comparing', point });
    const preview = await this.run((auth, { signal }) => previewUndo({ auth, id: point.id, signal }));
    // Meanwhile something else was begun.
    if (this.point !== point) return;
    this.preview = preview;
    if (this.preview) return this.#become('ready');
    this.point = null;
    this.#become('idle');
  }

  /**
   * Makes it live.
   *
   * @param {Agreement} agreement
   */
  async commit(agreement) {
    const { preview, point } = this;
    const prepared = this.#prepared;
    if (this.state !== 'ready' || !preview) return;
    Object.assign(this, { state: 'committing', refused: null, unsure: false });
    const remembered = noted();
    if (remembered) note({ ...remembered, committing: true });
    const { seq } = preview;
    const { acknowledgeSigned } = agreement;
    const outcome = await this.run(async (auth) => {
      if (point) return undo({ auth, id: point.id, seq, acknowledgeSigned });
      if (!prepared) throw new TypeError('nothing is prepared');
      return prepared.commit(agreement);
    });
    forgetServed();
    if (outcome) return this.#done(outcome);
    const { kind, data } = this.error ?? {};
    if ((kind === 'live-changed' || kind === 'signed-loss' || kind === 'files-left-out') && data) {
      Object.assign(this, { preview: data, refused: kind, error: null });
      return this.#become('ready');
    }
    if (point) {
      // What the server has refused has changed nothing. Without an answer nobody knows.
      this.unsure = UNANSWERED.includes(kind ?? '');
      Object.assign(this, { preview: null, point: null });
      return this.#become('idle');
    }
    const end = await this.#end();
    if (end?.state === 'committed' && end.outcome) return this.#done(end.outcome);
    this.unsure = end === null;
    if (!end || end.state === 'open') return this.#become('ready');
    await this.#abort();
    this.preview = null;
    this.#become('chosen');
  }

  /** How the session that was prepared has ended. @returns {Promise<End | null>} null where nobody can tell */
  async #end() {
    const session = noted();
    if (!session) return null;
    const gone = /** @type {End} */ ({ state: 'expired', outcome: null });
    return restoreEnd(session).catch(({ kind }) => (kind === 'restore-gone' ? gone : null));
  }

  /** Goes back from the preview to the choice. */
  back() {
    void this.#abort();
    Object.assign(this, { preview: null, point: null, refused: null, error: null, unsure: false });
    this.#become(this.backup ? 'chosen' : 'idle');
  }

  /** Lets the error go. */
  dismiss() {
    Object.assign(this, { error: null, recovered: null });
    this.fire('change');
  }

  /** Cancels what goes on, throws away what was sent, and waits for both. */
  async leave() {
    if (this.state === 'staging' || this.state === 'comparing') {
      const ended = new Promise((resolve) => this.addEventListener('change', resolve, { once: true }));
      this.cancel();
      await ended;
    }
    await this.#abort();
    this.close();
  }

  /** Finds out what became of a restore that a reload of the page has interrupted. */
  async recover() {
    const session = noted();
    if (!session) return;
    const { id, secret, committing } = session;
    try {
      const { state, outcome } = await restoreEnd({ id, secret });
      if (state === 'committed' && outcome) return this.#done(outcome);
      // A tab that was duplicated knows the restore of the other, and leaves it alone.
      if (state === 'open' && reloaded()) await authorised((auth) => stopRestore({ auth, id }));
      else if (state === 'open') return;
    } catch (error) {
      const { kind } = /** @type {Problem} */ (error);
      if (kind !== 'restore-gone') {
        // Whether it was done is asked for again on the next visit; what was only sent expires by itself.
        if (!committing) return;
        Object.assign(this, { error, unsure: true });
        return this.fire('change');
      }
    }
    note(null);
    this.recovered = 'nothing-changed';
    this.fire('change');
  }

  /** @param {Outcome} outcome */
  #done(outcome) {
    note(null);
    this.#prepared = null;
    Object.assign(this, { outcome, error: null, unsure: false, preview: null, refused: null });
    forgetServed();
    this.#become('done');
  }

  async #abort() {
    const prepared = this.#prepared;
    this.#prepared = null;
    if (!prepared) return;
    note(null);
    // What the server does not hear of, it throws away by itself.
    await prepared.abort().catch(() => {});
  }

  /** @param {Restoring['state']} state */
  #become(state) {
    this.state = state;
    this.fire('change');
  }
}

/** Refusals that end once a business name is typed. */
export const NAMES = ['foreign-backup', 'unknown-origin'];

/** Failures of an undo that leave open whether it has come about. */
const UNANSWERED = ['unreachable', 'gateway', 'bad-answer', 'server-error', 'unauthorized', 'internal'];

export const restoring = new Restoring();

/**
 * The session is remembered for as long as the tab lives.
 *
 * @param {Session | null} session
 */
function note(session) {
  try {
    if (session) sessionStorage.setItem(KEY, JSON.stringify(session));
    else sessionStorage.removeItem(KEY);
  } catch {
    // Then a reload finds nothing, and the server throws away by itself what nobody asks for.
  }
}

/** @returns {Session | null} */
function noted() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? 'null');
  } catch {
    return null;
  }
}

function reloaded() {
  const [navigation] = performance.getEntriesByType('navigation');
  return /** @type {PerformanceNavigationTiming | undefined} */ (navigation)?.type === 'reload';
}
