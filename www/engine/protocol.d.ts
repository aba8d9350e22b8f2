// Generated from src/browser/protocol.rs by `DIKAS_BLESS=1 cargo test -p dikas-archive protocol`.

/**
 * A finished archive that the browser or the server keeps.
 */
export type Archive = { 
/**
 * What [`Command::OpenArchive`] and [`Command::RemoveArchive`] call it.
 */
id: string, 
/**
 * File name, `.zip` included.
 */
name: string, 
/**
 * Where it is.
 */
place: Place, 
/**
 * The moment of the data, by the server's clock, RFC 3339 in UTC.
 */
created: string, 
/**
 * When the archive was finished, by the clock of whoever keeps it, RFC 3339 in UTC.
 */
finished: string, 
/**
 * Size in bytes.
 */
size: number, 
/**
 * Digest of the whole file.
 */
sha256: Sha256, 
/**
 * How many documents.
 */
documents: number, 
/**
 * How many attachments.
 */
attachments: number, 
/**
 * Name of the business.
 */
business: string, };

/**
 * One attachment.
 */
export type AttachmentEntry = { 
/**
 * The name of the entry.
 */
path: string, 
/**
 * Collection of the owner.
 */
collection: CollectionName, 
/**
 * `_id` of the owner.
 */
id: string, 
/**
 * File name, as the owner has it.
 */
name: string, 
/**
 * Media type, as it was uploaded.
 */
type: string, 
/**
 * Size in bytes.
 */
size: number, 
/**
 * Digest of the content; also its address.
 */
sha256: Sha256, };

/**
 * One attachment.
 */
export type AttachmentInfo = { 
/**
 * The name of the entry.
 */
path: string, 
/**
 * Collection of the owner, where it is known.
 */
collection: string | null, 
/**
 * `_id` of the owner, where it is known; without a manifest, the folder's name.
 */
id: string | null, 
/**
 * File name.
 */
name: string, 
/**
 * Media type, where a manifest says it.
 */
type: string | null, 
/**
 * Size in bytes.
 */
size: number, };

/**
 * What a person selects in a restore: collections that belong together.
 */
export type Category = "articles" | "customers" | "staff" | "tables" | "settings" | "revenue" | "disco" | "workshop" | "vouchers" | "invoices" | "other";

/**
 * One covered collection.
 */
export type CollectionEntry = { 
/**
 * Its name.
 */
name: CollectionName, 
/**
 * Its category. One that this version does not know is read as [`Category::Other`].
 */
category: Category, 
/**
 * How many documents.
 */
documents: number, 
/**
 * Bytes of JSON lines, line feeds included.
 */
bytes: number, 
/**
 * Its parts; none where it is empty.
 */
parts: Array<PartEntry>, };

/**
 * The name of a collection: `[a-z0-9-]{1,64}`, and no device name of Windows (FORMAT.md section 3).
 */
export type CollectionName = string;

/**
 * What a snapshot holds of one collection.
 */
export type CollectionSummary = { 
/**
 * Its name.
 */
name: CollectionName, 
/**
 * Its category.
 */
category: Category, 
/**
 * How many documents.
 */
documents: number, 
/**
 * Bytes of all documents as JSON lines, one line feed each included.
 */
bytes: number, 
/**
 * How many attachments its documents own.
 */
attachments: number, 
/**
 * Bytes of these attachments, counted once for each of them.
 */
attachmentBytes: number, };

/**
 * What the page asks for.
 */
export type Command = { "createBackup": { 
/**
 * Address of the server, without `/api/v1`.
 */
url: string, 
/**
 * The categories to back up; null means all.
 */
categories: Array<Category> | null, 
/**
 * Whether the server shall put the archive together, and keep it.
 */
onServer: boolean, } } | { "resumeBackup": { 
/**
 * Address of the server, without `/api/v1`.
 */
url: string, 
/**
 * Which one.
 */
id: string, } } | { "askHeld": { 
/**
 * Address of the server, without `/api/v1`.
 */
url: string, 
/**
 * Which one.
 */
id: string, } } | { "contents": { 
/**
 * Address of the server, without `/api/v1`.
 */
url: string, 
/**
 * The categories to look at; null means all.
 */
categories: Array<Category> | null, } } | "openBackup" | { "listArchives": { 
/**
 * Remove first what is left over of earlier backups and cannot be gone on with, and archives that are older than a
 * day.
 */
cleanUp: boolean, } } | { "listServerArchives": { 
/**
 * Address of the server, without `/api/v1`.
 */
url: string, } } | { "getServerAddress": { 
/**
 * Address of the server, without `/api/v1`.
 */
url: string, 
/**
 * Which one.
 */
id: string, } } | { "removeServerArchive": { 
/**
 * Address of the server, without `/api/v1`.
 */
url: string, 
/**
 * Which one.
 */
id: string, } } | { "openArchive": { 
/**
 * Which one.
 */
id: string, } } | { "removeArchive": { 
/**
 * Which one.
 */
id: string, } } | "storage" | { "token": { 
/**
 * The bearer token.
 */
token: string, } } | { "noToken": { 
/**
 * Why.
 */
message: string, } } | "cancel";

