// @ts-check
/** Backups that did not come to their end, with the offer to go on where they stopped. */

import { canResume } from '../engine/index.js';
import { discard } from './archives.js';
import { announce, fill, h, icon } from './dom.js';
import { failurePanel } from './failure.js';
import { bytes, dateTime, percent, words } from './language.js';
import { authorised } from './session.js';

/** @typedef {import('../engine/protocol.js').Interrupted} Interrupted */

/**
 * The card of one. It says by itself whether the server still holds the moment.
 *
 * @param {Interrupted} interrupted
 * @param {{ goOn: () => void }} options
 */
export function interruptedCard(interrupted, { goOn }) {
  const w = words().interrupted;
  const { business, begun, bytes: done, bytesTotal: all } = interrupted;
  const resume = h('button', { type: 'button', class: 'primary', id: 'resume', onclick: goOn }, icon('again'), w.goOn);
  const remove = h('button', { type: 'button', id: 'discard', onclick: drop }, icon('trash'), w.discard);
  const verdict = h('p', { class: 'hint', id: 'interrupted-verdict', role: 'status' }, w.asking);
  const problem = h('div');

  async function ask() {
    const held = await authorised((auth) => canResume({ id: interrupted.id, auth })).catch(() => null);
    const [state, text] = held === null ? ['unknown', w.unknown] : held ? ['held', w.held] : ['gone', w.gone];
    card.dataset.state = state;
    resume.hidden = state === 'gone';
    verdict.textContent = text;
    if (state === 'gone') verdict.className = 'note warn';
  }

  async function drop() {
    try {
      await discard(interrupted);
      announce(w.discarded);
      card.remove();
    } catch (error) {
      const options = { id: 'interrupted-error', title: words().failure.archiveTitle, about: /** @type {const} */ ('archive') };
      fill(problem, failurePanel(/** @type {Error} */ (error), { ...options, dismiss: () => fill(problem) }));
    }
  }

  const share = percent(all > 0 ? done / all : 0);
  const card = h(
    'section',
    { class: 'card', id: 'interrupted', 'aria-labelledby': 'interrupted-title', 'data-id': interrupted.id },
    h('h2', { id: 'interrupted-title' }, w.title),
    h('p', {}, w.lead(business, dateTime(begun), share, bytes(done), bytes(all))),
    verdict,
    problem,
    h('div', { class: 'actions' }, resume, remove),
  );
  void ask();
  return card;
}
