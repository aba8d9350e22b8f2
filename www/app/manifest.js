// @ts-check
/** What a manifest says, as the tables of this page need it. */

/**
 * @param {import('../engine/protocol.js').Manifest} manifest
 * @returns {import('../engine/protocol.js').CollectionSummary[]}
 */
export function ofManifest({ collections, attachments }) {
  return collections.map(({ name, category, documents, bytes }) => {
    const files = attachments.filter((attachment) => attachment.collection === name);
    const attachmentBytes = files.reduce((all, { size }) => all + size, 0);
    return { name, category, documents, bytes, attachments: files.length, attachmentBytes };
  });
}
