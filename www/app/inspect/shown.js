// @ts-check
/** The backup that `dikas-backup open` shows: its address has a code, which is good for one exchange. */

import { BASE, Failure, unheard } from '../http.js';

/** Whether the page was called so: it is there for one file, at an address that does not come again. */
export const isShown = (/** @type {string} */ hash) => codeIn(hash) !== undefined;

/**
 * Where the backup is.
 *
 * @param {string} hash
 * @returns {Promise<{ address: string, name: string }>}
 * @throws {Failure} `address-used` where somebody else came first
 */
export async function shownBackup(hash) {
  const request = { method: 'POST', body: codeIn(hash) };
  const answer = await fetch(new URL('open', BASE), request).catch((error) => {
    throw unheard(error, 'open');
  });
  if (answer.status === 410) throw new Failure('address-used', 'the code in the address was used before');
  if (!answer.ok) throw new Failure('bad-argument', `HTTP ${answer.status}`, { subject: 'open' });
  const { address, name } = await answer.json();
  return { address: new URL(address, BASE).href, name };
}

/** @param {string} hash */
const codeIn = (hash) => /^#open=([0-9a-f]+)$/.exec(hash)?.[1];
