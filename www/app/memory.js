// @ts-check
/**
 * What this device remembers between visits. A browser that allows no storage remembers nothing, and nothing that the
 * page needs depends on it.
 */

/**
 * @param {string} key
 * @returns {string | null}
 */
export function kept(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/**
 * @param {string} key
 * @param {string} value
 */
export function keep(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // See above: then it is not remembered.
  }
}
