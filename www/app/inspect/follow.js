// @ts-check
/** The way from one document to another. */

import { announce, byId } from '../dom.js';
import { words } from '../language.js';
import { inspecting } from './inspecting.js';

/**
 * Shows the document of this id, or says that there is none.
 *
 * @param {string} id
 * @param {string} [collection]
 */
export async function follow(id, collection) {
  const { backup } = inspecting;
  if (!backup) return;
  const place = await backup.find(id, { collection }).catch(() => null);
  if (place) return inspecting.show(place);
  const text = words().inspect.noId(id);
  announce(text);
  const line = byId('not-found');
  if (line) line.textContent = text;
}
