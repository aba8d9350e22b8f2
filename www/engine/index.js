// @ts-check
/**
 * The DiKAS archive engine for web pages. Everything runs in workers: the page stays free, and gets promises.
 *
 *     import { createBackup } from "/engine/index.js";
 *     const { file } = await createBackup({ url: "https://till.example:5015", auth: token, onProgress: console.log });
 *
 * Every function that takes a `signal` can be cancelled with it; it then fails with kind "cancelled". Every failure is
 * a {@link BackupError}.
 */

import { open } from "./inspect.js";
import { address, BackupError, internal, job } from "./job.js";
import { given } from "./remote.js";

export { BackupError };
export { listRestorePoints, prepareRestore, previewUndo, restoreEnd, stopRestore, undo } from "./restore.js";

/**
 * @import { Archive, Category, Command, Contents, Interrupted, Notice, Progress, Storage } from "./protocol.js"
 */

/** @typedef {import("./job.js").Auth} Auth */

/**
 * @typedef {object} Watching
 * @property {(progress: Progress) => void} [onProgress] Called about ten times a second.
 * @property {(notice: Notice) => void} [onNotice] Called for what the person should know, though the job goes on.
 * @property {AbortSignal} [signal]
 */

/** @typedef {{ file: File | null, manifest: Contents, archive: Archive }} Backup A finished backup. Its file is null where
 *   the server keeps it: see {@link archiveAddress}. Of its manifest there is all but the lists of parts and attachments, which
 *   can be very long: see {@link openBackup}. */

/**
 * Makes a backup in this browser: fetches, compresses, writes and reads back. The file exists only if all of it is
 * there. Archives of earlier backups are removed from the browser once there is a place for this one. Where there is none
 * for so much, the server makes the backup and keeps it for a day.
 * @param {object} options
 * @param {string} [options.url] Address of the server, without `/api/v1`; by default the one of the engine.
 * @param {Auth} options.auth
 * @param {Category[]} [options.categories] What to back up; all by default.
 * @param {import("./protocol.js").DocumentKey[]} [options.without] Documents to leave out where they, or files of theirs, are
 *   damaged. Without them a backup that meets one fails with kind "damaged-document", and its `damaged` names them.
 * @param {boolean} [options.onServer] Whether the server shall make it in any case.
 * @param {(progress: Progress) => void} [options.onProgress] Called about ten times a second.
 * @param {(notice: Notice) => void} [options.onNotice] Called for what the person should know, though the job goes on.
 * @param {AbortSignal} [options.signal]
 * @returns {Promise<Backup>}
 */
export async function createBackup({ url, auth, categories, without = [], onServer = false, ...watching }) {
  const command = { createBackup: { url: address(url), categories: categories ?? null, without, onServer } };
  return backup(command, auth, watching);
}

/**
 * Goes on with a backup that was interrupted, where it was. It fails with kind "snapshot-gone" where the server no longer
 * holds its moment.
 * @param {object} options
 * @param {string} options.id Of an {@link Interrupted}, or of the error that it ended with.
 * @param {string} [options.url] Address of the server, without `/api/v1`; by default the one of the engine.
 * @param {Auth} options.auth
 * @param {(progress: Progress) => void} [options.onProgress] Called about ten times a second.
 * @param {(notice: Notice) => void} [options.onNotice] Called for what the person should know, though the job goes on.
 * @param {AbortSignal} [options.signal]
 * @returns {Promise<Backup>}
 */
export async function resumeBackup({ id, url, auth, ...watching }) {
  return backup({ resumeBackup: { url: address(url), id } }, auth, watching);
}

/**
 * @param {Command} command
 * @param {Auth} auth
 * @param {Watching} watching
 * @returns {Promise<Backup>}
 */
async function backup(command, auth, watching) {
  const { event, file = null } = await job(command, "backedUp", { auth, ...watching });
  const { archive, contents: manifest } = event;
  if (!file && archive.place !== "server") throw internal("the archive has not arrived");
  if (file && archive.place === "memory") {
    inMemory.clear();
    inMemory.set(archive.id, { archive, file });
  }
  return { file, manifest, archive };
}

/**
 * Whether the server still holds the moment of a backup that was interrupted, so that it can be gone on with.
 * @param {{ id: string, url?: string, auth: Auth, signal?: AbortSignal }} options
 * @returns {Promise<boolean>}
 */
export async function canResume({ id, url, auth, signal }) {
  const { event } = await job({ askHeld: { url: address(url), id } }, "held", { auth, signal });
  return event.held;
}

/**
 * What a backup would hold at this moment.
 * @param {{ url?: string, auth: Auth, categories?: Category[], signal?: AbortSignal }} options
 */
export async function contents({ url, auth, categories, signal }) {
  /** @type {Command} */
  const command = { contents: { url: address(url), categories: categories ?? null } };
  const { event } = await job(command, "contents", { auth, signal });
  return { created: event.created, source: event.source, collections: event.collections, missing: event.missing };
}

