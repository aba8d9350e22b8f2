// @ts-check
/**
 * A receipt as it was handed to the guest, from the raw text of its document. Receipts of different programs name some
 * things differently; what a receipt does not say is left out, and what is worked out here is said to be.
 */

import { h } from '../dom.js';
import { dateTime, language, number, words } from '../language.js';
import { items, member, plain, valueAt } from './json.js';

/**
 * @typedef {import('./json.js').Value} Value
 * @typedef {(id: string) => Promise<string | null>} NameOf
 */

/** A document longer than this is no receipt that a person would read. */
const LONGEST = 200_000;

/**
 * @param {string} text
 * @param {{ nameOf: NameOf }} options `nameOf` tells what the article of an id is called
 * @returns {HTMLElement | null} null where this is no receipt
 */
export function receiptView(text, { nameOf }) {
  if (text.length > LONGEST) return null;
  const w = words().inspect.receipt;
  const whole = valueAt(text);
  const say = (/** @type {Value} */ value, /** @type {string[]} */ ...names) => {
    for (const name of names) {
      const found = member(text, value, ...name.split('.'));
      if (found && plain(text, found) !== 'null') return plain(text, found);
    }
    return '';
  };
  const list = (/** @type {string} */ name) => {
    const found = member(text, whole, name);
    return found?.kind === 'array' ? [...items(text, found)] : [];
  };
  const lines = list('lines');
  const total = say(whole, 'total', 'gross');
  if (lines.length === 0 || total === '') return null;

  const sold = lines.map((line) => {
    const name = h('span', {}, say(line, 'name') || say(line, 'articleId'));
    if (!say(line, 'name')) void nameOf(say(line, 'articleId')).then((found) => found && (name.textContent = found), () => {});
    const about = [say(line, 'option'), say(line, 'note'), discount(say(line, 'discount.percent'))].filter(Boolean).join(' · ');
    const [quantity, unit, rate] = [say(line, 'quantity'), say(line, 'unitPrice'), say(line, 'taxRate')];
    const sum = say(line, 'total') || product(quantity, unit);
    return { name, about, quantity, unit, rate, sum };
  });
  const stated = list('taxes').map((tax) => ({ rate: say(tax, 'rate'), gross: say(tax, 'gross'), tax: say(tax, 'tax') }));
  const taxes = stated.length > 0 ? stated : workedOut(sold);
  const payments = list('payments').map((payment) => [paidBy(say(payment, 'type')), say(payment, 'amount')]);
  const facts = /** @type {[string, string][]} */ ([
    [w.table, say(whole, 'tableId')],
    [w.employee, say(whole, 'employeeId')],
    [w.z, say(whole, 'zNumber')],
    [w.voids, say(whole, 'voids.receiptNumber')],
    [w.reason, say(whole, 'voids.reason')],
    [w.transaction, say(whole, 'fiscal.transactionNumber', 'tse.transactionNumber')],
    [w.counter, say(whole, 'fiscal.signatureCounter', 'tse.signatureCounter')],
    [w.start, say(whole, 'fiscal.logTimeStart', 'tse.start')],
    [w.end, say(whole, 'fiscal.logTimeEnd', 'tse.end')],
    [w.serial, say(whole, 'fiscal.tseSerial', 'tse.serial')],
    [w.signature, say(whole, 'fiscal.signature', 'tse.signature')],
  ]).filter(([, value]) => value);
  const moment = say(whole, 'closedAt', 'date');

  return h(
    'article',
    { class: 'receipt', 'aria-label': w.title },
    h('header', {}, h('h3', {}, w.number(say(whole, 'receiptNumber'))), moment && h('p', {}, h('time', { datetime: moment }, dateTime(moment)))),
    h(
      'table',
      {},
      h('caption', { class: 'unseen' }, w.lines),
      h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, w.article), h('th', { scope: 'col', class: 'figure' }, w.vat), h('th', { scope: 'col', class: 'figure' }, w.sum))),
      h(
        'tbody',
        {},
        sold.map(({ name, about, quantity, unit, rate, sum }) =>
          h(
            'tr',
            {},
            h('td', {}, name, h('span', { class: 'about' }, [`${decimal(quantity)} × ${euro(unit)}`, about].filter(Boolean).join(' · '))),
            h('td', { class: 'figure' }, rate && `${decimal(rate)} %`),
            h('td', { class: 'figure' }, euro(sum)),
          ),
        ),
      ),
      h('tfoot', {}, h('tr', {}, h('th', { scope: 'row', colspan: 2 }, w.total), h('td', { class: 'figure' }, euro(total)))),
    ),
    h(
      'dl',
      { class: 'sums' },
      taxes.map(({ rate, gross, tax }) => pair(w.tax(decimal(rate), euro(gross)), euro(tax))),
      say(whole, 'tip') && Number(say(whole, 'tip')) !== 0 && pair(w.tip, euro(say(whole, 'tip'))),
      payments.map(([type, amount]) => pair(type ?? '', euro(amount ?? ''))),
    ),
    stated.length === 0 && taxes.length > 0 && h('p', { class: 'hint' }, w.workedOut),
    say(whole, 'note') && h('p', {}, say(whole, 'note')),
    h('dl', { class: 'fine' }, facts.map(([label, value]) => pair(label, value))),
  );
}

