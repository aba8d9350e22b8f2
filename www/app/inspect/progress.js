// @ts-check
/** How far something long is, with a button that stops it. */

import { h, icon } from '../dom.js';
import { percent, words } from '../language.js';

/**
 * It keeps itself up to date for as long as it is shown.
 *
 * @param {import('./task.js').Task<any>} task
 * @param {{ id: string, say: (share: string) => string }} options
 */
export function progressLine(task, { id, say }) {
  const text = h('span', { class: 'hint' });
  const bar = h('progress', { max: 1, value: 0 });
  const line = h(
    'div',
    { class: 'working', id },
    bar,
    text,
    h('button', { type: 'button', class: 'small', id: `${id}-stop`, onclick: () => task.stop() }, icon('stop'), words().inspect.cancel),
  );
  function update() {
    if (!line.isConnected && text.textContent) return task.removeEventListener('tick', update);
    bar.value = task.fraction;
    text.textContent = say(percent(task.fraction));
    bar.setAttribute('aria-label', text.textContent);
  }
  task.addEventListener('tick', update);
  update();
  return line;
}
