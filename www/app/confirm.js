// @ts-check
/** The last question before a restore or an undo: what is overwritten, and what has to be typed so that it is meant. */

import { categoryName } from './contents.js';
import { h, icon } from './dom.js';
import { number, words } from './language.js';
import { restoring } from './restoring.js';

/**
 * @typedef {import('../engine/protocol.js').RestorePreview} Preview
 * @typedef {import('./restoring.js').Agreement} Agreement
 */

/**
 * Asks, and waits for the answer. Escape means no.
 *
 * @param {Preview} preview
 * @returns {Promise<Agreement | null>} null for no
 */
export function confirmation({ collections, signedLoss, filesLeftOut }) {
  const w = words().confirm;
  const { point, mode, refused } = restoring;
  const full = mode === 'full' && !point;
  const redo = point?.action === 'undo';
  const sum = (/** @type {(row: typeof collections[number]) => number} */ of) =>
    collections.reduce((all, row) => all + of(row), 0);
  const changed = sum(({ documents }) => documents.changed);
  const dropped = sum(({ documents }) => documents.dropped);
  const hit = collections.filter(
    ({ documents: d, attachments: a }) => d.changed + d.dropped + a.changed + a.dropped > 0,
  );
  const how = [changed > 0 && w.changes(changed), dropped > 0 && w.goes(dropped)].filter(Boolean).join(', ');
  const names = [...new Set(hit.map(({ category }) => categoryName(category)))].join(', ');

  /** @type {(() => boolean)[]} */
  const conditions = [];

  /**
   * A field that has to hold exactly this.
   *
   * @param {string} id
   * @param {string} label
   * @param {(value: string) => boolean} accepts
   * @param {Record<string, string>} properties
   */
  function typed(id, label, accepts, properties) {
    const input = h('input', { id, autocomplete: 'off', spellcheck: 'false', oninput: update, ...properties });
    conditions.push(() => accepts(input.value.trim()));
    return h('div', { class: 'field' }, h('label', { for: id }, label), input);
  }

  function update() {
    yes.disabled = !conditions.every((met) => met());
  }

  const digits = (/** @type {string} */ text) => text.replaceAll(/[\s.,'’]/g, '');
  const loss =
    signedLoss > 0 &&
    typed('acknowledge', w.acknowledge(number(signedLoss)), (value) => digits(value) === String(signedLoss), { inputmode: 'numeric' });
  const files =
    filesLeftOut > 0 &&
    typed('acknowledge-files', w.acknowledgeFiles(number(filesLeftOut)), (value) => digits(value) === String(filesLeftOut), { inputmode: 'numeric' });
  const word = full && typed('word', w.type(w.word), (value) => value.toUpperCase() === w.word, { autocapitalize: 'characters' });
  const pause = h('input', { type: 'checkbox', id: 'pause', checked: refused === 'live-changed' });
  const yes = h('button', { class: 'danger', id: 'confirm-yes' }, redo ? w.redo : point ? w.undo : w.restore);
  update();

  return new Promise((resolve) => {
    const dialog = h(
      'dialog',
      { id: 'confirm', 'aria-labelledby': 'confirm-title', onclose: closed },
      h('h2', { id: 'confirm-title' }, redo ? w.redoTitle : point ? w.undoTitle : w.title),
      h('p', {}, names ? w.overwrites(names, how) : w.addsOnly),
      signedLoss > 0 && h('p', { class: 'problem' }, icon('alert'), h('span', {}, words().preview.signedLoss(signedLoss))),
      h('p', { class: 'hint' }, w.canUndo),
      h(
        'form',
        { onsubmit: (/** @type {Event} */ event) => (event.preventDefault(), dialog.close('yes')) },
        loss,
        files,
        word,
        !point && h('label', { class: 'pick', for: 'pause' }, pause, h('span', {}, h('span', { class: 'name' }, w.pause), h('span', { class: 'about' }, w.pauseAbout))),
        h(
          'div',
          { class: 'actions end' },
          h('button', { type: 'button', id: 'confirm-no', onclick: () => dialog.close('no') }, w.no),
          yes,
        ),
      ),
    );
    function closed() {
      dialog.remove();
      const agreement = {
        acknowledgeSigned: signedLoss > 0 ? signedLoss : undefined,
        acknowledgeFilesLeftOut: filesLeftOut > 0 ? filesLeftOut : undefined,
        pauseTill: pause.checked,
      };
      resolve(dialog.returnValue === 'yes' ? agreement : null);
    }
    document.body.append(dialog);
    dialog.showModal();
  });
}
