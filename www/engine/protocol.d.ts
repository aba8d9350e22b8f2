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
 * What the last comparison of an archive's bytes with what they should be has found.
 */
export type ArchiveCheck = { "state": "unchecked" } | { "state": "sound", 
/**
 * When it was found so.
 */
at: string, } | { "state": "damaged", 
/**
 * When it was found so.
 */
at: string, 
/**
 * How many things.
 */
problems: number, 
/**
 * The first of them, in a sentence.
 */
first: string, };

/**
 * Which backup it is.
 */
export type ArchiveInfo = { 
/**
 * File name.
 */
name: string, 
/**
 * Size in bytes.
 */
size: number, 
/**
 * Digest of the whole file, where it was computed.
 */
sha256?: Sha256 | null, 
/**
 * The moment of the data; null where the archive has no manifest.
 */
created: string | null, 
/**
 * Whose data it is; null where the archive has no manifest.
 */
source: SourceInfo | null, };

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
 * A run of the schedule.
 */
export type Attempt = { 
/**
 * Why it began.
 */
trigger: Trigger, 
/**
 * When it began.
 */
began: string, 
/**
 * When it ended.
 */
ended: string, 
/**
 * File name of its archive; null where it made none.
 */
archive: string | null, 
/**
 * Size of the archive in bytes; null where it made none.
 */
size: number | null, 
/**
 * Names of the archives that it removed.
 */
removed: Array<string>, 
/**
 * What went wrong; null where nothing did.
 */
error: Error | null, 
/**
 * What the hook that tells of a failure had to say for itself where it failed too.
 */
hookError: string | null, };

/**
 * What was done.
 */
export type AuditAction = "snapshot" | "backup" | "restore" | "undo" | "archive-download" | "archive-delete" | "token-create" | "token-revoke" | "user-create" | "user-change" | "user-delete" | "login" | "logout";

/**
 * What a person selects in a restore: collections that belong together.
 */
export type Category = "articles" | "customers" | "staff" | "tables" | "settings" | "revenue" | "disco" | "workshop" | "vouchers" | "invoices" | "other";

/**
 * A document that differs.
 */
export type Change = { 
/**
 * Its `_id`; empty where the line is no document.
 */
id: string, 
/**
 * How it differs.
 */
kind: ChangeKind, 
/**
 * The fields of a changed document that differ; none where only their order or white space does.
 */
fields: Array<FieldChange>, };

/**
 * How a document differs.
 */
export type ChangeKind = "added" | "removed" | "changed";

/**
 * What becomes of documents or attachments.
 */
export type Changes = { 
/**
 * Only the backup has them: they are added.
 */
new: number, 
/**
 * Both have them, with other bytes: those of the backup count.
 */
changed: number, 
/**
 * Both have them, with the same bytes.
 */
same: number, 
/**
 * They exist only now, and go.
 */
dropped: number, 
/**
 * They exist only now, or with other bytes, and stay: they are signed, are counters that stand higher, or the
 * mode is to add and update.
 */
kept: number, };

/**
 * A line of the answer to `POST /backup/archives/{id}/verify`.
 */
export type CheckEvent = { "event": "progress", 
/**
 * Bytes that were read.
 */
bytes: number, 
/**
 * Twice the size of the archive: it is read once for its digest, and once entry by entry.
 */
total: number, } | { "event": "done", 
/**
 * The archive, as the list has it from now on.
 */
archive: StoredArchive, } | { "event": "failed", 
/**
 * Why.
 */
error: Error, };

/**
 * What becomes of one collection.
 */
export type CollectionChanges = { 
/**
 * Its name.
 */
name: CollectionName, 
/**
 * Its category.
 */
category: Category, 
/**
 * Its documents.
 */
documents: Changes, 
/**
 * Their attachments.
 */
attachments: Changes, 
/**
 * Bytes of the documents that the backup or restore point holds, as JSON lines.
 */
bytes: number, 
/**
 * How many signed documents would be dropped or changed, they or their files.
 */
signedLoss: number, };

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
 * A column of a table.
 */
