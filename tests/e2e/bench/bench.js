// @ts-check
// What `cargo xtask bench` runs in the page of a server: the engine's own encoders, whole backups, and the same
// backups by libraries that others would take. The driver brings this file in; it is no part of the page.

/** How large parts of a collection are, in bytes, and how large pages the engine asks for. */
const PART = 8 << 20;
const PAGE = 2 << 20;

/** A snapshot answers so many requests at once; the engine asks for so many files at once. */
const AT_ONCE = 4;

/** Parts that each encoder is given ahead, so that none waits for the page. */
const AHEAD = 2;

/** @param {string} path */
const engine = (path) => import(`${location.origin}/engine/${path}`);

/** @param {string} path @param {object} body @param {string} [token] */
async function post(path, body, token) {
  const headers = { 'content-type': 'application/json', ...bearer(token) };
  const answer = await good(fetch(`/api/v1${path}`, { method: 'POST', headers, body: JSON.stringify(body) }));
  return (await answer.json()).data;
}

/** @param {string} [token] @returns {Record<string, string>} */
const bearer = (token) => (token ? { authorization: `Bearer ${token}` } : {});

/** @param {Promise<Response>} request */
async function good(request) {
  const answer = await request;
  if (!answer.ok) throw new Error(`${answer.url} answered ${answer.status}: ${await answer.text()}`);
  return answer;
}

/** @param {string} username @param {string} password @returns {Promise<string>} */
export async function login(username, password) {
  return (await post('/auth/login', { username, password })).accessToken;
}

/** An open snapshot, as a script would read it. */
class Snapshot {
  /** @param {string} token @param {any} data */
  constructor(token, data) {
    this.token = token;
    this.path = `/api/v1/backup/snapshots/${data.id}`;
    /** @type {{ name: string }[]} */
    this.collections = data.collections;
    this.free = AT_ONCE;
    /** @type {(() => void)[]} */
    this.waiting = [];
  }

  /** @param {string} token */
  static async open(token) {
    return new Snapshot(token, await post('/backup/snapshots', {}, token));
  }

  /** @param {string} rest */
  async get(rest) {
    while (this.free === 0) await new Promise((resolve) => this.waiting.push(() => resolve(null)));
    this.free -= 1;
    try {
      const answer = await good(fetch(this.path + rest, { headers: bearer(this.token), cache: 'no-store' }));
      return { bytes: new Uint8Array(await answer.arrayBuffer()), next: answer.headers.get('dikas-next') };
    } finally {
      this.free += 1;
      this.waiting.shift()?.();
    }
  }

  /** The pages of a collection; while one is worked on, the next is under way.
   * @param {string} collection @param {number} size */
  async *pages(collection, size) {
    const ask = (/** @type {string | null} */ after) =>
      this.get(`/documents/${collection}?maxBytes=${size}${after ? `&after=${after}` : ''}`);
    let page = ask(null);
    for (;;) {
      const { bytes, next } = await page;
      if (next) page = ask(next);
      yield bytes;
      if (!next) return;
    }
  }

  async attachments() {
    const all = [];
    for (let after = ''; ; ) {
      const { bytes } = await this.get(`/attachments${after}`);
      const { data } = JSON.parse(new TextDecoder().decode(bytes));
      all.push(...data.attachments);
      if (!data.next) return all;
      after = `?after=${encodeURIComponent(data.next)}`;
    }
  }

  /** @param {{ sha256: string }} attachment */
  async blob({ sha256 }) {
    return (await this.get(`/blobs/${sha256}`)).bytes;
  }

  async close() {
    await good(fetch(this.path, { method: 'DELETE', headers: bearer(this.token) }));
  }
}

/** The lines of receipts in parts, cut as the engine cuts them. @type {Uint8Array<ArrayBuffer>[]} */
let parts = [];

/** @param {string} token */
export async function loadReceipts(token) {
  const snapshot = await Snapshot.open(token);
  const pages = [];
  for await (const page of snapshot.pages('receipts', PART)) pages.push(page);
  await snapshot.close();
  const lines = new Uint8Array(await new Blob(pages).arrayBuffer());
  parts = [];
  for (let from = 0; from < lines.length; ) {
    const end = lines.lastIndexOf(0x0a, Math.min(from + PART, lines.length) - 1) + 1;
    parts.push(lines.slice(from, end));
    from = end;
  }
  return lines.length;
}

/** @type {WebAssembly.Module | undefined} */
let module;

/** @type {Worker[]} */
let encoders = [];

