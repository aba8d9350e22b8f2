// @ts-check
/**
 * Elements without markup strings: the page's policy forbids `innerHTML`, and nothing here needs it.
 *
 *     h('p', { class: 'hint' }, icon('info'), 'Text is always text.')
 */

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * Makes an element. Properties that begin with `on` are event listeners, `true` is an empty attribute, `false` and
 * `null` are none, all else are attributes.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, unknown>} [properties]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith('on')) {
      element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value === true ? '' : String(value));
    }
  }
  fill(element, ...children);
  return element;
}

/**
 * Replaces what is in an element.
 *
 * @param {Element} element
 * @param {...(Child | Child[])} children
 */
export function fill(element, ...children) {
  const shown = children.flat().filter((child) => child !== null && child !== undefined && child !== false);
  element.replaceChildren(...shown.map((child) => (child instanceof Node ? child : String(child))));
}

/**
 * A picture of those in `index.html`, in the colour of the text around it, silent to screen readers.
 *
 * @param {string} name
 */
export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  use.setAttribute('href', `#icon-${name}`);
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  svg.append(use);
  return svg;
}

/** @param {string} id */
export function byId(id) {
  return /** @type {HTMLElement | null} */ (document.getElementById(id));
}

/**
 * Tells screen readers, without moving the focus.
 *
 * @param {string} text
 */
export function announce(text) {
  const announcer = byId('announcer');
  if (announcer) announcer.textContent = text;
}

/**
 * Asks a question in a dialog of its own and waits for the answer. Escape means no.
 *
 * @param {{ title: string, text: string, yes: string, no: string, danger?: boolean }} question
 * @returns {Promise<boolean>}
 */
export function ask({ title, text, yes, no, danger = false }) {
  return new Promise((resolve) => {
    const dialog = h(
      'dialog',
      { 'aria-labelledby': 'question', onclose: () => (dialog.remove(), resolve(dialog.returnValue === 'yes')) },
      h('h2', { id: 'question' }, title),
      h('p', {}, text),
      h(
        'div',
        { class: 'actions end' },
        h('button', { type: 'button', id: 'answer-no', onclick: () => dialog.close('no') }, no),
        h(
          'button',
          {
            type: 'button',
            id: 'answer-yes',
            class: danger ? 'danger' : 'primary',
            onclick: () => dialog.close('yes'),
          },
          yes,
        ),
      ),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
}

/**
 * A button that copies a text. Without the clipboard API (plain http) it selects `source` for the keyboard instead.
 *
 * @param {{ id: string, text: () => string, source: Element, label: string, done: string, select: string }} options
 */
export function copyButton({ id, text, source, label, done, select }) {
  const caption = h('span', {}, label);
  const button = h('button', { type: 'button', class: 'small', id, onclick: copy }, icon('copy'), caption);
  async function copy() {
    const copied = await (navigator.clipboard?.writeText(text()) ?? Promise.reject()).then(
      () => true,
      () => false,
    );
    if (!copied) getSelection()?.selectAllChildren(source);
    caption.textContent = copied ? done : select;
    announce(caption.textContent);
    setTimeout(() => (caption.textContent = label), 3000);
  }
  return button;
}
