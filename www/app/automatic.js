// @ts-check
/** The Automatic view: what the server does by itself, the backups that it keeps, and the tokens of those who fetch some. */

import { scheduleCard } from './automatic/schedule.js';
import { stopChecks, storedCard } from './automatic/stored.js';
import { forgetToken, tokensCard } from './automatic/tokens.js';
import { failurePanel } from './failure.js';
import { words } from './language.js';

/** @typedef {import('./failure.js').Problem} Problem */

/**
 * @param {{ onended: () => void }} options called when the login turns out to have ended
 */
export function automaticView({ onended }) {
  const stored = storedCard();
  const tokens = tokensCard();
  const schedule = scheduleCard({ onended: () => void stored.reload(), onfailed });

  /** Says at once where this login sees none of it. @param {Problem} problem */
  function onfailed(problem) {
    if (problem.kind === 'unauthorized') onended();
    else if (problem.kind === 'forbidden') {
      stored.section.remove();
      tokens.remove();
      schedule.replaceWith(failurePanel(problem, { title: words().automatic.never, about: 'stored' }));
    } else return false;
    return true;
  }

  return [schedule, stored.section, tokens];
}

/** Ends and forgets what is of whoever was signed in. */
export function leaveAutomatic() {
  stopChecks();
  forgetToken();
}
