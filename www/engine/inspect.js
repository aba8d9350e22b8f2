// @ts-check
// An open backup: what openBackup of index.js gives. One worker answers short questions, in turn. What takes long (search,
// verify, compare, export) gets workers of its own, each of which opens the same file and ends with its job: to cancel is to
// end them, at once, for none of them leaves anything behind.

import { BackupError, cancelled, conversation, internal } from "./job.js";
import { Zip } from "./zip.js";

/**
 * @import { Answer, Asking, Auth } from "./job.js"
 * @import { AttachmentInfo, Change, Command, Compared, Event, ExportFormat, Hit, InspectCommand, ManifestHead } from "./protocol.js"
 * @import { RemoteFile, RowCells, RowText, Summary, Column } from "./protocol.js"
 */

/** @typedef {import("./protocol.js").Error} Problem */
/** @typedef {import("./protocol.js").Note} Note */

/** The most workers of one job. Each holds a part, and what decodes it: some 40 MiB. */
const WORKERS = 4;

/** How many documents are asked for at once; an answer holds 1 MiB of them at most, or one. */
const PAGE = 500;

/** How many entries of the archive a worker verifies before it asks for more. */
const ENTRIES = 16;

/** How many bytes a worker fetches from a server before another takes its place: a browser keeps what synchronous requests brought
 * until the worker that asked has ended. */
const FETCHED = 256 << 20;

/** How many hits one part may send before the rest is only counted. */
const HITS = 1_000;

/** How many attachments or differences are asked for at once. */
const LIST = 500;

/**
 * @typedef {object} Reading
 * @property {(done: { bytes: number, total: number }) => void} [onProgress] Bytes of the archive.
 * @property {AbortSignal} [signal]
 */

/** @typedef {{ problems: Problem[], found: number, notes: Note[], entries: number, documents: number, hasManifest: boolean, sound: boolean }} Verdict
 *   `found` counts the problems, of which the first thousand are listed; `notes` are no damage. */

/** @typedef {{ collections?: string[], query: string, max?: number, onHits?: (hits: Hit[]) => void } & Reading} Search */

/** @typedef {{ matches: number, exact: boolean, problems: Problem[] }} Matches `exact` is false where something could not be read:
 *   then there are at least so many. */

/** An archive that is open. */
export class Backup {
  /** @type {Source} */
  #source;
  /** @type {Conversation | null} */
  #reader;
  /** @type {Promise<unknown>} */
  #turn = Promise.resolve();
  #closed = new AbortController();

  /**
   * @param {Source} source
   * @param {Conversation} reader
   * @param {Extract<Event, { type: "opened" }>} opened
   */
  constructor(source, reader, { manifest, summary }) {
    this.#source = source;
    this.#reader = reader;
    /** What the archive says of itself; null where it does not. @type {ManifestHead | null} */
    this.manifest = manifest;
    /** What is in it. @type {Summary} */
    this.summary = summary;
  }

  /**
   * Documents of a collection in the order of the archive, from a row on: all of them, or those in which something is found.
   * Each comes as its own text, byte for byte. What is damaged ends the walk with its error.
   * @param {{ collection: string, from?: number, count?: number, search?: string, signal?: AbortSignal }} options
   * @returns {AsyncGenerator<RowText, void, void>}
   */
  async *documents({ collection, from = 0, count = Infinity, search, signal }) {
    const { documents } = this.#collection(collection);
    for (let row = from, left = count; row < documents && left > 0; ) {
      if (signal?.aborted) throw cancelled();
      const { rows, next, hidden, problem } = await this.rows({ collection, from: row, count: PAGE, search });
      for (const found of rows) if (left-- > 0) yield found;
      if (problem && (hidden > 0 || next === row)) throw new BackupError(problem);
      row = next;
    }
  }

  /**
   * Some documents of a collection, by their rows. An answer holds 1 MiB at most, or one document; `next` is the row to go on
   * with. With `search`, those of these rows in which it is found, with the places.
   * @param {{ collection: string, from: number, count: number, search?: string }} options
   * @returns {Promise<{ rows: RowText[], next: number, hidden: number, problem: Problem | null }>} `hidden` rows from there on cannot be read.
   */
  async rows({ collection, from, count, search }) {
    /** @type {InspectCommand} */
    const command = { rows: { collection, from, count, query: search ?? null, all: false } };
    const { event } = await this.#ask(command, "rows");
    return { rows: event.rows, next: event.next, hidden: event.hidden, problem: event.problem };
  }

