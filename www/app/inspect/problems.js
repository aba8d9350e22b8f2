// @ts-check
/** What cannot be read, or is not as it should be: in a line, and in a table. */

import { explained } from '../failure.js';
import { h, icon } from '../dom.js';
import { number, words } from '../language.js';

/** @typedef {import('../failure.js').Problem} Problem */

/** So many are shown one by one. */
const SHOWN = 200;

/**
 * What a problem means, in the reader's language.
 *
 * @param {Problem} problem
 */
export function meaning({ kind }) {
  // The sentences for these kinds speak of a server.
  return kind === 'bad-document' ? words().file.badDocument : (explained(kind, 'restore')[0] ?? '');
}

/** @param {Problem} problem */
export function problemLine(problem) {
  const { kind, subject, message } = problem;
  return h(
    'p',
    { class: 'problem', 'data-kind': kind, role: 'alert' },
    icon('alert'),
    h('span', {}, meaning(problem), subject && h('span', {}, ' (', h('bdi', {}, subject), ')'), h('span', { class: 'about' }, message)),
  );
}

/** @param {readonly Problem[]} problems */
export function problemTable(problems) {
  const w = words().inspect;
  return h(
    'div',
    { class: 'scroller' },
    h(
      'table',
      { class: 'contents plain', id: 'problems' },
      h('caption', { class: 'unseen' }, w.problems),
      h('thead', {}, h('tr', {}, [w.problemWhat, w.problemWhere, w.problemDetails].map((name) => h('th', { scope: 'col' }, name)))),
      h(
        'tbody',
        {},
        problems.slice(0, SHOWN).map((problem) =>
          h(
            'tr',
            { 'data-kind': problem.kind },
            h('td', {}, meaning(problem), h('span', { class: 'about' }, problem.message ?? '')),
            h('td', {}, h('bdi', { class: 'digest' }, problem.subject ?? '')),
            h('td', {}, problem.expected && problem.actual && w.expected(problem.expected, problem.actual)),
          ),
        ),
      ),
    ),
    problems.length > SHOWN && h('p', { class: 'hint' }, w.problemsListed(SHOWN)),
  );
}

/**
 * What was found, as a text for whoever has to be told.
 *
 * @param {{ name: string, size: number, sentence: string, problems: readonly Problem[], found: number }} verified
 */
export function report({ name, size, sentence, problems, found }) {
  const w = words().inspect;
  const head = [w.reportHead, '', `${name}, ${number(size)} B`, new Date().toISOString(), '', sentence, ''];
  const lines = problems.map(({ kind, message, subject, expected, actual }) =>
    [kind, subject, message, expected && actual && w.expected(expected, actual)].filter(Boolean).join(' · '),
  );
  const more = found > problems.length ? [w.problemsListed(problems.length)] : [];
  return [...head, ...lines, ...more, ''].join('\n');
}
