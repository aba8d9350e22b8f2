// @ts-check
/**
 * JSON as it is written: values are places in a text, and what is shown of one is its own characters. So numbers beyond
 * 2^53, `1.50`, keys that come twice and escapes stay what they are, which `JSON.parse` would not leave them.
 *
 * The text has been checked by the engine. What is no JSON all the same ends a walk early, and harms nothing.
 */

/** @typedef {'object' | 'array' | 'string' | 'number' | 'word'} Kind A word is `true`, `false` or `null`. */
/** @typedef {{ kind: Kind, from: number, to: number }} Value A place in a text. */
/** @typedef {{ key: string, keyFrom: number, keyTo: number, value: Value }} Member Its key is decoded. */

const SPACE = /[ \t\r\n]*/y;
const SCALAR = /[^,\]}\s]+/y;

/** Up to the next character that opens, closes or begins a string. */
const PLAIN = /[^"{}[\]]*/y;

/**
 * The value that begins at this place, white space before it aside.
 *
 * @param {string} text
 * @param {number} [at]
 * @returns {Value}
 */
export function valueAt(text, at = 0) {
  const from = skip(SPACE, text, at);
  const first = text[from];
  if (first === '{' || first === '[') {
    return { kind: first === '{' ? 'object' : 'array', from, to: closed(text, from) };
  }
  if (first === '"') return { kind: 'string', from, to: quoted(text, from) };
  const kind = first !== undefined && '-0123456789'.includes(first) ? 'number' : 'word';
  return { kind, from, to: skip(SCALAR, text, from) };
}

/**
 * The members of an object, in their order, with every one that comes twice.
 *
 * @param {string} text
 * @param {Value} object
 * @returns {Generator<Member, void, void>}
 */
export function* members(text, object) {
  let at = skip(SPACE, text, object.from + 1);
  while (at < object.to && text[at] === '"') {
    const keyFrom = at;
    const keyTo = quoted(text, at);
    at = skip(SPACE, text, keyTo);
    if (text[at] !== ':') return;
    const value = valueAt(text, at + 1);
    if (value.to === value.from) return;
    yield { key: decoded(text.slice(keyFrom, keyTo)), keyFrom, keyTo, value };
    at = afterComma(text, value.to);
  }
}

/**
 * The values of an array.
 *
 * @param {string} text
 * @param {Value} array
 * @returns {Generator<Value, void, void>}
 */
export function* items(text, array) {
  let at = skip(SPACE, text, array.from + 1);
  while (at < array.to - 1) {
    const value = valueAt(text, at);
    if (value.to === value.from) return;
    yield value;
    at = afterComma(text, value.to);
  }
}

/**
 * The first member of this name, looked for along a path of names; null where there is none.
 *
 * @param {string} text
 * @param {Value} value
 * @param {...string} path
 * @returns {Value | null}
 */
export function member(text, value, ...path) {
  let at = value;
  for (const name of path) {
    if (at.kind !== 'object') return null;
    const found = first(text, at, name);
    if (!found) return null;
    at = found;
  }
  return at;
}

/** @param {string} text @param {Value} object @param {string} name */
function first(text, object, name) {
  for (const { key, value } of members(text, object)) if (key === name) return value;
  return null;
}

/**
 * A value for people: a string without its quotes and escapes, all else as it is written.
 *
 * @param {string} text
 * @param {Value | null} value
 */
export function plain(text, value) {
  if (!value) return '';
  const raw = text.slice(value.from, value.to);
  return value.kind === 'string' ? decoded(raw) : raw;
}

/**
 * What a string says.
 *
 * @param {string} raw with its quotes
 */
export function decoded(raw) {
  return raw.slice(1, -1).replace(/\\(?:u([0-9a-fA-F]{4})|([^]))/g, (_, code, letter) =>
    code ? String.fromCharCode(parseInt(code, 16)) : (ESCAPES[letter] ?? letter),
  );
}

/** @type {Record<string, string>} */
const ESCAPES = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

/**
 * The end of the object or array that begins here.
 *
 * @param {string} text
 * @param {number} from
 */
function closed(text, from) {
  let depth = 0;
  let at = from;
  while (at < text.length) {
    const character = text[at];
    if (character === '"') {
      at = quoted(text, at);
    } else {
      if (character === '{' || character === '[') depth += 1;
      if (character === '}' || character === ']') depth -= 1;
      at += 1;
      if (depth === 0) return at;
    }
    at = skip(PLAIN, text, at);
  }
  return text.length;
}

/**
 * The end of the string that begins here. By hand: a pattern runs out of stack on a long one.
 *
 * @param {string} text
 * @param {number} from
 */
function quoted(text, from) {
  for (let at = text.indexOf('"', from + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let escapes = 0;
    while (text[at - 1 - escapes] === '\\') escapes += 1;
    if (escapes % 2 === 0) return at + 1;
  }
  return text.length;
}

/** @param {string} text @param {number} at */
function afterComma(text, at) {
  const comma = skip(SPACE, text, at);
  return text[comma] === ',' ? skip(SPACE, text, comma + 1) : Infinity;
}

/**
 * The end of what the pattern matches here; the same place where it does not.
 *
 * @param {RegExp} pattern sticky
 * @param {string} text
 * @param {number} at
 */
function skip(pattern, text, at) {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}
