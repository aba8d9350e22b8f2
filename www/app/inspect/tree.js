// @ts-check
/** A document as JSON that folds, made of its own characters. Only what is unfolded exists. */

import { fill, h } from '../dom.js';
import { number, words } from '../language.js';
import { decoded, items, members, valueAt } from './json.js';

/**
 * @typedef {import('./json.js').Value} Value
 * @typedef {readonly (readonly [number, number])[]} Ranges From and to in a text, in order.
 * @typedef {{ text: string, marks: Ranges, masked: Ranges, onlink: (id: string) => void }} Shown
 */

/** So many members or values are shown at once, and so many characters of a string. */
const AT_ONCE = 200;
const LONG = 2_000;

/** What is no longer than this unfolds by itself, down to this depth. */
const SHORT = 6_000;
const DEEP = 4;

/**
 * @param {string} text
 * @param {object} [options]
 * @param {Ranges} [options.marks] What was searched for.
 * @param {Ranges} [options.masked] What is not shown.
 * @param {(id: string) => void} [options.onlink] Called for the id of another document.
 */
export function jsonView(text, { marks = [], masked = [], onlink = () => {} } = {}) {
  const shown = { text, marks, masked, onlink };
  return h('div', { class: 'json', translate: 'no' }, valueView(shown, valueAt(text), 0, ''));
}

/**
 * @param {Shown} shown
 * @param {Value} value
 * @param {number} depth
 * @param {string} key
 */
function valueView(shown, value, depth, key) {
  return value.kind === 'object' || value.kind === 'array'
    ? foldable(shown, value, depth, null, key)
    : scalar(shown, value, key);
}

/**
 * @param {Shown} shown
 * @param {Value} value
 * @param {number} depth
 * @param {(string | Node)[] | null} label
 * @param {string} key
 */
function foldable(shown, value, depth, label, key) {
  const { text } = shown;
  const [open, close] = value.kind === 'object' ? '{}' : '[]';
  const head = label ? [...label, ': '] : [];
  if (isMasked(shown, value)) return h('span', {}, head, mask());
  const walk = value.kind === 'object' ? members(text, value) : items(text, value);
  const first = walk.next();
  if (first.done) return h('span', {}, head, `${open}${close}`);

  const list = h('ul');
  const short = value.to - value.from <= SHORT;
  const folded = depth > 0 && !(short && depth < DEEP) && !shown.marks.some(([from]) => from >= value.from && from < value.to);
  const details = h(
    'details',
    { ontoggle: filled, open: !folded },
    h('summary', {}, head, h('span', { class: 'bracket' }, `${open} … ${close}`), ' ', h('span', { class: 'about' }, size(text, value))),
    list,
  );
  let next = /** @type {IteratorResult<any, void>} */ (first);

  function filled() {
    if (details.open && list.childElementCount === 0) more();
  }

  function more() {
    for (let count = 0; count < AT_ONCE && !next.done; count += 1, next = walk.next()) {
      list.append(h('li', {}, entry(shown, next.value, depth + 1, key)));
    }
    if (!next.done) {
      const button = h('button', { type: 'button', class: 'small', onclick: () => (item.remove(), more()) }, words().inspect.more);
      const item = h('li', {}, button);
      list.append(item);
    }
  }

  filled();
  return details;
}

/**
 * @param {Shown} shown
 * @param {any} entry a member or a value
 * @param {number} depth
 * @param {string} outer the name of the list that it is in
 */
function entry(shown, entry, depth, outer) {
  if (!('key' in entry)) return valueView(shown, entry, depth, outer);
  const { key, keyFrom, keyTo, value } = entry;
  const label = h('span', { class: 'key' }, marked(shown, keyFrom + 1, keyTo - 1));
  return value.kind === 'object' || value.kind === 'array'
    ? foldable(shown, value, depth, [label], key)
    : h('span', {}, label, ': ', scalar(shown, value, key));
}

/**
 * @param {Shown} shown
 * @param {Value} value
 * @param {string} key
 */
function scalar(shown, value, key) {
  const { text, onlink } = shown;
  const { kind, from, to } = value;
  if (isMasked(shown, value)) return mask();
  if (kind === 'string' && to - from > LONG) {
    const all = () => fill(box, marked(shown, from, to));
    const box = h('span', { class: kind }, marked(shown, from, from + LONG), ' ',
      h('button', { type: 'button', class: 'small', onclick: all }, words().inspect.rest(number(to - from - LONG))));
    return box;
  }
  const shownText = marked(shown, from, to);
  if (kind === 'string' && refers(key) && to - from > 2) {
    const id = decoded(text.slice(from, to));
    const title = words().inspect.follow(id);
    return h('button', { type: 'button', class: 'link', title, onclick: () => onlink(id) }, shownText);
  }
  return h('span', { class: kind }, shownText);
}

/** @param {Shown} shown @param {Value} value */
function isMasked({ masked }, { from, to }) {
  return masked.some(([start, end]) => start <= from && end >= to);
}

function mask() {
  return h('span', { class: 'masked', title: words().inspect.masked }, '••••••');
}

/**
 * Whether members of this name hold the id of another document.
 *
 * @param {string} key
 */
export function refers(key) {
  return /[a-z0-9]Ids?$/.test(key);
}

/**
 * How much is in it, in words.
 *
 * @param {string} text
 * @param {Value} value
 */
function size(text, value) {
  let count = 0;
  for (const _ of value.kind === 'object' ? members(text, value) : items(text, value)) {
    count += 1;
    if (count > 10_000) return words().inspect.many;
  }
  return value.kind === 'object' ? words().inspect.fields(count) : words().inspect.values(count);
}

/**
 * A stretch of the text, with what was searched for marked in it.
 *
 * @param {{ text: string, marks: Ranges }} shown
 * @param {number} from
 * @param {number} to
 */
export function marked({ text, marks }, from, to) {
  /** @type {(string | Node)[]} */
  const pieces = [];
  let at = from;
  for (const [start, end] of marks) {
    if (end <= at || start >= to) continue;
    const begin = Math.max(at, start);
    if (begin > at) pieces.push(text.slice(at, begin));
    at = Math.min(end, to);
    pieces.push(h('mark', {}, text.slice(begin, at)));
  }
  if (at < to) pieces.push(text.slice(at, to));
  return pieces;
}
