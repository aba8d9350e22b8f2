// @ts-check
/** What a restore or an undo has changed. */

import { h, icon } from './dom.js';
import { dateTime, number, words } from './language.js';
import { changeList, changes, changeTable } from './preview.js';
import { restoring } from './restoring.js';

/** @typedef {import('../engine/protocol.js').RestoreOutcome} Outcome */

/**
 * @param {Outcome} outcome
 * @param {{ undo: boolean }} options whether it can be undone from here: not while nobody is signed in
 */
export function restoredPanel(outcome, { undo }) {
  const w = words().restored;
  const { committed, restorePoint, collections, signedLoss, loginsEnded, usersKept } = outcome;
  const counts = w.counts;
  const { point } = restoring;
  const redone = point?.action === 'undo';
  // To undo an undo is to restore again: it goes by its own name.
  const action = point ? /** @type {const} */ ('undo') : /** @type {const} */ ('restore');
  const back = restorePoint && undo && (() => void restoring.prepareUndo({ id: restorePoint, created: committed, action }));
  return h(
    'section',
    { class: 'card result', id: 'restored', 'aria-labelledby': 'restored-title', 'data-seq': outcome.seq },
    h('div', { class: 'emblem' }, icon('check')),
    // Beside the login, that has the title of the page.
    h(undo ? 'h1' : 'h2', { id: 'restored-title', tabindex: -1 }, redone ? w.redoTitle : point ? w.undoTitle : w.title),
    h('p', { class: 'lead' }, w.lead(dateTime(committed))),
    loginsEnded && note('logins-ended', w.loginsEnded),
    usersKept && note('users-kept', w.usersKept),
    signedLoss > 0 && note('lost', w.signedLoss(number(signedLoss))),
    !changes(collections) && h('p', { class: 'note' }, icon('info'), h('span', {}, w.nothing)),
    // The login below must not be far away.
    changes(collections) && undo && changeList(collections, counts),
    restorePoint && h('p', { class: 'hint' }, w.canUndo),
    h(
      'div',
      { class: 'actions' },
      back && h('button', { type: 'button', id: 'undo', onclick: back }, icon('again'), point ? w.redo : w.undo),
      h('button', { type: 'button', class: undo ? 'primary' : 'quiet', id: 'restored-close', onclick: () => restoring.close() }, w.close),
    ),
    h('details', { class: 'more', id: 'restored-collections' }, h('summary', {}, words().preview.details), ...(undo ? [] : [changeList(collections, counts)]), changeTable(collections, counts)),
  );
}

/**
 * @param {string} id
 * @param {string} text
 */
function note(id, text) {
  return h('p', { class: 'note warn', id }, icon('alert'), h('span', {}, text));
}