/** @param {string} label @param {string} value */
function pair(label, value) {
  return h('div', {}, h('dt', {}, label), h('dd', {}, value));
}

/** @param {string} type */
function paidBy(type) {
  const table = /** @type {Record<string, string>} */ (words().inspect.receipt.payments);
  return table[type] ?? type;
}

/** @param {string} percent */
function discount(percent) {
  return percent && `−${decimal(percent)} %`;
}

/**
 * Formatted by its digits and not by the number nearest to them, where the browser can do that.
 *
 * @param {string} text
 * @param {Intl.NumberFormatOptions} [options]
 */
function decimal(text, options = { maximumFractionDigits: 20 }) {
  if (!/^-?\d+(?:\.\d+)?$/.test(text)) return text;
  return new Intl.NumberFormat(language(), options).format(/** @type {any} */ (text));
}

/** @param {string} text */
function euro(text) {
  return decimal(text, { style: 'currency', currency: 'EUR' });
}

/**
 * A decimal number in units of its last place of two: 12.345 is [12345n, 3].
 *
 * @param {string} text
 * @returns {[bigint, number] | null}
 */
function exact(text) {
  const parts = /^(-?\d+)(?:\.(\d{1,9}))?$/.exec(text);
  return parts && [BigInt(`${parts[1]}${parts[2] ?? ''}`), parts[2]?.length ?? 0];
}

/** @param {bigint} value @param {number} places */
function written(value, places) {
  const digits = String(value < 0n ? -value : value).padStart(places + 1, '0');
  const whole = `${value < 0n ? '-' : ''}${digits.slice(0, digits.length - places)}`;
  return places > 0 ? `${whole}.${digits.slice(-places)}` : whole;
}

/** @param {string} one @param {string} other */
function product(one, other) {
  const [a, b] = [exact(one), exact(other)];
  return a && b ? written(a[0] * b[0], a[1] + b[1]) : '';
}

/**
 * What of the sums of each rate is tax, rounded to cents once for each rate.
 *
 * @param {readonly { rate: string, sum: string }[]} lines
 */
function workedOut(lines) {
  /** @type {Map<string, bigint>} */
  const cents = new Map();
  for (const { rate, sum } of lines) {
    const [amount, percent] = [exact(sum), exact(rate)];
    if (!amount || !percent || percent[1] > 0 || percent[0] < 0n) return [];
    const scaled = amount[1] <= 2 ? amount[0] * 10n ** BigInt(2 - amount[1]) : rounded(amount[0], 10n ** BigInt(amount[1] - 2));
    cents.set(rate, (cents.get(rate) ?? 0n) + scaled);
  }
  return [...cents].map(([rate, gross]) => {
    const tax = rounded(gross * BigInt(rate), 100n + BigInt(rate));
    return { rate, gross: written(gross, 2), tax: written(tax, 2) };
  });
}

/**
 * A quotient, halves away from zero.
 *
 * @param {bigint} value
 * @param {bigint} by more than zero
 */
function rounded(value, by) {
  const half = by / 2n;
  return value < 0n ? -((-value + half) / by) : (value + half) / by;
}
