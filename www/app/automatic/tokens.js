// @ts-check
/** The tokens with which other computers fetch backups: which there are, a new one, and an end to one. */

import { announce, ask as question, byId, copyButton, fill, h, icon } from '../dom.js';
import { failurePanel } from '../failure.js';
import { BASE } from '../http.js';
import { dateTime, relative, words } from '../language.js';
import { ask } from '../server.js';
import { user } from '../session.js';

/**
 * @typedef {import('../../engine/protocol.js').NewToken} NewToken
 * @typedef {Omit<NewToken, 'token'>} Token
 * @typedef {import('../failure.js').Problem} Problem
 */

/** Where the examples keep a token. */
const FILE = '/etc/dikas/token';

/** The token that was just made, until somebody says that it is put away: it survives a change of the language. @type {NewToken | null} */
let fresh = null;

/** Forgets the token that is shown, because somebody else may look at the page now. */
export function forgetToken() {
  fresh = null;
}

/** The card fills itself. */
export function tokensCard() {
  const w = words().automatic;
  const list = h('ul', { class: 'rows', id: 'tokens', 'aria-labelledby': 'tokens-title' });
  const state = h('p', { class: 'hint', id: 'tokens-state', role: 'status' }, w.loading);
  const problem = h('div');
  const made = h('div', { class: 'stack' }, fresh && freshPanel(fresh, put));
  const name = h('input', { id: 'token-name', required: true, pattern: '.*\\S.*', maxlength: 100, autocomplete: 'off', 'aria-describedby': 'token-hint' });
  const create = h('button', { id: 'token-create' }, icon('key'), w.tokenCreate);

  async function load() {
    try {
      const tokens = /** @type {Token[]} */ (await ask('/auth/tokens'));
      fill(list, ...tokens.map(row));
      fill(state, tokens.length === 0 && w.tokensNone);
    } catch (error) {
      fill(state);
      report(error);
    }
  }

  /** @param {SubmitEvent} event */
  async function submit(event) {
    event.preventDefault();
    create.disabled = true;
    fill(problem);
    try {
      const created = /** @type {NewToken} */ (await ask('/auth/tokens', { method: 'POST', body: { name: name.value.trim() } }));
      if (!user()) return;
      fresh = created;
      name.value = '';
      fill(made, freshPanel(fresh, put));
      announce(w.tokenMade);
      byId('new-token-title')?.focus();
      await load();
    } catch (error) {
      report(error);
    }
    create.disabled = false;
  }

  function put() {
    fresh = null;
    fill(made);
    name.focus();
  }

  /** @param {Token} token */
  function row(token) {
    return h(
      'li',
      { 'data-token': token.id, 'data-name': token.name },
      h('span', { class: 'tile' }, icon('key')),
      h(
        'div',
        { class: 'grow' },
        h('p', { class: 'name' }, token.name),
        h('p', { class: 'about' }, `${w.tokenBy(token.createdBy, dateTime(token.created))} · ${token.lastUsed ? w.tokenUsed(relative(new Date(token.lastUsed))) : w.tokenUnused}`),
      ),
      h(
        'div',
        { class: 'actions' },
        h('button', { type: 'button', class: 'small quiet', 'data-action': 'revoke', 'aria-label': w.tokenRevokeNamed(token.name), onclick: () => revoke(token) }, icon('trash'), w.tokenRevoke),
      ),
    );
  }

  /** @param {Token} token */
  async function revoke({ id, name }) {
    const asked = { title: w.tokenRevokeTitle, text: w.tokenRevokeText(name), yes: w.tokenRevokeYes, no: w.tokenRevokeNo };
    if (!(await question({ ...asked, danger: true }))) return;
    fill(problem);
    try {
      await ask(`/auth/tokens?id=${encodeURIComponent(id)}`, { method: 'DELETE' });
      if (fresh?.id === id) put();
      announce(w.tokenRevoked);
    } catch (error) {
      report(error);
    }
    await load();
    byId('tokens-title')?.focus();
  }

  /** @param {unknown} error */
  function report(error) {
    const options = { id: 'token-error', title: w.failedTitle, about: /** @type {const} */ ('tokens'), within: true };
    fill(problem, failurePanel(/** @type {Problem} */ (error), { ...options, dismiss: () => fill(problem) }));
  }

  void load();
  return h(
    'section',
    { class: 'card', 'aria-labelledby': 'tokens-title' },
    h('h2', { id: 'tokens-title', tabindex: -1 }, w.tokensTitle),
    h('p', { class: 'hint' }, w.tokensLead),
    made,
    problem,
    list,
    state,
    h(
      'form',
      { class: 'search', onsubmit: submit },
      h('div', { class: 'grow' }, h('label', { for: 'token-name' }, w.tokenName), name),
      create,
    ),
    h('p', { class: 'hint', id: 'token-hint' }, w.tokenHint),
  );
}

/**
 * A token, this once, and what to do with it.
 *
 * @param {NewToken} token
 * @param {() => void} put called when it is put away
 */
function freshPanel({ token, name }, put) {
  const w = words().automatic;
  const secret = h('code', { class: 'digest', id: 'new-token' }, token);
  const line = `dikas-backup create --url ${BASE.href.replace(/\/$/, '')} --token-file ${FILE} -o /var/backups/dikas`;
  const command = h('pre', { class: 'lines', id: 'token-command' }, line);
  const labels = { label: w.copy, done: w.copied, select: w.selected };
  return h(
    'section',
    { class: 'card fresh', 'aria-labelledby': 'new-token-title' },
    h('h3', { id: 'new-token-title', tabindex: -1 }, w.tokenTitle(name)),
    h('p', { class: 'note warn' }, icon('alert'), h('span', {}, w.tokenOnce)),
    h('div', { class: 'checksum' }, secret, copyButton({ id: 'copy-token', text: () => token, source: secret, ...labels })),
    h('p', { class: 'hint' }, w.tokenUse),
    command,
    h(
      'div',
      { class: 'actions' },
      copyButton({ id: 'copy-command', text: () => line, source: command, ...labels }),
      h('button', { type: 'button', class: 'primary', id: 'token-kept', onclick: put }, icon('check'), w.tokenKept),
    ),
  );
}
