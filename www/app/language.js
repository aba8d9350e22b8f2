// @ts-check
/**
 * The language of the page: its words, and numbers, sizes and moments as its readers write them.
 */

import { en } from './words/en.js';
import { de } from './words/de.js';
import { keep, kept } from './memory.js';

/** @typedef {'en' | 'de'} Language */
/** @typedef {typeof en} Words */

const KEY = 'dikas.language';

/** @type {Record<Language, Words>} */
const TABLES = { en, de };

/** @type {Language} */
let current = chosen() ?? (navigator.languages.some((tag) => /^de\b/i.test(tag)) ? 'de' : 'en');

/** The language now. */
export const language = () => current;

/** The words of the language now. */
export const words = () => TABLES[current];

/** @param {Language} wanted */
export function setLanguage(wanted) {
  current = wanted;
  keep(KEY, wanted);
}

/** @param {number} value */
export const number = (value) => new Intl.NumberFormat(current).format(value);

/** @param {number} cents */
export const money = (cents) =>
  new Intl.NumberFormat(current, { style: 'currency', currency: 'EUR' }).format(cents / 100);

/**
 * A size in decimal units, as download lists and file managers of most systems show it.
 *
 * @param {number} size
 */
export function bytes(size) {
  const units = /** @type {const} */ ([
    ['gigabyte', 1e10, 1e9],
    ['megabyte', 1e6, 1e6],
    ['kilobyte', 1e3, 1e3],
    ['byte', 0, 1],
  ]);
  const [unit, , scale] = units.find(([, least]) => size >= least) ?? units[3];
  const digits = scale === 1 ? 0 : 1;
  const text = new Intl.NumberFormat(current, {
    style: 'unit',
    unit,
    unitDisplay: unit === 'byte' ? 'long' : 'short',
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  }).format(size / scale);
  return text.replaceAll(' ', '\u00a0');
}

/**
 * A share of the whole, rounded down so that nothing unfinished reads 100 %.
 *
 * @param {number} fraction
 */
export const percent = (fraction) =>
  new Intl.NumberFormat(current, { style: 'percent' }).format(Math.floor(fraction * 100) / 100);

/**
 * A moment, in the order of the reader's country where the browser names one (en-GB, de-AT). What is none stays as it
 * is: files of others say what they like.
 *
 * @param {Date | string} moment
 * @param {string} [timeZone] where it is told; where the browser is by default
 */
export function dateTime(moment, timeZone) {
  const date = new Date(moment);
  if (Number.isNaN(date.getTime())) return String(moment);
  const region = navigator.languages.find((tag) => tag.startsWith(`${current}-`)) ?? current;
  return new Intl.DateTimeFormat(region, { dateStyle: 'long', timeStyle: 'short', timeZone }).format(date);
}

/**
 * How long ago or ahead: “5 minutes ago”, “in 20 hours”.
 *
 * @param {Date} moment
 * @param {number} [now]
 */
export function relative(moment, now = Date.now()) {
  const minutes = Math.round((moment.getTime() - now) / 60_000);
  const format = new Intl.RelativeTimeFormat(current, { numeric: 'auto' });
  if (Math.abs(minutes) < 1) return words().justNow;
  if (Math.abs(minutes) < 60) return format.format(minutes, 'minute');
  if (Math.abs(minutes) < 36 * 60) return format.format(Math.round(minutes / 60), 'hour');
  return format.format(Math.round(minutes / 1440), 'day');
}

/**
 * A clock for what has passed: 0:07, 12:30, 1:02:03.
 *
 * @param {number} seconds
 */
export function clock(seconds) {
  const two = (/** @type {number} */ value) => String(value).padStart(2, '0');
  const all = Math.floor(seconds);
  const hours = Math.floor(all / 3600);
  const minutes = Math.floor((all % 3600) / 60);
  return hours > 0 ? `${hours}:${two(minutes)}:${two(all % 60)}` : `${minutes}:${two(all % 60)}`;
}

/**
 * A guess at what is left, as coarse as a guess is: “40 seconds”, “3 minutes”, “1 hour, 20 minutes”.
 *
 * @param {number} seconds
 */
export function duration(seconds) {
  const unit = (/** @type {number} */ value, /** @type {'second' | 'minute' | 'hour'} */ name) =>
    new Intl.NumberFormat(current, { style: 'unit', unit: name, unitDisplay: 'long' }).format(value);
  if (seconds < 55) return unit(Math.max(5, Math.ceil(seconds / 5) * 5), 'second');
  if (seconds < 3570) return unit(Math.round(seconds / 60), 'minute');
  const minutes = Math.round(seconds / 300) * 5;
  const hours = unit(Math.floor(minutes / 60), 'hour');
  return minutes % 60 === 0 ? hours : `${hours}, ${unit(minutes % 60, 'minute')}`;
}

/** @returns {Language | null} */
function chosen() {
  const stored = kept(KEY);
  return stored === 'de' || stored === 'en' ? stored : null;
}
