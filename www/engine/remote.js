// @ts-check
// An archive that a page names: a file of this device, or an address.

import { address, BackupError, cancelled, text, tokenOf } from "./job.js";

/** @import { Auth } from "./job.js" */
/** @import { RemoteFile } from "./protocol.js" */

/**
 * What is to be read: a file as it is. Of an address that answers ranges, only what is asked for will be fetched; of any other,
 * all of it is fetched now.
 * @param {Blob | string} fileOrUrl
 * @param {object} options
 * @param {Auth} [options.auth] Who reads what is below the API of the server; no other address gets to see that.
 * @param {string} [options.server] Address of the server, without `/api/v1`.
 * @param {AbortSignal} [options.signal]
 * @returns {Promise<Blob | RemoteFile>}
 */
export async function given(fileOrUrl, { auth, server, signal }) {
  if (typeof fileOrUrl !== "string") return fileOrUrl;
  const url = new URL(fileOrUrl, location.href).href;
  const authorized = auth !== undefined && url.startsWith(`${address(server)}/api/`);
  const reader = authorized ? auth : undefined;
  const { headers } = await fetched(url, reader, { method: "HEAD", signal });
  const size = Number(headers.get("content-length"));
  if (headers.get("accept-ranges") === "bytes" && size > 0) return { url, size, tag: headers.get("etag"), authorized };
  const answer = await fetched(url, reader, { signal });
  return answer.blob().catch((error) => Promise.reject(unfetched(url, error, signal)));
}

/**
 * Fetches with a token, if there is who gives one; one that is refused is asked for anew, once.
 * @param {string} url
 * @param {Auth | undefined} auth
 * @param {RequestInit} options
 * @param {string | null} [rejected]
 * @returns {Promise<Response>}
 */
async function fetched(url, auth, options, rejected = null) {
  const token = auth && (await tokenOf(auth, rejected));
  const headers = token ? { authorization: `Bearer ${token}` } : undefined;
  // A redirect could take the token elsewhere.
  const answer = await fetch(url, { ...options, headers, cache: "no-store", redirect: token ? "manual" : "follow" })
    .catch((error) => Promise.reject(unfetched(url, error, options.signal)));
  if (answer.ok) return answer;
  if (answer.status === 401 && token && rejected === null) return fetched(url, auth, options, token);
  if (answer.type === "opaqueredirect") {
    throw new BackupError({ kind: "redirected", message: "the address redirects to another one", subject: shown(url) });
  }
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
