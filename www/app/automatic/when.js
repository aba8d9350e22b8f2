// @ts-check
/** When a schedule runs, in words: cron expressions of the simple kinds, which are nearly all. */

import { language, words } from '../language.js';

/**
 * @param {string} when a cron expression of five fields
 */
export function inWords(when) {
  const w = words().automatic;
  const [minute = '', hour = '', day, month, weekday = '', ...more] = when.trim().split(/\s+/);
  const minutes = numbers(minute, 59);
  const hours = numbers(hour, 23);
  if (!minutes || !hours || minutes.length > 1 || day !== '*' || month !== '*' || more.length > 0) return w.cron(when);
  const times = hours.map((hour) => `${two(hour)}:${two(minutes[0] ?? 0)}`);
  if (weekday === '*') return w.daily(times);
  const days = numbers(weekday, 7);
  if (!days) return w.cron(when);
  // Sunday is 0 and 7, and comes last.
  const inOrder = [...new Set(days.map((day) => day || 7))].sort((a, b) => a - b);
  return inOrder.length === 7 ? w.daily(times) : w.weekly(inOrder.map(dayName), times);
}

/**
 * What a field names, where it is a list of numbers and ranges.
 *
 * @param {string} field
 * @param {number} most
 */
function numbers(field, most) {
  /** @type {number[]} */
  const found = [];
  for (const part of field.split(',')) {
    const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(part) ?? [];
    if (first === undefined || Number(last) > most || Number(first) > Number(last)) return null;
    for (let number = Number(first); number <= Number(last); number++) found.push(number);
  }
  return found;
}

/** @param {number} value */
const two = (value) => String(value).padStart(2, '0');

/** The name of a day of the week, Monday being 1. @param {number} day */
function dayName(day) {
  // The first of January 2024 was a Monday.
  return new Intl.DateTimeFormat(language(), { weekday: 'long', timeZone: 'UTC' }).format(new Date(Date.UTC(2024, 0, day)));
}