  /**
   * One document; with `search` it comes with the places where that is found.
   * @param {{ collection: string, row: number, search?: string }} options
   * @returns {Promise<RowText>}
   */
  async document({ collection, row, search }) {
    /** @type {InspectCommand} */
    const command = { rows: { collection, from: row, count: 1, query: search ?? null, all: true } };
    const { event } = await this.#ask(command, "rows");
    const [found] = event.rows;
    if (!found && event.problem) throw new BackupError(event.problem);
    if (!found) throw new BackupError({ kind: "bad-argument", message: "there is no such row", subject: collection });
    return found;
  }

  /**
   * Rows of a collection as a table: the columns that suit it, and cells that are short enough to show.
   * @param {{ collection: string, from: number, count: number }} options
   * @returns {Promise<{ columns: Column[], rows: RowCells[], hidden: number, problem: Problem | null }>} `hidden` rows behind these
   *   cannot be read.
   */
  async table({ collection, from, count }) {
    const { event } = await this.#ask({ cells: { collection, from, count } }, "cells");
    return { columns: event.columns, rows: event.rows, hidden: event.hidden, problem: event.problem };
  }

  /**
   * Where the document of this id is.
   * @param {string} id
   * @param {{ collection?: string }} [options]
   * @returns {Promise<import("./protocol.js").DocumentPlace | null>}
   */
  async find(id, { collection } = {}) {
    const { event } = await this.#ask({ find: { id, collection: collection ?? null } }, "place");
    return event.place;
  }

  /**
   * Some of the attachments: all in the order of the archive, those of a collection in the order of its documents.
   * @param {{ from?: number, count?: number, collection?: string, id?: string }} [options] Of a collection or a document alone.
   * @returns {Promise<{ attachments: AttachmentInfo[], total: number }>}
   */
  async attachments({ from = 0, count = LIST, collection, id } = {}) {
    /** @type {InspectCommand} */
    const command = { attachments: { from, count: Math.min(count, LIST), collection: collection ?? null, id: id ?? null } };
    const { event } = await this.#ask(command, "attachments");
    return { attachments: event.attachments, total: event.total };
  }

  /**
   * The content of an attachment, whole and checked. It has no type of its own: what it is, its bytes say.
   * @param {string} path
   * @returns {Promise<Blob>}
   */
  async attachment(path) {
    return content(await this.#ask({ attachment: { path } }, "content"));
  }

  /**
   * Searches collections, all by default, on several workers. Hits come as they are found, in no order.
   * @param {Search} options
   * @returns {Promise<Matches>}
   */
  async search({ collections, query, max = HITS, onHits, onProgress, signal }) {
    const { parts, collections: all } = this.summary;
    /** @type {{ part: number, collection: string | null }[]} */
    const tasks = collections
      ? collections.flatMap((collection) => this.#collection(collection).parts.map((part) => ({ part, collection })))
      : [...new Set(all.flatMap(({ parts }) => parts))].sort((a, b) => a - b).map((part) => ({ part, collection: null }));
    const total = tasks.reduce((sum, { part }) => sum + (parts[part] ?? 0), 0);
    const read = reading(total, onProgress);
    /** @type {Matches} */
    const found = { matches: 0, exact: true, problems: [] };
    let left = max;
    await this.#crew(
      tasks,
      ({ part, collection }) => ({ search: { part, collection, query, max: Math.min(HITS, Math.max(0, left)) } }),
      "searched",
      {
        signal,
        onEvent(event) {
          read(event);
          if (event.type !== "hits" || left <= 0) return;
          const hits = event.hits.slice(0, left);
          left -= hits.length;
          onHits?.(hits);
        },
        onDone({ matches, problem }) {
          found.matches += matches;
          if (problem && found.problems.length < 1_000) found.problems.push(problem);
        },
      },
    );
    found.exact = found.problems.length === 0 && this.summary.problems.length === 0;
    return found;
  }

  /**
   * Reads everything, on several workers: every checksum, every part, every line, and compares it with what the archive says of
   * itself.
   * @param {Reading} [options]
   * @returns {Promise<Verdict>}
   */
  async verify({ onProgress, signal } = {}) {
    const { size, entries } = this.summary;
    /** @type {Verdict} */
    const verdict = { problems: [], found: 0, notes: [...this.summary.notes], entries, documents: 0, hasManifest: this.manifest !== null, sound: true };
    let marks = 0;
    const tasks = [null, ...Array.from({ length: Math.ceil(entries / ENTRIES) }, (_, at) => at * ENTRIES)];
    await this.#crew(
      tasks,
      (from) => ({ verify: { entries: from === null ? null : [from, Math.min(entries, from + ENTRIES)] } }),
      "verified",
      {
        signal,
        onEvent: reading(size, onProgress),
        onDone({ problems, found, documents, marks: marked }) {
          verdict.documents += documents;
          marks += marked;
          verdict.found += found;
          verdict.problems.push(...problems.slice(0, Math.max(0, 1_000 - verdict.problems.length)));
        },
      },
    );
    if (marks > 0) verdict.notes.push({ kind: "byte-order-marks", parts: marks });
    verdict.sound = verdict.found === 0;
    return verdict;
  }

