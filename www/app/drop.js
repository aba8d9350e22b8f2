// @ts-check
/**
 * Where a backup file is dropped or picked: any file, since mail programs and systems rename archives, and what it is its bytes
 * say. It stays on this device until somebody decides otherwise.
 */

import { h, icon } from './dom.js';
import { words } from './language.js';

/**
 * @param {{ id: string, onfile: (file: File) => void, again?: boolean }} options `again` where there is a file already
 */
export function dropZone({ id, onfile, again = false }) {
  const w = words().file;
  const input = h('input', { type: 'file', id, class: 'unseen', onchange: chosen });
  const zone = h(
    'div',
    { class: 'drop', ondragover: over, ondragleave: away, ondrop: dropped },
    input,
    h('label', { class: 'button', for: id }, icon('file'), again ? w.chooseOther : w.choose),
    h('span', { class: 'hint wide-only' }, w.drop),
  );

  function chosen() {
    const file = input.files?.[0];
    if (file) onfile(file);
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
    if (file) onfile(file);
  }

  return zone;
}
