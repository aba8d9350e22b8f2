// @ts-check
/**
 * The service worker: it keeps the page, so that it opens and inspects backups without a network. It keeps whole versions
 * only, never data, and never an answer of the API.
 *
 * - The server lists the files of a version with their digests (`app-version.json`). A version is fetched whole, each
 *   file compared with its digest, before it is the current one; what was fetched by half is dropped.
 * - A page gets the version that is current when it opens, and all its files and workers come from that one until it is
 *   closed, however long it takes. So files of two versions never meet.
 * - Each time the page opens, the server is asked for a newer version, which is there at the next opening.
 * - A page that came from the network, as the first one does, says which version it is (`www/app/offline.js`); if that is
 *   kept, the rest of it comes from there as well.
 */

/** @typedef {{ version: string, files: { path: string, sha256: string }[] }} Version */
/** @typedef {Event & { request: Request, clientId: string, resultingClientId: string,
 *   respondWith(answer: Promise<Response>): void, waitUntil(work: Promise<unknown>): void }} FetchEvent */

/** `self`, which has the type of a page without this. */
const worker = /** @type {any} */ (self);

/** Where the page lies: at the root of a host, or below the path of a proxy. @type {string} */
const PAGE = worker.registration.scope;

/** The path of that, which keeps the caches of several pages on one host apart. */
const PLACE = new URL(PAGE).pathname;

const LIST = new URL("app-version.json", PAGE).href;

/** Before the names of the caches that hold a version. */
const VERSION = `dikas-app-${PLACE.slice(1)}`;

/** Holds small notes: which version is current, and which one each open page has. */
const NOTES = `dikas-notes${PLACE.slice(0, -1)}`;
const CURRENT = "/current";

/** The versions that are being fetched: one at a time. @type {Promise<unknown>} */
let fetching = Promise.resolve();

worker.addEventListener("install", (/** @type {any} */ event) => {
  // What it keeps is kept in the same way by the one before: it can go on at once.
  event.waitUntil(update().then(() => worker.skipWaiting()));
});

worker.addEventListener("activate", (/** @type {any} */ event) => event.waitUntil(worker.clients.claim()));

worker.addEventListener("message", (/** @type {any} */ event) => {
  const { version } = event.data ?? {};
  if (typeof version === "string" && event.source?.id) event.waitUntil(pinIfKept(event.source.id, version));
});

