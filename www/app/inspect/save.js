// @ts-check
/** Files that the person saves: nothing of them is ever shown or run by the browser. */

import { h } from '../dom.js';

/** How long an address of a file stays: nothing tells when its download has ended, in milliseconds. */
const KEPT = 10 * 60_000;

/**
 * @param {Blob} content
 * @param {string} name
 */
export function save(content, name) {
  const blob = content.slice(0, content.size, 'application/octet-stream');
  const address = URL.createObjectURL(blob);
  h('a', { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), KEPT);
}

/**
 * A file name that every system takes.
 *
 * @param {string} name
 */
export function fileName(name) {
  return name.replace(/[^\p{L}\p{N} ._-]/gu, '_').slice(0, 120);
}
