// @ts-check
// Has the browser keep the page, so that it opens without a network (`www/sw.js`). Only a secure context can: on plain
// http from elsewhere the page does without, and says nothing.

import { BASE } from './http.js';
import { isShown } from './inspect/shown.js';

const WORKER = new URL('sw.js', BASE).href;

/** How long after the page the worker comes, in milliseconds: it fetches all that the page fetches. */
const LATER = 2_000;

async function register() {
  // What `dikas-backup open` serves is there for one file, at an address that does not come again.
  if (!isSecureContext || !navigator.serviceWorker || isShown(location.hash)) return;
  // A page that the worker gave is of a version that it knows.
  const version = navigator.serviceWorker.controller?.scriptURL === WORKER ? undefined : await served();
  await new Promise((resolve) => setTimeout(resolve, LATER));
  /** @type {any} */
  const policy = /** @type {any} */ (globalThis).trustedTypes?.createPolicy('dikas-offline', {
    createScriptURL: () => WORKER,
  });
  await navigator.serviceWorker.register(policy ? policy.createScriptURL('') : WORKER, { updateViaCache: 'none' });
  const { active } = await navigator.serviceWorker.ready;
  if (version) active?.postMessage({ version });
}

/** The version that the server has. */
async function served() {
  const answer = await fetch(new URL('app-version.json', BASE), { cache: 'no-store' });
  return (await answer.json()).version;
}

// Without it the page works as before.
register().catch(() => undefined);