  /**
   * Compares with another backup: per collection what was added, removed, changed, and is the same.
   * @param {Blob} other The newer one.
   * @param {Reading} [options]
   * @returns {Promise<Compared[]>}
   */
  async compare(other, { onProgress, signal } = {}) {
    const onEvent = reading(this.#source.size + other.size, onProgress);
    const { event } = await this.#alone(signal, (ask) => ask({ compare: { collection: null, from: 0 } }, "compared", { other, onEvent }));
    return event.collections;
  }

  /**
   * The documents of a collection that differ in another backup, in the order of their ids, with the fields that do.
   * @param {Blob} other The newer one.
   * @param {{ collection: string, from?: number, signal?: AbortSignal }} options `from`: how many to leave out.
   * @returns {Promise<Change[]>} Some hundreds at most.
   */
  async differences(other, { collection, from = 0, signal }) {
    const { event } = await this.#alone(signal, (ask) => ask({ compare: { collection, from } }, "compared", { other }));
    return event.differences;
  }

  /**
   * Takes documents out, as JSON lines or as CSV for spreadsheets: all of these collections, or those in which something is
   * found. What is damaged is left out, and `problem` tells.
   * @param {{ collections: string[], search?: string, format: ExportFormat, name: string } & Reading} options
   * @returns {Promise<{ file: File, problem: Problem | null }>}
   */
  async exportDocuments({ collections, search, format, name, onProgress, signal }) {
    /** @type {InspectCommand} */
    const command = { exportDocuments: { collections, query: search ?? null, format, name } };
    const onEvent = reading(this.#source.size, onProgress);
    const answer = await this.#alone(signal, (ask) => ask(command, "content", { onEvent }));
    return { file: content(answer), problem: answer.event.problem };
  }

  /**
   * Takes attachments out, as a ZIP.
   * @param {{ collection?: string, name: string } & Reading} options
   * @returns {Promise<File>}
   */
  async exportAttachments({ collection, name, onProgress, signal }) {
    const total = this.summary.collections.reduce((sum, row) => sum + (collection && row.name !== collection ? 0 : row.attachmentBytes), 0);
    const zip = new Zip();
    let bytes = 0;
    await this.#alone(signal, async (ask) => {
      for (let from = 0; ; from += LIST) {
        const { attachments, total: count } = await this.attachments({ from, collection });
        for (const { path, size } of attachments) {
          const answer = await ask({ attachment: { path } }, "content", {});
          zip.add({ name: path, content: content(answer), crc32: answer.event.crc32 });
          onProgress?.({ bytes: (bytes += size), total });
        }
        if (from + LIST >= count) return;
      }
    });
    return zip.file(name);
  }

  /** Ends its workers. Whatever is under way fails with kind "cancelled". */
  close() {
    this.#closed.abort();
    this.#reader?.end();
    this.#reader = null;
  }

