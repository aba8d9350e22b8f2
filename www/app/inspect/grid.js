// @ts-check
/**
 * A table of any number of rows, of which only those in sight exist. Rows come in chunks from `load`; the newest wish goes
 * first, and what has scrolled by is not asked for.
 *
 *     const table = grid({ rows: 5_000_000, columns, load: (from, count) => …, onopen: (row) => … });
 *     table.go(4_000_000);
 *
 * It is one stop of the keyboard: arrows, Page Up and Down, Home and End move the mark, Enter opens the row.
 */

import { fill, h } from '../dom.js';
import { number, words } from '../language.js';
import { Scroll } from './scroll.js';

/**
 * @typedef {{ label: string, field: string, kind: import('../../engine/protocol.js').ColumnKind }} Column
 * @typedef {{ cells: (string | Node)[], state?: string }} Row
 */

/** Height of a row in pixels, as in the style sheet. */
const ROW = 40;

/** How wide a column is at least, in rem, and its share of what is left. @type {Record<Column['kind'], [number, number]>} */
const WIDTHS = { id: [10, 1.5], figure: [6, 0.5], date: [12.5, 1], text: [8.5, 1] };

/** Rows are asked for in chunks of so many, and so many chunks are kept. */
const CHUNK = 64;
const KEPT = 48;

/** Rows in the document beyond what is seen, on either side. */
const SPARE = 4;

/** How long a place has to be looked at before its rows are asked for, in milliseconds. */
const SETTLE = 60;

/**
 * @param {object} options
 * @param {string} options.id
 * @param {string} options.label
 * @param {number} options.rows
 * @param {readonly Column[]} options.columns
 * @param {(from: number, count: number) => Promise<Row[]>} options.load May give fewer, where the rest cannot be read.
 * @param {(row: number) => void} options.onopen
 */
