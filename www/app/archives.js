// @ts-check
/** The finished archives that this browser and the server keep, and the addresses under which they can be downloaded. */

import { archiveAddress, listArchives, listServerArchives, openArchiveFile, removeArchive } from '../engine/index.js';
import { announce, ask, byId, fill, h, icon } from './dom.js';
import { explained, failurePanel } from './failure.js';
import { Failure } from './http.js';
import { bytes, dateTime, relative, words } from './language.js';
import { authorised, user } from './session.js';

/**
 * @typedef {import('../engine/protocol.js').Archive} Archive
 * @typedef {import('../engine/protocol.js').Interrupted} Interrupted
 */

/** How long the engine keeps one, in milliseconds. */
const KEPT = 24 * 3600 * 1000;

/** How long signing out waits for the list, in milliseconds. */
const PATIENCE = 5_000;

/**
 * Files opened so far with their addresses, by archive. They stay valid until the archive goes: nothing tells when a
 * download ends.
 *
 * @type {Map<string, { file: File, address: string }>}
 */
const opened = new Map();

/**
 * The address of an archive's file, for a link with `download`. The server gives one for some minutes, and each anew.
 *
 * @param {Archive} archive
 * @param {File | null} [file]
 */
export async function addressOf(archive, file) {
  if (archive.place === 'server') return authorised((auth) => archiveAddress(archive, { auth }));
  return (opened.get(archive.id) ?? remember(archive, file ?? (await openArchiveFile(archive)))).address;
}

/**
 * @param {Archive} archive
 * @param {File} file
 */
function remember({ id }, file) {
  const entry = { file, address: URL.createObjectURL(file) };
  opened.set(id, entry);
  return entry;
}

/** @param {string} id */
function forget(id) {
  const entry = opened.get(id);
  if (entry) URL.revokeObjectURL(entry.address);
  opened.delete(id);
}

/**
 * Starts the download of an archive that is still there.
 *
 * @param {Archive} archive
 * @throws {Failure} `archive-gone` when another tab has replaced or removed it
 */
export async function download(archive) {
  const address = await addressOf(archive).catch((error) => missing(archive, error));
  // The file of an archive that is gone has an address and a size, but nothing to read.
  await opened.get(archive.id)?.file.slice(0, 1).arrayBuffer().catch((error) => missing(archive, error));
  h('a', { href: address, download: archive.name }).click();
}

/**
 * @param {Archive} archive
 * @param {unknown} error why it could not be read
 * @returns {Promise<never>}
 */
async function missing(archive, error) {
  forget(archive.id);
  if (archive.place === 'server') throw error;
  const there = (await listArchives()).archives.some(({ id }) => id === archive.id);
  throw there ? error : new Failure('archive-gone', String(error), { subject: archive.name });
}

/**
 * Asks whoever signs out whether the archives are to stay for whoever comes next.
 *
 * @returns {Promise<boolean>} whether to go on signing out
 */
export async function offerRemoval() {
  const w = words().archives;
  // Nobody who wants to leave is held up by a storage that does not answer.
  const signal = AbortSignal.timeout(PATIENCE);
  const { archives, interrupted } = await listArchives({ signal }).catch(() => ({ archives: [], interrupted: [] }));
  const question = { title: w.leaveTitle, text: w.leaveText, yes: w.leaveYes, no: w.leaveNo, danger: true };
  const all = [...archives, ...interrupted];
  if (all.length === 0 || !(await ask(question))) return true;
  try {
    for (const archive of all) await discard(archive);
    return true;
  } catch (error) {
    const text = explained(/** @type {Failure} */ (error).kind).join(' ');
    return ask({ title: words().failure.archiveTitle, text, yes: w.leaveAnyway, no: w.stay });
  }
}

/** The archives that the server keeps for who is signed in. @returns {Promise<Archive[]>} */
async function ofServer() {
  return user() ? authorised((auth) => listServerArchives({ auth })) : [];
}

/** @param {Archive | Interrupted} archive */
export async function discard(archive) {
  await authorised((auth) => removeArchive(archive, { auth }));
  forget(archive.id);
}

