// @ts-check
/** What a restore or an undo would change, in a shopkeeper's words, and the way on from there. */

import { categoryName, collectionName, inOrder } from './contents.js';
import { confirmation } from './confirm.js';
import { h, icon } from './dom.js';
import { explained } from './failure.js';
import { dateTime, money, number, words } from './language.js';
import { restoring } from './restoring.js';

/**
 * @typedef {import('../engine/protocol.js').RestorePreview} Preview
 * @typedef {import('../engine/protocol.js').CollectionChanges} CollectionChanges
 * @typedef {import('../engine/protocol.js').Changes} Changes
 * @typedef {import('../engine/protocol.js').RestoreWarning} Warning
 * @typedef {import('./language.js').Words['preview']['counts']} Counts
 */

/** The most files that are named one by one. */
const TOLD = 100;

const KINDS = /** @type {const} */ (['new', 'changed', 'same', 'dropped', 'kept']);

/** @param {Preview} preview */
export function previewPanel(preview) {
  const w = words().preview;
  const { point, backup, refused, mode } = restoring;
  const nothing = !changes(preview.collections);
  const state = backup?.manifest ? dateTime(backup.manifest.created) : null;
  const redo = point?.action === 'undo';
  const pointLead = redo ? w.redoLead : w.undoLead;
  const lead = point ? pointLead(dateTime(point.created)) : w.lead(backup?.name ?? '', state);

  async function confirm() {
    const agreement = await confirmation(preview);
    if (agreement) await restoring.commit(agreement);
  }

  return h(
    'section',
    { class: 'card', id: 'preview', 'aria-labelledby': 'preview-title', 'data-seq': preview.seq },
    h('h1', { id: 'preview-title', tabindex: -1 }, redo ? w.redoTitle : point ? w.undoTitle : w.title),
    refused && h('p', { class: 'note warn', id: 'refused', role: 'alert', 'data-kind': refused }, icon('alert'), h('span', {}, w.refused[refused])),
    h('p', { class: 'lead' }, lead),
    nothing && h('p', { class: 'note', id: 'nothing' }, icon('info'), h('span', {}, w.nothing)),
    preview.signedLoss > 0 &&
      h('p', { class: 'problem', id: 'signed-loss' }, icon('alert'), h('span', {}, w.signedLoss(preview.signedLoss))),
    preview.filesLeftOut > 0 && leftOut(preview.filesLeftOut),
    warnings(preview.warnings),
    changeList(preview.collections, w.counts),
    untouched(preview),
    h('details', { class: 'more', id: 'by-collection' }, h('summary', {}, w.details), changeTable(preview.collections, w.counts)),
    h('p', { class: 'hint' }, mode === 'full' && !point ? w.fullHint : w.hint),
    h(
      'div',
      { class: 'actions' },
      !nothing &&
        h('button', { type: 'button', class: 'danger big', id: 'proceed', onclick: confirm }, icon('again'), redo ? w.redo : point ? w.undo : w.restore),
      h('button', { type: 'button', id: 'preview-back', onclick: () => restoring.back() }, w.back),
    ),
  );
}

/**
 * The files of the backup that would not be restored.
 *
 * @param {number} count
 */
function leftOut(count) {
  const w = words().preview;
  const told = restoring.notRestored.slice(0, TOLD);
  const reasons = told.map(({ kind, subject }) => h('li', {}, h('bdi', {}, subject ?? ''), `: ${explained(kind)[0] ?? ''}`));
  if (count > told.length) reasons.push(h('li', {}, w.moreLeftOut(count - told.length)));
  return h(
    'div',
    { class: 'problem', id: 'files-left-out' },
    icon('alert'),
    h('div', {}, h('p', {}, w.filesLeftOut(count)), h('details', { class: 'more' }, h('summary', {}, w.whichLeftOut), h('ul', {}, reasons))),
  );
}

/**
 * Whether anything would be another than it is.
 *
 * @param {readonly CollectionChanges[]} collections
 */
export function changes(collections) {
  return collections.some(({ documents, attachments }) =>
    [documents, attachments].some(({ new: added, changed, dropped }) => added + changed + dropped > 0),
  );
}

