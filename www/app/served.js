// @ts-check
/** What the server says it holds and whose it is: asked once, and again when that may have changed. */

import { contents } from '../engine/index.js';
import { authorised } from './session.js';

/** @typedef {Awaited<ReturnType<typeof contents>>} Contents */

/** @type {Promise<Contents> | null} */
let asked = null;

/** @returns {Promise<Contents>} */
export function served() {
  asked ??= authorised((auth) => contents({ auth }));
  asked.catch(forgetServed);
  return asked;
}

/** Forgets the answer, because something has changed there, or somebody else may be signed in now. */
export function forgetServed() {
  asked = null;
}
