// @ts-check
/**
 * Who is signed in: login and refresh.
 *
 * Tokens live in memory and in sessionStorage, so that a reload does not end the session and closing the tab does. A
 * token is renewed before it runs out or when somebody reports that the server refused it; however many ask at once,
 * one request goes out. Where renewing is refused, the caller decides: give up, or ask the person and wait.
 *
 * A refresh token is good once. A tab that was duplicated has the same one, so that tabs tell each other that it was used:
 * never a token, for every page of the origin hears it. The server takes the same token again for two minutes.
 */

import { data, Failure, send, TAB } from './http.js';
import { keep, kept } from './memory.js';

/**
 * @typedef {{ accessToken: string, refreshToken: string, expiresIn: number, deviceToken?: string }} Tokens
 * @typedef {object} Login
 * @property {string} id Random, of the page, and no secret: what tabs call it among each other.
 * @property {number} turn How often it was renewed.
 * @property {string} username
 * @property {string} accessToken
 * @property {string} refreshToken
 * @property {number} expires
 *
 * @typedef {{ id: string, turn: number | null, at: number }} Told Which login, how often it was renewed or null where it has
 *   ended, and when that was.
 */

const KEY = `${TAB}.session`;

/** What tells this device from strangers at the next login of a user: it lets nobody in. @param {string} username */
const deviceKey = (username) => `${TAB}.device.${username}`;

/** Renewed this many milliseconds before it runs out, so that no call starts with a token about to end. */
const EARLY = 60_000;

/** The same for what reads a file on the server: while that answers one question, it cannot get another token. */
const EARLY_FOR_READING = 30 * 60_000;

/** For how long after it was used a refresh token is surely taken once more, in milliseconds. */
const GRACE = 100_000;

/** Where the tabs of a session tell each other that it was renewed, or has ended. */
const tabs = typeof BroadcastChannel === 'function' ? new BroadcastChannel(KEY) : null;

tabs?.addEventListener('message', (/** @type {MessageEvent<Told>} */ { data: { id, turn, at } }) => {
  if (login?.id !== id) return;
  if (turn === null) hold(null);
  else if (login.turn < turn) follow(login, at);
});

/** How long to wait before each further attempt to renew, in seconds. */
const PAUSES = [1, 2, 4, 8, 16, 30];

/** @type {Login | null} */
let login = restore();

/** @type {Promise<string> | null} */
let renewal = null;

/** The name of who is signed in, or null. */
export const user = () => login?.username ?? null;

/**
 * @param {string} username
 * @param {string} password
 * @throws {Failure} `unauthorized` when name or password are wrong, `busy` after too many attempts, `unreachable`, …
 */
export async function signIn(username, password) {
  const deviceToken = kept(deviceKey(username)) ?? undefined;
  const tokens = await call('/auth/login', { username, password, deviceToken });
  if (tokens.deviceToken) keep(deviceKey(username), tokens.deviceToken);
  remember({ id: random(), turn: 0, username }, tokens);
}

/** Ends the session here at once, and on the server as soon as that hears of it. */
export function signOut() {
  if (!login) return;
  const { id, refreshToken } = login;
  hold(null);
  tell(id, null);
  // Where the server is away, the login ends there by itself.
  send('/auth/logout', { method: 'POST', body: { refreshToken }, keepalive: true }).catch(() => {});
}

/**
 * The login for what reads files on the server.
 *
 * @param {{ rejected: string | null }} asked
 */
export const reader = ({ rejected }) => token(rejected, undefined, EARLY_FOR_READING);

/**
 * Runs work of the engine in the name of who is signed in. When a token cannot be renewed, the reason is what it fails
 * with, and not the refusal that the engine makes of it.
 *
 * @template T
 * @param {(auth: (asked: { rejected: string | null }) => Promise<string>) => Promise<T>} work
 * @param {() => Promise<void>} [ended] asks the person to sign in again; without it the failure is passed on. A caller
 *   that waits for a person also waits for the server, a minute or so
 * @returns {Promise<T>}
 */