/**
 * The archives that the browser keeps, the newest first: those that are finished, and those that were interrupted and can
 * be gone on with.
 * @param {object} [options]
 * @param {boolean} [options.cleanUp] Whether to remove before what is left over of earlier backups, and archives that are
 *   older than a day: by default the first time on a page.
 * @param {AbortSignal} [options.signal]
 * @returns {Promise<{ archives: Archive[], interrupted: Interrupted[] }>}
 */
export async function listArchives({ cleanUp = !cleanedUp, signal } = {}) {
  const { event } = await job({ listArchives: { cleanUp } }, "archives", { signal });
  cleanedUp ||= cleanUp;
  const archives = [...[...inMemory.values()].map(({ archive }) => archive), ...event.archives];
  return { archives, interrupted: event.interrupted };
}

/**
 * The archives that the server keeps for this login, the newest first.
 * @param {{ url?: string, auth: Auth, signal?: AbortSignal }} options
 * @returns {Promise<Archive[]>}
 */
export async function listServerArchives({ url, auth, signal }) {
  const { event } = await job({ listServerArchives: { url: address(url) } }, "archives", { auth, signal });
  return event.archives;
}

/**
 * The file of a finished archive that the browser keeps. It can be read until the archive is removed.
 * @param {Archive} archive
 * @param {{ signal?: AbortSignal }} [options]
 * @returns {Promise<File>}
 */
export async function openArchiveFile({ id }, { signal } = {}) {
  const kept = inMemory.get(id);
  if (kept) return kept.file;
  const { file } = await job({ openArchive: { id } }, "archiveFile", { signal });
  if (!file) throw internal("the archive has not arrived");
  return file;
}

/**
 * Where an archive that the server keeps can be downloaded, for some minutes and without a login.
 * @param {Archive} archive
 * @param {{ url?: string, auth: Auth, signal?: AbortSignal }} options
 * @returns {Promise<string>}
 */
export async function archiveAddress({ id }, { url, auth, signal }) {
  const { event } = await job({ getServerAddress: { url: address(url), id } }, "address", { auth, signal });
  return event.url;
}

/**
 * Removes an archive, finished or interrupted, from where it is kept; from the server it takes a login.
 * @param {Archive | Interrupted} archive
 * @param {{ url?: string, auth?: Auth, signal?: AbortSignal }} [options]
 */
export async function removeArchive(archive, { url, auth, signal } = {}) {
  const { id } = archive;
  if (inMemory.delete(id)) return;
  /** @type {Command} */
  const command = "place" in archive && archive.place === "server"
    ? { removeServerArchive: { url: address(url), id } }
    : { removeArchive: { id } };
  await job(command, "removed", { auth, signal });
}

/**
 * Where archives go, and how much space is there.
 * @param {{ signal?: AbortSignal }} [options]
 * @returns {Promise<Storage>}
 */
export async function storage({ signal } = {}) {
  const { event } = await job("storage", "storage", { signal });
  return event.storage;
}

/**
 * Opens an archive, with or without a manifest, to see what is in it. Needs no server, and no memory to speak of, whatever the
 * size: what is asked for is read then. Paste this into a page of your own:
 *
 *     <input type="file" id="file">
 *     <script type="module">
 *       import { openBackup } from "/engine/index.js";
 *       document.querySelector("#file").onchange = async ({ target }) => {
 *         const backup = await openBackup(target.files[0]);
 *         console.log(backup.manifest?.source.business, backup.summary.collections);
 *         for await (const { row, id, text } of backup.documents({ collection: "receipts", count: 10 })) console.log(row, id, text);
 *         const { matches } = await backup.search({ query: "müller total:12.50", onHits: (hits) => console.log(hits) });
 *         const { sound, problems } = await backup.verify({ onProgress: ({ bytes, total }) => console.log(bytes / total) });
 *         console.log(matches, sound, problems);
 *         backup.close();
 *       };
 *     </script>
 *
 * @param {Blob | string} fileOrUrl A file, or the address of one: where its server answers ranges, only what is asked for is
 *   fetched, else all of it.
 * @param {object} [options]
 * @param {boolean} [options.salvage] Whether to open what has no directory that can be used, too: then its entries are looked for,
 *   and `summary.salvaged` says so.
 * @param {(done: { bytes: number, total: number }) => void} [options.onProgress] Opening takes a moment where there is a manifest;
 *   else all documents are read once.
 * @param {Auth} [options.auth] Who reads a file of the server, as long as it is open; asked again and again.
 * @param {string} [options.url] Address of that server, without `/api/v1`; this page's own by default.
 * @param {AbortSignal} [options.signal]
 * @returns {Promise<import("./inspect.js").Backup>}
 */
export async function openBackup(fileOrUrl, { salvage = true, onProgress, auth, url, signal } = {}) {
  return open(await given(fileOrUrl, { auth, server: url, signal }), { salvage, onProgress, auth, signal });
}

/** Whether old archives and leftovers have been removed since the page was opened. */
let cleanedUp = false;

/** Archives of a browser without a file system: they live as long as the page.
 * @type {Map<string, { archive: Archive, file: File }>} */
const inMemory = new Map();
