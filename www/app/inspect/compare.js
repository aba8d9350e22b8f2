// @ts-check
/** Two backups side by side: how much differs in each collection, and then document by document, field by field. */

import { collectionName, inOrder } from '../contents.js';
import { announce, fill, h } from '../dom.js';
import { dropZone } from '../drop.js';
import { number, words } from '../language.js';
import { inspecting } from './inspecting.js';
import { problemLine } from './problems.js';
import { progressLine } from './progress.js';

/**
 * @typedef {import('../../engine/protocol.js').Compared} Compared
 * @typedef {import('../../engine/protocol.js').Change} Change
 */

export function compareRoom() {
  const w = words().inspect;
  const { backup, compare } = inspecting;
  if (!backup) return [];
  const outcome = h('div', { class: 'stack', id: 'compare-outcome' });

  /** @param {File} file */
  function begin(file) {
    if (!backup) return;
    inspecting.other = file;
    void compare.run((reading) => backup.compare(file, reading));
  }

  function update() {
    if (!room.isConnected && room.dataset.state) return compare.removeEventListener('change', update);
    const { state, result, error } = compare;
    room.dataset.state = state;
    if (state === 'running') fill(outcome, progressLine(compare, { id: 'comparing', say: w.comparing }));
    else if (result) fill(outcome, comparedView(result));
    else fill(outcome, state === 'stopped' && h('p', { class: 'hint' }, w.compareStopped), error && state === 'failed' && problemLine(error));
  }

  /** @param {Compared[]} compared */
  function comparedView(compared) {
    const partly = compared.some(({ problem }) => problem !== null);
    const same = !partly && !compared.some(differs);
    const names = w.compared(inspecting.name, inspecting.other?.name ?? '');
    const sentence = same ? w.comparedSame : partly ? w.comparedPartly : names;
    announce(sentence);
    const details = h('div', { class: 'stack', id: 'differences' });
    const heads = /** @type {const} */ (['added', 'removed', 'changed', 'same']);
    return [
      h('p', { class: 'amount', id: 'compared', 'data-same': String(same) }, sentence),
      h(
        'table',
        { class: 'contents four' },
        h('caption', { class: 'unseen' }, w.compareTitle),
        h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, w.compareHeads.collection), heads.map((name) => h('th', { scope: 'col', class: 'figure' }, w.compareHeads[name])))),
        h(
          'tbody',
          {},
          [...inOrder(compared.filter(differs)), ...inOrder(compared.filter((row) => !differs(row)))].map((row) => {
            const name = collectionName(row.name);
            const show = () => differences(details, row.name);
            return h(
              'tr',
              { 'data-collection': row.name, class: !differs(row) && 'none' },
              h('th', { scope: 'row' }, differs(row) ? h('button', { type: 'button', class: 'link name', title: w.compareShow(name), onclick: show }, name) : h('span', { class: 'name' }, name), row.problem && problemLine(row.problem)),
              heads.map((head) => h('td', { class: 'figure', 'data-label': w.compareHeads[head], 'data-count': head }, number(row[head]))),
            );
          }),
        ),
      ),
      details,
    ];
  }

  const room = h(
    'section',
    { class: 'card', id: 'compare', 'aria-labelledby': 'compare-title' },
    h('h2', { id: 'compare-title', tabindex: -1 }, w.compareTitle),
    h('p', {}, w.compareLead),
    dropZone({ id: 'compare-file', onfile: begin, again: inspecting.other !== null }),
    outcome,
  );
  compare.addEventListener('change', update);
  update();
  return [room];
}

/** @param {Compared} row */
function differs({ added, removed, changed }) {
  return added + removed + changed > 0;
}

/**
 * Fills the list of documents that differ.
 *
 * @param {HTMLElement} details
 * @param {string} collection
 */
async function differences(details, collection) {
  const w = words().inspect;
  const title = h('h3', { id: 'differences-title', tabindex: -1 }, w.differences(collectionName(collection)));
  const list = h('ul', { class: 'differences' });
  const more = h('button', { type: 'button', class: 'small', onclick: () => void load() }, w.moreDifferences);
  fill(details, title, list, more);
  title.focus();
  let from = 0;
  await load();

  async function load() {
    const { backup, other } = inspecting;
    if (!backup || !other) return;
    more.disabled = true;
    try {
      const found = await backup.differences(other, { collection, from });
      from += found.length;
      list.append(...found.map(differenceView));
      more.hidden = found.length === 0;
      const all = inspecting.compare.result?.find(({ name }) => name === collection);
      if (all && from >= all.added + all.removed + all.changed) more.hidden = true;
    } catch (error) {
      details.append(problemLine(/** @type {Error} */ (error)));
    }
    more.disabled = false;
  }
}

/** @param {Change} difference */
function differenceView({ id, kind, fields }) {
  const w = words().inspect;
  const value = (/** @type {string | null} */ text) => (text === null ? h('i', { class: 'about' }, w.absent) : h('code', {}, text));
  return h(
    'li',
    { 'data-id': id, 'data-kind': kind },
    h('p', {}, h('span', { class: `badge ${kind}` }, w.difference[kind]), ' ', h('b', {}, id)),
    fields.length > 0 &&
      h(
        'table',
        { class: 'fields' },
        h('thead', { class: 'unseen' }, h('tr', {}, [w.field, w.before, w.after].map((name) => h('th', { scope: 'col' }, name)))),
        h(
          'tbody',
          {},
          fields.map(({ path, old, new: now }) =>
            h('tr', { 'data-field': path }, h('th', { scope: 'row' }, path), h('td', { class: 'old', 'data-label': w.before }, value(old)), h('td', { class: 'new', 'data-label': w.after }, value(now))),
          ),
        ),
      ),
  );
}
