// @ts-check
/** The Inspect view: a file, what is in it, and the rooms that lead into it. Needs no login and no network. */

import { byCategory, categoryName, collectionTable } from './contents.js';
import { damagedList } from './damaged.js';
import { h, icon } from './dom.js';
import { dropZone } from './drop.js';
import { failurePanel } from './failure.js';
import { concernsManifest, damage } from './file.js';
import { collectionRoom } from './inspect/collection.js';
import { compareRoom } from './inspect/compare.js';
import { filesRoom } from './inspect/files.js';
import { inspecting, roomOf } from './inspect/inspecting.js';
import { searchRoom } from './inspect/search.js';
import { verifyRoom } from './inspect/verify.js';
import { bytes, dateTime, number, percent, relative, words } from './language.js';

/** @typedef {import('./inspect/inspecting.js').Backup} Backup */

const ROOMS = /** @type {const} */ (['contents', 'search', 'files', 'verify', 'compare']);

export function inspectView() {
  const { state, backup } = inspecting;
  if (state === 'open' && backup) return openView(backup);
  return [failure(), startCard()];
}

function startCard() {
  const w = words().inspect;
  const opening = inspecting.state === 'opening';
  return h(
    'section',
    { class: 'card hero', 'aria-labelledby': 'inspect-title' },
    h('h1', { id: 'inspect-title', tabindex: -1 }, w.title),
    h('p', { class: 'lead' }, w.lead),
    opening ? openingLine() : dropZone({ id: 'inspect-file', onfile: (file) => void inspecting.open(file) }),
    h('p', { class: 'note' }, icon('shield'), h('span', {}, words().backup.privacy)),
  );
}

function openingLine() {
  const w = words().inspect;
  const bar = h('progress', { max: 1, 'aria-label': w.opening(inspecting.name) });
  const read = h('span', { class: 'hint' });
  const line = h(
    'div',
    { class: 'working', id: 'inspect-opening' },
    bar,
    h('p', { role: 'status' }, w.opening(inspecting.name)),
    read,
    h('button', { type: 'button', class: 'small', id: 'inspect-cancel', onclick: () => inspecting.close() }, icon('stop'), w.cancel),
  );
  function update() {
    if (!line.isConnected && read.textContent) return inspecting.removeEventListener('tick', update);
    bar.value = inspecting.fraction;
    read.textContent = `${percent(inspecting.fraction)} · ${w.reading}`;
  }
  inspecting.addEventListener('tick', update);
  return line;
}

function failure() {
  const { error } = inspecting;
  if (!error) return null;
  return failurePanel(error, { id: 'inspect-error', title: words().inspect.failed, about: 'file', dismiss: () => inspecting.close() });
}

/** @param {Backup} backup */
function openView(backup) {
  const room = roomOf(location.hash);
  const inside = room.startsWith('in/') && backup.summary.collections.some(({ name }) => name === named(room));
  const at = ROOMS.find((name) => name === room) ?? 'contents';
  return [at === 'contents' && !inside ? headCard(backup) : briefCard(), roomsBar(backup, at), ...(inside ? collectionRoom(named(room)) : roomOfView(at, backup))];
}

/** @param {string} room */
function named(room) {
  try {
    return decodeURIComponent(room.slice('in/'.length));
  } catch {
    return '';
  }
}

/**
 * @param {typeof ROOMS[number]} room
 * @param {Backup} backup
 */
function roomOfView(room, backup) {
  switch (room) {
    case 'search':
      return searchRoom();
    case 'files':
      return filesRoom();
    case 'verify':
      return verifyRoom();
    case 'compare':
      return compareRoom();
    case 'contents':
      return [contentsRoom(backup)];
  }
}

/**
 * @param {Backup} backup
 * @param {typeof ROOMS[number]} at
 */
function roomsBar({ summary }, at) {
  const w = words().inspect;
  return h(
    'nav',
    { class: 'rooms', 'aria-label': w.rooms },
    ROOMS.map((name) =>
      h(
        'a',
        { href: name === 'contents' ? '#inspect' : `#inspect/${name}`, id: `room-${name}`, 'aria-current': name === at && 'page' },
        w[name],
        name === 'files' && summary.attachments > 0 && h('span', { class: 'count' }, number(summary.attachments)),
      ),
    ),
  );
}

