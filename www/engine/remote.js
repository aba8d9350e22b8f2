// @ts-check
// An archive that a page names: a file of this device, or an address.

import { BackupError, cancelled, text } from "./job.js";

/** @import { RemoteFile } from "./protocol.js" */

/**
 * What is to be read: a file as it is. Of an address that answers ranges, only what is asked for will be fetched; of any other,
 * all of it is fetched now.
 * @param {Blob | string} fileOrUrl
 * @param {AbortSignal} [signal]
 * @returns {Promise<Blob | RemoteFile>}
 */
export async function given(fileOrUrl, signal) {
  if (typeof fileOrUrl !== "string") return fileOrUrl;
  const url = new URL(fileOrUrl, location.href).href;
  const { headers } = await fetched(url, { method: "HEAD", signal });
  const size = Number(headers.get("content-length"));
  if (headers.get("accept-ranges") === "bytes" && size > 0) return { url, size, tag: headers.get("etag") };
  const answer = await fetched(url, { signal });
  return answer.blob().catch((error) => Promise.reject(unfetched(url, error, signal)));
}

/**
 * @param {string} url
 * @param {RequestInit} options
 */
async function fetched(url, options) {
  const answer = await fetch(url, { ...options, cache: "no-store" })
    .catch((error) => Promise.reject(unfetched(url, error, options.signal)));
  if (answer.ok) return answer;
  const kind = answer.status === 502 || answer.status === 504 ? "gateway" : "server-error";
  throw new BackupError({
    kind, message: "the archive cannot be fetched", subject: shown(url),
    expected: "status 200", actual: `status ${answer.status}`,
  });
}

/**
 * @param {string} url
 * @param {unknown} error
 * @param {AbortSignal | null} [signal]
 */
function unfetched(url, error, signal) {
  if (signal?.aborted) return cancelled();
  return new BackupError({ kind: "unreachable", message: `the archive cannot be fetched: ${text(error)}`, subject: shown(url) });
}

/** The address without its query, which can hold what stands for a login. @param {string} url */
const shown = (url) => url.replace(/\?.*$/, "");
