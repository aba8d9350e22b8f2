// @ts-check
/** What the server does by itself: when, where, what stays, how it went, and a run at once. */

import { collectionName } from '../contents.js';
import { announce, copyButton, fill, h, icon } from '../dom.js';
import { explained, failurePanel } from '../failure.js';
import { bytes, dateTime, percent, relative, words } from '../language.js';
import { Pace } from '../pace.js';
import { ask } from '../server.js';
import { inWords } from './when.js';

/**
 * @typedef {import('../../engine/protocol.js').ScheduleState} State
 * @typedef {import('../../engine/protocol.js').Schedule} Schedule
 * @typedef {import('../../engine/protocol.js').Attempt} Attempt
 * @typedef {import('../../engine/protocol.js').Progress} Progress
 * @typedef {import('../failure.js').Problem} Problem
 */

/** How long until the server is asked again, in milliseconds: while a backup is made, and else. */
const SOON = 1_000;
const LATER = 30_000;

/** The lines that make the server back up every night. */
const LINES = `[backup]
when = "0 4 * * *"
zone = "Europe/Berlin"
folder = "/var/backups/dikas"
`;

/**
 * The card keeps itself up to date for as long as it is shown.
 *
 * @param {{ onended: (attempt: Attempt | null) => void, onfailed: (problem: Problem) => boolean }} options `onended` hears of a
 *   run that has ended; `onfailed` says whether it deals with a failure itself
 */
export function scheduleCard({ onended, onfailed }) {
  const w = words().automatic;
  const when = h('p', { class: 'amount', id: 'schedule-when' });
  const facts = h('div', { class: 'stack' }, h('p', { class: 'hint', role: 'status' }, w.loading));
  const failed = h('div', { class: 'stack' });
  const problem = h('div');
  const unheard = h('div');
  const progress = h('div', { class: 'stack' });
  const run = h('button', { type: 'button', class: 'primary big', id: 'run-now', hidden: true, 'aria-describedby': 'run-hint', onclick: runNow }, icon('play'), w.run);
  const hint = h('p', { class: 'hint', id: 'run-hint', hidden: true }, w.runHint);
  /** The last run that was shown: its times do not tell it, for two can end within a second. @type {string | null} */
  let shownRun = null;
  let shownFailure = '';
  let pace = new Pace();
  let polling = 0;

  /** Asks, and again after a while: one chain of questions at a time. */
  async function poll() {
    const mine = ++polling;
    do {
      const running = await load();
      await new Promise((resolve) => setTimeout(resolve, running ? SOON : LATER));
      if (document.hidden) await new Promise((resolve) => document.addEventListener('visibilitychange', resolve, { once: true }));
    } while (mine === polling && card.isConnected);
  }

  /** @returns {Promise<boolean>} whether a backup is being made */
  async function load() {
    try {
      const state = /** @type {State} */ (await ask('/backup/schedule'));
      show(state);
      fill(unheard);
      return state.running !== null;
    } catch (error) {
      const { kind } = /** @type {Problem} */ (error);
      const said = unheard.firstElementChild?.getAttribute('data-kind') === kind;
      if (!onfailed(/** @type {Problem} */ (error)) && !said) {
        fill(unheard, h('p', { class: 'problem', id: 'schedule-unheard', 'data-kind': kind, role: 'alert' }, icon('alert'), h('span', {}, explained(kind, 'stored').join(' '))));
      }
      return false;
    }
  }

  async function runNow() {
    run.disabled = true;
    fill(problem);
    try {
      show(await ask('/backup/schedule/run', { method: 'POST' }));
      announce(w.began);
    } catch (error) {
      report(error);
    }
    void poll();
  }

  /** @param {unknown} error */
  function report(error) {
    run.disabled = false;
    const options = { id: 'schedule-error', title: w.failedTitle, about: /** @type {const} */ ('stored'), within: true };
    fill(problem, failurePanel(/** @type {Problem} */ (error), { ...options, dismiss: () => (fill(problem), run.focus()) }));
  }

  /** @param {State} state */
  function show(state) {
    const { schedule, running, lastAttempt } = state;
    // What its hook has to say comes later.
    const last = JSON.stringify({ ...lastAttempt, hookError: null });
    if (shownRun !== null && shownRun !== last) {
      onended(lastAttempt);
      announce(lastAttempt?.error ? w.runFailed(dateTime(lastAttempt.began)) : w.made);
      fill(problem);
    }
    shownRun = last;
    card.dataset.state = schedule ? (running ? 'running' : 'waiting') : 'none';
    fill(when, schedule && `${inWords(schedule.when)}, ${schedule.zone}`);
    if (schedule) fill(facts, figures(schedule, state));
    else if (!facts.querySelector('#no-schedule')) fill(facts, nothing());
    run.hidden = !schedule;
    hint.hidden = !schedule;
    run.disabled = running !== null;
    showFailure(lastAttempt, schedule?.zone);
    showProgress(running);
  }

  /**
   * @param {Attempt | null} attempt
   * @param {string} [zone]
   */
  function showFailure(attempt, zone) {
    const now = JSON.stringify(attempt?.error ? attempt : null);
    if (now === shownFailure) return;
    shownFailure = now;
    if (!attempt?.error) return fill(failed);
    const options = { id: 'run-error', title: w.runFailed(dateTime(attempt.began, zone)), about: attempt.archive ? /** @type {const} */ ('runKept') : /** @type {const} */ ('run'), within: true };
    const hook = attempt.hookError && h('p', { class: 'hint', id: 'hook-error' }, `${w.hookFailed} ${attempt.hookError}`);
    const panel = failurePanel(attempt.error, options);
    const { subject } = attempt.error;
    if (subject) panel.querySelector('.lead')?.after(h('p', {}, `${words().failure.subject}: `, h('bdi', {}, subject)));
    fill(failed, panel, hook);
  }

  /** @param {Progress | null} running */
  function showProgress(running) {
    if (!running) {
      pace = new Pace();
      return fill(progress);
    }
    pace.note(running, performance.now() / 1000);
    const doing = /** @type {Record<string, string>} */ (words().running.doing)[running.phase] ?? '';
    const named = running.subject && ['documents', 'attachments'].includes(running.phase);
    const what = named ? `${doing}: ${collectionName(running.subject ?? '')}` : doing;
    if (!progress.firstChild) {
      fill(progress, h('div', { class: 'working', id: 'run-progress' }, h('progress', { max: 1, 'aria-label': w.running }), h('span', { class: 'hint' })));
    }
    const bar = progress.querySelector('progress');
    if (bar) bar.value = pace.fraction;
    const text = progress.querySelector('.hint');
    if (text) text.textContent = w.runningShare(percent(pace.fraction), what);
  }

  const card = h(
    'section',
    { class: 'card hero', id: 'schedule', 'aria-labelledby': 'automatic-title' },
    h('h1', { id: 'automatic-title', tabindex: -1 }, w.title),
    h('p', { class: 'lead' }, w.lead),
    when,
    failed,
    facts,
    progress,
    problem,
    unheard,
    h('div', { class: 'actions' }, run),
    hint,
  );
  void poll();
  return card;
}