export type Column = { 
/**
 * The field, with dots where it is nested.
 */
name: string, 
/**
 * What stands in it.
 */
kind: ColumnKind, };

/**
 * What stands in a column.
 */
export type ColumnKind = "id" | "figure" | "date" | "text";

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
 * Documents that are left out where they, or files of theirs, are damaged.
 */
without?: Array<DocumentKey>, 
/**
 * Whether the server shall put the archive together, and keep it.
 */
onServer: boolean, } } | { "resumeBackup": Item } | { "askHeld": Item } | { "contents": { 
/**
 * Address of the server, without `/api/v1`.
 */
url: string, 
/**
 * The categories to look at; null means all.
 */
categories: Array<Category> | null, } } | { "listArchives": { 
/**
 * Remove first what is left over of earlier backups and cannot be gone on with, and archives that are older than a
 * day.
 */
cleanUp: boolean, } } | { "listServerArchives": Server } | { "getServerAddress": Item } | { "removeServerArchive": Item } | { "openArchive": { 
/**
 * Which one.
 */
id: string, } } | { "removeArchive": { 
/**
 * Which one.
 */
id: string, } } | "storage" | { "restore": RestoreCommand } | { "inspect": InspectCommand } | { "token": { 
/**
 * The bearer token.
 */
token: string, } } | { "noToken": { 
/**
 * Why.
 */
message: string, } } | "cancel";

/**
 * How a collection differs in another archive.
 */
export type Compared = { 
/**
 * Its name.
 */
name: string, 
/**
 * Its category.
 */
category: Category, 
/**
 * Documents that only the other archive has.
 */
added: number, 
/**
 * Documents that the other archive has not.
 */
removed: number, 
/**
 * Documents that are not the same to the byte.
 */
changed: number, 
/**
 * Documents that are.
 */
same: number, 
/**
 * Why not all of it could be compared.
 */
problem: Error | null, };

/**
 * What a backup holds, without the lists of its parts and attachments: they can be very long.
 */
export type Contents = { 
/**
 * The moment, RFC 3339 in UTC.
 */
created: string, 
/**
 * Whose data it is.
 */
source: SourceInfo, 
/**
 * Every collection that is covered.
 */
collections: Array<CollectionSummary>, 
/**
 * What was damaged and is missing.
 */
missing: Array<Missing>, };

/**
 * One document, by its collection and its id; as text `collection/id`.
 */
export type DocumentKey = { 
/**
 * Its collection.
 */
collection: CollectionName, 
/**
 * Its `_id`.
 */
id: string, };

/**
 * Where a document is.
 */
export type DocumentPlace = { 
/**
 * The collection.
 */
collection: string, 
/**
 * The place in it.
 */
row: number, };

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
actual?: string, 
/**
 * With `damaged-document`: all that is known to be damaged.
 */
damaged?: Array<Missing>, };

/**
 * The stable codes. A code never changes its meaning; new ones may come.
 */
export type ErrorKind = "not-an-archive" | "damaged-directory" | "damaged-entry" | "damaged-part" | "bad-document" | "bad-manifest" | "newer-format" | "unsafe-name" | "conflicting-entries" | "unsupported-entry" | "missing-entry" | "orphaned" | "limit-exceeded" | "bad-argument" | "io" | "no-space" | "no-storage" | "engine-unavailable" | "cancelled" | "unreachable" | "redirected" | "gateway" | "proxy-limit" | "unauthorized" | "forbidden" | "cross-site" | "snapshot-gone" | "busy" | "server-full" | "job-gone" | "restore-running" | "restore-gone" | "foreign-backup" | "unknown-origin" | "files-left-out" | "live-changed" | "signed-loss" | "damaged-document" | "damaged-database" | "server-error" | "bad-answer" | "incomplete" | "internal";

/**
 * What the worker answers.
 */
