// @ts-check
/** A finished backup: what it is, what is in it, and the link to get it. */

import { damagedList } from './damaged.js';
import { copyButton, fill, h, icon } from './dom.js';
import { addressOf, download as startDownload } from './archives.js';
import { categoryName, collectionTable } from './contents.js';
import { failurePanel } from './failure.js';
import { bytes, clock, dateTime, number, words } from './language.js';

/**
 * @param {import('./job.js').Finished} finished
 * @param {{ seconds: number, without: readonly string[], another: () => void, ongone: () => void }} options
 *   `ongone` is called when the archive could not be downloaded
 */
export function resultPanel({ file, manifest, archive }, { seconds, without, another, ongone }) {
  const w = words().result;
  const moment = dateTime(manifest.created);
  const left = without.map(categoryName).join(', ');
  const kept = w.kept[archive.place];
  const download = h(
    'a',
    { class: 'button primary big', id: 'download', download: archive.name, onclick: get },
    icon('download'),
    w.downloadSize(bytes(archive.size)),
  );
  void addressOf(archive, file).then(
    (address) => download.setAttribute('href', address),
    // It is asked for once more when it is clicked, and what is wrong then is said.
    () => download.setAttribute('href', '#result'),
  );
  const problem = h('div');

  /** @param {MouseEvent} event */
  async function get(event) {
    event.preventDefault();
    fill(problem);
    try {
      await startDownload(archive);
    } catch (error) {
      const options = { id: 'download-error', title: words().failure.archiveTitle, about: /** @type {const} */ ('archive') };
      const dismiss = () => fill(problem);
      fill(problem, failurePanel(/** @type {Error} */ (error), { ...options, dismiss }));
      ongone();
    }
  }

  const digest = h('code', { id: 'sha256', class: 'digest' }, archive.sha256);
  const fact = (/** @type {string} */ label, /** @type {string} */ value, /** @type {string} */ id) =>
    h('div', { class: id === 'result-name' && 'broad' }, h('dt', {}, label), h('dd', { id }, value));
  return h(
    'section',
    { class: 'card result', id: 'result', 'aria-labelledby': 'result-title', 'data-archive': archive.id },
    h('div', { class: 'emblem' }, icon('check')),
    h('h1', { id: 'result-title', tabindex: -1 }, w.title),
    h('p', { class: 'lead' }, left ? w.partialLead(moment, left, kept) : w.lead(moment, kept)),
    h(
      'div',
      { class: 'actions' },
      download,
      h('button', { type: 'button', class: 'quiet', id: 'another', onclick: another }, w.another),
    ),
    manifest.missing.length > 0 && h('p', { class: 'note warn', id: 'missing' }, icon('alert'), h('span', {}, words().damaged.missing(manifest.missing.length))),
    damagedList(manifest.missing, { id: 'missing-list' }),
    problem,
    !isSecureContext && h('p', { class: 'hint', id: 'insecure' }, w.insecure),
    h(
      'dl',
      { class: 'figures' },
      fact(w.name, archive.name, 'result-name'),
      fact(w.size, bytes(archive.size), 'result-size'),
      fact(w.documents, number(archive.documents), 'result-documents'),
      fact(w.files, number(archive.attachments), 'result-files'),
      fact(w.took, clock(seconds), 'result-took'),
    ),
    h(
      'div',
      { class: 'checksum' },
      h('span', { class: 'label' }, w.sha256),
      digest,
      copyButton({
        id: 'copy-sha256',
        text: () => archive.sha256,
        source: digest,
        label: w.copy,
        done: w.copied,
        select: w.selected,
      }),
    ),
    h('p', { class: 'note' }, icon('shield'), h('span', {}, words().backup.privacy)),
    h(
      'details',
      { class: 'more', id: 'inside' },
      h('summary', {}, w.inside),
      collectionTable(manifest.collections),
    ),
  );
}
