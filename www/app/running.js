// @ts-check
/** What a running backup or restore is doing: in words, as a bar, in figures, and as something that a screen reader says. */

import { collectionName } from './contents.js';
import { announce, fill, h, icon } from './dom.js';
import { bytes, clock, duration, number, percent } from './language.js';

/**
 * @typedef {import('../engine/protocol.js').Phase} Phase
 * @typedef {import('./work.js').Work} Work
 * @typedef {import('./language.js').Words['running'] | import('./language.js').Words['staging']} RunningWords
 */

/** Nothing is said more often than every so many seconds, a new phase excepted. */
const SAY_EVERY = 15;

/** After so many seconds without anything new the person is told that this is not forgotten. */
const STILL = 12;

/** Phases whose subject is a collection. @type {readonly Phase[]} */
const NAMED = ['documents', 'attachments', 'stage'];

/** Phases in which nothing is expected to arrive. @type {readonly Phase[]} */
const QUIET = ['finish', 'verify', 'check', 'preview'];

/**
 * The panel keeps itself up to date for as long as it is shown.
 *
 * @param {Work} job
 * @param {RunningWords} w
 */
export function runningPanel(job, w) {
  const phase = h('p', { id: 'phase', class: 'phase' });
  const bar = h('progress', { id: 'progress', max: 1, value: 0, 'aria-label': w.progress });
  const share = h('output', { class: 'share', id: 'percent', 'aria-hidden': 'true' });
  const steps = h('ol', { class: 'steps', 'aria-label': w.steps });
  const figures = h('dl', { class: 'figures' });
  const notices = h('div', { class: 'notices', id: 'notices', role: 'status' });
  const cancel = h('button', { type: 'button', id: 'cancel', onclick: () => job.cancel() }, icon('stop'), w.cancel);

  let saidPhase = '';
  let saidAt = 0;
  let shownNotices = '';

  const phases = /** @type {Phase[]} */ (Object.keys(w.phases));

  function update() {
    if (!panel.isConnected && saidPhase) return job.removeEventListener('tick', update);
    const { progress, pace } = job;
    const left = leftInWords(job, w);
    phase.textContent = doing(job, w);
    bar.value = pace.fraction;
    share.textContent = percent(pace.fraction);
    fill(steps, ...phases.map((phase) => step(phase, phases, job, w)));
    fill(figures, ...figure('left', w.left, left), ...figure('elapsed', w.elapsed, clock(job.elapsed)));
    if (progress) {
      const of = (/** @type {string} */ done, /** @type {string} */ all) => w.of(done, all);
      figures.append(
        ...figure('documents', w.documents, of(number(progress.documents), number(progress.documentsTotal))),
        ...figure('files', w.files, of(number(progress.attachments), number(progress.attachmentsTotal))),
        ...figure('bytes', w.data, of(bytes(progress.bytes), bytes(progress.bytesTotal))),
        ...figure('rate', w.rate, pace.rate ? w.perSecond(bytes(pace.rate)) : '–'),
      );
    }
    const waiting = job.still > STILL && !QUIET.includes(progress?.phase ?? 'open');
    const codes = [...job.notices.map(({ kind }) => kind), ...(waiting ? /** @type {const} */ (['waiting']) : [])];
    if (shownNotices !== codes.join()) {
      shownNotices = codes.join();
      fill(
        notices,
        ...codes.map((code) => h('p', { 'data-code': code }, icon('info'), h('span', {}, w.notices[code]))),
      );
    }
    if (job.cancelling) {
      cancel.disabled = true;
      cancel.lastChild?.replaceWith(w.cancelling);
    }
    say(left);
  }

  /** @param {string} left */
  function say(left) {
    const now = performance.now() / 1000;
    const current = job.progress?.phase ?? 'open';
    if (current === saidPhase && now - saidAt < SAY_EVERY) return;
    const share = percent(job.pace.fraction);
    const further = left === w.estimating ? w.sayEstimating(share) : w.say(share, left);
    announce(current === saidPhase ? further : doing(job, w));
    saidPhase = current;
    saidAt = now;
  }

  const panel = h(
    'section',
    { class: 'card running', id: 'running', 'aria-labelledby': 'running-title' },
    h('h1', { id: 'running-title', tabindex: -1 }, w.title),
    phase,
    h('div', { class: 'bar' }, bar, share),
    steps,
    figures,
    notices,
    h('p', { class: 'hint' }, w.keepOpen),
    h('div', { class: 'actions' }, cancel),
  );
  job.addEventListener('tick', update);
  update();
  return panel;
}

/**
 * @param {string} name a stable hook for tests
 * @param {string} label
 * @param {string} value
 */
function figure(name, label, value) {
  return [h('div', { 'data-figure': name }, h('dt', {}, label), h('dd', {}, value))];
}

/**
 * @param {Phase} phase
 * @param {readonly Phase[]} phases
 * @param {Work} job
 * @param {RunningWords} w
 */
function step(phase, phases, job, w) {
  // What comes before the first phase, or looks through what is there already, is part of it.
  const at = Math.max(0, phases.indexOf(job.progress?.phase ?? 'open'));
  const place = phases.indexOf(phase);
  const state = place < at ? 'done' : place === at ? 'now' : 'todo';
  return h(
    'li',
    { 'data-state': state, 'aria-current': state === 'now' && 'step' },
    h('span', { class: 'dot' }, state === 'done' && icon('check')),
    h('span', {}, /** @type {Record<string, string>} */ (w.phases)[phase]),
    state === 'done' && h('span', { class: 'unseen' }, `, ${w.done}`),
  );
}

/**
 * @param {Work} job
 * @param {RunningWords} w
 */
function doing(job, w) {
  const { phase = 'open', subject } = job.progress ?? {};
  const what = /** @type {Record<string, string>} */ (w.doing)[phase] ?? '';
  const named = subject && NAMED.includes(phase);
  return named ? `${what}: ${collectionName(subject)}` : what;
}

/**
 * @param {Work} job
 * @param {RunningWords} w
 */
function leftInWords(job, w) {
  const left = job.secondsLeft;
  if (left === null || job.elapsed < 2) return w.estimating;
  return left < 4 ? w.soon : w.about(duration(left));
}
