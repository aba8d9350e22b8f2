// @ts-check
/** Whether the file is sound: one sentence, and what is wrong. */

import { announce, fill, h, icon } from '../dom.js';
import { words } from '../language.js';
import { inspecting } from './inspecting.js';
import { problemLine, problemTable, report } from './problems.js';
import { progressLine } from './progress.js';
import { fileName, save } from './save.js';

/** @typedef {import('./inspecting.js').Verdict} Verdict */

export function verifyRoom() {
  const w = words().inspect;
  const { backup, verify } = inspecting;
  if (!backup) return [];
  const outcome = h('div', { class: 'stack', id: 'verify-outcome' });
  const start = h('button', { type: 'button', class: 'primary', id: 'verify-start', onclick: begin }, icon('shield'), w.verifyStart);

  function begin() {
    if (backup) void verify.run((reading) => backup.verify(reading));
  }

  function update() {
    if (!room.isConnected && room.dataset.state) return verify.removeEventListener('change', update);
    const { state, result, error } = verify;
    room.dataset.state = state;
    start.hidden = state === 'running';
    start.lastChild?.replaceWith(state === 'idle' ? w.verifyStart : w.verifyAgain);
    if (state === 'running') fill(outcome, progressLine(verify, { id: 'verifying', say: w.verifying }));
    else if (result) fill(outcome, verdictView(result));
    else fill(outcome, state === 'stopped' && h('p', { class: 'hint' }, w.verifyStopped), error && state === 'failed' && problemLine(error));
  }

  /** @param {Verdict} verdict */
  function verdictView(verdict) {
    const sentence = verdictSentence(verdict, backup?.summary.attachments ?? 0);
    announce(sentence);
    const kind = verdict.sound ? (verdict.hasManifest ? 'sound' : 'complete') : 'damaged';
    const file = { name: inspecting.name, size: backup?.summary.size ?? 0 };
    const keep = () => save(new Blob([report({ ...file, sentence, ...verdict })]), fileName(`${inspecting.name}.txt`));
    return [
      h('p', { class: `verdict ${kind}`, id: 'verdict', 'data-verdict': kind, 'data-problems': verdict.found }, icon(verdict.sound ? 'check' : 'alert'), h('span', {}, sentence)),
      ...(verdict.sound ? verdict.notes : []).map((note) => h('p', { class: 'hint', 'data-note': note.kind }, noteLine(note))),
      verdict.problems.length > 0 && problemTable(verdict.problems),
      h('div', { class: 'actions' }, h('button', { type: 'button', class: 'small', id: 'verify-report', onclick: keep }, icon('download'), w.report)),
    ];
  }

  const room = h(
    'section',
    { class: 'card', id: 'verify', 'aria-labelledby': 'verify-title' },
    h('h2', { id: 'verify-title', tabindex: -1 }, w.verifyTitle),
    h('p', {}, w.verifyLead),
    outcome,
    h('div', { class: 'actions' }, start),
  );
  verify.addEventListener('change', update);
  update();
  return [room];
}

/** @param {Verdict['notes'][number]} note */
function noteLine(note) {
  const w = words().inspect.verifyNotes;
  if (note.kind === 'folder') return w.folder(note.name);
  if (note.kind === 'byte-order-marks') return w.marks(note.parts);
  return note.kind === 'trailing-bytes' ? w.trailing(note.bytes) : w.repacked;
}

/**
 * @param {Verdict} verdict
 * @param {number} files
 */
function verdictSentence({ sound, hasManifest, documents, found }, files) {
  const w = words().inspect.verified;
  if (!sound) return w.damaged(found, documents);
  return hasManifest ? w.sound(documents, files) : w.complete(documents, files);
}
