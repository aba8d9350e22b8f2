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

import { spawn } from "./spawn.js";

/**
 * @import { Archive, Category, Command, Contents, Event, Interrupted, Manifest, Notice, Progress } from "./protocol.js"
 * @import { ErrorKind, Storage, Summary } from "./protocol.js"
 */

/** @typedef {string | ((asked: { rejected: string | null }) => Promise<string>)} Auth A bearer token, or who gives one:
 *   `rejected` is the token that the server has just refused, null at the start. */

/** How long a cancelled worker gets to leave things tidy, in milliseconds. */
const TIDY = 1_000;

/** How often the page looks whether the worker of a job has said anything, in milliseconds, and how many looks in a row
 * may find nothing: two minutes. Looks are counted, not the time: a computer that was asleep has not listened. */
const LOOK = 10_000;
const LOOKS = 12;

/** What went wrong: `kind` is for programs and never changes its meaning, the rest is for people. */
export class BackupError extends Error {
  /**
   * @param {{ kind: ErrorKind, message: string, subject?: string, expected?: string, actual?: string }} error
   * @param {string | null} [interrupted]
   */
  constructor({ kind, message, subject, expected, actual }, interrupted = null) {
    super(message);
    this.name = "BackupError";
    /** A stable code, such as "unreachable" or "no-space". */
    this.kind = kind;
    /** The archive entry, collection or document that it happened to. */
    this.subject = subject;
    /** What should have been there. */
    this.expected = expected;
    /** What was there instead. */
    this.actual = actual;
    /** The id of what {@link resumeBackup} can go on with; null where nothing is left. */
    this.interrupted = interrupted;
  }
}

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
 * @param {string} [options.url] Address of the server, without `/api/v1`; this page's own by default.
 * @param {Auth} options.auth
 * @param {Category[]} [options.categories] What to back up; all by default.
 * @param {boolean} [options.onServer] Whether the server shall make it in any case.
 * @param {(progress: Progress) => void} [options.onProgress] Called about ten times a second.
 * @param {(notice: Notice) => void} [options.onNotice] Called for what the person should know, though the job goes on.
 * @param {AbortSignal} [options.signal]
 * @returns {Promise<Backup>}
 */
export async function createBackup({ url, auth, categories, onServer = false, ...watching }) {
  return backup({ createBackup: { url: address(url), categories: categories ?? null, onServer } }, auth, watching);
}

/**
 * Goes on with a backup that was interrupted, where it was. It fails with kind "snapshot-gone" where the server no longer
 * holds its moment.
 * @param {object} options
 * @param {string} options.id Of an {@link Interrupted}, or of the error that it ended with.
 * @param {string} [options.url] Address of the server, without `/api/v1`; this page's own by default.
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
  return { created: event.created, source: event.source, collections: event.collections };
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
 * Opens an archive, with or without a manifest, to see what is in it. Needs no server.
 * @param {Blob | string} fileOrUrl A file, or the address of one.
 * @param {{ signal?: AbortSignal }} [options]
 * @returns {Promise<{ manifest: Manifest | null, summary: Summary, close(): void }>}
 */
export async function openBackup(fileOrUrl, { signal } = {}) {
  const file = typeof fileOrUrl === "string" ? await download(fileOrUrl, signal) : fileOrUrl;
  const { event, end } = await job("openBackup", "opened", { file, signal, stay: true });
  return { manifest: event.manifest, summary: event.summary, close: end };
}

/** Whether old archives and leftovers have been removed since the page was opened. */
let cleanedUp = false;

/** Archives of a browser without a file system: they live as long as the page.
 * @type {Map<string, { archive: Archive, file: File }>} */
const inMemory = new Map();

/** The engine, compiled once. @type {Promise<WebAssembly.Module> | undefined} */
let compiled;

function compile() {
  const url = new URL("./pkg/dikas_archive_bg.wasm", import.meta.url);
  compiled ??= WebAssembly.compileStreaming(fetch(url)).catch((error) => {
    compiled = undefined;
    throw error;
  });
  return compiled;
}

/**
 * A worker for one job. A cancel need not wait for it: one that comes too late is ended.
 * @param {AbortSignal} [signal]
 * @returns {Promise<Worker>}
 */
function started(signal) {
  return new Promise((resolve, reject) => {
    const cancel = () => reject(cancelled());
    signal?.addEventListener("abort", cancel);
    compile()
      .then((module) => (signal?.aborted ? undefined : spawn(module, "job")))
      .then((worker) => {
        if (signal?.aborted) worker?.terminate();
        else if (worker) resolve(worker);
      })
      .catch(async (error) => reject(await unavailable(error)))
      .finally(() => signal?.removeEventListener("abort", cancel));
  });
}