/**
 * By category, each in one sentence.
 *
 * @param {readonly CollectionChanges[]} collections
 * @param {Counts} w
 */
export function changeList(collections, w) {
  const rows = Object.keys(words().categories).flatMap((category) => {
    const within = collections.filter((row) => row.category === category);
    return within.length > 0 ? [{ category, documents: add(within, 'documents'), files: add(within, 'attachments') }] : [];
  });
  return h(
    'ul',
    { class: 'rows changes', id: 'changes' },
    rows.map(({ category, documents, files }) => {
      const alike = documents.new + documents.changed + documents.dropped + files.new + files.changed + files.dropped === 0;
      return h(
        'li',
        { 'data-category': category, class: alike && 'none' },
        h('span', { class: 'name' }, categoryName(category)),
        h(
          'div',
          { class: 'grow' },
          h('p', {}, sentence(documents, w) || w.empty),
          sentence(files, w) && h('p', { class: 'about' }, w.files(sentence(files, w))),
        ),
      );
    }),
  );
}

/**
 * By collection, in figures.
 *
 * @param {readonly CollectionChanges[]} collections
 * @param {Counts} w
 */
export function changeTable(collections, w) {
  return h(
    'table',
    { class: 'contents five' },
    h('caption', { class: 'unseen' }, w.caption),
    h(
      'thead',
      {},
      h(
        'tr',
        {},
        h('th', { scope: 'col' }, words().manifest.collection),
        KINDS.map((kind) => h('th', { scope: 'col', class: 'figure' }, w.heads[kind])),
      ),
    ),
    h(
      'tbody',
      {},
      inOrder(collections).map(({ name, documents, attachments }) =>
        h(
          'tr',
          { 'data-collection': name },
          h(
            'th',
            { scope: 'row' },
            h('span', { class: 'name' }, collectionName(name)),
            sentence(attachments, w) && h('span', { class: 'about' }, w.files(sentence(attachments, w))),
          ),
          KINDS.map((kind) => h('td', { class: 'figure', 'data-label': w.heads[kind] }, number(documents[kind]))),
        ),
      ),
    ),
  );
}

/**
 * @param {readonly CollectionChanges[]} rows
 * @param {'documents' | 'attachments'} of
 * @returns {Changes}
 */
function add(rows, of) {
  const sum = { new: 0, changed: 0, same: 0, dropped: 0, kept: 0 };
  for (const row of rows) for (const kind of KINDS) sum[kind] += row[of][kind];
  return sum;
}

/**
 * @param {Changes} changes
 * @param {Counts} w
 */
function sentence(changes, w) {
  return KINDS.filter((kind) => changes[kind] > 0)
    .map((kind) => w[kind](changes[kind]))
    .join(', ');
}

/** @param {readonly Warning[]} list */
function warnings(list) {
  if (list.length === 0) return null;
  return h(
    'ul',
    { class: 'warnings', id: 'warnings' },
    list.map((warning) =>
      h('li', { class: 'note warn', 'data-kind': warning.kind }, icon('alert'), h('span', {}, warningText(warning))),
    ),
  );
}

/** @param {Warning} warning */
function warningText(warning) {
  const w = words().preview.warnings;
  switch (warning.kind) {
    case 'open-orders':
      return w.openOrders(warning.orders);
    case 'vouchers':
      return w.vouchers(warning.vouchers, money(warning.cents));
    case 'balances':
      return w.balances(warning.customers, moved(warning.raised, warning.lowered));
    case 'missing':
      return w.missing(warning.missing, warning.kept);
    case 'logins-end':
      return w.loginsEnd;
    case 'users-kept':
      return w.usersKept;
  }
}

/**
 * @param {number} raised in cents, as is the other
 * @param {number} lowered
 */
function moved(raised, lowered) {
  const w = words().preview.warnings;
  return [raised > 0 && w.raised(money(raised)), lowered > 0 && w.lowered(money(lowered))].filter(Boolean).join(', ');
}

/** @param {Preview} preview */
function untouched({ untouched }) {
  if (untouched.length === 0) return null;
  const names = inOrder(untouched).map(({ name }) => collectionName(name)).join(', ');
  return h('p', { class: 'note', id: 'untouched' }, icon('info'), h('span', {}, words().preview.untouched(names)));
}
