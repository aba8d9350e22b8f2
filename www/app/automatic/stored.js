// @ts-check
/** The backups in the folder of the server: checked, downloaded, looked into, restored from and deleted where they are. */

import { announce, ask as question, byId, fill, h, icon } from '../dom.js';
import { explained, failurePanel } from '../failure.js';
import { address, Failure, place } from '../http.js';
import { inspecting } from '../inspect/inspecting.js';
import { progressLine } from '../inspect/progress.js';
import { Task } from '../inspect/task.js';
import { bytes, dateTime, relative, words } from '../language.js';
import { restoring } from '../restoring.js';
import { ask, lines } from '../server.js';
import { reader } from '../session.js';

/**
 * @typedef {import('../../engine/protocol.js').StoredArchive} Archive
 * @typedef {import('../../engine/protocol.js').CheckEvent} CheckEvent
 * @typedef {import('../failure.js').Problem} Problem
 */

/** What is being checked, by archive: it outlives every drawing of the page. @type {Map<string, Task<Archive>>} */
const checks = new Map();

/** Stops every check, because whoever asked for it has gone. */
export function stopChecks() {
  for (const task of checks.values()) task.clear();
  checks.clear();
}

/** The card fills itself, and again on `reload`. */
export function storedCard() {
  const w = words().automatic;
  const list = h('ul', { class: 'rows stored', id: 'stored', 'aria-labelledby': 'stored-title' });
  const state = h('p', { class: 'hint', id: 'stored-state', role: 'status' }, w.loading);
  const problem = h('div');
  const unlisted = h('div');
  /** @type {Archive[]} */
  let archives = [];

  async function load() {
    try {
      archives = await ask('/backup/archives');
      fill(list, ...archives.map(row));
      fill(state, archives.length === 0 && w.storedNone);
      fill(unlisted);
    } catch (error) {
      const { kind } = /** @type {Problem} */ (error);
      archives = [];
      fill(list);
      fill(state);
      fill(unlisted, h('p', { class: 'problem', id: 'stored-unlisted', 'data-kind': kind, role: 'alert' }, icon('alert'), h('span', {}, explained(kind, 'stored').join(' '))));
    }
  }

  /** @param {Archive} archive */
  function row(archive) {
    const { id, name, size, documents, created, keptFor, inFuture } = archive;
    const made = new Date(created);
    const spans = keptFor.flatMap((reason) => (reason === 'newest' || reason === 'recent' ? [] : [w.kept[reason]]));
    const why = w.keptFor(keptFor.includes('newest'), spans, keptFor.includes('recent'));
    const about = [h('time', { datetime: created }, `${dateTime(made)} (${relative(made)})`), bytes(size), documents !== null && words().documents(documents), why].filter(Boolean);
    const task = checks.get(id);
    const checking = task?.state === 'running';
    const action = (/** @type {string} */ what, /** @type {string} */ picture, /** @type {string} */ text, /** @type {string} */ label, /** @type {(archive: Archive) => unknown} */ act, off = false) =>
      h(
        'button',
        { type: 'button', class: `small ${what === 'remove' ? 'quiet' : ''}`, 'data-action': what, 'aria-label': label, disabled: off, onclick: () => attempt(act, archive) },
        icon(picture),
        text,
      );
    return h(
      'li',
      { 'data-archive': id, 'data-name': name, 'data-check': checking ? 'checking' : archive.check.state },
      h('span', { class: 'tile' }, icon('file')),
      h(
        'div',
        { class: 'grow' },
        h('p', { class: 'name' }, name),
        h('p', { class: 'about' }, about.flatMap((part, index) => (index === 0 ? [part] : [' · ', part]))),
        inFuture && h('p', { class: 'problem', 'data-future': true }, icon('alert'), h('span', {}, w.inFuture)),
        checked(archive),
      ),
      h(
        'div',
        { class: 'actions' },
        checking && progressLine(task, { id: `check-${id}`, say: w.checking }),
        action('look', 'search', w.look, w.lookNamed(name), look),
        action('download', 'download', w.download, w.downloadNamed(name), download),
        !checking && action('check', 'shield', w.check, w.checkNamed(name), check),
        // One restore at a time: what is under way is not thrown away by a click.
        action('restore', 'again', w.restore, w.restoreNamed(name), restore, restoring.busy || restoring.state === 'comparing'),
        !checking && action('remove', 'trash', w.remove, w.removeNamed(name), remove),
      ),
    );
  }

  /** What is known of its bytes. @param {Archive} archive */
  function checked({ check }) {
    if (check.state === 'unchecked') return h('p', { class: 'about' }, w.unchecked);
    const age = relative(new Date(check.at));
    if (check.state === 'sound') return h('p', { class: 'about state good' }, icon('check'), w.sound(age));
    return h('p', { class: 'problem', 'data-problems': check.problems }, icon('alert'), h('span', {}, w.damaged(check.problems, age), h('span', { class: 'about' }, check.first)));
  }

  /** @param {Archive} archive */
  async function check(archive) {
    /** @type {Task<Archive>} */
    const task = new Task();
    checks.set(archive.id, task);
    const done = task.run((reading) => verify(archive.id, reading));
    redraw(archive);
    byId(`check-${archive.id}-stop`)?.focus();
    const result = await done;
    if (checks.get(archive.id) === task) checks.delete(archive.id);
    if (result) announce(result.check.state === 'damaged' ? w.foundDamaged(result.name) : w.foundSound(result.name));
    else if (task.state === 'stopped') announce(w.checkStopped);
    // A card that was drawn meanwhile finds out by itself.
    if (!section.isConnected) {
      const detail = task.state === 'failed' ? task.error : null;
      return void byId('stored')?.dispatchEvent(new CustomEvent('stale', { detail }));
    }
    // Whoever does something else by now is left alone.
    const { activeElement } = document;
    const here = activeElement === document.body || activeElement?.closest(`[data-archive="${archive.id}"]`);
    await load();
    if (here) button(archive, 'check')?.focus();
    if (task.state === 'failed') throw task.error;
  }

  /** @param {Archive} archive */
  function redraw(archive) {
    list.querySelector(`[data-archive="${archive.id}"]`)?.replaceWith(row(archive));
  }

  /**
   * @param {Archive} archive
   * @param {string} action
   */
  function button({ id }, action) {
    return /** @type {HTMLElement | null} */ (list.querySelector(`[data-archive="${id}"] [data-action=${action}]`));
  }

  /** @param {Archive} archive */
  async function remove(archive) {
    const { id, name, keptFor } = archive;
    const good = archives.filter((other) => other.id !== id && other.check.state !== 'damaged');
    const before = good.find((other) => other.created < archive.created) ?? good[0];
    const newest = keptFor.includes('newest');
    const text = archive.check.state !== 'damaged' && !before ? w.removeLast(name) : newest && before ? w.removeNewest(name, dateTime(before.created)) : w.removeText(name);
    if (!(await question({ title: w.removeTitle, text, yes: w.removeYes, no: w.removeNo, danger: true }))) return;
    await ask(`/backup/archives/${id}`, { method: 'DELETE' });
    announce(w.removedOne);
    await load();
    byId('stored-title')?.focus();
  }

  /**
   * @param {(archive: Archive) => unknown} action
   * @param {Archive} archive
   */
  async function attempt(action, archive) {
    fill(problem);
    try {
      await action(archive);
    } catch (error) {
      await load();
      report(error);
    }
  }

  /** @param {unknown} error */
  function report(error) {
    const options = { id: 'stored-error', title: w.failedTitle, about: /** @type {const} */ ('stored'), within: true };
    fill(problem, failurePanel(/** @type {Problem} */ (error), { ...options, dismiss: () => fill(problem) }));
  }

  list.addEventListener('stale', async (event) => {
    const { detail } = /** @type {CustomEvent<Problem | null>} */ (event);
    await load();
    if (detail) report(detail);
  });
  const section = h(
    'section',
    { class: 'card', 'aria-labelledby': 'stored-title' },
    h('h2', { id: 'stored-title', tabindex: -1 }, w.storedTitle),
    h('p', { class: 'hint' }, w.storedLead),
    problem,
    unlisted,
    list,
    state,
  );
  void load();
  return { section, reload: load };
}

/**
 * Has the server read all of an archive.
 *
 * @param {string} id
 * @param {import('../inspect/task.js').Reading} reading
 * @returns {Promise<Archive>}
 */
async function verify(id, { onProgress, signal }) {
  for await (const line of lines(`/backup/archives/${id}/verify`, { method: 'POST', signal })) {
    const event = /** @type {CheckEvent} */ (line);
    if (event.event === 'progress') onProgress(event);
    else if (event.event === 'done') return event.archive;
    else throw event.error;
  }
  throw new Failure('bad-answer', 'the check ended without a word');
}

/** Downloads by its address, which is good for some minutes without a login. @param {Archive} archive */
async function download({ id, name }) {
  const { ticket } = await ask(`/backup/archives/${id}/ticket`, { method: 'POST' });
  h('a', { href: address(file(id), ticket), download: name }).click();
}

/** @param {Archive} archive */
function look({ id, name }) {
  void inspecting.open(place(file(id)), name, reader);
  inspecting.go('');
}

/** @param {Archive} archive */
function restore({ id, name }) {
  void restoring.open(place(file(id)), name);
  location.hash = 'restore';
}

/** Where an archive lies, below the API. @param {string} id */
const file = (id) => `/backup/archives/${id}/file`;