worker.addEventListener("fetch", (/** @type {FetchEvent} */ event) => {
  const { method, url, mode, headers } = event.request;
  const address = url.replace(/#.*$/, "");
  if (method !== "GET" || !address.startsWith(PAGE) || address.includes("?") || headers.has("range")) return;
  if (address === LIST || address === location.href || address.startsWith(`${PAGE}api/`)) return;
  if (mode === "navigate") {
    if (address === PAGE) event.respondWith(opened(event));
  } else {
    event.respondWith(file(event, address));
  }
});

/**
 * The page of the current version.
 * @param {FetchEvent} event
 */
async function opened(event) {
  const version = await note(CURRENT);
  const answer = version && (await kept(version, PAGE));
  if (!version || !answer) return fetch(event.request);
  await pin(event.resultingClientId, version);
  event.waitUntil(update().catch(() => undefined));
  return answer;
}

/**
 * A file, from the version of whoever asks for it.
 * @param {FetchEvent} event
 * @param {string} address
 */
async function file({ request, clientId, resultingClientId }, address) {
  const version = clientId && (await note(client(clientId)));
  const answer = version && (await kept(version, address));
  if (!version || !answer) return fetch(request);
  // A worker is a client of its own, and starts others.
  if (resultingClientId) await pin(resultingClientId, version);
  return answer;
}

/** Makes the version that the server has the current one, once all of it is here. */
function update() {
  const next = fetching.then(take);
  fetching = next.catch(() => undefined);
  return next;
}

async function take() {
  const answer = await fetch(LIST, { cache: "no-store" });
  if (!answer.ok) throw new Error(`${LIST}: status ${answer.status}`);
  /** @type {Version} */
  const { version, files } = await answer.clone().json();
  if (!(await isWhole(version))) {
    const before = await note(CURRENT);
    try {
      const cache = await caches.open(VERSION + version);
      await Promise.all(files.map(async (file) => cache.put(addressOf(file), await fetched(file, before))));
      // The list comes last: a version without it is not whole.
      await cache.put(LIST, answer);
    } catch (error) {
      await caches.delete(VERSION + version);
      throw error;
    }
  }
  await write(CURRENT, version);
  await tidy();
}

/**
 * A file of a new version, from the one before where it is the same there.
 * @param {Version["files"][number]} file
 * @param {string | undefined} before
 * @returns {Promise<Response>}
 */
async function fetched({ path, sha256 }, before) {
  const address = addressOf({ path });
  if (before && (await digests(before)).get(address) === sha256) {
    const same = await kept(before, address);
    if (same) return same;
  }
  const answer = await fetch(address, { cache: "no-cache" });
  const content = await answer.arrayBuffer();
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
  const found = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  if (!answer.ok || found !== sha256) throw new Error(`${path}: not the file of this version`);
  const headers = new Headers(answer.headers);
  // The content is as it is now.
  for (const name of ["content-encoding", "content-length"]) headers.delete(name);
  return new Response(content, { headers });
}

/** Where a file of the list is. @param {{ path: string }} file */
const addressOf = ({ path }) => new URL(path, PAGE).href;

/**
 * The digests of the files of a version, by their addresses.
 * @param {string} version
 * @returns {Promise<Map<string, string>>}
 */
async function digests(version) {
  const answer = await kept(version, LIST);
  /** @type {Version["files"]} */
  const files = answer ? (await answer.json()).files : [];
  return new Map(files.map(({ path, sha256 }) => [addressOf({ path }), sha256]));
}

/** Drops the versions that nobody has open, and what was noted about pages that are closed. */
async function tidy() {
  const notes = await caches.open(NOTES);
  const open = new Set((await worker.clients.matchAll({ type: "all", includeUncontrolled: true })).map(client));
  const used = new Set([await note(CURRENT)]);
  for (const { url } of await notes.keys()) {
    const { pathname } = new URL(url);
    // A page that is opening is not there yet.
    const fresh = opening.has(pathname);
    if (pathname === CURRENT || open.has(pathname) || fresh) used.add(await note(pathname));
    else await notes.delete(pathname);
  }
  for (const name of await caches.keys()) {
    const version = name.startsWith(VERSION) ? name.slice(VERSION.length) : "/";
    // A slash behind ours: of a page that lies deeper.
    if (!version.includes("/") && !used.has(version)) await caches.delete(name);
  }
}

/** @param {string} version */
const isWhole = async (version) => (await kept(version, LIST)) !== undefined;

/** @param {string} version @param {string} address */
async function kept(version, address) {
  // Opening a cache would make it.
  return (await caches.has(VERSION + version)) ? (await caches.open(VERSION + version)).match(address) : undefined;
}

/** The notes of this life of the worker, of pages that may still be opening. @type {Set<string>} */
const opening = new Set();

/** @param {string} id @param {string} version */
async function pin(id, version) {
  opening.add(client(id));
  await write(client(id), version);
}

/** @param {string} id @param {string} version */
async function pinIfKept(id, version) {
  if (await isWhole(version)) await pin(id, version);
}

/** Where the version of a page or worker is noted. @param {string | { id: string }} who */
const client = (who) => `/client/${typeof who === "string" ? who : who.id}`;

/** @param {string} path @returns {Promise<string | undefined>} */
const note = async (path) => (await (await caches.open(NOTES)).match(path))?.text();

/** @param {string} path @param {string} text */
const write = async (path, text) => (await caches.open(NOTES)).put(path, new Response(text));