/** Ends the encoders and starts others. @param {number} count */
export async function startEncoders(count) {
  const { spawn } = await engine('spawn.js');
  module ??= await WebAssembly.compileStreaming(fetch('/engine/pkg/making_bg.wasm'));
  for (const encoder of encoders) encoder.terminate();
  encoders = await Promise.all(Array.from({ length: count }, () => spawn(module, 'making', 'encoder')));
}

/** Has the encoders compress and verify all parts so many times over. @param {number} times */
export async function encodeReceipts(times) {
  const queue = Array.from({ length: times }, () => parts).flat();
  let size = 0;
  const start = performance.now();
  await Promise.all(encoders.map(async (encoder) => {
    /** @type {((answer: any) => void)[]} */
    const answered = [];
    encoder.onmessage = ({ data }) => answered.shift()?.(data);
    const failed = new Promise((_, reject) => (encoder.onerror = ({ message }) => reject(new Error(message))));
    const one = async () => {
      for (let part = queue.shift(); part; part = queue.shift()) {
        const lines = part.slice();
        const answer = new Promise((resolve) => answered.push(resolve));
        encoder.postMessage(lines, [lines.buffer]);
        const { encoded, bytes, error } = await Promise.race([answer, failed]);
        if (error || encoded.storedPlain) throw new Error(`a part was not encoded: ${JSON.stringify(error)}`);
        size += bytes.length;
      }
    };
    await Promise.all(Array.from({ length: AHEAD }, one));
  }));
  return { ms: performance.now() - start, size: size / times };
}

/** A backup by the engine, and how long each phase of it took.
 * @param {string} auth */
export async function backUp(auth) {
  const { createBackup } = await engine('index.js');
  const start = performance.now();
  /** @type {Record<string, number>} */
  const phases = {};
  let [since, now] = [start, 'open'];
  const enter = (/** @type {string} */ phase) => {
    const at = performance.now();
    phases[now] = (phases[now] ?? 0) + at - since;
    [since, now] = [at, phase];
  };
  const onProgress = (/** @type {{ phase: string }} */ { phase }) => void (phase === now || enter(phase));
  const { file } = await createBackup({ auth, onProgress });
  enter('end');
  return { ms: performance.now() - start, size: file.size, phases };
}

/** Gives the driver a place for a file. */
export function askForFile() {
  const input = document.createElement('input');
  Object.assign(input, { type: 'file', id: 'bench-file' });
  document.body.append(input);
}

/** A full restore of that file, of another installation.
 * @param {string} auth @param {string} businessName */
export async function restore(auth, businessName) {
  const { prepareRestore } = await engine('index.js');
  const input = /** @type {HTMLInputElement} */ (document.querySelector('#bench-file'));
  const file = /** @type {File} */ (input.files?.[0]);
  const start = performance.now();
  /** @type {Record<string, number>} */
  const phases = { check: 0, documents: 0, files: 0, preview: 0, commit: 0 };
  let [since, now] = [start, 'check'];
  const enter = (/** @type {string} */ phase) => {
    const at = performance.now();
    phases[now] += at - since;
    [since, now] = [at, phase];
  };
  const onProgress = (/** @type {{ phase: string, documents: number, documentsTotal: number }} */ progress) => {
    const { phase, documents, documentsTotal } = progress;
    enter(phase === 'stage' ? (documents < documentsTotal ? 'documents' : 'files') : phase in phases ? phase : now);
  };
  const prepared = await prepareRestore({ file, auth, choice: { mode: 'full' }, businessName, onProgress });
  enter('commit');
  await prepared.commit();
  enter('commit');
  return { ms: performance.now() - start, size: file.size, phases };
}

/** Asks about that file: how long each answer took.
 * @param {{ row: number, id: string, query: string, everything: boolean }} questions */
export async function inspect({ row, id, query, everything }) {
  const { openBackup } = await engine('index.js');
  const input = /** @type {HTMLInputElement} */ (document.querySelector('#bench-file'));
  const file = /** @type {File} */ (input.files?.[0]);
  /** @type {Record<string, number>} */
  const phases = {};
  /** @template T @param {string} question @param {() => Promise<T>} ask */
  const timed = async (question, ask) => {
    const start = performance.now();
    const answer = await ask();
    phases[question] = performance.now() - start;
    return answer;
  };
  const collection = 'receipts';
  const backup = await timed('open', () => openBackup(file));
  const first = await timed('first', () => backup.table({ collection, from: 0, count: 40 }));
  const far = await timed('row', () => backup.table({ collection, from: row, count: 40 }));
  const place = await timed('find', () => backup.find(id));
  if (first.rows.length !== 40 || far.rows[0].row !== row || place.row !== row) throw new Error('other rows came');
  if (everything) {
    const { matches, exact } = await timed('search', () => backup.search({ collections: [collection], query }));
    if (matches !== 1 || !exact) throw new Error(`${matches} matches`);
    const { sound, documents } = await timed('verify', () => backup.verify());
    if (!sound || documents !== backup.summary.collections[0].documents) throw new Error('not sound');
  }
  backup.close();
  return { ms: 0, size: file.size, phases };
}

