// @ts-check
/** What a backup lacks, or would lack: documents and files that the disk of the server has changed. */

import { collectionName } from './contents.js';
import { h } from './dom.js';
import { words } from './language.js';

/**
 * @typedef {import('../engine/protocol.js').Missing} Missing
 * @typedef {import('../engine/protocol.js').DocumentKey} DocumentKey
 */

/**
 * Each of them, and what is wrong with it; nothing where there is none.
 *
 * @param {readonly Missing[]} list
 * @param {{ id: string }} options
 */
export function damagedList(list, { id }) {
  const w = words().damaged;
  if (list.length === 0) return null;
  return h(
    'ul',
    { class: 'damaged', id },
    list.map(({ collection, id: document, name, reason, attachments = 0 }) =>
      h(
        'li',
        { 'data-reason': reason },
        `${collectionName(collection)}: `,
        h('code', {}, name === undefined ? document : `${document} / ${name}`),
        ` – ${w.reasons[reason]}${attachments > 0 ? w.withFiles(attachments) : ''}`,
      ),
    ),
  );
}

/**
 * The documents without which a backup could go on; none where that would not help.
 *
 * @param {readonly Missing[]} list
 * @returns {DocumentKey[] | undefined}
 */
export function leavable(list) {
  if (list.length === 0 || list.some(({ reason }) => reason === 'unreadable-after')) return undefined;
  const keys = new Map(list.map(({ collection, id }) => [`${collection}/${id}`, { collection, id }]));
  return [...keys.values()];
}
