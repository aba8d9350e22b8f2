// @ts-check
/** Looks into a backup file on this device: what its table of contents says. Needs no login and no network. */

import { openBackup } from '../engine/index.js';
import { byId, fill, h, icon } from './dom.js';
import { collectionTable, sum } from './contents.js';
import { failurePanel } from './failure.js';
import { bytes, dateTime, number, words } from './language.js';
import { summarise } from './manifest.js';

/**
 * @typedef {import('./manifest.js').Summary} Summary
 * @typedef {{ name: string, size: number, summary: Summary, stated: boolean }} Opened
 */

/** What is open survives a change of the view and of the language. @type {Opened | null} */
let opened = null;

export function fileCard() {
  const w = words().file;
  const outcome = h('div', { id: 'file-outcome' });
  const input = h('input', { type: 'file', id: 'file', accept: '.zip,application/zip', class: 'unseen', onchange: chosen });
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
      const stated = backup.manifest !== null;
      const summary = backup.manifest ? summarise(backup.manifest) : backup.summary;
      await backup.close();
      opened = { name: file.name, size: file.size, summary, stated };
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
function overview({ name, size, summary, stated }, close) {
  const w = words().file;
  const { documents, files } = sum(summary.collections);
  const fact = (/** @type {string} */ label, /** @type {string | null} */ value) =>
    h('div', {}, h('dt', {}, label), h('dd', {}, value ?? w.unknown));
  return h(
    'section',
    { class: 'opened', id: 'opened', 'aria-labelledby': 'file-title' },
    h('h3', { id: 'file-title', tabindex: -1 }, name),
    h(
      'dl',
      { class: 'figures' },
      fact(w.created, summary.created && dateTime(new Date(summary.created))),
      fact(w.business, summary.business),
      fact(w.product, summary.product),
      fact(w.size, bytes(size)),
      fact(w.documents, number(documents)),
      fact(w.files, number(files)),
    ),
    h('p', { class: 'note' }, icon('info'), h('span', {}, stated ? w.notVerified : w.noManifest)),
    collectionTable(summary.collections),
    h('div', { class: 'actions' }, h('button', { type: 'button', onclick: close }, w.close)),
  );
}
