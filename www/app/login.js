// @ts-check
/** Signing in: a view of its own at first, a dialog over a running job when the session ends under it. */

import { fill, h, icon } from './dom.js';
import { explained } from './failure.js';
import { Failure } from './http.js';
import { duration, words } from './language.js';
import { signIn, user } from './session.js';

/** What stands between the page and the server has words of its own. */
const TOLD = ['cross-site', 'redirected', 'gateway', 'proxy-limit'];

/** What was typed survives a change of the language. */
let typed = '';

/**
 * The view: calls `onsignedin` when somebody is in.
 *
 * @param {() => void} onsignedin
 * @param {boolean} ended whether a session has just ended
 */
export function loginView(onsignedin, ended) {
  const w = words().login;
  return h(
    'section',
    { class: 'card login', 'aria-labelledby': 'login-title' },
    h('div', { class: 'emblem' }, icon('shield')),
    h('h1', { id: 'login-title' }, w.title),
    h('p', { class: 'lead' }, w.lead),
    ended && h('p', { class: 'note', role: 'status' }, icon('info'), h('span', {}, w.ended)),
    loginForm(onsignedin),
  );
}

/**
 * Asks in a dialog, and resolves as soon as somebody has signed in.
 *
 * @returns {Promise<void>} rejects with `unauthorized` when the person gives up
 */
export function askToSignIn() {
  return new Promise((resolve, reject) => {
    const w = words().login;
    typed = user() ?? typed;
    const dialog = h(
      'dialog',
      { class: 'login', 'aria-labelledby': 'login-title', onclose: closed },
      h('h2', { id: 'login-title' }, w.again),
      h('p', {}, w.againLead),
      loginForm(() => dialog.close('in')),
      h(
        'button',
        { type: 'button', class: 'quiet wide', id: 'give-up', onclick: () => dialog.close('out') },
        w.giveUp,
      ),
    );
    function closed() {
      dialog.remove();
      if (dialog.returnValue === 'in') resolve();
      else reject(new Failure('unauthorized', 'the session has ended and nobody signed in again'));
    }
    // Escape must not end an hour's work by accident.
    dialog.addEventListener('cancel', (event) => event.preventDefault());
    document.body.append(dialog);
    dialog.showModal();
    /** @type {HTMLElement | null} */ (dialog.querySelector(typed ? '#password' : '#username'))?.focus();
  });
}

/** @param {() => void} onsignedin */
function loginForm(onsignedin) {
  const w = words().login;
  const username = h('input', {
    id: 'username',
    name: 'username',
    autocomplete: 'username',
    autocapitalize: 'none',
    spellcheck: 'false',
    required: true,
    value: typed,
    oninput: () => (typed = username.value),
  });
  const password = h('input', {
    id: 'password',
    name: 'password',
    type: 'password',
    autocomplete: 'current-password',
    required: true,
  });
  const reveal = h(
    'button',
    {
      type: 'button',
      class: 'reveal',
      id: 'reveal',
      'aria-label': w.show,
      'aria-pressed': 'false',
      onclick: toggle,
    },
    icon('eye'),
  );
  const problem = h('p', { class: 'problem', id: 'login-problem', role: 'alert', hidden: true });
  const submit = h('button', { class: 'primary wide', id: 'login' }, w.submit);

  function toggle() {
    const shown = password.type === 'password';
    password.type = shown ? 'text' : 'password';
    reveal.setAttribute('aria-pressed', String(shown));
    reveal.setAttribute('aria-label', shown ? w.hide : w.show);
    fill(reveal, icon(shown ? 'eye-off' : 'eye'));
  }

  /** @param {SubmitEvent} event */
  async function send(event) {
    event.preventDefault();
    problem.hidden = true;
    submit.disabled = true;
    submit.textContent = w.busy;
    try {
      await signIn(username.value.trim(), password.value);
      typed = '';
      onsignedin();
    } catch (error) {
      const failure = /** @type {Failure} */ (error);
      fill(problem, icon('alert'), h('span', {}, explain(failure)));
      problem.dataset.kind = failure.kind;
      problem.hidden = false;
      submit.disabled = false;
      submit.textContent = w.submit;
      password.focus();
      password.select();
    }
  }

  return h(
    'form',
    { onsubmit: send, 'aria-describedby': 'login-problem' },
    h('label', { for: 'username' }, w.username),
    username,
    h('label', { for: 'password' }, w.password),
    h('div', { class: 'with-button' }, password, reveal),
    problem,
    submit,
  );
}

/** @param {Failure} failure */
function explain({ kind, retryAfter }) {
  const w = words().login;
  if (kind === 'unauthorized') return w.wrong;
  if (kind === 'unreachable') return w.unreachable;
  if (kind === 'busy') return w.wait(duration(retryAfter ?? 30));
  return TOLD.includes(kind) ? explained(kind).join(' ') : w.other;
}