/** The name of the file alone, where what is in it needs the room. */
function briefCard() {
  return h(
    'div',
    { class: 'brief' },
    icon('file'),
    h('h1', { id: 'inspect-title', tabindex: -1 }, inspecting.name),
    closeButton(),
  );
}

function closeButton() {
  return h('button', { type: 'button', class: 'quiet small', id: 'inspect-close', onclick: () => (inspecting.close(), inspecting.go('')) }, words().inspect.close);
}

/** @param {Backup} backup */
function headCard({ manifest, summary: { size, collections, attachments, problems, found, salvaged } }) {
  const w = words().file;
  const missing = manifest?.missing ?? [];
  const documents = collections.reduce((all, row) => all + row.documents, 0);
  const fact = (/** @type {string} */ label, /** @type {string | Node | null} */ value, broad = false) =>
    h('div', { class: broad && 'broad' }, h('dt', {}, label), h('dd', {}, value ?? w.unknown));
  const made = manifest && new Date(manifest.created);
  const age = made && !Number.isNaN(made.getTime()) ? words().inspect.age(dateTime(made), relative(made)) : manifest?.created;
  const basis = salvaged || problems.some(concernsManifest) ? w.badManifest : w.noManifest;
  // That the directory is lost is said by itself.
  const others = salvaged ? problems.filter(({ kind }) => kind !== 'damaged-directory') : problems;
  return h(
    'section',
    { class: 'card', id: 'inspected', 'aria-labelledby': 'inspect-title' },
    h('div', { class: 'document-head' }, h('h1', { id: 'inspect-title', class: 'grow', tabindex: -1 }, inspecting.name), closeButton()),
    h(
      'dl',
      { class: 'figures' },
      fact(w.created, manifest && h('time', { datetime: manifest.created }, age ?? ''), true),
      fact(w.business, manifest && manifest.source.business),
      fact(w.product, manifest && manifest.source.product),
      fact(w.size, bytes(size)),
      fact(w.documents, number(documents)),
      fact(w.files, number(attachments)),
    ),
    salvaged && h('p', { class: 'note warn', id: 'salvaged', role: 'alert' }, icon('alert'), h('span', {}, words().inspect.salvaged)),
    missing.length > 0 && h('p', { class: 'note warn', id: 'missing', role: 'alert' }, icon('alert'), h('span', {}, words().damaged.missing(missing.length))),
    damagedList(missing, { id: 'missing-list' }),
    others.length > 0 && damage(others, found - problems.length + others.length),
    !manifest && h('p', { class: 'note' }, icon('info'), h('span', {}, basis)),
  );
}

/** @param {Backup} backup */
function contentsRoom({ summary: { collections } }) {
  const w = words().inspect;
  const categories = [...byCategory(collections)].filter(([, { documents, files }]) => documents + files > 0);
  return h(
    'section',
    { class: 'card', id: 'contents', 'aria-labelledby': 'contents-title' },
    h('h2', { id: 'contents-title' }, w.contents),
    h('p', { class: 'hint' }, w.contentsLead),
    h('p', { class: 'hint', id: 'not-found', role: 'status' }),
    collectionTable(collections, (name) => `#inspect/in/${encodeURIComponent(name)}`),
    categories.length > 1 &&
      h(
        'details',
        { class: 'more', id: 'by-category' },
        h('summary', {}, w.categories),
        h(
          'table',
          { class: 'contents' },
          h(
            'thead',
            {},
            h(
              'tr',
              {},
              h('td', {}),
              [words().contents.documents, words().contents.files, words().contents.size].map((name) => h('th', { scope: 'col', class: 'figure' }, name)),
            ),
          ),
          h(
            'tbody',
            {},
            categories.map(([category, { documents, files, size }]) =>
              h(
                'tr',
                { 'data-category': category },
                h('th', { scope: 'row' }, h('span', { class: 'name' }, categoryName(category))),
                h('td', { class: 'figure', 'data-label': words().contents.documents }, number(documents)),
                h('td', { class: 'figure', 'data-label': words().contents.files }, number(files)),
                h('td', { class: 'figure', 'data-label': words().contents.size }, bytes(size)),
              ),
            ),
          ),
        ),
      ),
  );
}
