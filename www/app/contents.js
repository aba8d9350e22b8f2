// @ts-check
/** Tables of what is in a backup: by category before it is made, by collection afterwards. */

import { fill, h } from './dom.js';
import { bytes, number, words } from './language.js';

/**
 * @typedef {import('../engine/protocol.js').CollectionSummary} CollectionSummary
 * @typedef {{ documents: number, files: number, size: number }} Sum
 */

/**
 * The categories in the order in which a person reads them, each with what the collections in it add up to.
 *
 * @param {readonly CollectionSummary[]} collections
 * @returns {Map<string, Sum>}
 */
export function byCategory(collections) {
  /** @type {Map<string, Sum>} */
  const sums = new Map();
  for (const category of Object.keys(words().categories)) {
    const rows = collections.filter((row) => row.category === category);
    if (rows.length > 0) sums.set(category, sum(rows));
  }
  return sums;
}

/** @param {readonly CollectionSummary[]} rows @returns {Sum} */
export function sum(rows) {
  const add = (/** @type {(row: CollectionSummary) => number} */ of) => rows.reduce((all, row) => all + of(row), 0);
  return {
    documents: add((row) => row.documents),
    files: add((row) => row.attachments),
    size: add((row) => row.bytes + row.attachmentBytes),
  };
}

/** @param {readonly Sum[]} rows @returns {Sum} */
export function total(rows) {
  const add = (/** @type {(row: Sum) => number} */ of) => rows.reduce((all, row) => all + of(row), 0);
  return { documents: add((row) => row.documents), files: add((row) => row.files), size: add((row) => row.size) };
}

/**
 * Whether the server said how much there is.
 *
 * @param {ReadonlyMap<string, Sum | null>} sums
 */
export const counted = (sums) => [...sums.values()].some((row) => row !== null);

/** @param {string} name */
export function collectionName(name) {
  const table = /** @type {Record<string, string>} */ (words().collections);
  return table[name] ?? name;
}

/** @param {string} category */
export const categoryName = (category) => categoryWords(category)[0] ?? category;

/** @param {string} category */
export function categoryWords(category) {
  const table = /** @type {Record<string, string[]>} */ (words().categories);
  return table[category] ?? [category, ''];
}

/**
 * The table with a box for every category.
 *
 * @param {{ sums: ReadonlyMap<string, Sum | null>, leftOut: Set<string>, onchange: () => void }} options
 *   a sum of null means that the server did not say
 */
export function categoryTable({ sums, leftOut, onchange }) {
  const w = words().contents;
  const figured = counted(sums);
  const all = h('input', { type: 'checkbox', id: 'category-all', onchange: toggleAll });
  const boxes = [...sums.keys()].map((category) =>
    h('input', {
      type: 'checkbox',
      id: `category-${category}`,
      'data-category': category,
      'aria-describedby': `about-${category}`,
      onchange: toggle,
    }),
  );
  const totals = h('tr', { class: 'total' });

  function toggleAll() {
    leftOut.clear();
    if (!all.checked) for (const category of sums.keys()) leftOut.add(category);
    show();
  }

  function toggle() {
    for (const box of boxes) {
      if (box.checked) leftOut.delete(box.dataset.category ?? '');
      else leftOut.add(box.dataset.category ?? '');
    }
    show();
  }

  function show() {
    for (const box of boxes) box.checked = !leftOut.has(box.dataset.category ?? '');
    all.checked = leftOut.size === 0;
    all.indeterminate = leftOut.size > 0 && leftOut.size < boxes.length;
    const kept = [...sums].flatMap(([category, row]) => (row && !leftOut.has(category) ? [row] : []));
    fill(totals, h('th', { scope: 'row' }, w.total), ...figures(total(kept), w));
    onchange();
  }

  const head = h('label', { class: 'pick' }, all, h('span', {}, w.all));
  const table = h(
    'table',
    { class: 'contents categories' },
    h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, head), ...(figured ? heads(w) : []))),
    h(
      'tbody',
      {},
      [...sums].map(([category, row], index) => {
        const [name, about] = categoryWords(category);
        const label = h(
          'label',
          { class: 'pick' },
          boxes[index],
          h(
            'span',
            {},
            h('span', { class: 'name' }, name),
            h('span', { class: 'about', id: `about-${category}` }, about),
          ),
        );
        const cells = row === null ? [] : figures(row, w);
        return h(
          'tr',
          { 'data-category': category, class: row?.documents === 0 && 'none' },
          h('th', { scope: 'row' }, label),
          ...cells,
        );
      }),
    ),
    figured && h('tfoot', {}, totals),
  );
  show();
  return table;
}

/**
 * Collections in the order in which a person reads them.
 *
 * @template {{ name: string, category: string }} Row
 * @param {readonly Row[]} rows
 */
export function inOrder(rows) {
  const order = Object.keys(words().categories);
  const within = Object.keys(words().collections);
  const place = (/** @type {Row} */ row) => order.indexOf(row.category) * 1000 + within.indexOf(row.name);
  return [...rows].sort((a, b) => place(a) - place(b));
}

/**
 * What an archive says it holds.
 *
 * @param {readonly CollectionSummary[]} collections
 * @param {(name: string) => string} [address] where the documents of a collection are to be seen
 */
export function collectionTable(collections, address) {
  const w = words().manifest;
  const names = /** @type {Record<string, string>} */ (words().collections);
  const rows = inOrder(collections);
  return h(
    'table',
    { class: 'contents' },
    h('caption', { class: 'unseen' }, w.caption),
    h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, w.collection), ...heads(w))),
    h(
      'tbody',
      {},
      rows.map((row) =>
        h(
          'tr',
          { 'data-collection': row.name, class: row.documents === 0 && 'none' },
          h(
            'th',
            { scope: 'row' },
            address
              ? h('a', { class: 'name', href: address(row.name) }, names[row.name] ?? row.name)
              : h('span', { class: 'name' }, names[row.name] ?? row.name),
            h('span', { class: 'about' }, categoryName(row.category)),
          ),
          ...figures(sum([row]), w),
        ),
      ),
    ),
    h(
      'tfoot',
      {},
      h('tr', { class: 'total' }, h('th', { scope: 'row' }, words().contents.total), ...figures(sum(rows), w)),
    ),
  );
}

/** @param {{ documents: string, files: string, size: string }} w */
function heads(w) {
  return [w.documents, w.files, w.size].map((name) => h('th', { scope: 'col', class: 'figure' }, name));
}

/**
 * The label of each figure is repeated for narrow screens, where there is no room for columns.
 *
 * @param {Sum} sum
 * @param {{ documents: string, files: string, size: string }} w
 */
function figures({ documents, files, size }, w) {
  return [
    h('td', { class: 'figure documents', 'data-label': w.documents }, number(documents)),
    h('td', { class: 'figure files', 'data-label': w.files }, number(files)),
    h('td', { class: 'figure size', 'data-label': w.size }, bytes(size)),
  ];
}
