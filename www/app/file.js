// @ts-check
/** Looks into a backup file on this device: what its table of contents says. Needs no login and no network. */

import { openBackup } from '../engine/index.js';
import { collectionTable, sum } from './contents.js';
import { byId, fill, h, icon } from './dom.js';
import { dropZone } from './drop.js';
import { explained, failurePanel } from './failure.js';
import { inspecting } from './inspect/inspecting.js';
import { bytes, dateTime, number, words } from './language.js';

/**
 * @typedef {import('../engine/protocol.js').ManifestHead} Manifest
 * @typedef {import('../engine/protocol.js').CollectionSummary} CollectionSummary
 * @typedef {import('./failure.js').Problem} Problem
 * @typedef {{ file: File, manifest: Manifest | null, collections: CollectionSummary[], problems: Problem[], found: number }} Opened
 */

/** So many problems are told one by one. */
const TOLD = 5;

/** What is open survives a change of the view and of the language, and so does the opening. @type {Opened | null} */
let opened = null;

/** @type {AbortController | null} */
let opening = null;

export function fileCard() {
  const w = words().file;
  const outcome = h('div', { id: 'file-outcome' }, current());
  return h(
    'section',
    { class: 'card', 'aria-labelledby': 'look' },
    h('h2', { id: 'look' }, w.title),
    h('p', { class: 'hint' }, w.lead),
    dropZone({ id: 'file', onfile: open }),
    outcome,
  );
}

/** @param {File} file */
async function open(file) {
  close();
  const mine = new AbortController();
  opening = mine;
  show(current());
  try {
    const backup = await openBackup(file, { signal: mine.signal });
    backup.close();
    if (opening !== mine) return;
    const { collections, problems, found: count } = backup.summary;
    const found = { file, manifest: backup.manifest, collections, problems, found: count };
    // What cannot be shown does not count as open, or it would be in the way of every later view.
    show(overview(found));
    opened = found;
    byId('file-title')?.focus();
  } catch (error) {
    if (opening !== mine) return;
    const options = { id: 'file-error', title: words().failure.fileTitle, about: /** @type {const} */ ('file') };
    show(failurePanel(/** @type {Error} */ (error), { ...options, dismiss: close }));
  } finally {
    if (opening === mine) opening = null;
  }
}

function close() {
  opening?.abort();
  opening = opened = null;
  show(null);
  byId('file')?.focus();
}

/** @param {Element | null} view */
function show(view) {
  const outcome = byId('file-outcome');
  if (outcome) fill(outcome, view);
}

function current() {
  const w = words().file;
  if (opened) return overview(opened);
  if (!opening) return null;
  return h(
    'div',
    { class: 'actions' },
    h('p', { class: 'hint', role: 'status' }, w.opening),
    h('button', { type: 'button', class: 'small', id: 'file-cancel', onclick: close }, icon('stop'), w.cancel),
  );
}

/** @param {Opened} opened */
function overview({ file, manifest, collections, problems, found }) {
  const w = words().file;
  const { documents, files } = sum(collections);
  const basis = manifest ? w.notVerified : problems.some(concernsManifest) ? w.badManifest : w.noManifest;
  const fact = (/** @type {string} */ label, /** @type {string | null} */ value) =>
    h('div', {}, h('dt', {}, label), h('dd', {}, value ?? w.unknown));
  function inside() {
    void inspecting.open(file);
    inspecting.go('');
  }
  return h(
    'section',
    { class: 'opened', id: 'opened', 'aria-labelledby': 'file-title' },
    h('h3', { id: 'file-title', tabindex: -1 }, file.name),
    h(
      'dl',
      { class: 'figures' },
      fact(w.created, manifest && dateTime(manifest.created)),
      fact(w.business, manifest && manifest.source.business),
      fact(w.product, manifest && manifest.source.product),
      fact(w.size, bytes(file.size)),
      fact(w.documents, number(documents)),
      fact(w.files, number(files)),
    ),
    problems.length > 0 && damage(problems, found),
    h('p', { class: 'note' }, icon('info'), h('span', {}, basis)),
    collectionTable(collections),
    h(
      'div',
      { class: 'actions' },
      h('button', { type: 'button', class: 'primary', id: 'look-inside', onclick: inside }, icon('search'), words().inspect.looking),
      h('button', { type: 'button', onclick: close }, w.close),
    ),
  );
}

/**
 * What of a backup cannot be read.
 *
 * @param {readonly Problem[]} problems
 * @param {number} [found] how many there are, where not all are listed
 */
export function damage(problems, found = problems.length) {
  const w = words().file;
  const told = problems.slice(0, TOLD).map(({ kind, subject }) => {
    // The sentence for this kind speaks of a server.
    const what = kind === 'bad-document' ? w.badDocument : (explained(kind)[0] ?? '');
    return h('li', {}, subject ? [what, ' (', h('bdi', {}, subject), ')'] : what);
  });
  const more = found - told.length;
  return h(
    'div',
    { class: 'note warn', id: 'file-problems', role: 'alert' },
    icon('alert'),
    h('div', {}, h('p', {}, w.problems(found)), h('ul', {}, told), more > 0 && h('p', {}, w.moreProblems(more))),
  );
}

/** @param {Problem} problem */
export function concernsManifest({ kind, subject }) {
  return kind === 'bad-manifest' || kind === 'newer-format' || subject === 'manifest.json';
}
