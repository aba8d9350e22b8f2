// @ts-check
/** A failure, as the person who has to live with it needs it: what happened, what is unharmed, what to do. */

import { damagedList, leavable } from './damaged.js';
import { copyButton, h, icon } from './dom.js';
import { bytes, words } from './language.js';

/**
 * @typedef {{ kind?: string, message?: string, subject?: string | null, expected?: string | null, actual?: string | null,
 *   interrupted?: string | null, data?: unknown, damaged?: import('../engine/protocol.js').Missing[] }} Problem
 * @typedef {keyof import('./language.js').Words['failure']['unchanged']} About
 */

/** @type {readonly About[]} */
const RESTORES = ['restore', 'restoreFile', 'restoreKept', 'unsure'];

/** @type {readonly About[]} */
const ON_SERVER = ['run', 'runKept', 'stored', 'tokens'];

/**
 * @param {Problem} problem
 * @param {{ id?: string, title: string, about: About, within?: boolean, again?: () => void, goOn?: () => void,
 *   onServer?: () => void, without?: (keys: import('../engine/protocol.js').DocumentKey[]) => void, dismiss?: () => void }}
 *   options `within` a card, which has a title of its own; `goOn` goes on where it stopped, `onServer` has the server do it,
 *   `without` leaves out what is damaged
 */
export function failurePanel(problem, { id = 'error', title, about, within = false, again, goOn, onServer, without, dismiss }) {
  const w = words().failure;
  const kind = problem.kind ?? 'internal';
  const [what, todo] = explained(kind, about);
  const cancelled = kind === 'cancelled';
  const damaged = problem.damaged ?? [];
  const keys = without && leavable(damaged);
  const action = (/** @type {string} */ name, /** @type {string} */ text, /** @type {(() => void) | undefined} */ onclick) => {
    const first = name === (goOn ? 'resume' : 'again');
    const properties = { type: 'button', class: first && 'primary', id: `${id}-${name}`, onclick };
    return onclick && h('button', properties, first && icon('again'), text);
  };
  return h(
    'section',
    {
      class: `card failure ${cancelled ? 'calm' : ''}`,
      id,
      'data-kind': kind,
      role: 'alert',
      'aria-labelledby': `${id}-title`,
    },
    h('div', { class: 'emblem' }, icon(cancelled ? 'stop' : 'alert')),
    h(within ? 'h3' : 'h1', { id: `${id}-title`, tabindex: -1 }, cancelled ? w.cancelledTitle : title),
    h('p', { class: 'lead' }, `${what} ${room(problem, about)}`),
    h('p', {}, w.unchanged[about]),
    h('p', { class: 'todo' }, todo),
    damagedList(damaged, { id: `${id}-damaged` }),
    keys && h('p', { class: 'note warn', id: `${id}-consequences` }, icon('alert'), h('span', {}, words().damaged.consequences)),
    h(
      'div',
      { class: 'actions' },
      action('resume', w.goOn, goOn),
      action('again', goOn ? w.startOver : w.again, again),
      action('server', w.onServer, onServer),
      action('without', words().damaged.leaveOut(keys?.length ?? 0), keys && without && (() => without(keys))),
      action('dismiss', w.dismiss, dismiss),
    ),
    !cancelled && details(problem, kind, id),
  );
}

/**
 * What a kind means and what to do about it.
 *
 * @param {string} [kind]
 * @param {About} [about] what failed, where some kinds read otherwise of it
 */
export function explained(kind = 'internal', about = 'backup') {
  const { errors, restoreErrors, serverErrors } = words();
  const table = /** @type {Record<string, readonly string[]>} */ (
    { ...errors, ...(RESTORES.includes(about) && restoreErrors), ...(ON_SERVER.includes(about) && serverErrors) }
  );
  return table[kind] ?? table['internal'] ?? [];
}

/**
 * How much room is needed and how much there is, where that is the trouble.
 *
 * @param {Problem} problem
 * @param {About} about
 */
function room({ kind, expected, actual }, about) {
  const [need = NaN, free = NaN] = [expected, actual].map((text) => Number(/^(\d+) (?:bytes|free)$/.exec(text ?? '')?.[1]));
  const w = words().failure;
  const full = kind === 'no-space' || kind === 'server-full';
  return full && need > free ? (ON_SERVER.includes(about) ? w.roomOnServer : w.room)(bytes(need), bytes(free)) : '';
}

/**
 * @param {Problem} problem
 * @param {string} kind
 * @param {string} id
 */
function details({ message, subject, expected, actual }, kind, id) {
  const w = words().failure;
  const rows = /** @type {[string, string | null | undefined][]} */ ([
    [w.kind, kind],
    [w.message, message],
    [w.subject, subject],
    [w.expected, expected],
    [w.actual, actual],
    [w.moment, new Date().toISOString()],
  ]).filter(([, value]) => value);
  const text = rows.map(([label, value]) => `${label}: ${value}`).join('\n');
  const list = h(
    'dl',
    { class: 'technical' },
    rows.flatMap(([label, value]) => [h('dt', {}, label), h('dd', {}, value)]),
  );
  return h(
    'details',
    { class: 'more' },
    h('summary', {}, w.details),
    list,
    copyButton({
      id: `${id}-copy`,
      text: () => text,
      source: list,
      label: w.copy,
      done: w.copied,
      select: w.selected,
    }),
  );
}
