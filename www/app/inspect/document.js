// @ts-check
/** One document: as a receipt where it is one, as JSON that folds, with its files and what leads on from it. */

import { collectionName } from '../contents.js';
import { copyButton, fill, h, icon } from '../dom.js';
import { bytes, number, words } from '../language.js';
import { fileTile } from './files.js';
import { follow } from './follow.js';
import { inspecting } from './inspecting.js';
import { member, plain, valueAt } from './json.js';
import { problemLine } from './problems.js';
import { receiptView } from './receipt.js';
import { fileName, save } from './save.js';
import { jsonView } from './tree.js';

/**
 * @typedef {import('./inspecting.js').Shown} Shown
 * @typedef {import('../../engine/protocol.js').RowText} RowText
 */

/** Names of articles that were looked up, by backup. @type {WeakMap<object, Map<string, Promise<string | null>>>} */
const names = new WeakMap();

/**
 * @param {Shown} shown
 * @param {{ rows: number, onmove: (row: number) => void, onclose: () => void }} options
 */
export function documentPanel(shown, { rows, onmove, onclose }) {
  const w = words().inspect;
  const { collection, row, query } = shown;
  const title = h('h2', { id: 'document-title', tabindex: -1 }, w.loading);
  const body = h('div', { class: 'document-body' });
  const step = (/** @type {number} */ to, /** @type {string} */ label, /** @type {string} */ name) =>
    h('button', { type: 'button', class: 'quiet square', id: `document-${name}`, 'aria-label': label, title: label, disabled: to < 0 || to >= rows, onclick: () => onmove(to) }, icon(name));
  const panel = h(
    'section',
    { class: 'card document', id: 'document', 'aria-labelledby': 'document-title', 'data-collection': collection, 'data-row': row },
    h(
      'div',
      { class: 'document-head' },
      h('div', { class: 'grow' }, h('p', { class: 'eyebrow' }, w.hit(collectionName(collection), number(row + 1))), title),
      step(row - 1, w.previous, 'previous'),
      step(row + 1, w.next, 'next'),
      h('button', { type: 'button', class: 'quiet square', id: 'document-close', 'aria-label': w.closeDocument, title: w.closeDocument, onclick: onclose }, icon('close')),
    ),
    body,
  );
  void load();
  return panel;

  async function load() {
    const { backup } = inspecting;
    if (!backup) return;
    try {
      const found = await backup.document({ collection, row, search: query });
      title.textContent = found.id;
      panel.dataset.id = found.id;
      fill(body, contents(found));
      panel.dataset.state = 'there';
      const { attachments } = await backup.attachments({ collection, id: found.id, count: 24 });
      if (attachments.length > 0) {
        body.append(h('h3', {}, w.attached), h('ul', { class: 'tiles' }, attachments.map((file) => fileTile(file, { owner: false }))));
      }
    } catch (error) {
      title.textContent = w.document;
      fill(body, problemLine(/** @type {Error} */ (error)));
      panel.dataset.state = 'broken';
    }
  }

  /** @param {RowText} found */
  function contents({ id, text, marks, masked }) {
    const json = jsonView(text, { marks, masked, onlink: follow });
    const receipt = receiptView(text, { nameOf });
    return [
      h(
        'div',
        { class: 'actions' },
        copyButton({ id: 'document-copy', text: () => text, source: json, label: w.copy, done: w.copied, select: w.selected }),
        h('button', { type: 'button', class: 'small', id: 'document-save', onclick: () => save(new Blob([text]), fileName(`${id}.json`)) }, icon('download'), w.save),
        h('button', { type: 'button', class: 'small', id: 'document-mentions', onclick: () => mentions(id) }, icon('search'), w.mentions),
      ),
      masked.length > 0 && h('p', { class: 'note' }, icon('shield'), h('span', {}, w.maskedNote)),
      receipt,
      receipt
        ? h('details', { class: 'more', open: marks.length > 0 }, h('summary', {}, w.asJson), json)
        : json,
      h('p', { class: 'hint' }, w.size(bytes(new Blob([text]).size))),
    ];
  }
}

/** @param {string} id */
function mentions(id) {
  inspecting.query = `"${id.replaceAll('"', ' ')}"`;
  inspecting.where = '';
  inspecting.search.clear();
  inspecting.hits = [];
  inspecting.go('search');
}

/**
 * What an article is called, where the backup has it.
 *
 * @param {string} id
 * @returns {Promise<string | null>}
 */
function nameOf(id) {
  const { backup } = inspecting;
  if (!backup || !id) return Promise.resolve(null);
  const known = names.get(backup) ?? new Map();
  names.set(backup, known);
  const name = known.get(id) ?? lookUp(backup, id);
  known.set(id, name);
  return name;
}

/** @param {NonNullable<typeof inspecting.backup>} backup @param {string} id */
async function lookUp(backup, id) {
  if (!backup.summary.collections.some(({ name }) => name === 'articles')) return null;
  const place = await backup.find(id, { collection: 'articles' });
  if (!place) return null;
  const { text } = await backup.document(place);
  return plain(text, member(text, valueAt(text), 'name')) || null;
}
