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
 * - Failed: `#error[data-kind]`, `#error-resume`, `#error-again`, `#error-server`, `#error-dismiss`, `#replaced`; where something
 *   is damaged, `#error-damaged`, `#error-consequences` and `#error-without`.
 * - What a backup lacks, where it was made and in Inspect: `#missing`, `#missing-list > [data-reason]`.
 * - Interrupted: `#interrupted[data-id][data-state=held|gone|unknown]`, `#interrupted-verdict`, `#resume`, `#discard`.
 * - Archives: `#archives > [data-archive][data-name]` with `[data-action=download]` and `[data-action=remove]`; the
 *   question before removing, and when signing out would leave some behind: `#answer-yes`, `#answer-no`;
 *   `#archive-error[data-kind]`.
 * - A file: `#file` (input), `#file-cancel`, `#opened`, `#file-problems`, `#file-error[data-kind]`.
 * - Views: `#view-backup`, `#view-restore`, `#view-inspect`, `#view-automatic`, also as `#backup`, `#restore`, `#inspect` and
 *   `#automatic` in the address.
 * - Restore, the choice: `#restore-file` (input), `#restore-facts`, `#foreign`, `#file-problems`, `#mode-full`,
 *   `#mode-identical`, `#mode-update`, `#category-<name>`, `#business-name`, `#show-changes`, `#restore-close`,
 *   `#recovered`; failures as for a backup, `#error-subject`, and `#insist` where another restore is in the way.
 * - While it is prepared: as while a backup runs.
 * - The preview: `#preview[data-seq]`, `#refused[data-kind]`, `#nothing`, `#signed-loss`, `#warnings > [data-kind]`,
 *   `#changes > [data-category]`, `#untouched`, `#by-collection tr[data-collection]`, `#proceed`, `#preview-back`.
 * - The confirmation: `#confirm`, `#word`, `#acknowledge`, `#pause`, `#confirm-yes`, `#confirm-no`.
 * - Done: `#restored[data-seq]`, `#logins-ended`, `#users-kept`, `#lost`, `#undo`, `#restored-close`.
 * - Restore points: `#points > [data-point][data-action=restore|undo]`, each with a button; `#points-state`.
 * - Inspect: `#inspect-file` (input), `#inspect-error[data-kind]`, `#inspected`, `#salvaged`, `#inspect-close`, and the rooms
 *   `#room-contents`, `#room-search`, `#room-files`, `#room-verify`, `#room-compare`; `#look-inside` leads there.
 * - A collection: `#collection[data-collection]`, `#rows` with `[data-row][data-state=there|waiting|broken]`, `#jump-row`,
 *   `#jump-id`, `#not-found`, `#take-out-lines`, `#take-out-csv`, `#taken-out`.
 * - A document: `#document[data-collection][data-row][data-id][data-state=there|broken]`, `#document-copy`, `#document-save`.
 * - Search: `#search[data-state]`, `#search-query`, `#search-where`, `#search-start`, `#matches[data-matches][data-exact]`,
 *   `#hits > [data-collection][data-row][data-id]`. Files: `#tiles > [data-path]`, `#files-zip`.
 * - Verify: `#verify[data-state]`, `#verify-start`, `#verdict[data-verdict=sound|complete|damaged][data-problems]`,
 *   `#problems tr[data-kind]`, `#verify-report`. Compare: `#compare-file` (input), `#compared[data-same]`,
 *   `#compare tr[data-collection] [data-count]`, `#differences [data-id][data-kind] [data-field]`.
 * - Automatic: `#schedule[data-state=none|waiting|running]`, `#schedule-when`, `#schedule [data-fact=next|success|attempt|keep|free|folder]`,
 *   `#run-now`, `#run-hint`, `#run-progress`, `#run-error[data-kind]`, `#hook-error`, `#schedule-error[data-kind]`, `#schedule-unheard[data-kind]`,
 *   `#schedule-lines`, `#copy-lines`.
 * - Backups on the server: `#stored > [data-archive][data-name][data-check=unchecked|checking|sound|damaged]` with
 *   `[data-action=look|download|check|restore|remove]`, `#check-<archive>-stop`, `#stored-error[data-kind]`, `#stored-unlisted[data-kind]`; the question as above.
 * - Tokens: `#tokens > [data-token][data-name]` with `[data-action=revoke]`, `#token-name`, `#token-create`, `#new-token`,
 *   `#token-command`, `#copy-token`, `#copy-command`, `#token-kept`, `#token-error[data-kind]`.
 */

