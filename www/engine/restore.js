// @ts-check
// Restores and their undo: what index.js offers of them.

import { address, conversation, job } from "./job.js";
import { given } from "./remote.js";

/**
 * @import { Auth } from "./job.js"
 * @import { Error as Failure } from "./protocol.js"
 * @import { Category, Command, Notice, Progress } from "./protocol.js"
 * @import { RestoreOutcome, RestorePoint, RestorePreview } from "./protocol.js"
 */

/**
 * @typedef {{ mode: "full" } | { mode: "identical" | "update", categories?: Category[], collections?: string[] }} Choice
 *   Everything that the backup covers, or what is chosen of it: made identical, or added and updated.
 */

/**
 * @typedef {object} Agreement
 * @property {number | null} [acknowledgeSigned] The `signedLoss` of the last preview, where a person has agreed to it.
 * @property {number | null} [acknowledgeFilesLeftOut] The `filesLeftOut` of the last preview, where a person has agreed to it.
 * @property {boolean} [pauseTill] Whether tills wait meanwhile, 30 seconds at most.
 * @property {(progress: Progress) => void} [onProgress]
 */

/**
 * @typedef {object} Prepared
 * @property {RestorePreview} preview What would change.
 * @property {Failure[]} leftOut The files of the backup that would not be restored, each with the reason; the first thousand.
 * @property {string} id Of the session on the server.
 * @property {(agreement?: Agreement) => Promise<RestoreOutcome>} commit Makes it live: all of it or nothing. With kind
 *   "live-changed", "signed-loss" or "files-left-out" the error has a fresh preview as its `data`, and that is the one to agree to when it
 *   is called once more.
 * @property {() => Promise<void>} abort Throws away what was sent. Until then, or a commit, the server keeps it half an hour.
 */

/**
 * Reads and checks a backup, sends what is chosen of it to the server, and asks what that would change. Nothing has
 * changed when this is done, and nothing when it fails.
 * @param {object} options
 * @param {File | string} options.file A file, or the address of one: where its server answers ranges, it is read from there.
 * @param {string} [options.name] What the file is called; by default as it is named, or as its address ends.
 * @param {string} [options.url] Address of the server, without `/api/v1`; by default the one of the engine.
 * @param {Auth} options.auth
 * @param {Choice} options.choice
 * @param {string} [options.businessName] As a person has typed it. Needed for a backup of another installation: its own, and
 *   the error of kind "foreign-backup" has both names as its `data`. Needed too where the backup does not say which it is of:
 *   that of the server's, and the error is of kind "unknown-origin".
 * @param {(session: { id: string, secret: string }) => void} [options.onBegun] Called when the server has opened a
 *   session: with the secret, {@link restoreEnd} tells how it ended, whatever becomes of this page.
 * @param {(progress: Progress) => void} [options.onProgress] Called about ten times a second.
 * @param {(notice: Notice) => void} [options.onNotice] Called for what the person should know, though the job goes on.
 * @param {AbortSignal} [options.signal] Cancels the preparation; afterwards there is `abort`.
 * @returns {Promise<Prepared>}
 */
export async function prepareRestore({ file, name, url, auth, choice, businessName, onBegun, ...watching }) {
  const { mode, categories = null, collections = null } = /** @type {{ mode: Choice["mode"], categories?: Category[],
    collections?: string[] }} */ (choice);
  const archive = await given(file, { auth, server: url, signal: watching.signal });
  const remote = archive instanceof Blob ? null : archive;
  const called = name ?? (typeof file === "string" ? file.replace(/\?.*$/, "").replace(/^.*\//, "") : file.name);
  /** @type {Command} */
  const command = {
    restore: {
      prepare: { url: address(url), name: called, remote, mode, categories, collections, businessName: businessName ?? null },
    },
  };
  let id = "";
  const { answer, ask, end } = await conversation(command, "prepared", {
    auth,
    reads: remote?.authorized ? "once" : undefined,
    file: archive instanceof Blob ? archive : undefined,
    onEvent(event) {
      if (event.type !== "restoreBegun") return;
      id = event.id;
      onBegun?.({ id, secret: event.secret });
    },
    ...watching,
  });
  let { seq } = answer.event.preview;
  return {
    preview: answer.event.preview,
    leftOut: answer.event.leftOut,
    id,
    async commit({ acknowledgeSigned = null, acknowledgeFilesLeftOut = null, pauseTill = false, onProgress } = {}) {
      /** @type {Command} */
      const command = { restore: { commit: { seq, acknowledgeSigned, acknowledgeFilesLeftOut, pauseTill } } };
      try {
        const { event } = await ask(command, "restored", { auth, onProgress });
        end();
        return event.outcome;
      } catch (error) {
        seq = /** @type {any} */ (error).data?.seq ?? seq;
        throw error;
      }
    },
    async abort() {
      try {
        await ask({ restore: "abort" }, "removed", { auth });
      } finally {
        end();
      }
    },
  };
}

/**
 * How a restore session ended, or that it is open still: asked with its secret alone, for a day. The kind of the error is
 * "restore-gone" where the server does not know it.
 * @param {{ id: string, secret: string, url?: string, signal?: AbortSignal }} options
 */
export async function restoreEnd({ id, secret, url, signal }) {
  /** @type {Command} */
  const command = { restore: { askEnd: { session: { url: address(url), id }, secret } } };
  const { event } = await job(command, "restoreEnd", { signal });
  return { state: event.state, outcome: event.outcome };
}

/**
 * Throws away what a restore session has sent; its own login or that of any other administrator may do so.
 * @param {{ id: string, url?: string, auth: Auth, signal?: AbortSignal }} options
 */
export async function stopRestore({ id, url, auth, signal }) {
  await job({ restore: { stop: { url: address(url), id } } }, "removed", { auth, signal });
}

/**
 * The states from before a restore or undo that the server keeps, the newest first.
 * @param {{ url?: string, auth: Auth, signal?: AbortSignal }} options
 * @returns {Promise<RestorePoint[]>}
 */
export async function listRestorePoints({ url, auth, signal }) {
  const { event } = await job({ restore: { listPoints: { url: address(url) } } }, "restorePoints", { auth, signal });
  return event.points;
}

/**
 * What going back to a restore point would change.
 * @param {{ id: string, url?: string, auth: Auth, signal?: AbortSignal }} options
 * @returns {Promise<RestorePreview>}
 */
export async function previewUndo({ id, url, auth, signal }) {
  const { event } = await job({ restore: { previewUndo: { url: address(url), id } } }, "preview", { auth, signal, silent: true });
  return event.preview;
}

/**
 * Goes back to a restore point: all of it or nothing. It fails as a commit does.
 * @param {object} options
 * @param {string} options.id Of the restore point.
 * @param {number} options.seq Of the preview that a person has agreed to.
 * @param {number} [options.acknowledgeSigned] Its `signedLoss`, where a person has agreed to that too.
 * @param {string} [options.url] Address of the server, without `/api/v1`; by default the one of the engine.
 * @param {Auth} options.auth
 * @returns {Promise<RestoreOutcome>}
 */
export async function undo({ id, seq, acknowledgeSigned, url, auth }) {
  const point = { url: address(url), id };
  /** @type {Command} */
  const command = { restore: { undo: { point, seq, acknowledgeSigned: acknowledgeSigned ?? null } } };
  const { event } = await job(command, "restored", { auth, silent: true });
  return event.outcome;
}
