// @ts-check
/** Calls of the API in the name of who is signed in, for what no engine is needed for. */

import { data, Failure, send, unheard } from './http.js';
import { authorised } from './session.js';

/** @typedef {import('./http.js').Sending} Sending */

/**
 * @param {string} path below `/api/v1`
 * @param {Sending} [sending]
 * @returns {Promise<any>} the data of the answer
 * @throws {Failure}
 */
export async function ask(path, sending = {}) {
  return data(await signed(path, sending));
}

/**
 * The lines of an answer that comes as it is made, each as what its JSON means.
 *
 * @param {string} path below `/api/v1`
 * @param {Sending} [sending]
 * @returns {AsyncGenerator<any, void, void>}
 * @throws {Failure}
 */
export async function* lines(path, sending = {}) {
  const { body } = await signed(path, { ...sending, accept: 'application/x-ndjson' });
  if (!body) return;
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ''; ; ) {
    const { done, value = '' } = await reader.read().catch((/** @type {unknown} */ error) => {
      throw unheard(error, path, sending.signal);
    });
    const whole = (rest + value).split('\n');
    rest = whole.pop() ?? '';
    for (const line of whole) if (line) yield JSON.parse(line);
    if (done) return;
  }
}

/**
 * Sends with a token; one that is refused is renewed once.
 *
 * @param {string} path
 * @param {Sending} sending
 */
function signed(path, sending) {
  return authorised(async (auth) => {
    const token = await auth({ rejected: null });
    try {
      return await send(path, { ...sending, token });
    } catch (error) {
      if (!(error instanceof Failure) || error.kind !== 'unauthorized') throw error;
      return send(path, { ...sending, token: await auth({ rejected: token }) });
    }
  });
}
