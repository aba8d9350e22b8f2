// @ts-check
/** The Backup view: ready to start, running, finished or failed, and below it the archives that this browser keeps. */

import { storage } from '../engine/index.js';
import { archiveList } from './archives.js';
import { byCategory, categoryName, categoryTable, counted, total } from './contents.js';
import { fill, h, icon } from './dom.js';
import { explained, failurePanel } from './failure.js';
import { fileCard } from './file.js';
import { job, lastBackup } from './job.js';
import { interruptedCard } from './interrupted.js';
import { bytes, dateTime, relative, words } from './language.js';
import { resultPanel } from './result.js';
import { runningPanel } from './running.js';
import { forgetServed, served } from './served.js';

/**
 * @typedef {import('./served.js').Contents} Contents
 * @typedef {import('./contents.js').Sum} Sum
 * @typedef {import('./failure.js').Problem} Problem
 */

/** How much smaller JSON becomes, taken on the safe side. */
const COMPRESSED = 0.3;

/** The archives that this browser kept when the last backup started, by id. @type {readonly string[]} */
let before = [];

/** Those that it keeps. @type {readonly string[]} */
let kept = [];

/** Categories that are not to be backed up. @type {Set<string>} */
const leftOut = new Set();

/**
 * @param {{ onended: () => void }} options called when the login turns out to have ended
 */
export function backupView({ onended }) {
  if (job.state === 'running') return [runningPanel(job, words().running)];
  const replaces = h('p', { class: 'hint', id: 'replaces', hidden: true }, words().backup.replaces);
  const replaced = h('p', { class: 'note warn', id: 'replaced', hidden: true }, words().failure.replaced);
  const unfinished = h('div', { class: 'stack' });
  const goOnWith = job.error?.interrupted;
  const archives = archiveList({
    onremoved: (archive) => removed(archive.id),
    onlisted: (list, interrupted) => {
      kept = list.map(({ id }) => id);
      replaces.hidden = kept.length === 0;
      replaced.hidden = before.every((id) => kept.includes(id));
      const others = interrupted.filter(({ id }) => id !== goOnWith);
      fill(unfinished, ...others.map((it) => interruptedCard(it, { goOn: () => goOn(it.id) })));
    },
  });
  if (job.state === 'done' && job.result) {
    const options = { seconds: job.elapsed, without: job.without, another: () => job.clear() };
    return [resultPanel(job.result, { ...options, ongone: archives.reload }), archives.section, fileCard()];
  }
  const failure =
    job.error &&
    failurePanel(job.error, {
      title: goOnWith ? words().failure.interruptedTitle : words().failure.title,
      about: goOnWith ? 'interrupted' : job.error.kind === 'internal' ? 'stopped' : 'backup',
      goOn: goOnWith ? () => goOn(goOnWith) : undefined,
      again: () => start(),
      onServer: job.error.kind === 'no-space' ? () => start(true) : undefined,
      without: (keys) => start(madeOnServer, [...job.damaged, ...keys]),
      dismiss: () => job.clear(),
    });
  if (failure) failure.querySelector('.todo')?.before(replaced);
  const barred = () => [archives.section, unfinished].forEach((part) => part.remove());
  return [failure, unfinished, ...readyCards(replaces, onended, barred), archives.section, fileCard()];
}

/** @param {string} id */
function removed(id) {
  before = before.filter((other) => other !== id);
  if (job.result?.archive.id === id) job.clear();
}

/** @param {string} id */
function goOn(id) {
  before = kept;
  forgetServed();
  void job.resume(id);
}

/** Whether the server was told to make the last one. */
let madeOnServer = false;

/**
 * @param {boolean} [onServer] whether the server shall make it, which has room of its own
 * @param {import('./job.js').DocumentKey[]} [damaged] documents that are left out where they are damaged
 */
function start(onServer = false, damaged = []) {
  madeOnServer = onServer;
  const without = [...leftOut];
  const all = /** @type {import('./job.js').Category[]} */ (Object.keys(words().categories));
  before = kept;
  forgetServed();
  void job.start(without.length > 0 ? all.filter((category) => !leftOut.has(category)) : undefined, without, onServer, damaged);
}

/**
 * The card with the button, and the table of what goes in.
 *
 * @param {HTMLElement} replaces
 * @param {() => void} onended
 * @param {() => void} barred called when the login may not make backups
 */
