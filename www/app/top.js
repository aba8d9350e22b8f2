// @ts-check
/** The bar at the top: where the person is, the views there are, and who is signed in. */

import { byId, fill, h, icon } from './dom.js';
import { language, words } from './language.js';
import { user } from './session.js';

export const VIEWS = /** @type {const} */ (['backup', 'restore', 'inspect', 'automatic']);

/** @typedef {typeof VIEWS[number]} View */

/**
 * @param {{ view: View, switchLanguage: () => void, switchTheme: () => void, logout: () => void }} options
 */
export function drawTop({ view, switchLanguage, switchTheme, logout }) {
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
          h('li', { 'aria-current': 'page' }, words()[view].view),
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
    h(
      'nav',
      { class: 'tabs', 'aria-label': w.views },
      VIEWS.map((name) =>
        h('a', { href: `#${name}`, id: `view-${name}`, 'aria-current': name === view && 'page' }, words()[name].view),
      ),
    ),
  );
}
