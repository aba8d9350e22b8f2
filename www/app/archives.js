// @ts-check
/** The finished archives that this browser keeps, and the addresses under which they can be downloaded. */

import { listArchives, openArchiveFile, removeArchive } from '../engine/index.js';
import { announce, ask, byId, fill, h, icon } from './dom.js';
import { failurePanel } from './failure.js';
import { bytes, dateTime, relative, words } from './language.js';

/** @typedef {import('../engine/protocol.js').Archive} Archive */

/** How long the engine keeps one, in milliseconds. */
const KEPT = 24 * 3600 * 1000;

/**
 * Addresses given out so far, by archive. They stay valid until the archive goes: nothing tells when a download ends.
 *
 * @type {Map<string, string>}
 */
const addresses = new Map();

/**
 * The address of an archive's file, for a link with `download`.
 *
 * @param {Archive} archive
 * @param {File} [file]
 */
export async function addressOf(archive, file) {
  let address = addresses.get(archive.id);
  if (!address) {
    address = URL.createObjectURL(file ?? (await openArchiveFile(archive)));
    addresses.set(archive.id, address);
  }
  return address;
}

/** Lets go of every address: the next backup is about to replace the archives. */
export function forgetAddresses() {
  for (const address of addresses.values()) URL.revokeObjectURL(address);
  addresses.clear();
}

/**
 * The list. It fills itself.
 *
 * @param {{ onremoved: (archive: Archive) => void, onlisted: (archives: Archive[]) => void }} options
 */
export function archiveList({ onremoved, onlisted }) {
  const w = words().archives;
  const problem = h('div');
  const list = h('ul', { class: 'rows', id: 'archives', 'aria-labelledby': 'archives-title' });

  async function load() {
    // Without the engine there is no list, and the view says so already.
    const archives = await listArchives().catch(() => []);
    archives.sort((/** @type {Archive} */ a, /** @type {Archive} */ b) => b.finished.localeCompare(a.finished));
    section.hidden = archives.length === 0 && problem.childElementCount === 0;
    fill(list, ...archives.map(row));
    onlisted(archives);
  }

  /** @param {Archive} archive */
  function row(archive) {
    const made = new Date(archive.finished);
    const until = new Date(made.getTime() + KEPT);
    const kept = archive.place === 'memory' ? w.untilClosed : w.until(dateTime(until));
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
  async function download(archive) {
    h('a', { href: await addressOf(archive), download: archive.name }).click();
  }

  /** @param {Archive} archive */
  async function remove(archive) {
    const text = w.removeText(archive.name);
    if (!(await ask({ title: w.removeTitle, text, yes: w.removeYes, no: w.removeNo, danger: true }))) return;
    await removeArchive(archive);
    const address = addresses.get(archive.id);
    if (address) URL.revokeObjectURL(address);
    addresses.delete(archive.id);
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
      const options = {
        id: 'archive-error',
        title: words().failure.archiveTitle,
        about: /** @type {const} */ ('archive'),
      };
      fill(problem, failurePanel(/** @type {Error} */ (error), { ...options, dismiss: () => fill(problem) }));
      await load();
    }
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
  return section;
}