/**
 * One failure: what happened, where, what was expected, what to do.
 */
export type Error = { 
/**
 * The stable code.
 */
kind: ErrorKind, 
/**
 * What happened, as an English sentence without a full stop.
 */
message: string, 
/**
 * The archive entry, collection, document or field that it happened to.
 */
subject?: string, 
/**
 * What should have been there.
 */
expected?: string, 
/**
 * What was there instead.
 */
actual?: string, };

/**
 * The stable codes. A code never changes its meaning; new ones may come.
 */
export type ErrorKind = "not-an-archive" | "damaged-directory" | "damaged-entry" | "damaged-part" | "bad-document" | "bad-manifest" | "newer-format" | "unsafe-name" | "conflicting-entries" | "unsupported-entry" | "missing-entry" | "limit-exceeded" | "bad-argument" | "io" | "no-space" | "no-storage" | "engine-unavailable" | "cancelled" | "unreachable" | "unauthorized" | "forbidden" | "snapshot-gone" | "busy" | "server-full" | "job-gone" | "restore-running" | "restore-gone" | "foreign-backup" | "live-changed" | "signed-loss" | "server-error" | "bad-answer" | "incomplete" | "internal";

/**
 * What the worker answers.
 */
export type Event = { "type": "ready" } | { "type": "progress", 
/**
 * How far.
 */
progress: Progress, } | { "type": "notice", 
/**
 * What.
 */
notice: Notice, } | { "type": "needToken", 
/**
 * The token that the server has just refused; null when none was sent yet.
 */
rejected: string | null, } | { "type": "backedUp", 
/**
 * What is kept.
 */
archive: Archive, 
/**
 * What the archive says it holds.
 */
manifest: Manifest, } | { "type": "contents", 
/**
 * The moment, RFC 3339 in UTC.
 */
created: string, 
/**
 * Whose data it is.
 */
source: SourceInfo, 
/**
 * Every collection that would be covered.
 */
collections: Array<CollectionSummary>, } | { "type": "opened", 
/**
 * What the archive says it holds; null where it does not.
 */
manifest: Manifest | null, 
/**
 * What was found in it.
 */
summary: Summary, } | { "type": "archives", 
/**
 * Finished archives, the newest first.
 */
archives: Array<Archive>, 
/**
 * Those that were interrupted and can be gone on with, the newest first.
 */
interrupted: Array<Interrupted>, } | { "type": "held", 
/**
 * Whether it does.
 */
held: boolean, } | { "type": "address", 
/**
 * The whole address.
 */
url: string, } | { "type": "archiveFile" } | { "type": "removed" } | { "type": "storage", 
/**
 * Place and space.
 */
storage: Storage, } | { "type": "failed", 
/**
 * Why.
 */
error: Error, 
/**
 * What [`Command::ResumeBackup`] can go on with; null where nothing of the job is left.
 */
interrupted: string | null, };

/**
 * What was found of one collection.
 */
export type Found = { 
/**
 * Its name; for documents that nobody knows, the stem of their part's name.
 */
name: string, 
/**
 * Its category.
 */
category: Category, 
/**
 * How many documents.
 */
documents: number, 
/**
 * Bytes of JSON lines, line feeds included.
 */
bytes: number, 
/**
 * How many attachments its documents own.
 */
attachments: number, 
/**
 * Bytes of these attachments.
 */
attachmentBytes: number, };

/**
 * A backup that did not come to its end, though it can.
 */