export type Event = { "type": "ready" } | { "type": "alive" } | { "type": "progress", 
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
 * What it holds.
 */
contents: Contents, } | { "type": "contents" } & Contents | { "type": "opened", 
/**
 * What the archive says of itself; null where it does not.
 */
manifest: ManifestHead | null, 
/**
 * What was found in it.
 */
summary: Summary, 
/**
 * Where its documents are, for [`InspectCommand::Join`].
 */
index: string, } | { "type": "joined" } | { "type": "read", 
/**
 * How many bytes.
 */
bytes: number, } | { "type": "rows", 
/**
 * Those that can be read.
 */
rows: Array<RowText>, 
/**
 * The row to go on with.
 */
next: number, 
/**
 * How many rows from there on cannot be read.
 */
hidden: number, 
/**
 * Why not, or what else is wrong with a part that was read.
 */
problem: Error | null, } | { "type": "cells", 
/**
 * What its columns are: the same for each piece of a collection.
 */
columns: Array<Column>, 
/**
 * Those that can be read.
 */
rows: Array<RowCells>, 
/**
 * How many rows behind them cannot be read.
 */
hidden: number, 
/**
 * Why not, or what else is wrong with a part that was read.
 */
problem: Error | null, } | { "type": "place", 
/**
 * Null where there is none of this id.
 */
place: DocumentPlace | null, } | { "type": "attachments", 
/**
 * Those that were asked for.
 */
attachments: Array<AttachmentInfo>, 
/**
 * How many there are.
 */
total: number, } | { "type": "content", 
/**
 * Its CRC-32.
 */
crc32: number, 
/**
 * Why not all that was asked for is in it.
 */
problem: Error | null, } | { "type": "hits", 
/**
 * Some of them.
 */
hits: Array<Hit>, } | { "type": "searched", 
/**
 * In how many documents it was found.
 */
matches: number, 
/**
 * Why not all of the part could be searched.
 */
problem: Error | null, } | { "type": "verified", 
/**
 * What is wrong. The first thousand.
 */
problems: Array<Error>, 
/**
 * How much is wrong.
 */
found: number, 
/**
 * How many documents were read.
 */
documents: number, 
/**
 * How many parts of another program begin with a byte order mark.
 */
marks: number, } | { "type": "compared", 
/**
 * How collections differ, where all were compared.
 */
collections: Array<Compared>, 
/**
 * The documents of one that differ.
 */
differences: Array<Change>, } | { "type": "archives", 
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
storage: Storage, } | { "type": "restoreBegun", 
/**
 * Its id.
 */
id: string, 
/**
 * With which it can be asked without a login how it ended.
 */
secret: string, } | { "type": "prepared", 
/**
 * What a commit would change.
 */
preview: RestorePreview, 
/**
 * The files of the backup that would not be restored, each with the reason; the first thousand.
 */
leftOut: Array<Error>, } | { "type": "restoreEnd", 
/**
 * Whether it is open, and how it ended.
 */
state: RestoreState, 
/**
 * What it has changed; null unless it was committed.
 */
outcome: RestoreOutcome | null, } | { "type": "preview", 
/**
 * That.
 */
preview: RestorePreview, } | { "type": "restored", 
/**
 * What has changed.
 */
outcome: RestoreOutcome, } | { "type": "restorePoints", 
/**
 * The newest first.
 */
points: Array<RestorePoint>, } | { "type": "failed", 
/**
 * Why.
 */
error: Error, 
/**
 * What [`Command::ResumeBackup`] can go on with; null where nothing of the job is left.
 */
interrupted: string | null, 
/**
 * What the server says beside that; null where it says no more.
 */
data: Refusal | null, };

/**
 * What a file with documents is.
 */
export type ExportFormat = "json-lines" | "csv-comma" | "csv-semicolon";

/**
 * A field that differs.
 */
export type FieldChange = { 
/**
 * The names that lead to it, joined by dots; places in arrays count from 0.
 */
path: string, 
/**
 * Its raw value in the old backup, where it is there. The hashes of passwords are masked.
 */
old: string | null, 
/**
 * Its raw value in the new backup, where it is there.
 */
new: string | null, };

