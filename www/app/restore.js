// @ts-check
/** The Restore view: a file, what of it to restore and how; what that would change; what it has changed. */

import { byCategory, categoryTable } from './contents.js';
import { fill, h, icon } from './dom.js';
import { dropZone } from './drop.js';
import { explained, failurePanel } from './failure.js';
import { concernsManifest, damage } from './file.js';
import { bytes, dateTime, number, relative, words } from './language.js';
import { pointsCard } from './points.js';
import { previewPanel } from './preview.js';
import { restoredPanel } from './restored.js';
import { NAMES, restoring } from './restoring.js';
import { runningPanel } from './running.js';
import { served } from './served.js';

/**
 * @typedef {import('./failure.js').Problem} Problem
 * @typedef {import('./restoring.js').Backup} Backup
 * @typedef {import('./restoring.js').Mode} Mode
 * @typedef {import('../engine/protocol.js').RunningRestore} RunningRestore
 */

/** Failures that concern one entry of the file, which has to be named for whoever wants to leave it out. */
const OF_THE_FILE = ['damaged-entry', 'damaged-part', 'missing-entry', 'bad-document', 'limit-exceeded', 'conflicting-entries'];

const MODES = /** @type {const} */ (['full', 'identical', 'update']);

/**
 * @param {{ onended: () => void }} options called when the login turns out to have ended
 */
export function restoreView({ onended }) {
  const { state, preview, outcome, backup } = restoring;
  if (state === 'staging') return [runningPanel(restoring, words().staging)];
  if (state === 'committing' || state === 'comparing') return [waitingPanel(state)];
  if (state === 'ready' && preview) return [failure(), previewPanel(preview)];
  if (state === 'done' && outcome) return [restoredPanel(outcome, { undo: true }), pointsCard()];
  const cards = [sourceCard(), backup && choiceCard(backup)];
  void check(cards.filter((card) => card !== null), onended);
  return [recovered(), failure(), ...cards, pointsCard()];
}

/**
 * Says at once where this login can restore nothing.
 *
 * @param {Element[]} cards
 * @param {() => void} onended
 */
async function check(cards, onended) {
  try {
    await served();
  } catch (error) {
    const problem = /** @type {Problem} */ (error);
    if (problem.kind === 'unauthorized') return onended();
    if (problem.kind !== 'forbidden' && problem.kind !== 'engine-unavailable') return;
    const [first, ...others] = cards;
    others.forEach((card) => card.remove());
    first?.replaceWith(failurePanel(problem, { title: words().restore.never, about: 'restore' }));
  }
}

/** What went wrong last. */
function failure() {
  const { error, unsure } = restoring;
  if (!error) return null;
  const w = words().restore;
  const running = error.kind === 'restore-running' ? /** @type {RunningRestore | null} */ (error.data) : null;
  const again = { chosen: () => restoring.prepare(), idle: unsure ? () => restoring.recover() : undefined }[
    restoring.state === 'chosen' ? 'chosen' : 'idle'
  ];
  const useless = running || NAMES.includes(error.kind ?? '') || restoring.state === 'ready';
  const panel = failurePanel(error, {
    title: unsure ? w.unsureTitle : w.failedTitle,
    about: unsure ? 'unsure' : restoring.state === 'ready' ? 'restoreKept' : restoring.backup ? 'restore' : 'restoreFile',
    again: useless || !again ? undefined : () => void again(),
    dismiss: () => restoring.dismiss(),
  });
  if (error.subject && OF_THE_FILE.includes(error.kind ?? '')) {
    const where = h('p', { id: 'error-subject' }, `${words().failure.subject}: `, h('bdi', {}, error.subject));
    panel.querySelector('.lead')?.after(where);
  }
  if (running) {
    const { id, user, begun, called } = running;
    const age = (/** @type {string} */ moment) => relative(new Date(moment));
    panel.querySelector('.todo')?.replaceWith(
      h('p', { class: 'todo', id: 'in-the-way' }, w.running(user, dateTime(begun), age(called))),
    );
    panel.querySelector('.actions')?.prepend(
      h('button', { type: 'button', class: 'danger', id: 'insist', onclick: () => void restoring.prepare(id) }, w.insist),
    );
  }
  return panel;
}