import { offerRemoval } from './archives.js';
import { automaticView, leaveAutomatic } from './automatic.js';
import { backupView } from './backup.js';
import { announce, ask, byId, fill } from './dom.js';
import { fileCard } from './file.js';
import { inspectView } from './inspect.js';
import { inspecting, roomOf } from './inspect/inspecting.js';
import { isShown, shownBackup } from './inspect/shown.js';
import { job } from './job.js';
import { bytes, language, percent, setLanguage, words } from './language.js';
import { loginView } from './login.js';
import { keep, kept } from './memory.js';
import './offline.js';
import { restoredPanel } from './restored.js';
import { restoring } from './restoring.js';
import { restoreView } from './restore.js';
import { forgetServed } from './served.js';
import { signOut, user } from './session.js';
import { drawTop, VIEWS } from './top.js';

/** @typedef {import('./top.js').View} View */

const THEME = 'dikas.theme';

let ended = false;

/** Whether signing out is under way, with its questions. */
let leaving = false;

/** Stays where an address names another place on the page. @type {View} */
let view = addressed() ?? 'backup';

/** The room of the Inspect view that is shown. */
let shownRoom = roomOf(location.hash);

/** The outcome for which everybody was signed out. @type {object | null} */
let signedOutFor = null;

/** Whether there is something to see for somebody whose login may have ended meanwhile. */
const atWork = () => job.state === 'running' || restoring.busy;

function draw() {
  const focused = document.activeElement?.id;
  document.documentElement.lang = language();
  drawBar();
  const main = byId('main');
  if (main) {
    main.classList.toggle('broad', view === 'inspect' && inspecting.state === 'open');
    fill(main, ...(view === 'inspect' ? inspectView() : user() || atWork() ? signedIn() : signedOut()));
  }
  drawTitle();
  if (focused) byId(focused)?.focus({ preventScroll: true });
}

/** Draws what a job has changed: whoever looks into a backup is not disturbed by it. */
function redraw() {
  if (view !== 'inspect') return draw();
  drawBar();
  drawTitle();
}

function signedIn() {
  const onended = () => leave(true);
  // What is at work asks for the login by itself.
  if (view === 'automatic') return automaticView({ onended: () => void (atWork() || onended()) });
  return view === 'restore' ? restoreView({ onended }) : backupView({ onended });
}

function signedOut() {
  const onsignedin = () => {
    ended = false;
    forgetServed();
    draw();
    focusTitle();
  };
  const { outcome } = restoring;
  return [outcome && restoredPanel(outcome, { undo: false }), loginView(onsignedin, ended), fileCard()];
}

function drawBar() {
  drawTop({ view, switchLanguage, switchTheme, logout });
}

/** The view that the address names. @returns {View | undefined} */
function addressed() {
  return VIEWS.find((name) => location.hash === `#${name}` || location.hash.startsWith(`#${name}/`));
}

/** @param {View} wanted */
function show(wanted) {
  const room = roomOf(location.hash);
  if (view === wanted && (view !== 'inspect' || room === shownRoom)) return;
  const within = view === wanted;
  view = wanted;
  shownRoom = room;
  draw();
  if (within) byId('main')?.querySelector('h2')?.focus({ preventScroll: true });
  else focusTitle();
  scrollTo({ top: 0 });
}

function focusTitle() {
  byId('main')?.querySelector('h1')?.focus({ preventScroll: true });
}

function drawTitle() {
  const work = job.state === 'running' ? job : restoring.state === 'staging' ? restoring : null;
  const running = work ? `${percent(work.pace.fraction)} · ` : '';
  document.title = `${running}${words()[view].view} – ${words().shell.product}`;
}