/**
 * The `data` of the failures `foreign-backup` and `unknown-origin`.
 */
export type ForeignBackup = { 
/**
 * The business name of the backup, which has to be typed; null where the backup does not say it.
 */
backup: string | null, 
/**
 * The business name of this installation, which has to be typed where the backup does not say whose it is.
 */
here: string, };

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
attachmentBytes: number, 
/**
 * The parts in which they stand.
 */
parts: Array<number>, };

/**
 * A document in which something was found.
 */
export type Hit = { 
/**
 * Its collection.
 */
collection: string, 
/**
 * Its row there, from 0.
 */
row: number, 
/**
 * Its `_id`.
 */
id: string, 
/**
 * The text around what was found.
 */
snippet: string, 
/**
 * Where it stands in the snippet: from and to, in UTF-16 units.
 */
marks: Array<[number, number]>, };

/**
 * What the page asks about an archive.
 */
export type InspectCommand = { "open": { 
/**
 * Where it is; null means beside this command.
 */
remote: RemoteFile | null, 
/**
 * Whether to look for its entries where it has no directory that can be used.
 */
salvage: boolean, } } | { "join": { 
/**
 * Where it is; null means beside this command.
 */
remote: RemoteFile | null, 
/**
 * That of [`Event::Opened`](super::Event::Opened).
 */
index: string, } } | { "rows": { 
/**
 * Of which collection.
 */
collection: string, 
/**
 * The first row.
 */
from: number, 
/**
 * How many rows at most.
 */
count: number, 
/**
 * Only those in which this is found; null means each.
 */
query: string | null, 
/**
 * Whether the rows come, too, in which it is not found.
 */
all: boolean, } } | { "cells": { 
/**
 * Of which collection.
 */
collection: string, 
/**
 * The first row.
 */
from: number, 
/**
 * How many at most.
 */
count: number, } } | { "find": { 
/**
 * Its `_id`.
 */
id: string, 
/**
 * Its collection; null means any.
 */
collection: string | null, } } | { "attachments": { 
/**
 * How many to leave out.
 */
from: number, 
/**
 * How many at most.
 */
count: number, 
/**
 * Of this collection alone.
 */
collection: string | null, 
/**
 * Of this document alone.
 */
id: string | null, } } | { "attachment": { 
/**
 * Its path in the archive.
 */
path: string, } } | { "search": { 
/**
 * The part, counted as in [`Summary::parts`].
 */
part: number, 
/**
 * The collection; null means each that has documents in it.
 */
collection: string | null, 
/**
 * What is searched for.
 */
query: string, 
/**
 * How many hits are wanted; the rest is counted.
 */
max: number, } } | { "verify": { 
/**
 * From and to, counted in the order of the directory; null means the directory, and whose the attachments are.
 */
entries: [number, number] | null, } } | { "compare": { 
/**
 * The collection of which documents that differ are to be listed; null means to count in all.
 */
collection: string | null, 
/**
 * How many differences to leave out.
 */
from: number, } } | { "exportDocuments": { 
/**
 * Of which collections, one behind the other.
 */
collections: Array<string>, 
/**
 * Only those in which this is found; null means all.
 */
query: string | null, 
/**
 * As what.
 */
format: ExportFormat, 
/**
 * What the file is called.
 */
name: string, } };

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
 * Something that a server, or this browser beside it, knows by an id.
 */
export type Item = { 
/**
 * Address of the server, without `/api/v1`.
 */
url: string, 
/**
 * Which one.
 */
id: string, };

/**
 * How many archives stay: the last of each of so many days, weeks and months that have one.
 */
export type Keep = { 
/**
 * Of so many days.
 */
daily: number, 
/**
 * Of so many weeks.
 */
weekly: number, 
/**
 * Of so many months.
 */
monthly: number, };

/**
 * A reason to keep an archive.
 */
export type KeptFor = "newest" | "day" | "week" | "month" | "recent";

/**
 * What an archive says of itself, without the lists of its parts and attachments.
 */
