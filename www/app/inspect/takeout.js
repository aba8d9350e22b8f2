// @ts-check
/** Taking documents out of the backup, into a file that is saved. */

import { fill, h, icon } from '../dom.js';
import { bytes, language, words } from '../language.js';
import { inspecting } from './inspecting.js';
import { problemLine } from './problems.js';
import { progressLine } from './progress.js';
import { fileName, save } from './save.js';

/**
 * @param {{ collections: string[], search?: string }} what
 */
export function takeOutLine({ collections, search }) {
  const w = words().inspect;
  const state = h('div', { class: 'take-out-state' });
  const button = (/** @type {'lines' | 'csv'} */ kind, /** @type {string} */ label) =>
    h('button', { type: 'button', class: 'small', id: `take-out-${kind}`, title: kind === 'csv' && w.csvNote, onclick: () => void takeOut(kind) }, icon('download'), label);

  /** @param {'lines' | 'csv'} kind */
  async function takeOut(kind) {
    const { backup, takeOut } = inspecting;
    if (!backup) return;
    const format = kind === 'lines' ? 'json-lines' : language() === 'de' ? 'csv-semicolon' : 'csv-comma';
    const stem = collections.length === 1 ? collections[0] : inspecting.name.replace(/\.zip$/i, '');
    const name = fileName(`${stem}${search ? ` ${search}` : ''}`) + (kind === 'lines' ? '.jsonl' : '.csv');
    const written = takeOut.run((reading) => backup.exportDocuments({ collections, search, format, name, ...reading }));
    fill(state, progressLine(takeOut, { id: 'taking-out', say: w.takingOut }));
    const result = await written;
    const problem = result ? result.problem : takeOut.state === 'failed' && takeOut.error;
    fill(
      state,
      result && h('p', { class: 'hint', id: 'taken-out', role: 'status' }, w.takenOut(name, bytes(result.file.size)), result.problem && ` ${w.notAll}`),
      problem && problemLine(problem),
    );
    if (result) save(result.file, name);
  }

  return h(
    'div',
    { class: 'take-out', role: 'group', 'aria-label': search === undefined ? w.takeOut : w.takeOutHits },
    button('lines', w.takeOutLines),
    button('csv', w.takeOutCsv),
    state,
  );
}
