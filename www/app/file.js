// @ts-check
/** Looks into a backup file on this device: what its table of contents says. Needs no login and no network. */

import { openBackup } from '../engine/index.js';
import { byId, fill, h, icon } from './dom.js';
import { collectionTable, sum } from './contents.js';
import { failurePanel } from './failure.js';
import { bytes, dateTime, number, words } from './language.js';

/**
 * @typedef {import('../engine/protocol.js').Manifest} Manifest
 * @typedef {import('../engine/protocol.js').CollectionSummary} CollectionSummary
 * @typedef {{ name: string, size: number, manifest: Manifest | null, collections: CollectionSummary[] }} Opened
 */

/** What is open survives a change of the view and of the language. @type {Opened | null} */
let opened = null;

export function fileCard() {
  const w = words().file;
  const outcome = h('div', { id: 'file-outcome' });
  const input = h('input', {
    type: 'file',
    id: 'file',
    accept: '.zip,application/zip',
    class: 'unseen',
    onchange: chosen,
  });
  const zone = h(
    'div',
    { class: 'drop', ondragover: over, ondragleave: away, ondrop: dropped },
    input,
    h('label', { class: 'button', for: 'file' }, icon('file'), w.choose),
    h('span', { class: 'hint wide-only' }, w.drop),
  );

  function chosen() {
    const file = input.files?.[0];
    if (file) void open(file);
    input.value = '';
  }

  /** @param {DragEvent} event */
  function over(event) {
    event.preventDefault();
    zone.dataset.over = '';
  }

  function away() {
    delete zone.dataset.over;
  }

  /** @param {DragEvent} event */
  function dropped(event) {
    event.preventDefault();
    away();
    const file = event.dataTransfer?.files[0];
    if (file) void open(file);
  }

  /** @param {File} file */
  async function open(file) {
    opened = null;
    fill(outcome, h('p', { class: 'hint', role: 'status' }, w.opening));
    try {
      const backup = await openBackup(file);
      opened = {
        name: file.name,
        size: file.size,
        manifest: backup.manifest,
        collections: backup.summary.collections,
      };
      backup.close();
      show();
      byId('file-title')?.focus();
    } catch (error) {
      const options = { id: 'file-error', title: words().failure.fileTitle, about: /** @type {const} */ ('file') };
      fill(outcome, failurePanel(/** @type {Error} */ (error), { ...options, dismiss: close }));
    }
  }

  function close() {
    opened = null;
    show();
    input.focus();
  }

  function show() {
    fill(outcome, opened && overview(opened, close));
  }

  show();
  return h(
    'section',
    { class: 'card', 'aria-labelledby': 'look' },
    h('h2', { id: 'look' }, w.title),
    h('p', { class: 'hint' }, w.lead),
    zone,
    outcome,
  );
}

/**
 * @param {Opened} opened
 * @param {() => void} close
 */
function overview({ name, size, manifest, collections }, close) {
  const w = words().file;
  const { documents, files } = sum(collections);
  const fact = (/** @type {string} */ label, /** @type {string | null} */ value) =>
    h('div', {}, h('dt', {}, label), h('dd', {}, value ?? w.unknown));
  return h(
    'section',
    { class: 'opened', id: 'opened', 'aria-labelledby': 'file-title' },
    h('h3', { id: 'file-title', tabindex: -1 }, name),
    h(
      'dl',
      { class: 'figures' },
      fact(w.created, manifest && dateTime(new Date(manifest.created))),
      fact(w.business, manifest && manifest.source.business),
      fact(w.product, manifest && manifest.source.product),
      fact(w.size, bytes(size)),
      fact(w.documents, number(documents)),
      fact(w.files, number(files)),
    ),
    h('p', { class: 'note' }, icon('info'), h('span', {}, manifest ? w.notVerified : w.noManifest)),
    collectionTable(collections),
    h('div', { class: 'actions' }, h('button', { type: 'button', onclick: close }, w.close)),
  );
}