export async function authorised(work, ended) {
  /** @type {unknown} */
  let reason = null;
  try {
    return await work(({ rejected }) => {
      const given = token(rejected, ended);
      given.catch((error) => (reason = error));
      return given;
    });
  } catch (error) {
    throw reason ?? error;
  }
}

/**
 * @param {string | null} rejected the token that the server has just refused, if any
 * @param {(() => Promise<void>) | undefined} ended
 * @param {number} [early] how long it has to be good at least, in milliseconds
 * @returns {Promise<string>}
 */
function token(rejected, ended, early = EARLY) {
  if (login && login.accessToken !== rejected && Date.now() < login.expires - early) {
    return Promise.resolve(login.accessToken);
  }
  return renewOnce(ended, ended ? PAUSES : []);
}

/**
 * @param {(() => Promise<void>) | undefined} ended
 * @param {readonly number[]} pauses
 */
function renewOnce(ended, pauses) {
  renewal ??= renew(ended, pauses).finally(() => (renewal = null));
  return renewal;
}

/**
 * Renews what another tab has just renewed. Where that fails, or is too late, the token is dropped: with its use the login
 * would end in the other tab as well.
 *
 * @param {Login} behind
 * @param {number} at
 */
async function follow(behind, at) {
  if (Date.now() - at < GRACE) await renewOnce(undefined, PAUSES.slice(0, -1)).catch(() => {});
  if (login === behind) hold(null);
}

/**
 * @param {(() => Promise<void>) | undefined} ended
 * @param {readonly number[]} pauses
 */
async function renew(ended, pauses) {
  try {
    if (!login) throw new Failure('unauthorized', 'nobody is signed in');
    const renewed = login;
    const { id, turn, username, refreshToken } = renewed;
    const tokens = await patiently(() => call('/auth/refresh', { refreshToken }), pauses);
    // Who has signed out meanwhile stays out.
    if (login === renewed) {
      remember({ id, turn: turn + 1, username }, tokens);
      tell(id, turn + 1);
    }
  } catch (error) {
    if (!(error instanceof Failure) || error.kind !== 'unauthorized' || !ended) throw error;
    await ended();
  }
  if (!login) throw new Failure('unauthorized', 'the login has ended');
  return login.accessToken;
}

/**
 * Tries again after each of the pauses while the server is away or busy.
 *
 * @template T
 * @param {() => Promise<T>} attempt
 * @param {readonly number[]} pauses in seconds
 * @returns {Promise<T>}
 */
async function patiently(attempt, [pause, ...later]) {
  try {
    return await attempt();
  } catch (error) {
    const passing = error instanceof Failure && ['unreachable', 'gateway', 'busy', 'server-error'].includes(error.kind);
    if (!passing || !pause) throw error;
    await new Promise((resolve) => setTimeout(resolve, pause * 1000));
    return patiently(attempt, later);
  }
}

/**
 * @param {string} path
 * @param {unknown} body
 * @returns {Promise<Tokens>}
 */
async function call(path, body) {
  return data(await send(path, { method: 'POST', body }));
}

/**
 * @param {string} id
 * @param {number | null} turn
 */
function tell(id, turn) {
  /** @type {Told} */
  const told = { id, turn, at: Date.now() };
  tabs?.postMessage(told);
}

/** Works without TLS as well, where browsers have no `crypto.randomUUID`. */
const random = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(16)).join('-');

/**
 * @param {Pick<Login, 'id' | 'turn' | 'username'>} whose
 * @param {Tokens} tokens
 */
function remember(whose, { accessToken, refreshToken, expiresIn }) {
  hold({ ...whose, accessToken, refreshToken, expires: Date.now() + expiresIn * 1000 });
}

/** @param {Login | null} now */
function hold(now) {
  login = now;
  try {
    if (now) sessionStorage.setItem(KEY, JSON.stringify(now));
    else sessionStorage.removeItem(KEY);
  } catch {
    // Then the session lives as long as the page.
  }
}

/** @returns {Login | null} */
function restore() {
  try {
    const stored = JSON.parse(sessionStorage.getItem(KEY) ?? 'null');
    // A page of before knew no id.
    return stored?.id ? stored : null;
  } catch {
    return null;
  }
}