export type ManifestHead = { 
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
 * What was damaged when the backup was made, and is missing in it.
 */
missing: Array<Missing>, };

/**
 * A document, or a file of one, that cannot be read as it was written.
 */
export type Missing = { 
/**
 * The collection of the document.
 */
collection: CollectionName, 
/**
 * The `_id` of the document; with `unreadable-after`, the last one that could be read, or nothing.
 */
id: string, 
/**
 * The name of the file; absent where it is the document itself.
 */
name?: string, 
/**
 * What is wrong with it.
 */
reason: Reason, 
/**
 * How many files belong to the document and are left out with it.
 */
attachments?: number, };

/**
 * Answer of `POST /auth/tokens`.
 */
export type NewToken = { 
/**
 * The token itself. It is shown here and never again.
 */
token: string, 
/**
 * Names the token in lists and for deletion.
 */
id: string, 
/**
 * What a person called it.
 */
name: string, 
/**
 * When it was made.
 */
created: string, 
/**
 * The user who made it.
 */
createdBy: string, 
/**
 * When it was last used, to the minute; null if never.
 */
lastUsed: string | null, };

/**
 * What is unusual about an archive and takes nothing from what it holds.
 */
export type Note = { "kind": "trailing-bytes", 
/**
 * How many bytes.
 */
bytes: number, } | { "kind": "repacked" } | { "kind": "byte-order-marks", 
/**
 * How many parts.
 */
parts: number, } | { "kind": "folder", 
/**
 * The folder, with its slash.
 */
name: string, };

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
 * Why something cannot be read.
 */
export type Reason = "changed" | "not-a-document" | "unreadable" | "unreadable-after" | "other";

/**
 * What the server says beside a refusal.
 */
export type Refusal = RestorePreview | ForeignBackup | RunningRestore;

/**
 * A file on a server that answers ranges.
 */
export type RemoteFile = { 
/**
 * Its address.
 */
url: string, 
/**
 * Its bytes.
 */
size: number, 
/**
 * Its entity tag: with another one it is another file; null where its server gives none.
 */
tag: string | null, 
/**
 * Whether it is read with the token of the last [`Command::Token`](super::Command::Token).
 */
authorized: boolean, };

/**
 * What the page asks for about restores.
 */
export type RestoreCommand = { "prepare": { 
/**
 * Address of the server, without `/api/v1`.
 */
url: string, 
/**
 * What the file is called.
 */
name: string, 
/**
 * The archive where it is on a server; null where it is beside this command.
 */
remote: RemoteFile | null, 
/**
 * What becomes of the documents that are there.
 */
mode: RestoreMode, 
/**
 * The chosen categories; null means everything, unless there are collections.
 */
categories: Array<Category> | null, 
/**
 * The chosen collections, in addition to those of the categories; null means none.
 */
collections: Array<string> | null, 
/**
 * The business name of a backup of another installation, as a person has typed it.
 */
businessName: string | null, } } | { "commit": { 
/**
 * The position of the preview that a person has agreed to.
 */
seq: number, 
/**
 * How many signed documents that preview loses, if a person has agreed to that too.
 */
acknowledgeSigned: number | null, 
/**
 * How many files of the backup are left out, if a person has agreed to that too.
 */
acknowledgeFilesLeftOut: number | null, 
/**
 * Whether nobody shall write meanwhile.
 */
pauseTill: boolean, } } | "abort" | { "askEnd": { 
/**
 * The session.
 */
session: Item, 
/**
 * That of [`Event::RestoreBegun`].
 */
secret: string, } } | { "stop": Item } | { "listPoints": Server } | { "previewUndo": Item } | { "undo": { 
/**
 * The restore point.
 */
point: Item, 
/**
 * The position of the preview that a person has agreed to.
 */
seq: number, 
/**
 * How many signed documents that preview loses, if a person has agreed to that too.
 */
acknowledgeSigned: number | null, } };

/**
 * What a restore makes of the documents that are there.
 */
export type RestoreMode = "full" | "identical" | "update";