export type Interrupted = { 
/**
 * What [`Command::ResumeBackup`] and [`Command::RemoveArchive`] call it.
 */
id: string, 
/**
 * The moment of the data, by the server's clock, RFC 3339 in UTC.
 */
created: string, 
/**
 * When it began, by the browser's clock, RFC 3339 in UTC.
 */
begun: string, 
/**
 * Name of the business.
 */
business: string, 
/**
 * How many documents are there already.
 */
documents: number, 
/**
 * How many documents in all.
 */
documentsTotal: number, 
/**
 * Bytes of JSON lines and attachments that are there already.
 */
bytes: number, 
/**
 * Bytes of JSON lines and attachments in all.
 */
bytesTotal: number, };

/**
 * What an archive holds.
 */
export type Manifest = { 
/**
 * [`FORMAT`].
 */
format: string, 
/**
 * The version of the format.
 */
version: number, 
/**
 * The moment of the snapshot, RFC 3339 in UTC.
 */
created: string, 
/**
 * Whose data it is.
 */
source: SourceInfo, 
/**
 * Every covered collection, empty ones included, in the order of their names as bytes.
 */
collections: Array<CollectionEntry>, 
/**
 * Every attachment, in the order of collection, id and name as bytes.
 */
attachments: Array<AttachmentEntry>, };

/**
 * What the person should know, though the job goes on.
 */
export type Notice = { "kind": "started-over" } | { "kind": "in-memory", 
/**
 * The most that an archive may have, in bytes.
 */
limit: number, } | { "kind": "on-server" } | { "kind": "plain-parts", 
/**
 * How many.
 */
parts: number, };

/**
 * One part of a collection.
 */
export type PartEntry = { 
/**
 * The name of the entry.
 */
name: string, 
/**
 * How many documents.
 */
documents: number, 
/**
 * Bytes of JSON lines, line feeds included.
 */
bytes: number, 
/**
 * `_id` of the first document.
 */
first: string, 
/**
 * `_id` of the last document.
 */
last: string, 
/**
 * Bytes of the entry as stored.
 */
size: number, 
/**
 * Digest of the entry as stored.
 */
sha256: Sha256, };

/**
 * What a job is doing.
 */
export type Phase = "open" | "resume" | "documents" | "attachments" | "finish" | "verify" | "check" | "stage" | "preview" | "commit";

/**
 * Where an archive is.
 */
export type Place = "disk" | "memory" | "server";

/**
 * How far a job is. Bytes are those of JSON lines and attachments; in [`Phase::Verify`] and [`Phase::Check`], those of
 * the archive, which is read once entry by entry and once as a whole.
 */
export type Progress = { 
/**
 * What the job is doing.
 */
phase: Phase, 
/**
 * The collection or entry in hand.
 */
subject: string | null, 
/**
 * Documents done.
 */
documents: number, 
/**
 * Documents in all.
 */
documentsTotal: number, 
/**
 * Attachments done.
 */
attachments: number, 
/**
 * Attachments in all.
 */
attachmentsTotal: number, 
/**
 * Bytes done in this phase's count.
 */
bytes: number, 
/**
 * Bytes in all in this phase's count.
 */
bytesTotal: number, 
/**
 * How often the job had to start over, because the server had let its snapshot go. Everything else counts from
 * 0 again then.
 */
restarts: number, };

/**
 * A SHA-256 digest (FIPS 180-4).
 */
export type Sha256 = string;

/**
 * Whose data it is, and how far it had come.
 */
export type SourceInfo = { 
/**
 * 128 random bits that the installation got at its first start, as 32 lower-case hex digits.
 */
installation: string, 
/**
 * Name of the business.
 */
business: string, 
/**
 * Product and version, such as `DiKAS 26.3`.
 */
product: string, 
/**
 * Number of the last write that the view holds.
 */
position: number, };

/**
 * Where archives go, and how much space is there.
 */
export type Storage = { 
/**
 * Where archives go.
 */
place: Place, 
/**
 * Bytes that this page may use in all; null where the browser does not say.
 */
quota: number | null, 
/**
 * Bytes that it uses already; null where the browser does not say.
 */
usage: number | null, 
/**
 * The most that one archive may have, in bytes; null where only the space decides.
 */
limit: number | null, };

/**
 * What was found in an archive, with or without a manifest.
 */
export type Summary = { 
/**
 * Size of the archive in bytes.
 */
size: number, 
/**
 * Every collection, in the order of their names as bytes.
 */
collections: Array<Found>, 
/**
 * Every attachment, in the order of the archive.
 */
attachments: Array<AttachmentInfo>, 
/**
 * What cannot be read; the rest can.
 */
problems: Array<Error>, };
