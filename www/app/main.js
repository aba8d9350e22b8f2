// @ts-check
/**
 * The admin page: Admin › Settings › System. It draws itself anew when somebody signs in or out, when a job begins or
 * ends, and when the language changes; all that has to survive that lives in modules and not in elements.
 *
 * Hooks for tests, stable by agreement:
 * - Everywhere: `#language`, `#theme`, `#logout`, `html[lang]`, `html[data-theme]`, `#announcer`.
 * - Login: `#username`, `#password`, `#login`; `#login-problem[data-kind]`. In a dialog over a job the same ids, and
 *   `#give-up`.
 * - Ready: `#create-backup`, `#amount`, `#last-backup`, `#room[data-place]`, `#category-all`, `#category-<name>`, `tr[data-category]`.
 * - Running: `#running`, `#phase`, `#progress` (a `progress` from 0 to 1), `#percent`, `#notices > [data-code]`,
 *   `[data-figure=left|elapsed|documents|files|bytes|rate]`, `#cancel`.
 * - Finished: `#result[data-archive]`, `#result-name`, `#result-size`, `#result-documents`, `#result-files`, `#sha256`,
 *   `#download` (a link with `href` and `download`), `#download-error[data-kind]`, `#another`, `#inside tr[data-collection]`.
 * - Failed: `#error[data-kind]`, `#error-resume`, `#error-again`, `#error-server`, `#error-dismiss`, `#replaced`.
 * - Interrupted: `#interrupted[data-id][data-state=held|gone|unknown]`, `#interrupted-verdict`, `#resume`, `#discard`.
 * - Archives: `#archives > [data-archive][data-name]` with `[data-action=download]` and `[data-action=remove]`; the
 *   question before removing, and when signing out would leave some behind: `#answer-yes`, `#answer-no`;
 *   `#archive-error[data-kind]`.
 * - A file: `#file` (input), `#file-cancel`, `#opened`, `#file-problems`, `#file-error[data-kind]`.
 */

import { offerRemoval } from './archives.js';
import { backupView, forgetContents } from './backup.js';
import { announce, ask, byId, fill, h, icon } from './dom.js';
import { fileCard } from './file.js';
import { job } from './job.js';
import { bytes, language, percent, setLanguage, words } from './language.js';
import { loginView } from './login.js';
import { keep, kept } from './memory.js';
import { signOut, user } from './session.js';

const THEME = 'dikas.theme';

let ended = false;

/** Whether signing out is under way, with its questions. */
let leaving = false;

function draw() {
  const focused = document.activeElement?.id;
  document.documentElement.lang = language();
  drawTop();
  const main = byId('main');
  if (main) fill(main, ...(user() || job.state === 'running' ? signedIn() : signedOut()));
  drawTitle();
  if (focused) byId(focused)?.focus({ preventScroll: true });
}

function signedIn() {
  return backupView({ onended: () => leave(true) });
}

function signedOut() {
  const onsignedin = () => {
    ended = false;
    forgetContents();
    draw();
    byId('backup-title')?.focus();
  };
  return [loginView(onsignedin, ended), fileCard()];
}

function drawTop() {
  const w = words().shell;
  const who = user();
  const dark = document.documentElement.dataset.theme === 'dark';
  const top = byId('top');
  if (!top) return;
  fill(
    top,
    h('a', { class: 'skip', href: '#main' }, w.skip),
    h(
      'div',
      { class: 'bar-top' },
      h('span', { class: 'brand' }, h('img', { src: 'favicon.svg', alt: '', width: 28, height: 28 }), w.product),
      h(
        'nav',
        { class: 'breadcrumb', 'aria-label': w.breadcrumb },
        h(
          'ol',
          {},
          w.path.map((name) => h('li', {}, name)),
          h('li', { 'aria-current': 'page' }, words().backup.view),
        ),
      ),
      h(
        'div',
        { class: 'tools' },
        who &&
          h(
            'span',
            { class: 'who', title: w.signedInAs(who) },
            h('span', { class: 'unseen' }, w.signedInAs(who)),
            h('span', { 'aria-hidden': 'true' }, who),
          ),
        h(
          'button',
          {
            type: 'button',
            class: 'quiet',
            id: 'language',
            lang: language() === 'de' ? 'en' : 'de',
            title: w.language,
            onclick: switchLanguage,
          },
          words().otherLanguage,
        ),
        h(
          'button',
          {
            type: 'button',
            class: 'quiet square',
            id: 'theme',
            'aria-label': dark ? w.light : w.dark,
            title: dark ? w.light : w.dark,
            onclick: switchTheme,
          },
          icon(dark ? 'sun' : 'moon'),
        ),
        who &&
          h(
            'button',
            { type: 'button', class: 'quiet', id: 'logout', title: w.logout, onclick: logout },
            icon('logout'),
            h('span', { class: 'wide-only' }, w.logout),
          ),
      ),
    ),
  );
}

function drawTitle() {
  const { view } = words().backup;
  const running = job.state === 'running' ? `${percent(job.pace.fraction)} · ` : '';
  document.title = `${running}${view} – ${words().shell.product}`;
}

function switchLanguage() {
  setLanguage(language() === 'de' ? 'en' : 'de');
  draw();
}

function switchTheme() {
  const theme = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark';
  keep(THEME, theme);
  document.documentElement.dataset.theme = theme;
  drawTop();
  byId('theme')?.focus();
}

async function logout() {
  if (leaving) return;
  leaving = true;
  await signOutAsked().finally(() => (leaving = false));
}

async function signOutAsked() {
  const w = words().running;
  if (job.state === 'running') {
    const title = words().shell.logout;
    if (!(await ask({ title, text: w.leave, yes: w.leaveYes, no: w.leaveNo, danger: true }))) return;
    await stopped();
  }
  if (!(await offerRemoval()) || job.state === 'running') return draw();
  job.clear();
  leave(false);
}

/** Cancels the backup, unless it has ended while the question was open, and waits for its end. */
async function stopped() {
  if (job.state !== 'running') return;
  const end = new Promise((resolve) => job.addEventListener('change', resolve, { once: true }));
  job.cancel();
  await end;
}

/** @param {boolean} unasked whether the session ended by itself */
function leave(unasked) {
  signOut();
  forgetContents();
  ended = unasked;
  draw();
  byId('username')?.focus();
}

function jobChanged() {
  draw();
  const title = { idle: 'backup-title', running: 'running-title', done: 'result-title', failed: 'error-title' }[
    job.state
  ];
  byId(title)?.focus();
  if (job.state === 'done' && job.result) announce(words().result.said(bytes(job.result.archive.size)));
  scrollTo({ top: 0 });
}

/** @param {BeforeUnloadEvent} event */
function holdBack(event) {
  // An archive in memory goes with the page, and perhaps takes a running download with it.
  if (job.state === 'running' || job.result?.archive.place === 'memory') event.preventDefault();
}

const systemDark = matchMedia('(prefers-color-scheme: dark)');
function applyTheme() {
  const chosen = kept(THEME);
  document.documentElement.dataset.theme =
    chosen === 'dark' || chosen === 'light' ? chosen : systemDark.matches ? 'dark' : 'light';
}

systemDark.addEventListener('change', () => (applyTheme(), drawTop()));
job.addEventListener('change', jobChanged);
job.addEventListener('tick', drawTitle);
addEventListener('beforeunload', holdBack);
applyTheme();
draw();
if (!user()) byId('username')?.focus();
