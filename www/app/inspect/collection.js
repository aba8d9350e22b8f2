// @ts-check
/** A collection as a table of any length, and beside it the document that is looked at. */

import { collectionName } from '../contents.js';
import { announce, byId, fill, h, icon } from '../dom.js';
import { number, words } from '../language.js';
import { documentPanel } from './document.js';
import { follow } from './follow.js';
import { grid } from './grid.js';
import { inspecting } from './inspecting.js';
import { takeOutLine } from './takeout.js';

/** @param {string} collection */
export function collectionRoom(collection) {
  const w = words().inspect;
  const { backup } = inspecting;
  const found = backup?.summary.collections.find(({ name }) => name === collection);
  if (!backup || !found) return [];
  const place = h('div', { class: 'grid-place' }, h('p', { class: 'hint' }, w.loading));
  const beside = h('div', { class: 'beside' });
  const split = h('div', { class: 'split', id: 'split' }, place, beside);
  const trouble = h('p', { class: 'hint', id: 'not-found', role: 'status' });
  /** @type {ReturnType<typeof grid> | null} */
  let table = null;

  const room = h(
    'section',
    { class: 'card', id: 'collection', 'data-collection': collection, 'aria-labelledby': 'collection-title' },
    h(
      'div',
      { class: 'document-head' },
      h('div', { class: 'grow' }, h('a', { href: '#inspect', class: 'eyebrow', id: 'collection-back' }, `‹ ${w.back}`), h('h2', { id: 'collection-title', tabindex: -1 }, collectionName(collection))),
      h('p', { class: 'amount' }, words().documents(found.documents)),
    ),
    h(
      'div',
      { class: 'bar-of-tools' },
      jump('jump-row', w.jumpRow, (text) => goToRow(text), { inputmode: 'numeric', size: 9 }),
      jump('jump-id', w.jumpId, (text) => void follow(text, collection), { size: 16 }),
      h('button', { type: 'button', class: 'small', id: 'search-here', onclick: searchHere }, icon('search'), w.searchHere),
      takeOutLine({ collections: [collection] }),
    ),
    trouble,
    found.documents === 0 ? h('p', {}, w.empty) : split,
  );
  if (found.documents > 0) void begin();
  inspecting.addEventListener('show', shown);
  return [room];

  async function begin() {
    if (!backup || !found) return;
    try {
      const { columns } = await backup.table({ collection, from: 0, count: 64 });
      table = grid({
        id: 'rows',
        label: w.table(collectionName(collection)),
        rows: found.documents,
        columns: columns.map(({ name, kind }) => ({ label: words().fields[name] ?? name, field: name, kind })),
        load: (from, count) => loaded(backup, from, count),
        onopen: (row) => inspecting.show({ collection, row }),
      });
      table.go(inspecting.rows.get(collection) ?? 0);
      fill(place, table.view, h('p', { class: 'hint wide-only' }, w.tableHint));
      if (inspecting.shown?.collection === collection) shown();
    } catch (error) {
      const { problemLine } = await import('./problems.js');
      fill(place, problemLine(/** @type {Error} */ (error)));
    }
  }

  /**
   * Rows where they belong: those that damage hides say so.
   *
   * @param {NonNullable<typeof backup>} backup
   * @param {number} from
   * @param {number} count
   */
  async function loaded(backup, from, count) {
    /** @type {import('./grid.js').Row[]} */
    const placed = [];
    while (placed.length < count) {
      const { rows, hidden } = await backup.table({ collection, from: from + placed.length, count: count - placed.length });
      placed.push(...rows.map(({ cells }) => ({ cells })));
      if (hidden > 0) announce(w.damagedHere);
      else if (rows.length === 0) break;
      for (let left = hidden; left > 0 && placed.length < count; left -= 1) placed.push({ cells: [w.damagedHere], state: 'broken' });
    }
    return placed;
  }

  /** Shows what `inspecting` says is to be shown. */
  function shown() {
    if (!room.isConnected) return inspecting.removeEventListener('show', shown);
    const wanted = inspecting.shown;
    if (!wanted || wanted.collection !== collection || !found) return;
    trouble.textContent = '';
    split.dataset.open = '';
    const onmove = (/** @type {number} */ row) => inspecting.show({ ...wanted, row, query: undefined });
    fill(beside, documentPanel(wanted, { rows: found.documents, onmove, onclose: close }));
    table?.go(wanted.row);
    byId('document-title')?.focus({ preventScroll: true });
    if (beside.getBoundingClientRect().top > innerHeight - 120 || beside.getBoundingClientRect().top < 0) beside.scrollIntoView({ block: 'start' });
  }

  function close() {
    inspecting.shown = null;
    delete split.dataset.open;
    fill(beside);
    table?.view.focus();
  }

  /** @param {string} text */
  function goToRow(text) {
    const row = Number(text.replace(/[^\d]/g, ''));
    if (!table || !found) return;
    if (row < 1 || row > found.documents) {
      trouble.textContent = w.noRow(found.documents);
      return;
    }
    trouble.textContent = '';
    inspecting.rows.set(collection, row - 1);
    table.go(row - 1);
    table.view.focus();
  }

  function searchHere() {
    Object.assign(inspecting, { where: collection, query: '', hits: [] });
    inspecting.search.clear();
    inspecting.go('search');
  }
}

/**
 * A field, and a button that goes there.
 *
 * @param {string} id
 * @param {string} label
 * @param {(text: string) => void} go
 * @param {Record<string, unknown>} more of the field
 */
function jump(id, label, go, more) {
  const input = h('input', { id, autocomplete: 'off', spellcheck: 'false', autocapitalize: 'off', ...more });
  /** @param {Event} event */
  const submitted = (event) => {
    event.preventDefault();
    const text = input.value.trim();
    if (text) go(text);
  };
  return h(
    'form',
    { class: 'jump', onsubmit: submitted },
    h('label', { for: id }, label),
    input,
    h('button', { class: 'small', id: `${id}-go` }, words().inspect.go),
  );
}
