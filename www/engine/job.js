// @ts-check
// What every function of the engine has in common: a worker for one job, messages to it and from it, and failures.

import { spawn } from "./spawn.js";

/** @import { Engine } from "./spawn.js" */
/** @import { Command, ErrorKind, Event, Notice, Progress, Refusal } from "./protocol.js" */

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
   * @param {{ kind: ErrorKind, message: string, subject?: string, expected?: string, actual?: string,
   *   damaged?: import("./protocol.js").Missing[] }} error
   * @param {{ interrupted?: string | null, data?: Refusal | null }} [more]
   */
  constructor({ kind, message, subject, expected, actual, damaged = [] }, { interrupted = null, data = null } = {}) {
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
    /** With "damaged-document": all that is known to be damaged. */
    this.damaged = damaged;
    /** The id of what `resumeBackup` can go on with; null where nothing is left. */
    this.interrupted = interrupted;
    /** What the server says beside "foreign-backup", "unknown-origin", "restore-running", "live-changed", "signed-loss" and "files-left-out". */
    this.data = data;
  }
}

/** The modules, each compiled once. @type {Map<Engine, Promise<WebAssembly.Module>>} */
const compiled = new Map();

/** @param {Engine} engine */
function compile(engine) {
  const known = compiled.get(engine);
  if (known) return known;
  const url = new URL(`./pkg/${engine}_bg.wasm`, import.meta.url);
  const compiling = WebAssembly.compileStreaming(fetch(url)).catch((error) => {
    compiled.delete(engine);
    throw error;
  });
  compiled.set(engine, compiling);
  return compiling;
}

/** @param {Command} command @returns {Engine} */
function engineFor(command) {
  return typeof command === "object" && ("restore" in command || "inspect" in command) ? "opening" : "making";
}

/**
 * A worker for one job. A cancel need not wait for it: one that comes too late is ended.
 * @param {Engine} engine
 * @param {AbortSignal} [signal]
 * @returns {Promise<Worker>}
 */
function started(engine, signal) {
  return new Promise((resolve, reject) => {
    const cancel = () => reject(cancelled());
    signal?.addEventListener("abort", cancel);
    compile(engine)
      .then((module) => (signal?.aborted ? undefined : spawn(module, engine, "job")))
      .then((worker) => {
        if (signal?.aborted) worker?.terminate();
        else if (worker) resolve(worker);
      })
      .catch(async (error) => reject(await unavailable(error)))
      .finally(() => signal?.removeEventListener("abort", cancel));
  });
}

/**
 * @template {Event["type"]} Type
 * @typedef {{ event: Extract<Event, { type: Type }>, file?: File }} Answer
 */

/**
 * @typedef {object} Asking
 * @property {Auth} [auth]
 * @property {Blob} [file] Goes beside the command.
 * @property {Blob} [other] A second one.
 * @property {(event: Event) => void} [onEvent] Called for events on the way that are none of the following.
 * @property {(progress: Progress) => void} [onProgress]
 * @property {(notice: Notice) => void} [onNotice]
 * @property {AbortSignal} [signal]
 * @property {boolean} [silent] Whether it may take its time without a word.
 * @property {"once" | "again"} [reads] Whether the worker reads a file of the server for it, and has to have a token before; and
 *   whether it is asked again where that token is refused.
 */

/**
 * Runs one job in a worker of its own, up to the event that ends it.
 * @template {Event["type"]} Type
 * @param {Command} command
 * @param {Type} last
 * @param {Asking} options
 * @returns {Promise<Answer<Type>>}
 */
export async function job(command, last, options) {
  const { answer, end } = await conversation(command, last, { silent: false, ...options });
  end();
  return answer;
}

/**
 * The same, but the worker lives on until `end` is called, and takes further commands of the same job.
 * @template {Event["type"]} Type
 * @param {Command} command
 * @param {Type} last
 * @param {Asking} options
 */
export async function conversation(command, last, options) {
  if (options.signal?.aborted) throw cancelled();
  const worker = await started(engineFor(command), options.signal);
  const end = () => worker.terminate();
  /** @template {Event["type"]} Next @param {Command} command @param {Next} last @param {Asking} options */
  const ask = (command, last, options) => asked(worker, command, last, { silent: true, ...options });
  try {
    const answer = await ask(command, last, options);
    return { answer, end, ask };
  } catch (error) {
    end();
    throw error;
  }
}