function readyCards(replaces, onended, barred) {
  const w = words().backup;
  const create = h(
    'button',
    { type: 'button', class: 'primary big', id: 'create-backup', onclick: () => start() },
    icon('shield'),
    w.create,
  );
  const whose = h('p', { class: 'eyebrow', id: 'business' });
  const amount = h('p', { class: 'amount', id: 'amount', role: 'status' }, w.loading);
  const room = h('p', { class: 'hint', id: 'room' });
  const partial = h('p', { class: 'note warn', id: 'partial', hidden: true });
  const trouble = h('p', { class: 'note warn', id: 'trouble', role: 'status', hidden: true });
  const table = h('div', { id: 'categories' });
  const store = storage().catch(() => ({ place: 'disk', limit: null, quota: null, usage: null }));

  /**
   * @param {ReadonlyMap<string, Sum | null>} sums
   * @param {Contents['collections']} [collections]
   */
  function fillTable(sums, collections = []) {
    for (const category of leftOut) if (!sums.has(category)) leftOut.delete(category);
    const onchange = () => {
      const names = [...leftOut].map(categoryName).join(', ');
      const kept = [...sums].flatMap(([category, row]) => (row && !leftOut.has(category) ? [row] : []));
      const { documents, files, size } = total(kept);
      fill(
        amount,
        counted(sums) ? w.sum(words().documents(documents), words().files(files), bytes(size)) : w.noCounts,
      );
      const nothing = leftOut.size === sums.size;
      create.disabled = nothing;
      partial.hidden = leftOut.size === 0;
      void showRoom(room, store, collections.filter(({ category }) => !leftOut.has(category)));
      fill(partial, icon('info'), h('span', {}, nothing ? w.nothingChosen : w.partial(names)));
    };
    fill(table, categoryTable({ sums, leftOut, onchange }));
  }

  async function load() {
    try {
      const { source, collections } = await served();
      fill(whose, w.of(source.business));
      fillTable(byCategory(collections), collections);
    } catch (error) {
      const problem = /** @type {Problem} */ (error);
      if (problem.kind === 'unauthorized') return onended();
      // What administrators have left here is not for others.
      if (problem.kind === 'forbidden') barred();
      if (problem.kind === 'forbidden' || problem.kind === 'engine-unavailable') {
        const panel = failurePanel(problem, { title: words().failure.never, about: 'backup' });
        table.closest('section')?.remove();
        return create.closest('section')?.replaceWith(panel);
      }
      trouble.hidden = false;
      fill(trouble, icon('alert'), h('span', {}, explained(problem.kind).join(' ')));
      fillTable(new Map(Object.keys(words().categories).map((category) => [category, null])));
    }
  }

  void load();
  const last = lastBackup();
  return [
    h(
      'section',
      { class: 'card hero', 'aria-labelledby': 'backup-title' },
      whose,
      h('h1', { id: 'backup-title', tabindex: -1 }, w.title),
      h('p', { class: 'lead' }, w.lead),
      amount,
      trouble,
      h('div', { class: 'actions' }, create),
      partial,
      replaces,
      room,
      h(
        'p',
        { class: 'last', id: 'last-backup' },
        icon('clock'),
        h('span', {}, `${w.last}: `, last ? lastInWords(last) : w.lastNone),
      ),
    ),
    h(
      'section',
      { class: 'card', 'aria-labelledby': 'contents-title' },
      h('h2', { id: 'contents-title' }, words().contents.title),
      table,
      h('p', { class: 'note' }, icon('shield'), h('span', {}, w.privacy)),
    ),
  ];
}

/** @param {import('./job.js').Last} last */
function lastInWords({ finished, size }) {
  const moment = new Date(finished);
  return h('time', { datetime: finished }, `${dateTime(moment)} (${relative(moment)}), ${bytes(size)}`);
}

/**
 * Where the archive will be built, and whether there is room.
 *
 * @param {HTMLElement} room
 * @param {Promise<{ place: string, limit: number | null, quota: number | null, usage: number | null }>} store
 * @param {Contents['collections']} collections those that go in
 */
async function showRoom(room, store, collections) {
  const w = words().backup;
  const { place, limit, quota, usage } = await store;
  const free = quota === null ? null : Math.max(0, quota - (usage ?? 0));
  const archive = collections.reduce((all, row) => all + row.bytes * COMPRESSED + row.attachmentBytes, 0);
  const tooLarge = limit !== null && archive > limit;
  room.className = 'hint';
  room.dataset.place = tooLarge ? 'server' : place;
  if (tooLarge) {
    fill(room, w.onServer(bytes(archive), bytes(limit)));
  } else if (place === 'memory') {
    fill(room, w.memory(bytes(limit ?? 2 ** 30)));
  } else if (free !== null && free < 2 * archive) {
    room.className = 'note warn';
    fill(room, icon('alert'), h('span', {}, w.tight(bytes(2 * archive), bytes(free))));
  } else if (free !== null) {
    fill(room, w.room(bytes(free)));
  }
}
