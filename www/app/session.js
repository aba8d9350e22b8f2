// @ts-check
/**
 * Who is signed in: login and refresh.
 *
 * Tokens live in memory and in sessionStorage, so that a reload does not end the session and closing the tab does. A
 * token is renewed before it runs out or when somebody reports that the server refused it; however many ask at once,
 * one request goes out. Where renewing is refused, the caller decides: give up, or ask the person and wait.
 *
 * A refresh token is good once. A tab that was duplicated has the same one, so that tabs tell each other what became of it.
 */

import { data, Failure, send, TAB } from './http.js';
import { keep, kept } from './memory.js';

/**
 * @typedef {{ accessToken: string, refreshToken: string, expiresIn: number, deviceToken?: string }} Tokens
 * @typedef {{ username: string, accessToken: string, refreshToken: string, expires: number }} Login
 */

const KEY = `${TAB}.session`;

/** What tells this device from strangers at the next login of a user: it lets nobody in. @param {string} username */
const deviceKey = (username) => `${TAB}.device.${username}`;

/** Renewed this many milliseconds before it runs out, so that no call starts with a token about to end. */
const EARLY = 60_000;

/** The same for what reads a file on the server: while that answers one question, it cannot get another token. */
const EARLY_FOR_READING = 30 * 60_000;

/** Tells the other tabs of a session that its refresh token was used, and what came of it; null where it has ended. */
const tabs = typeof BroadcastChannel === 'function' ? new BroadcastChannel(KEY) : null;

tabs?.addEventListener('message', ({ data: { used, renewed } }) => {
  if (login && login.refreshToken === used) hold(renewed);
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
  remember(username, tokens);
}

/** Ends the session here at once, and on the server as soon as that hears of it. */
export function signOut() {
  const refreshToken = login?.refreshToken;
  if (!refreshToken) return;
  hold(null);
  tabs?.postMessage({ used: refreshToken, renewed: null });
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
  renewal ??= renew(ended).finally(() => (renewal = null));
  return renewal;
}

/** @param {(() => Promise<void>) | undefined} ended */
async function renew(ended) {
  try {
    if (!login) throw new Failure('unauthorized', 'nobody is signed in');
    const renewed = login;
    const { username, refreshToken } = renewed;
    const tokens = await patiently(() => call('/auth/refresh', { refreshToken }), ended ? PAUSES : []);
    // Who has signed out meanwhile stays out.
    if (login === renewed) {
      remember(username, tokens);
      tabs?.postMessage({ used: refreshToken, renewed: login });
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
 * @param {string} username
 * @param {Tokens} tokens
 */
function remember(username, { accessToken, refreshToken, expiresIn }) {
  hold({ username, accessToken, refreshToken, expires: Date.now() + expiresIn * 1000 });
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
    return JSON.parse(sessionStorage.getItem(KEY) ?? 'null');
  } catch {
    return null;
  }
}