/**
 * The list. It fills itself, and again on `reload`.
 *
 * @param {{ onremoved: (archive: Archive) => void,
 *   onlisted: (archives: Archive[], interrupted: Interrupted[]) => void }} options `onlisted` hears of those in this browser
 */
export function archiveList({ onremoved, onlisted }) {
  const w = words().archives;
  const problem = h('div');
  const list = h('ul', { class: 'rows', id: 'archives', 'aria-labelledby': 'archives-title' });

  async function load() {
    const listed = await listArchives().catch(unlisted);
    if (!listed) return;
    const { archives, interrupted } = listed;
    for (const id of opened.keys()) if (!archives.some((archive) => archive.id === id)) forget(id);
    show(archives);
    onlisted(archives, interrupted);
    // What is on the server comes when it comes, and a server that is away is told of elsewhere.
    const onServer = await ofServer().catch(() => []);
    if (onServer.length > 0) show([...archives, ...onServer]);
  }

  /** @param {Archive[]} archives */
  function show(archives) {
    archives.sort((a, b) => b.finished.localeCompare(a.finished));
    section.hidden = archives.length === 0 && problem.childElementCount === 0;
    fill(list, ...archives.map(row));
  }

  /** @param {Archive} archive */
  function row(archive) {
    const made = new Date(archive.finished);
    const until = new Date(made.getTime() + KEPT);
    const kept = { memory: () => w.untilClosed, disk: w.until, server: w.onServerUntil }[archive.place](dateTime(until));
    return h(
      'li',
      { 'data-archive': archive.id, 'data-name': archive.name },
      h('span', { class: 'tile' }, icon('file')),
      h(
        'div',
        { class: 'grow' },
        h('p', { class: 'name' }, archive.name),
        h(
          'p',
          { class: 'about' },
          [
            bytes(archive.size),
            words().documents(archive.documents),
            h('time', { datetime: archive.finished, title: dateTime(made) }, w.created(relative(made))),
            kept,
          ].flatMap((part, index) => (index === 0 ? [part] : [' · ', part])),
        ),
      ),
      h(
        'div',
        { class: 'actions' },
        h(
          'button',
          {
            type: 'button',
            class: 'small',
            'data-action': 'download',
            'aria-label': w.downloadNamed(archive.name),
            onclick: () => attempt(download, archive),
          },
          icon('download'),
          w.download,
        ),
        h(
          'button',
          {
            type: 'button',
            class: 'small quiet',
            'data-action': 'remove',
            'aria-label': w.removeNamed(archive.name),
            onclick: () => attempt(remove, archive),
          },
          icon('trash'),
          w.remove,
        ),
      ),
    );
  }

  /** @param {Archive} archive */
  async function remove(archive) {
    const text = archive.place === 'server' ? w.removeServerText(archive.name) : w.removeText(archive.name);
    if (!(await ask({ title: w.removeTitle, text, yes: w.removeYes, no: w.removeNo, danger: true }))) return;
    await discard(archive);
    announce(w.removed);
    onremoved(archive);
    await load();
    byId(section.hidden ? 'main' : 'archives-title')?.focus();
  }

  /**
   * @param {(archive: Archive) => Promise<void>} action
   * @param {Archive} archive
   */
  async function attempt(action, archive) {
    fill(problem);
    try {
      await action(archive);
    } catch (error) {
      report(error);
      await load();
    }
  }

  /** @param {Failure} error */
  function unlisted(error) {
    // Without the engine there is no list, and the view says so already.
    if (error.kind === 'engine-unavailable') return;
    report(error);
    section.hidden = false;
  }

  /** @param {unknown} error */
  function report(error) {
    const options = { id: 'archive-error', title: words().failure.archiveTitle, about: /** @type {const} */ ('archive') };
    const dismiss = () => {
      fill(problem);
      section.hidden = list.childElementCount === 0;
    };
    fill(problem, failurePanel(/** @type {Error} */ (error), { ...options, dismiss }));
  }

  const section = h(
    'section',
    { class: 'card', hidden: true },
    h('h2', { id: 'archives-title', tabindex: -1 }, w.title),
    h('p', { class: 'hint' }, w.lead),
    problem,
    list,
  );
  void load();
  return { section, reload: load };
}