function recovered() {
  if (!restoring.recovered) return null;
  return h(
    'p',
    { class: 'note', id: 'recovered', role: 'status' },
    icon('info'),
    h('span', {}, words().restore.recovered),
  );
}

/** @param {'committing' | 'comparing'} state */
function waitingPanel(state) {
  const w = words().restore[state];
  return h(
    'section',
    { class: 'card', id: state, 'aria-labelledby': 'waiting-title' },
    h('h1', { id: 'waiting-title', tabindex: -1 }, w.title),
    h('p', { class: 'lead' }, w.lead),
    h('progress', { 'aria-label': w.title }),
  );
}

/** The file, and what is known of it. */
function sourceCard() {
  const w = words().restore;
  const { backup, state } = restoring;
  const opening = state === 'opening';
  const whose = h('p', { class: 'eyebrow', id: 'restore-business' });
  void served().then(({ source }) => fill(whose, w.into(source.business)), () => {});
  return h(
    'section',
    { class: 'card hero', 'aria-labelledby': 'restore-title' },
    whose,
    h('h1', { id: 'restore-title', tabindex: -1 }, w.title),
    h('p', { class: 'lead' }, w.lead),
    dropZone({ id: 'restore-file', onfile: (file) => void restoring.open(file), again: backup !== null }),
    opening &&
      h(
        'div',
        { class: 'actions' },
        h('p', { class: 'hint', role: 'status' }, words().file.opening),
        h(
          'button',
          { type: 'button', class: 'small', id: 'restore-cancel-opening', onclick: () => restoring.close() },
          icon('stop'),
          words().file.cancel,
        ),
      ),
    backup && facts(backup),
  );
}

/** @param {Backup} backup */
function facts({ name, manifest, summary: { size, collections, attachments, problems, found } }) {
  const w = words().file;
  const { verdict } = words().restore;
  const documents = collections.reduce((all, row) => all + row.documents, 0);
  const fact = (/** @type {string} */ label, /** @type {string | Node | null} */ value, broad = false) =>
    h('div', { class: broad && 'broad' }, h('dt', {}, label), h('dd', {}, value ?? w.unknown));
  const made = manifest && new Date(manifest.created);
  const age = made && !Number.isNaN(made.getTime()) ? ` (${relative(made)})` : '';
  const says = manifest ? verdict.known(manifest.version) : problems.some(concernsManifest) ? w.badManifest : verdict.none;
  const foreign = h('p', { class: 'note warn', id: 'foreign', hidden: true });
  const origin = originOf(manifest);
  void served().then(({ source }) => {
    foreign.hidden = source.installation === origin?.installation;
    const { foreign: other, unknownOrigin } = words().restore;
    const says = origin ? other(origin.business, source.business) : unknownOrigin(source.business);
    fill(foreign, icon('alert'), h('span', {}, says));
  }, () => {});
  return h(
    'section',
    { class: 'opened', id: 'restore-facts', 'aria-labelledby': 'restore-name' },
    h('h2', { id: 'restore-name', tabindex: -1 }, name),
    h(
      'dl',
      { class: 'figures' },
      fact(w.created, manifest && h('time', { datetime: manifest.created }, dateTime(manifest.created) + age), true),
      fact(w.business, manifest && manifest.source.business),
      fact(w.product, manifest && manifest.source.product),
      fact(w.size, bytes(size)),
      fact(w.documents, number(documents)),
      fact(w.files, number(attachments)),
    ),
    problems.length > 0 && damage(problems, found),
    foreign,
    h('p', { class: 'note' }, icon(manifest ? 'check' : 'info'), h('span', {}, says)),
  );
}