function switchLanguage() {
  setLanguage(language() === 'de' ? 'en' : 'de');
  draw();
}

function switchTheme() {
  const theme = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark';
  keep(THEME, theme);
  document.documentElement.dataset.theme = theme;
  drawBar();
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
  if (restoring.state === 'committing') return;
  if (restoring.state === 'staging') {
    const question = { title: words().shell.logout, text: words().staging.leave, yes: w.leaveYes, no: w.leaveNo };
    if (!(await ask({ ...question, danger: true }))) return;
  }
  if (!(await offerRemoval()) || job.state === 'running') return draw();
  await restoring.leave();
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
  forget();
  ended = unasked;
  draw();
  byId('username')?.focus();
}

/** Signs out, and forgets what is of the server: it is for whoever is signed in. A file of this device stays open. */
function forget() {
  signOut();
  forgetServed();
  leaveAutomatic();
  if (inspecting.onServer) inspecting.close();
  restoring.forgetServed();
}

function jobChanged() {
  redraw();
  const title = { idle: 'backup-title', running: 'running-title', done: 'result-title', failed: 'error-title' }[
    job.state
  ];
  byId(title)?.focus();
  if (job.state === 'done' && job.result) announce(words().result.said(bytes(job.result.archive.size)));
  if (view !== 'inspect') scrollTo({ top: 0 });
}

function restoringChanged() {
  const { state, outcome, error } = restoring;
  // Whoever was replaced is nobody any more.
  if (outcome?.loginsEnded && outcome !== signedOutFor) {
    signedOutFor = outcome;
    forget();
  }
  if (outcome && view !== 'restore') location.hash = 'restore';
  redraw();
  if (view !== 'restore') return;
  const titles = {
    idle: 'restore-title', opening: 'restore-cancel-opening', chosen: 'restore-name', staging: 'running-title',
    comparing: 'waiting-title', ready: 'preview-title', committing: 'waiting-title', done: 'restored-title',
  };
  byId(error ? 'error-title' : titles[state])?.focus();
  if (state === 'done') announce(words().restored.said);
  if (state !== 'opening' && (error || state !== 'chosen')) scrollTo({ top: 0 });
}

/** Opens the backup that the page was called for: `dikas-backup open` does so. */
function openShown() {
  const { hash } = location;
  if (!isShown(hash)) return;
  history.replaceState(null, '', '#inspect');
  view = 'inspect';
  shownRoom = '';
  shownBackup(hash).then(({ address, name }) => inspecting.open(address, name), (error) => inspecting.fail(error));
}

function inspectingChanged() {
  if (view !== 'inspect') return;
  draw();
  byId(inspecting.error ? 'inspect-error-title' : inspecting.state === 'opening' ? 'inspect-cancel' : 'inspect-title')?.focus();
  scrollTo({ top: 0 });
}

/** @param {BeforeUnloadEvent} event */
function holdBack(event) {
  // An archive in memory goes with the page, and perhaps takes a running download with it.
  if (atWork() || job.result?.archive.place === 'memory') event.preventDefault();
}

const systemDark = matchMedia('(prefers-color-scheme: dark)');
function applyTheme() {
  const chosen = kept(THEME);
  document.documentElement.dataset.theme =
    chosen === 'dark' || chosen === 'light' ? chosen : systemDark.matches ? 'dark' : 'light';
}

systemDark.addEventListener('change', () => (applyTheme(), drawBar()));
job.addEventListener('change', jobChanged);
job.addEventListener('tick', drawTitle);
restoring.addEventListener('change', restoringChanged);
restoring.addEventListener('tick', drawTitle);
inspecting.addEventListener('change', inspectingChanged);
addEventListener('hashchange', () => (openShown(), show(addressed() ?? view)));
addEventListener('beforeunload', holdBack);
applyTheme();
openShown();
draw();
void restoring.recover();
if (!user() && view !== 'inspect') byId('username')?.focus();