/**
 * Runs one job in a worker of its own, up to the event that ends it.
 * @template {Event["type"]} Type
 * @param {Command} command
 * @param {Type} last
 * @param {object} options
 * @param {Auth} [options.auth]
 * @param {Blob} [options.file] Goes beside the command.
 * @param {(progress: Progress) => void} [options.onProgress]
 * @param {(notice: Notice) => void} [options.onNotice]
 * @param {AbortSignal} [options.signal]
 * @param {boolean} [options.stay] Whether the worker lives on until `end` is called.
 * @returns {Promise<{ event: Extract<Event, { type: Type }>, file?: File, end: () => void }>}
 */
async function job(command, last, { auth, file, onProgress, onNotice, signal, stay }) {
  if (signal?.aborted) throw cancelled();
  const worker = await started(signal);
  const end = () => worker.terminate();
  /** @param {Command} command @param {Blob} [file] */
  const send = (command, file) => worker.postMessage({ command, file });
  /** @type {number | undefined} */
  let patience;
  /** @type {number | undefined} */
  let looking;
  let cancel = () => {};
  try {
    const answer = await new Promise((resolve, reject) => {
      cancel = () => {
        send("cancel");
        patience = setTimeout(() => reject(cancelled()), TIDY);
      };
      if (signal?.aborted) return reject(cancelled());
      signal?.addEventListener("abort", cancel);
      worker.onerror = (error) => reject(internal(error.message || "a worker failed"));
      worker.onmessageerror = () => reject(internal("a message could not be read"));
      let silent = 0;
      const look = () => {
        silent += 1;
        if (silent > LOOKS) reject(internal(`its worker was silent for ${LOOK * LOOKS / 1000} seconds`));
      };
      // One that stays is asked to read an archive, which it does in one go.
      if (!stay) looking = setInterval(look, LOOK);
      worker.onmessage = ({ data }) => {
        silent = 0;
        /** @type {Event} */
        const event = data.event;
        if (event.type === last) resolve({ event, file: data.file, end });
        else if (event.type === "failed") reject(new BackupError(event.error, event.interrupted));
        else if (event.type === "progress") guard(reject, () => onProgress?.(event.progress));
        else if (event.type === "notice") guard(reject, () => onNotice?.(event.notice));
        else if (event.type === "needToken") answerToken(auth, event.rejected).then(send);
      };
      send(command, file);
    });
    if (!stay) end();
    return answer;
  } catch (error) {
    end();
    throw error;
  } finally {
    clearTimeout(patience);
    clearInterval(looking);
    signal?.removeEventListener("abort", cancel);
  }
}

/**
 * @param {Auth | undefined} auth
 * @param {string | null} rejected
 * @returns {Promise<Command>}
 */
async function answerToken(auth, rejected) {
  try {
    const token = typeof auth === "function" ? await auth({ rejected }) : auth;
    if (token && token !== rejected) return { token: { token } };
    return { noToken: { message: "the login was refused or has ended" } };
  } catch (error) {
    return { noToken: { message: text(error) } };
  }
}

/**
 * A callback of the page that throws ends the job with its own error.
 * @param {(error: unknown) => void} reject
 * @param {() => void} call
 */
function guard(reject, call) {
  try {
    call();
  } catch (error) {
    reject(error);
  }
}

/**
 * @param {string} url
 * @param {AbortSignal} [signal]
 */
async function download(url, signal) {
  try {
    const answer = await fetch(url, { signal, cache: "no-store" });
    if (answer.ok) return await answer.blob();
    throw new BackupError({
      kind: "server-error", message: "the archive cannot be fetched", subject: url,
      expected: "status 200", actual: `status ${answer.status}`,
    });
  } catch (error) {
    if (error instanceof BackupError) throw error;
    if (signal?.aborted) throw cancelled();
    throw new BackupError({ kind: "unreachable", message: `the archive cannot be fetched: ${text(error)}`, subject: url });
  }
}

/** @param {string} [url] */
function address(url) {
  return new URL(url ?? "/", location.href).href.replace(/\/$/, "");
}

/** @param {unknown} error */
function text(error) {
  return error instanceof Error ? error.message : String(error);
}

function cancelled() {
  return new BackupError({ kind: "cancelled", message: "cancelled" });
}

/** @param {string} message */
function internal(message) {
  return new BackupError({ kind: "internal", message });
}

/**
 * Why a worker did not start. A script that could not be loaded does not say why: whether this one can be had tells.
 * @param {unknown} error
 */
async function unavailable(error) {
  const old = typeof WebAssembly !== "object" || error instanceof WebAssembly.CompileError;
  const answered = old || (await fetch(import.meta.url, { method: "HEAD", cache: "no-store" }).then(() => true, () => false));
  if (!answered) return new BackupError({ kind: "unreachable", message: "the server of this page does not answer" });
  const why = old ? "this browser is too old for it" : text(error);
  return new BackupError({ kind: "engine-unavailable", message: `the engine could not be started: ${why}` });
}