/**
 * Gives a worker one command, with a token before it where it reads with that, and once more where that was refused meanwhile.
 * @template {Event["type"]} Type
 * @param {Worker} worker
 * @param {Command} command
 * @param {Type} last
 * @param {Asking} options
 * @returns {Promise<Answer<Type>>}
 */
async function asked(worker, command, last, options) {
  if (!options.reads) return answered(worker, command, last, options);
  /** @param {string | null} rejected */
  const attempt = async (rejected) => {
    const token = await tokenOf(options.auth, rejected);
    worker.postMessage({ command: /** @type {Command} */ ({ token: { token } }) });
    return { token, answer: await answered(worker, command, last, options).catch((error) => refusedWith(error)) };
  };
  const first = await attempt(null);
  const { answer } = first.answer === null && options.reads === "again" ? await attempt(first.token) : first;
  if (answer) return answer;
  throw new BackupError({ kind: "unauthorized", message: "the login has ended" });
}

/** Nothing, where a token was refused; else the error. @param {unknown} error */
function refusedWith(error) {
  if (error instanceof BackupError && error.kind === "unauthorized") return null;
  throw error;
}

/**
 * Gives a worker one command, and waits for the event that answers it.
 * @template {Event["type"]} Type
 * @param {Worker} worker
 * @param {Command} command
 * @param {Type} last
 * @param {Asking} options
 * @returns {Promise<Answer<Type>>}
 */
async function answered(worker, command, last, { auth, file, other, onEvent, onProgress, onNotice, signal, silent }) {
  /** @param {Command} command @param {{ file?: Blob, other?: Blob }} [files] */
  const send = (command, files) => worker.postMessage({ command, ...files });
  /** @type {number | undefined} */
  let patience;
  /** @type {number | undefined} */
  let looking;
  let cancel = () => {};
  try {
    return await new Promise((resolve, reject) => {
      cancel = () => {
        send("cancel");
        patience = setTimeout(() => reject(cancelled()), TIDY);
      };
      if (signal?.aborted) return reject(cancelled());
      signal?.addEventListener("abort", cancel);
      worker.onerror = (error) => reject(internal(error.message || "a worker failed"));
      worker.onmessageerror = () => reject(internal("a message could not be read"));
      let unheard = 0;
      const look = () => {
        unheard += 1;
        if (unheard > LOOKS) reject(internal(`its worker was silent for ${LOOK * LOOKS / 1000} seconds`));
      };
      if (!silent) looking = setInterval(look, LOOK);
      worker.onmessage = ({ data }) => {
        unheard = 0;
        /** @type {Event} */
        const event = data.event;
        if (event.type === last) resolve({ event: /** @type {any} */ (event), file: data.file });
        else if (event.type === "failed") reject(new BackupError(event.error, event));
        else if (event.type === "progress") guard(reject, () => onProgress?.(event.progress));
        else if (event.type === "notice") guard(reject, () => onNotice?.(event.notice));
        else if (event.type === "needToken") answerToken(auth, event.rejected).then((answer) => send(answer));
        else guard(reject, () => onEvent?.(event));
      };
      send(command, { file, other });
    });
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
    return { token: { token: await tokenOf(auth, rejected) } };
  } catch (error) {
    return { noToken: { message: text(error) } };
  }
}

/**
 * A token that is not the rejected one.
 * @param {Auth | undefined} auth
 * @param {string | null} rejected
 * @returns {Promise<string>}
 */
export async function tokenOf(auth, rejected) {
  const token = typeof auth === "function" ? await auth({ rejected }) : auth;
  if (token && token !== rejected) return token;
  throw new BackupError({ kind: "unauthorized", message: "the login was refused or has ended" });
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

/** The address of a server; by default that of the server which the engine comes from. @param {string} [url] */
export function address(url) {
  const { href } = url === undefined ? new URL("..", import.meta.url) : new URL(url, location.href);
  return href.replace(/\/$/, "");
}

/** @param {unknown} error */
export function text(error) {
  return error instanceof Error ? error.message : String(error);
}

export function cancelled() {
  return new BackupError({ kind: "cancelled", message: "cancelled" });
}

/** @param {string} message */
export function internal(message) {
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
