// @ts-check
/** What a manifest says, as the tables of this page need it. */

/**
 * @typedef {import('./session.js').CollectionSummary} CollectionSummary
 * @typedef {import('../engine/index.js').Manifest} Manifest
 * @typedef {{ created: string | null, business: string | null, product: string | null, collections: CollectionSummary[] }} Summary
 */

/**
 * @param {Manifest} manifest
 * @returns {Summary}
 */
export function summarise({ created, source, collections, attachments }) {
  return {
    created,
    business: source.business,
    product: source.product,
    collections: collections.map(({ name, category, documents, bytes }) => {
      const files = attachments.filter((attachment) => attachment.collection === name);
      const attachmentBytes = files.reduce((all, { size }) => all + size, 0);
      return { name, category, documents, bytes, attachments: files.length, attachmentBytes };
    }),
  };
}
