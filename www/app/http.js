// @ts-check
/** One request of the page to the API, and its answer or an honest failure. */

/** Where the page lies: at the root of a host, or below the path of a proxy. */
export const BASE = new URL('..', import.meta.url);

const API = new URL('api/v1', BASE).href;

/** Before the names of what the page keeps for a tab: pages below two paths of a host share the storage. */
export const TAB = `dikas${BASE.pathname.slice(0, -1)}`;

/** Codes of the API that the page has words of its own for. */
const CODES = ['archive-in-use', 'cross-site', 'job-running', 'no-folder', 'no-schedule'];

/** A call that failed, with the kinds of the engine's errors or a code of the API. */
export class Failure extends Error {
  /**
   * @param {string} kind
   * @param {string} message
   * @param {{ subject?: string, retryAfter?: number }} [more]
   */
  constructor(kind, message, { subject, retryAfter } = {}) {
    super(message);
    this.kind = kind;
    this.subject = subject;
    /** Seconds that the server asks to wait, where it does. */
    this.retryAfter = retryAfter;
  }
}

/**
 * @typedef {object} Sending
 * @property {string} [method]
 * @property {unknown} [body] Goes as JSON.
 * @property {string} [token]
 * @property {string} [accept]
 * @property {AbortSignal} [signal]
 * @property {boolean} [keepalive] Whether it outlives the page.
 */

/**
 * @param {string} path below `/api/v1`
 * @param {Sending} sending
 * @returns {Promise<Response>} one that says yes
 * @throws {Failure}
 */
export async function send(path, { method = 'GET', body, token, accept, signal, keepalive }) {
  /** @type {Record<string, string>} */
  const headers = {};
  if (body !== undefined) headers['content-type'] = 'application/json';
  if (token) headers.authorization = `Bearer ${token}`;
  if (accept) headers.accept = accept;
  const content = body === undefined ? undefined : JSON.stringify(body);
  /** @type {RequestInit} A redirect could take a password elsewhere. */
  const request = { method, headers, signal, body: content, redirect: 'manual', keepalive };
  const answer = await fetch(API + path, request).catch((error) => {
    throw unheard(error, path, signal);
  });
  if (answer.ok) return answer;
  // Browsers do not say where it leads.
  if (answer.type === 'opaqueredirect') {
    throw new Failure('redirected', 'the address redirects to another one', { subject: path });
  }
  const envelope = await answer.json().catch(() => null);
  const message = envelope?.message ?? `HTTP ${answer.status}`;
  const code = envelope?.errors?.[0]?.code;
  const kind = (!envelope && kindOfProxy(answer)) || kindOf(answer.status, code);
  throw new Failure(kind, message, { subject: path, retryAfter: seconds(answer) });
}

/**
 * What an answer in the API's frame is about.
 *
 * @param {Response} answer
 * @throws {Failure}
 */
export async function data(answer) {
  const envelope = await answer.json().catch(() => null);
  if (envelope?.isSuccess) return envelope.data;
  throw new Failure('bad-answer', 'not an answer of the API', { subject: new URL(answer.url).pathname });
}

/**
 * Why no answer came, or no more of it.
 *
 * @param {unknown} error
 * @param {string} path
 * @param {AbortSignal} [signal]
 */
export function unheard(error, path, signal) {
  return signal?.aborted ? new Failure('cancelled', 'cancelled') : new Failure('unreachable', String(error), { subject: path });
}

/** The address of what is at a path of the API. @param {string} path */
export const place = (path) => API + path;

/**
 * Where a file of the API is for a navigation, with the ticket that stands for the login.
 *
 * @param {string} path
 * @param {string} ticket
 */
export const address = (path, ticket) => `${place(path)}?ticket=${encodeURIComponent(ticket)}`;

/**
 * @param {number} status
 * @param {string} [code]
 */
function kindOf(status, code = '') {
  if (CODES.includes(code)) return code;
  if (status === 401) return 'unauthorized';
  if (status === 403) return 'forbidden';
  if (status === 404 || status === 410) return 'archive-gone';
  if (status === 429 || status === 503) return 'busy';
  if (status === 507) return 'server-full';
  if (status >= 500) return 'server-error';
  return 'bad-answer';
}

/** What a proxy means, where it refuses in the server's place. @param {Response} answer */
function kindOfProxy({ status, headers }) {
  if (status === 413) return 'proxy-limit';
  const away = status === 502 || status === 504 || (status === 503 && !headers.has('retry-after'));
  return away ? 'gateway' : undefined;
}

/** @param {Response} answer */
function seconds(answer) {
  const value = Number.parseInt(answer.headers.get('retry-after') ?? '', 10);
  return Number.isFinite(value) ? value : undefined;
}
