// @ts-check
/** Searching: hits come as they are found, each with the place that was searched for. */

import { collectionName, inOrder } from '../contents.js';
import { announce, fill, h, icon } from '../dom.js';
import { number, words } from '../language.js';
import { inspecting } from './inspecting.js';
import { problemLine, problemTable } from './problems.js';
import { progressLine } from './progress.js';
import { takeOutLine } from './takeout.js';
import { marked } from './tree.js';

/** @typedef {import('../../engine/protocol.js').Hit} Hit */

/** So many hits are listed; the rest is counted. */
const LISTED = 500;

export function searchRoom() {
  const w = words().inspect;
  const { backup, search } = inspecting;
  if (!backup) return [];
  const collections = inOrder(backup.summary.collections.filter(({ documents }) => documents > 0));
  const order = new Map(collections.map(({ name }, at) => [name, at]));
  const input = h('input', { id: 'search-query', type: 'search', autocomplete: 'off', spellcheck: 'false', value: inspecting.query, 'aria-describedby': 'search-hint' });
  const where = h(
    'select',
    { id: 'search-where' },
    h('option', { value: '' }, w.everywhere),
    collections.map(({ name }) => h('option', { value: name, selected: name === inspecting.where }, collectionName(name))),
  );
  const working = h('div', {});
  const said = h('div', { id: 'search-said', role: 'status' });
  const list = h('ol', { class: 'hits', id: 'hits' });
  const more = h('div', {});
  let drawing = 0;

  /** @param {Event} event */
  function begin(event) {
    event.preventDefault();
    const query = input.value.trim();
    if (!query || !backup) return;
    Object.assign(inspecting, { query, where: where.value, hits: [] });
    const onHits = (/** @type {Hit[]} */ hits) => {
      inspecting.hits.push(...hits);
      // A long list is not sorted and drawn for every few of it.
      drawing ||= requestAnimationFrame(draw);
    };
    void search.run((reading) =>
      backup.search({ query, collections: inspecting.where ? [inspecting.where] : undefined, max: LISTED, onHits, ...reading }),
    );
  }

  function draw() {
    drawing = 0;
    inspecting.hits.sort((a, b) => (order.get(a.collection) ?? 0) - (order.get(b.collection) ?? 0) || a.row - b.row);
    fill(list, inspecting.hits.map(hitView));
  }

  function update() {
    if (!room.isConnected && room.dataset.state) return search.removeEventListener('change', update);
    const { state, result, error } = search;
    room.dataset.state = state;
    fill(working, state === 'running' && progressLine(search, { id: 'searching', say: w.searching }));
    draw();
    const sentence = result ? (result.matches === 0 ? w.nothing : w.matches(result.matches, result.exact)) : '';
    if (result) announce(sentence);
    fill(
      said,
      result && h('p', { class: 'amount', id: 'matches', 'data-matches': result.matches, 'data-exact': String(result.exact) }, sentence, ' ', result.matches > LISTED && w.firstHits(LISTED)),
      state === 'stopped' && h('p', { class: 'hint' }, w.stopped),
      error && state === 'failed' && problemLine(error),
    );
    fill(
      more,
      result && result.matches > 0 && takeOutLine({ collections: inspecting.where ? [inspecting.where] : collections.map(({ name }) => name), search: inspecting.query }),
      result && result.problems.length > 0 && problemTable(result.problems),
    );
  }

  const room = h(
    'section',
    { class: 'card', id: 'search', 'aria-labelledby': 'search-title' },
    h('h2', { id: 'search-title', tabindex: -1 }, w.searchTitle),
    h(
      'form',
      { class: 'search', role: 'search', onsubmit: begin },
      h('div', { class: 'grow' }, h('label', { for: 'search-query' }, w.searchFor), input),
      h('div', {}, h('label', { for: 'search-where' }, w.searchIn), where),
      h('button', { class: 'primary', id: 'search-start' }, icon('search'), w.searchStart),
    ),
    h('p', { class: 'hint', id: 'search-hint' }, w.searchHint),
    working,
    said,
    more,
    list,
  );
  search.addEventListener('change', update);
  update();
  queueMicrotask(() => search.state === 'idle' && input.focus({ preventScroll: true }));
  return [room];
}

/** @param {Hit} hit */
function hitView({ collection, row, id, snippet, marks }) {
  const w = words().inspect;
  return h(
    'li',
    { 'data-collection': collection, 'data-row': row, 'data-id': id },
    h(
      'button',
      { type: 'button', class: 'hit', onclick: () => inspecting.show({ collection, row, query: inspecting.query }) },
      h('span', { class: 'name' }, id),
      h('span', { class: 'about' }, w.hit(collectionName(collection), number(row + 1))),
      h('span', { class: 'snippet' }, marked({ text: snippet, marks }, 0, snippet.length)),
    ),
  );
}
