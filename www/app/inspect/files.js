// @ts-check
/** Pictures and files of documents. Only what is a PNG, JPEG, WebP or GIF by its first bytes becomes a picture on the page. */

import { collectionName, inOrder } from '../contents.js';
import { fill, h, icon } from '../dom.js';
import { bytes, number, words } from '../language.js';
import { follow } from './follow.js';
import { inspecting } from './inspecting.js';
import { problemLine } from './problems.js';
import { progressLine } from './progress.js';
import { fileName, save } from './save.js';

/** @typedef {import('../../engine/protocol.js').AttachmentInfo} AttachmentInfo */

/** So many are shown at once. */
const SHOWN = 60;

/** What is larger than this is not read for a small picture. */
const LARGE = 24 << 20;

/** Pictures of the browser's own kinds that cannot run anything, by their first bytes. */
const PICTURES = /** @type {const} */ ([
  ['image/png', /^\x89PNG\r\n\x1a\n/],
  ['image/jpeg', /^\xff\xd8\xff/],
  ['image/webp', /^RIFF[^]{4}WEBP/],
  ['image/gif', /^GIF8[79]a/],
]);

/**
 * The type of a picture that can be shown; null where it is none.
 *
 * @param {Blob} blob
 * @returns {Promise<string | null>}
 */
export async function pictureType(blob) {
  const head = String.fromCharCode(...new Uint8Array(await blob.slice(0, 16).arrayBuffer()));
  return PICTURES.find(([, magic]) => magic.test(head))?.[0] ?? null;
}

export function filesRoom() {
  const w = words().inspect;
  const { backup } = inspecting;
  if (!backup) return [];
  const tiles = h('ul', { class: 'tiles', id: 'tiles' });
  const place = h('span', { class: 'hint', id: 'files-place' });
  const owners = inOrder(backup.summary.collections.filter(({ attachments }) => attachments > 0));
  const turn = (/** @type {string} */ name, /** @type {number} */ by) =>
    h('button', { type: 'button', class: 'small', id: `files-${name}`, onclick: () => show(inspecting.filesFrom + by) }, by < 0 ? w.filesBefore : w.filesNext);
  const [before, next] = [turn('before', -SHOWN), turn('next', SHOWN)];
  const pages = h('div', { class: 'actions' }, before, place, next);
  const writing = h('div', {});
  const choice = h(
    'select',
    { id: 'files-of', onchange: () => ((inspecting.filesOf = choice.value), void show(0)) },
    h('option', { value: '' }, w.everywhere),
    owners.map(({ name }) => h('option', { value: name, selected: name === inspecting.filesOf }, collectionName(name))),
  );

  /** @param {number} from */
  async function show(from) {
    if (!backup) return;
    inspecting.filesFrom = from;
    const { attachments, total } = await backup.attachments({ from, count: SHOWN, collection: inspecting.filesOf || undefined });
    fill(tiles, attachments.map((file) => fileTile(file, { owner: true })));
    place.textContent = w.filesOf(number(from + 1), number(from + attachments.length), number(total));
    before.disabled = from === 0;
    next.disabled = from + attachments.length >= total;
    pages.hidden = total === 0;
  }

  async function zip() {
    if (!backup) return;
    const name = fileName(`${inspecting.name.replace(/\.zip$/i, '')} ${words().inspect.files}.zip`);
    const written = inspecting.takeOut.run(async (reading) => ({
      file: await backup.exportAttachments({ collection: inspecting.filesOf || undefined, name, ...reading }),
    }));
    fill(writing, progressLine(inspecting.takeOut, { id: 'files-writing', say: w.takingOut }));
    const file = (await written)?.file;
    const { error, state } = inspecting.takeOut;
    fill(writing, file ? h('p', { class: 'hint', role: 'status' }, w.takenOut(name, bytes(file.size))) : error && state === 'failed' && problemLine(error));
    if (file) save(file, name);
  }

  if (backup.summary.attachments === 0) return [h('section', { class: 'card' }, h('h2', {}, w.filesTitle), h('p', {}, w.filesNone))];
  void show(inspecting.filesFrom);
  return [
    h(
      'section',
      { class: 'card', 'aria-labelledby': 'files-title' },
      h('h2', { id: 'files-title' }, w.filesTitle),
      h(
        'div',
        { class: 'actions' },
        h('label', { class: 'inline' }, w.filesIn, choice),
        h('button', { type: 'button', class: 'small', id: 'files-zip', onclick: () => void zip() }, icon('download'), w.filesZip),
      ),
      writing,
      h('p', { class: 'hint', id: 'not-found', role: 'status' }),
      tiles,
      pages,
    ),
  ];
}

/**
 * A file with its picture, where it is one, as soon as it comes into sight.
 *
 * @param {AttachmentInfo} file
 * @param {{ owner: boolean }} options
 */
export function fileTile({ path, collection, id, name, size }, { owner }) {
  const w = words().inspect;
  const picture = h('div', { class: 'picture' }, icon('file'));
  const tile = h(
    'li',
    { class: 'file', 'data-path': path },
    picture,
    h('p', { class: 'name', title: name }, name),
    h('p', { class: 'about' }, bytes(size)),
    owner && id !== null
      ? h('button', { type: 'button', class: 'link', title: w.fileOwner(id), onclick: () => void follow(id, collection ?? undefined) }, id)
      : null,
    h('button', { type: 'button', class: 'small', 'aria-label': w.fileSave(name), 'data-action': 'save', onclick: () => void keep() }, icon('download'), w.save),
  );

  async function keep() {
    const content = await read();
    if (content) save(content, fileName(name));
  }

  async function read() {
    try {
      return await inspecting.backup?.attachment(path);
    } catch (error) {
      tile.dataset.state = 'broken';
      fill(picture, icon('alert'), h('span', {}, w.fileBroken));
      picture.title = String(error);
    }
  }

  async function look() {
    if (size > LARGE) return fill(picture, icon('file'), h('span', {}, w.fileLarge));
    const content = await read();
    const type = content && (await pictureType(content));
    if (!content || !type || !tile.isConnected) return;
    const address = URL.createObjectURL(content.slice(0, content.size, type));
    const gone = () => URL.revokeObjectURL(address);
    fill(picture, h('img', { src: address, alt: name, decoding: 'async', onload: gone, onerror: () => (gone(), fill(picture, icon('file'))) }));
  }

  whenSeen(tile, () => void look());
  return tile;
}

/** @type {WeakMap<Element, () => void>} */
const waiting = new WeakMap();

const observer = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      observer.unobserve(target);
      waiting.get(target)?.();
    }
  },
  { rootMargin: '200px' },
);

/** @param {Element} element @param {() => void} call */
function whenSeen(element, call) {
  waiting.set(element, call);
  observer.observe(element);
}