/**
 * What a commit or an undo has done.
 */
export type RestoreOutcome = { 
/**
 * When.
 */
committed: string, 
/**
 * The position of the store that it made.
 */
seq: number, 
/**
 * The restore point with the state from before; null where nothing changed.
 */
restorePoint: string | null, 
/**
 * What became of each collection.
 */
collections: Array<CollectionChanges>, 
/**
 * How many signed documents were dropped or changed, as acknowledged.
 */
signedLoss: number, 
/**
 * How many files of the backup were not restored, as acknowledged.
 */
filesLeftOut: number, 
/**
 * Whether every login of before has ended.
 */
loginsEnded: boolean, 
/**
 * Whether the users of before were kept, because no admin could have logged in.
 */
usersKept: boolean, };

/**
 * The state from before a restore or an undo, which can be made live again.
 */
export type RestorePoint = { 
/**
 * 128 random bits, as 32 lower-case hex digits.
 */
id: string, 
/**
 * The moment of the restore or undo that it is from before.
 */
created: string, 
/**
 * The name of the user who did that.
 */
user: string, 
/**
 * What that was.
 */
action: AuditAction, 
/**
 * What was restored; null for an undo.
 */
archive: ArchiveInfo | null, 
/**
 * The collections that were changed.
 */
collections: Array<CollectionName>, };

/**
 * What a restore or an undo would change: staged against live, at one position of the store.
 */
export type RestorePreview = { 
/**
 * The position that it is of; a commit sends it back.
 */
seq: number, 
/**
 * What becomes of each collection that it is about, in the order of their names as bytes.
 */
collections: Array<CollectionChanges>, 
/**
 * Collections that have documents and stay as they are, because the backup does not cover them or nobody chose
 * them.
 */
untouched: Array<UntouchedCollection>, 
/**
 * How many signed documents would be dropped or changed, they or their files. A commit has to state this number.
 */
signedLoss: number, 
/**
 * How many files of the backup would not be restored. A commit has to state this number.
 */
filesLeftOut: number, 
/**
 * What a person should think about first.
 */
warnings: Array<RestoreWarning>, };

/**
 * How a restore session is doing.
 */
export type RestoreState = "open" | "committed" | "aborted" | "expired" | "interrupted";

/**
 * What a person should know before a commit.
 */
export type RestoreWarning = { "kind": "open-orders", 
/**
 * How many.
 */
orders: number, } | { "kind": "vouchers", 
/**
 * How many.
 */
vouchers: number, 
/**
 * How much more, in cents.
 */
cents: number, } | { "kind": "balances", 
/**
 * How many.
 */
customers: number, 
/**
 * What some would gain, in cents.
 */
raised: number, 
/**
 * What others would lose, in cents.
 */
lowered: number, } | { "kind": "missing", 
/**
 * How many.
 */
missing: number, 
/**
 * How many of these are there now, and stay as they are.
 */
kept: number, } | { "kind": "logins-end" } | { "kind": "users-kept" };

/**
 * A document as a row of a table.
 */
export type RowCells = { 
/**
 * Its row in its collection, from 0.
 */
row: number, 
/**
 * A text for each column.
 */
cells: Array<string>, };

/**
 * A document as it is.
 */
export type RowText = { 
/**
 * Its row in its collection, from 0.
 */
row: number, 
/**
 * Its `_id`.
 */
id: string, 
/**
 * Its line, without the line feed.
 */
text: string, 
/**
 * Where what was searched for stands in the text: from and to, in UTF-16 units. The first thousand.
 */
marks: Array<[number, number]>, 
/**
 * The values in the text that let somebody log in, the same way.
 */
masked: Array<[number, number]>, };

/**
 * A restore that is under way; the `data` of the failure `restore-running`.
 */
export type RunningRestore = { 
/**
 * Its id, with which an admin can abort it.
 */
id: string, 
/**
 * The name of the user who opened it.
 */
user: string, 
/**
 * When it was opened.
 */
begun: string, 
/**
 * When somebody last called it.
 */
called: string, };