export function grid({ id, label, rows, columns, load, onopen }) {
  const scroll = new Scroll();
  /** @type {Map<number, Row[]>} */
  const chunks = new Map();
  /** @type {Map<number, HTMLElement>} */
  const drawn = new Map();
  let marked = 0;
  let busy = false;
  /** Whether it has had a size, and so a place for the mark. */
  let placed = false;
  /** @type {number | undefined} */
  let settling;

  const head = h(
    'div',
    { role: 'row', class: 'grid-row grid-head', 'aria-rowindex': 1 },
    h('span', { role: 'columnheader', class: 'figure' }, words().inspect.row),
    columns.map(({ label, field, kind }) => h('span', { role: 'columnheader', class: kind === 'figure' && 'figure', title: field }, label)),
  );
  const body = h('div', { role: 'rowgroup', class: 'grid-rows' });
  const space = h('div', { class: 'grid-space' }, body);
  const view = h(
    'div',
    {
      id, role: 'grid', class: 'grid', tabindex: 0, 'aria-label': label, 'aria-rowcount': rows + 1,
      'aria-colcount': columns.length + 1, onscroll: () => (follow(), draw()), onkeydown: pressed, onclick: clicked,
    },
    h('div', { role: 'rowgroup', class: 'grid-top' }, head),
    space,
  );
  // Each row is a grid of its own: the columns of all agree because no content decides how wide they are.
  const widths = columns.map(({ kind }) => WIDTHS[kind]);
  view.style.setProperty('--columns', `4.75rem ${widths.map(([least, share]) => `minmax(${least}rem, ${share}fr)`).join(' ')}`);
  view.style.setProperty('--all', `${(rows + 1) * ROW + 18}px`);
  view.style.setProperty('--least', `${widths.reduce((sum, [least = 0]) => sum + least, 4.75)}rem`);
  // Where a pixel of the bar is many of the list, the wheel moves the list and not the bar.
  view.addEventListener('wheel', turned, { passive: false });

  function follow() {
    scroll.follow(view.scrollTop);
  }

  /** @param {WheelEvent} event */
  function turned(event) {
    if (!scroll.mapped || event.ctrlKey || event.deltaY === 0 || event.shiftKey) return;
    event.preventDefault();
    scroll.by(event.deltaY * [1, ROW, 8 * ROW][event.deltaMode]);
    draw();
    settle();
  }

  /** Puts the bar where the list is. */
  function settle() {
    view.scrollTop = scroll.bar;
    scroll.settled(view.scrollTop);
  }

  function draw() {
    const height = view.clientHeight - head.offsetHeight;
    if (height <= 0) return;
    scroll.resize(rows, ROW, height);
    space.style.height = `${scroll.height}px`;
    if (!placed) {
      placed = true;
      scroll.reveal(marked);
      settle();
    }
    const [from, to] = scroll.seen;
    for (const [row, element] of drawn) {
      if (row >= from - SPARE && row < to + SPARE) continue;
      element.remove();
      drawn.delete(row);
    }
    for (let row = Math.max(0, from - SPARE); row < Math.min(rows, to + SPARE); row += 1) {
      let element = drawn.get(row);
      if (!element) {
        element = rowElement(row);
        drawn.set(row, element);
        body.append(element);
      }
      element.style.transform = `translateY(${scroll.offset(row) + view.scrollTop}px)`;
      element.classList.toggle('marked', row === marked);
      element.setAttribute('aria-selected', String(row === marked));
    }
    if (drawn.has(marked)) view.setAttribute('aria-activedescendant', `${id}-${marked}`);
    else view.removeAttribute('aria-activedescendant');
    clearTimeout(settling);
    settling = setTimeout(want, SETTLE);
  }

  /** @param {number} row */
  function rowElement(row) {
    const element = h('div', { role: 'row', class: 'grid-row', id: `${id}-${row}`, 'aria-rowindex': row + 2, 'data-row': row });
    const loaded = chunks.get(Math.floor(row / CHUNK))?.[row % CHUNK];
    element.dataset.state = loaded ? (loaded.state ?? 'there') : 'waiting';
    const cells = loaded?.cells ?? columns.map(() => (chunks.has(Math.floor(row / CHUNK)) ? '' : '…'));
    fill(
      element,
      h('span', { role: 'gridcell', class: 'figure number' }, number(row + 1)),
      cells.map((cell, at) =>
        h('span', { role: 'gridcell', class: columns[at]?.kind === 'figure' && 'figure', title: typeof cell === 'string' && cell }, cell),
      ),
    );
    return element;
  }

  /** Asks for the first chunk in sight that is not there. */
  async function want() {
    if (busy || !view.isConnected) return;
    const [from, to] = scroll.seen;
    const wanted = range(Math.floor(from / CHUNK), Math.ceil(to / CHUNK)).find((chunk) => !chunks.has(chunk));
    if (wanted === undefined) return;
    busy = true;
    try {
      const first = wanted * CHUNK;
      chunks.set(wanted, await load(first, Math.min(CHUNK, rows - first)));
      const oldest = chunks.keys().next().value;
      if (chunks.size > KEPT && oldest !== undefined) chunks.delete(oldest);
      for (let row = first; row < first + CHUNK; row += 1) {
        drawn.get(row)?.remove();
        drawn.delete(row);
      }
    } catch {
      // Whoever loads says why it failed; the rows stay as they are.
      chunks.set(wanted, []);
    } finally {
      busy = false;
    }
    draw();
    void want();
  }

  /** @param {number} row @param {boolean} [open] */
  function go(row, open = false) {
    marked = Math.max(0, Math.min(row, rows - 1));
    if (placed) {
      scroll.reveal(marked);
      settle();
      draw();
    }
    if (open) onopen(marked);
  }

  /** @param {KeyboardEvent} event */
  function pressed(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const page = Math.max(1, Math.floor((view.clientHeight - head.offsetHeight) / ROW) - 1);
    const target = {
      ArrowDown: marked + 1, ArrowUp: marked - 1, PageDown: marked + page, PageUp: marked - page, Home: 0, End: rows - 1,
    }[event.key];
    if (target !== undefined) go(target);
    else if (event.key === 'Enter' || event.key === ' ') onopen(marked);
    else return;
    event.preventDefault();
  }

  /** @param {MouseEvent} event */
  function clicked(event) {
    const row = /** @type {HTMLElement} */ (event.target).closest('[data-row]');
    if (row) go(Number(/** @type {HTMLElement} */ (row).dataset.row), true);
  }

  const observer = new ResizeObserver(() => (view.isConnected ? draw() : observer.disconnect()));
  observer.observe(view);
  return { view, go };
}

/** @param {number} from @param {number} to */
function range(from, to) {
  return Array.from({ length: Math.max(0, to - from) }, (_, at) => from + at);
}