  /** @param {string} collection */
  #collection(collection) {
    const found = this.summary.collections.find(({ name }) => name === collection);
    if (found) return found;
    throw new BackupError({ kind: "bad-argument", message: "the archive has no such collection", subject: collection });
  }

  /**
   * Asks the worker that is there for short questions, when those before are answered. One that broke is replaced.
   * @template {Event["type"]} Type
   * @param {InspectCommand} command
   * @param {Type} last
   * @returns {Promise<Answer<Type>>}
   */
  #ask(command, last) {
    const turn = this.#turn.then(async () => {
      const reader = (this.#reader ??= await this.#join(this.#closed.signal));
      try {
        return await until(this.#closed.signal, reader.ask({ inspect: command }, last, this.#source.login));
      } catch (error) {
        if (error instanceof BackupError && error.kind !== "internal") throw error;
        reader.end();
        this.#reader = null;
        throw error;
      }
    });
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /**
   * Shares tasks out among workers, one by one.
   * @template Task @template {Event["type"]} Type
   * @param {readonly Task[]} tasks
   * @param {(task: Task) => InspectCommand} command
   * @param {Type} last
   * @param {{ signal?: AbortSignal, onEvent: (event: Event) => void, onDone: (event: Extract<Event, { type: Type }>, task: Task) => void }} options
   */
  async #crew(tasks, command, last, { signal, onEvent, onDone }) {
    const count = Math.min(WORKERS, navigator.hardwareConcurrency || 1, tasks.length);
    const queue = tasks.values();
    const stop = this.#stop(signal);
    const work = async () => {
      let worker = await this.#join(stop.signal);
      let fetched = 0;
      /** @param {Event} event */
      const counted = (event) => {
        if (event.type === "read" && this.#source.remote) fetched += event.bytes;
        onEvent(event);
      };
      try {
        for (const task of queue) {
          if (fetched >= FETCHED) {
            worker.end();
            worker = await this.#join(stop.signal);
            fetched = 0;
          }
          const { event } = await until(stop.signal, worker.ask({ inspect: command(task) }, last, { ...this.#source.login, onEvent: counted }));
          onDone(event, task);
        }
      } finally {
        worker.end();
      }
    };
    try {
      await Promise.all(Array.from({ length: count }, work));
    } finally {
      stop.abort();
    }
  }

  /**
   * A job with a worker of its own.
   * @template T
   * @param {AbortSignal | undefined} signal
   * @param {(ask: Ask) => Promise<T>} work
   * @returns {Promise<T>}
   */
  async #alone(signal, work) {
    const stop = this.#stop(signal);
    const worker = await this.#join(stop.signal);
    try {
      return await until(stop.signal, work((command, last, options) => worker.ask({ inspect: command }, last, { ...this.#source.login, ...options })));
    } finally {
      worker.end();
      stop.abort();
    }
  }

  /** @param {AbortSignal} signal */
  #join(signal) {
    const { file, remote, index, login } = this.#source;
    return conversation({ inspect: { join: { remote, index } } }, "joined", { ...login, file, signal });
  }

  /**
   * What ends a job: its own signal, or the end of the backup.
   * @param {AbortSignal} [signal]
   */
  #stop(signal) {
    const stop = new AbortController();
    for (const reason of [signal, this.#closed.signal]) {
      if (reason?.aborted) stop.abort();
      reason?.addEventListener("abort", () => stop.abort(), { once: true, signal: stop.signal });
    }
    return stop;
  }
}

/** @typedef {<Type extends Event["type"]>(command: InspectCommand, last: Type, options: Asking) => Promise<Answer<Type>>} Ask */
/** @typedef {{ file?: Blob, remote: RemoteFile | null, size: number, index: string, login: Pick<Asking, "auth" | "reads"> }} Source
 *   A file here or on a server. Index: where the documents are, as the first worker has found out. Login: who reads it. */
/** @typedef {Pick<Awaited<ReturnType<typeof conversation>>, "ask" | "end">} Conversation */

/**
 * Opens an archive in a worker.
 * @param {Blob | RemoteFile} given
 * @param {{ salvage: boolean, auth?: Auth } & Reading} options
 * @returns {Promise<Backup>}
 */
export async function open(given, { salvage, auth, onProgress, signal }) {
  const file = given instanceof Blob ? given : undefined;
  const remote = given instanceof Blob ? null : given;
  /** @type {Command} */
  const command = { inspect: { open: { remote, salvage } } };
  const onEvent = reading(given.size, onProgress);
  /** @type {Source["login"]} */
  const login = remote?.authorized ? { auth, reads: "again" } : {};
  const reader = await conversation(command, "opened", { ...login, file, onEvent, signal });
  const { event } = reader.answer;
  return new Backup({ file, remote, size: event.summary.size, index: event.index, login }, reader, event);
}

/**
 * Adds up what workers say that they have read.
 * @param {number} total
 * @param {Reading["onProgress"]} onProgress
 * @returns {(event: Event) => void}
 */
function reading(total, onProgress) {
  let bytes = 0;
  return (event) => {
    if (event.type === "read") onProgress?.({ bytes: Math.min(total, (bytes += event.bytes)), total });
  };
}

/**
 * An answer, unless the signal comes first: then nobody waits for it.
 * @template T
 * @param {AbortSignal} signal
 * @param {Promise<T>} answer
 * @returns {Promise<T>}
 */
function until(signal, answer) {
  return new Promise((resolve, reject) => {
    const stop = () => reject(cancelled());
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    answer.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

/** @param {{ file?: File }} answer */
function content({ file }) {
  if (!file) throw internal("the content has not arrived");
  return file;
}