/**
 * A schedule, as the configuration states it.
 */
export type Schedule = { 
/**
 * A cron expression of five fields.
 */
when: string, 
/**
 * The time zone it is meant in, as the IANA names it.
 */
zone: string, 
/**
 * The folder of the archives.
 */
folder: string, 
/**
 * How many archives stay.
 */
keep: Keep, 
/**
 * Whether each archive is read back from the disk once it has its name.
 */
verify: boolean, };

/**
 * Answer of `GET /backup/schedule`: what the server does by itself, and how it went.
 */
export type ScheduleState = { 
/**
 * What is configured; null where nothing is.
 */
schedule: Schedule | null, 
/**
 * The run under way; null where there is none.
 */
running: Progress | null, 
/**
 * When the next run is due; null where there is no schedule, or it never comes.
 */
next: string | null, 
/**
 * The last run, however it ended; null before the first.
 */
lastAttempt: Attempt | null, 
/**
 * The last run that made a good archive; null before the first.
 */
lastSuccess: Attempt | null, 
/**
 * Free bytes where the archives lie; null where the folder cannot be asked.
 */
freeBytes: number | null, };

/**
 * A server.
 */
export type Server = { 
/**
 * Its address, without `/api/v1`.
 */
url: string, };

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
 * An archive in the server's backup folder.
 */
export type StoredArchive = { 
/**
 * Names it in paths: 32 lower-case hex digits, the same for as long as it lies there.
 */
id: string, 
/**
 * Its file name.
 */
name: string, 
/**
 * Size in bytes.
 */
size: number, 
/**
 * The moment of its data; where nothing tells it, when the file was last written.
 */
created: string, 
/**
 * Digest that the whole file has to have; null for one that the server neither wrote nor verified.
 */
sha256: Sha256 | null, 
/**
 * How many documents; null where nothing tells.
 */
documents: number | null, 
/**
 * How many attachments; null where nothing tells.
 */
attachments: number | null, 
/**
 * Name of the business; null where nothing tells.
 */
business: string | null, 
/**
 * Whether its bytes were compared with what they should be.
 */
check: ArchiveCheck, 
/**
 * Why the schedule keeps it. Empty for what it would remove after a run that was due, for what is damaged, for what it did
 * not make, and for what is dated in the future. What is from before a pause of 45 days, after which the clock may have
 * jumped ahead, stays without a reason of its own.
 */
keptFor: Array<KeptFor>, 
/**
 * Whether its data are of a moment that has not come yet: a clock was wrong when it was made, or is wrong now. It takes the
 * place of no other archive, and the schedule never removes it.
 */
inFuture: boolean, };

/**
 * What was found in an archive, with or without a manifest.
 */
export type Summary = { 
/**
 * Size of the archive in bytes.
 */
size: number, 
/**
 * How many entries its directory has.
 */
entries: number, 
/**
 * Whether there was no directory to read, so that the entries were found by their headers.
 */
salvaged: boolean, 
/**
 * Every collection, in the order of their names as bytes.
 */
collections: Array<Found>, 
/**
 * Bytes of each part, as stored.
 */
parts: Array<number>, 
/**
 * How many attachments.
 */
attachments: number, 
/**
 * What cannot be read; the rest can. The first thousand.
 */
problems: Array<Error>, 
/**
 * How many problems there are.
 */
found: number, 
/**
 * What is unusual and takes nothing from the backup.
 */
notes: Array<Note>, };

/**
 * Why a run began.
 */
export type Trigger = { "by": "schedule", 
/**
 * When.
 */
due: string, } | { "by": "catch-up", 
/**
 * When the last one that was missed was due.
 */
due: string, } | { "by": "person", 
/**
 * Its name.
 */
name: string, };

/**
 * A collection that a restore does not touch.
 */
export type UntouchedCollection = { 
/**
 * Its name.
 */
name: CollectionName, 
/**
 * Its category.
 */
category: Category, 
/**
 * How many documents it has.
 */
documents: number, };