/**
 * Whose backup it is, where it says so in full.
 *
 * @param {Backup['manifest']} manifest
 */
function originOf(manifest) {
  const { installation = '', business = '' } = manifest?.source ?? {};
  return installation.trim() && business.trim() ? { installation, business } : null;
}

/**
 * What of it, and how.
 *
 * @param {Backup} backup
 */
function choiceCard({ manifest, summary: { collections, problems } }) {
  const w = words().restore;
  // A newer program may mean something else by what it wrote.
  if (problems.some(({ kind }) => kind === 'newer-format')) return null;
  const all = byCategory(collections);
  // What DiKAS does not know is restored with all else or not at all.
  const known = new Map([...all].filter(([category]) => category !== 'other'));
  const table = h('fieldset', { class: 'plain', 'aria-label': w.what });
  const trouble = h('p', { class: 'hint', id: 'restore-trouble', role: 'status' });
  const show = h('button', { class: 'primary big', id: 'show-changes' }, icon('eye'), w.show);
  const names = h('div', { class: 'field', hidden: true });
  let wanted = '';

  function update() {
    const nothing = restoring.mode !== 'full' && known.size === restoring.leftOut.size;
    const unnamed = wanted !== '' && restoring.businessName.trim() !== wanted;
    show.disabled = nothing || unnamed;
    fill(trouble, nothing ? words().backup.nothingChosen : unnamed ? w.unnamed : null);
  }

  /** @param {Mode} mode */
  function choose(mode) {
    restoring.mode = mode;
    if (mode === 'full') restoring.leftOut.clear();
    const sums = mode === 'full' ? all : known;
    fill(table, categoryTable({ sums, leftOut: restoring.leftOut, onchange: update }));
    table.disabled = mode === 'full';
    update();
  }

  /**
   * @param {string | null} backup the name of the backup's business, where it is known
   * @param {string} here
   */
  function askName(backup, here) {
    wanted = (backup ?? here).trim();
    const input = h('input', {
      id: 'business-name',
      autocomplete: 'off',
      autocapitalize: 'off',
      spellcheck: 'false',
      value: restoring.businessName,
      oninput: () => ((restoring.businessName = input.value), update()),
    });
    names.hidden = false;
    fill(names, h('label', { for: 'business-name' }, backup === null ? w.typeHere(here) : w.typeName(backup)), input);
    update();
  }

  const origin = originOf(manifest);
  if (restoring.foreign) askName(restoring.foreign.backup, restoring.foreign.here);
  else {
    void served().then(({ source }) => {
      if (source.installation !== origin?.installation) askName(origin?.business ?? null, source.business);
    }, () => {});
  }

  choose(restoring.mode);
  return h(
    'section',
    { class: 'card', 'aria-labelledby': 'choice-title' },
    h('h2', { id: 'choice-title' }, w.choice),
    h(
      'form',
      { onsubmit: (/** @type {Event} */ event) => (event.preventDefault(), void restoring.prepare()) },
      h(
        'fieldset',
        { class: 'choices', 'aria-label': w.how },
        MODES.map((mode) =>
          h(
            'label',
            { class: 'pick choice' },
            h('input', {
              type: 'radio',
              name: 'mode',
              id: `mode-${mode}`,
              value: mode,
              checked: restoring.mode === mode,
              onchange: () => choose(mode),
            }),
            h('span', {}, h('span', { class: 'name' }, w.modes[mode][0]), h('span', { class: 'about' }, w.modes[mode][1])),
          ),
        ),
      ),
      table,
      names,
      h('p', { class: 'hint' }, w.harmless),
      h(
        'div',
        { class: 'actions' },
        show,
        h('button', { type: 'button', class: 'quiet', id: 'restore-close', onclick: () => restoring.close() }, words().file.close),
      ),
      trouble,
    ),
  );
}