/**
 * @param {Schedule} schedule
 * @param {State} state
 */
function figures({ zone, folder, keep, verify }, { next, lastAttempt, lastSuccess, freeBytes }) {
  const w = words().automatic;
  const fact = (/** @type {string} */ name, /** @type {string} */ label, /** @type {(Node | string | null | false)[]} */ ...value) =>
    h('div', { class: name === 'folder' && 'broad', 'data-fact': name }, h('dt', {}, label), h('dd', {}, value));
  const moment = (/** @type {string} */ at) => {
    const date = new Date(at);
    return h('time', { datetime: at }, `${dateTime(date, zone)} (${relative(date)})`);
  };
  const about = (/** @type {(string | null | false)[]} */ ...parts) => h('span', { class: 'about' }, parts.filter(Boolean).join(' · '));
  const how = (/** @type {Attempt} */ { trigger }) => (trigger.by === 'person' ? w.by.person(trigger.name) : w.by[trigger.by]);
  const success = lastSuccess && [
    moment(lastSuccess.ended),
    about(lastSuccess.archive, lastSuccess.size !== null && bytes(lastSuccess.size), lastSuccess.removed.length > 0 && w.removed(lastSuccess.removed.length)),
  ];
  const attempt = lastAttempt && [moment(lastAttempt.began), about(lastAttempt.error ? w.attemptBad : w.attemptGood, how(lastAttempt))];
  return h(
    'dl',
    { class: 'figures' },
    fact('next', w.next, next ? moment(next) : w.nextNever),
    fact('success', w.success, ...(success ?? [w.successNone])),
    fact('attempt', w.attempt, ...(attempt ?? [w.attemptNone])),
    fact('keep', w.keeps, w.keep(keep), about(w.keepsAll, verify ? w.verified : w.notVerified)),
    fact('free', w.free, freeBytes === null ? w.unknown : bytes(freeBytes)),
    fact('folder', w.folder, h('bdi', {}, folder)),
  );
}

/** What to do to have a schedule. */
function nothing() {
  const w = words().automatic;
  const lines = h('pre', { class: 'lines', id: 'schedule-lines' }, LINES.trimEnd());
  return [
    h('p', { id: 'no-schedule' }, w.noSchedule),
    lines,
    h('div', { class: 'actions' }, copyButton({ id: 'copy-lines', text: () => LINES, source: lines, label: w.copy, done: w.copied, select: w.selected })),
    h('pre', { class: 'lines' }, 'dikas-server --data DIR --config /etc/dikas/dikas.toml'),
    h('p', { class: 'hint' }, w.noScheduleStart),
  ];
}
