// @ts-check
/** The restore points that the server keeps, each with the way back to it. */

import { listRestorePoints } from '../engine/index.js';
import { collectionName } from './contents.js';
import { fill, h, icon } from './dom.js';
import { explained } from './failure.js';
import { dateTime, relative, words } from './language.js';
import { restoring } from './restoring.js';
import { authorised } from './session.js';

/**
 * @typedef {import('../engine/protocol.js').RestorePoint} RestorePoint
 * @typedef {import('./failure.js').Problem} Problem
 */

/** So many collections are named; of more, the number is. */
const NAMED = 4;

/** The card fills itself. */
export function pointsCard() {
  const w = words().points;
  const list = h('ul', { class: 'rows', id: 'points', 'aria-labelledby': 'points-title' });
  const state = h('p', { class: 'hint', id: 'points-state', role: 'status' }, w.loading);

  async function load() {
    try {
      const points = await authorised((auth) => listRestorePoints({ auth }));
      fill(list, ...points.map(row));
      fill(state, points.length === 0 ? w.none : null);
    } catch (error) {
      const { kind } = /** @type {Problem} */ (error);
      // Whoever may not restore is told so elsewhere.
      if (kind === 'forbidden' || kind === 'unauthorized' || kind === 'engine-unavailable') return card.remove();
      fill(state, explained(kind, 'restore').join(' '));
    }
  }

  const card = h(
    'section',
    { class: 'card', 'aria-labelledby': 'points-title' },
    h('h2', { id: 'points-title', tabindex: -1 }, w.title),
    h('p', { class: 'hint' }, w.lead),
    list,
    state,
  );
  void load();
  return card;
}

/** @param {RestorePoint} point */
function row(point) {
  const w = words().points;
  const moment = new Date(point.created);
  const named = point.collections.slice(0, NAMED).map(collectionName).join(', ');
  const others = point.collections.length - NAMED;
  const redo = point.action === 'undo';
  const what = redo || !point.archive ? w.beforeUndo : w.beforeRestore(point.archive.name);
  return h(
    'li',
    { 'data-point': point.id, 'data-action': point.action },
    h('span', { class: 'tile' }, icon('clock')),
    h(
      'div',
      { class: 'grow' },
      h('p', { class: 'name' }, what),
      h('p', { class: 'about' }, h('time', { datetime: point.created }, `${dateTime(moment)} (${relative(moment)})`), ` · ${w.by(point.user)}`),
      h('p', { class: 'about' }, others > 0 ? w.more(named, others) : named),
    ),
    h(
      'div',
      { class: 'actions' },
      h(
        'button',
        {
          type: 'button',
          class: 'small',
          'aria-label': (redo ? w.redoNamed : w.undoNamed)(what, dateTime(moment)),
          onclick: () => void restoring.prepareUndo(point),
        },
        icon('again'),
        redo ? w.redo : w.undo,
      ),
    ),
  );
}