/** @type {any} */
let brotli;
/** @type {any} */
let clientZip;
/** @type {any} */
let zip;

/** Loads the libraries from the bytes of their files. @param {Record<string, string>} files in Base64 */
export async function loadLibraries(files) {
  const bytes = (/** @type {string} */ name) => Uint8Array.from(atob(files[name]), (char) => char.charCodeAt(0));
  const load = (/** @type {string} */ name) =>
    import(URL.createObjectURL(new Blob([bytes(name)], { type: 'text/javascript' })));
  [brotli, clientZip, zip] = await Promise.all(['brotli_wasm.js', 'client-zip.js', 'zip.js'].map(load));
  await brotli.default(bytes('brotli_wasm_bg.wasm'));
}

/** @param {AsyncIterator<Uint8Array>} chunks @returns {ReadableStream<Uint8Array<any>>} */
function stream(chunks) {
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await chunks.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    // Nothing is asked for before somebody reads.
  }, { highWaterMark: 0 });
}

/** @param {{ collection: string, id: string, name: string }} attachment */
const path = ({ collection, id, name }) => `attachments/${collection}/${encodeURIComponent(id)}/${encodeURIComponent(name)}`;

/** brotli-wasm's stream of quality 5 within client-zip: documents compressed as they arrive, files as they are.
 * @param {string} token */
export async function withBrotliWasm(token) {
  const start = performance.now();
  const snapshot = await Snapshot.open(token);
  async function* entries() {
    for (const { name } of snapshot.collections) {
      yield { name: `${name}.jsonl.br`, input: stream(snapshot.pages(name, PAGE)).pipeThrough(brotliStream()) };
    }
    // As many files ahead as the engine asks for.
    const ahead = [];
    for (const attachment of await snapshot.attachments()) {
      ahead.push({ name: path(attachment), input: snapshot.blob(attachment) });
      if (ahead.length === AT_ONCE) yield settled(ahead.shift());
    }
    for (const entry of ahead) yield settled(entry);
  }
  const blob = await clientZip.downloadZip(entries()).blob();
  await snapshot.close();
  return { ms: performance.now() - start, size: blob.size };
}

/** @param {any} entry */
const settled = async ({ name, input }) => ({ name, input: await input });

/** As in its README, with as much room for output as there is input. */
function brotliStream() {
  const { CompressStream, BrotliStreamResultCode: { NeedsMoreOutput } } = brotli;
  const compressor = new CompressStream(5);
  /** @param {Uint8Array | undefined} input @param {TransformStreamDefaultController} controller */
  const push = (input, controller) => {
    let code;
    do {
      const result = compressor.compress(input, PAGE);
      code = result.code;
      if (result.buf.length > 0) controller.enqueue(result.buf);
      input = input?.subarray(result.input_offset);
    } while (code === NeedsMoreOutput);
  };
  return new TransformStream({
    transform: push,
    flush(controller) {
      push(undefined, controller);
      compressor.free();
    },
  });
}

/** zip.js with the browser's own deflate, its entries added at once, each in a worker: as its documentation advises.
 * @param {string} token */
export async function withZipJs(token) {
  const start = performance.now();
  const snapshot = await Snapshot.open(token);
  zip.configure({ useWebWorkers: true, useCompressionStream: true });
  const writer = new zip.ZipWriter(new zip.BlobWriter('application/zip'));
  const documents = snapshot.collections.map(({ name }) =>
    writer.add(`${name}.jsonl`, stream(snapshot.pages(name, PAGE))));
  const files = (await snapshot.attachments()).map((attachment) => {
    const bytes = async function* () {
      yield await snapshot.blob(attachment);
    };
    // Pictures and PDFs are compressed already; for storing them a worker is a detour.
    return writer.add(path(attachment), stream(bytes()), { level: 0, useWebWorkers: false });
  });
  await Promise.all([...documents, ...files]);
  const blob = await writer.close();
  await snapshot.close();
  return { ms: performance.now() - start, size: blob.size };
}
