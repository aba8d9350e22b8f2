// @ts-check
/** English, of restores. The German table has the same shape. */

const number = new Intl.NumberFormat('en');

/** @param {number} n @param {string} one @param {string} other */
const count = (n, one, other) => `${number.format(n)} ${n === 1 ? one : other}`;

export const restoreEn = {
  restore: {
    view: 'Restore',
    title: 'Restore a backup',
    lead: 'Choose a backup file, of any size: it is read and checked in this browser. You see what it would change before anything changes, and you can undo it afterwards.',
    into: (/** @type {string} */ business) => `Into ${business}`,
    never: 'Nothing can be restored here',
    failedTitle: 'Nothing was restored',
    unsureTitle: 'It is not known whether the change was made',
    recovered: 'A restore was under way in this tab when the page was left. It was not carried out: nothing has changed.',
    running: (/** @type {string} */ user, /** @type {string} */ begun, /** @type {string} */ called) =>
      `${user} began a restore on ${begun} and was last active ${called}. It has not changed anything yet. If it was left behind, in a closed tab perhaps, stop it and go on with yours.`,
    insist: 'Stop it and go on',
    committing: {
      title: 'The change is being made',
      lead: 'This takes seconds. All of it happens or nothing; please leave the page open until it is done.',
    },
    comparing: {
      title: 'Comparing',
      lead: 'The server compares the restore point with what there is now.',
    },
    verdict: {
      known: (/** @type {number} */ version) => `A DiKAS backup of format ${version}, which this version can restore. All of it is read and checked before the server hears of it.`,
      none: 'This backup has no table of contents of its own. What is in it was worked out from its files, and where it comes from is not stated.',
    },
    foreign: (/** @type {string} */ backup, /** @type {string} */ here) =>
      `This backup is of another installation: of ${backup}. You are about to restore it into ${here}.`,
    choice: 'What to restore, and how',
    what: 'What to restore',
    how: 'How to restore',
    modes: {
      full: ['Everything', 'A full restore: everything that this backup covers becomes as it was then. What the backup does not cover stays.'],
      identical: ['Make some categories identical', 'The chosen categories become as in the backup: what exists only now goes. Receipts and other signed documents are only ever added.'],
      update: ['Add and update', 'What is missing in the chosen categories is added, what differs is overwritten by the backup, and what exists only now stays.'],
    },
    typeName: (/** @type {string} */ business) => `To restore a backup of another installation, type its business name: ${business}`,
    unnamed: 'The business name is still to be typed.',
    show: 'Show what would change',
    harmless: 'This sends the data to the server and compares it with what is there. Nothing changes yet.',
  },

  staging: {
    title: 'Preparing the restore',
    steps: 'Steps',
    done: 'done',
    cancel: 'Cancel',
    cancelling: 'Stopping …',
    keepOpen: 'Nothing has changed yet. Please leave this page open; you can go on working in other tabs and windows.',
    progress: 'Progress of the preparation',
    documents: 'Documents',
    files: 'Files',
    data: 'Data',
    rate: 'Speed',
    left: 'Time left',
    elapsed: 'Running for',
    of: (/** @type {string} */ done, /** @type {string} */ all) => `${done} of ${all}`,
    perSecond: (/** @type {string} */ size) => `${size}/s`,
    about: (/** @type {string} */ time) => `about ${time}`,
    estimating: 'working it out …',
    soon: 'a few seconds',
    say: (/** @type {string} */ percent, /** @type {string} */ left) => `${percent}. Time left: ${left}.`,
    sayEstimating: (/** @type {string} */ percent) => `${percent}. The time left is being worked out.`,
    leave: 'A restore is being prepared. Cancel it and sign out? Nothing has changed yet.',
    phases: { check: 'Checking the backup', stage: 'Sending', preview: 'Comparing' },
    doing: {
      open: 'Opening the backup',
      check: 'Reading and checking the backup',
      stage: 'Sending what is to be restored to the server',
      preview: 'The server compares it with what there is now',
    },
    notices: {
      'started-over': 'The preparation has started over.',
      waiting: 'Nothing has moved for a while. The server may not be answering; it is asked again by itself.',
      'on-server': '',
      'in-memory': '',
      'plain-parts': '',
    },
  },

  preview: {
    title: 'What the restore would change',
    undoTitle: 'What the undo would change',
    lead: (/** @type {string} */ name, /** @type {string | null} */ moment) =>
      moment ? `Nothing has changed yet. This is what ${name}, with the state of ${moment}, would change.` : `Nothing has changed yet. This is what ${name} would change.`,
    undoLead: (/** @type {string} */ moment) => `Nothing has changed yet. This is what going back to before ${moment} would change.`,
    nothing: 'Nothing would change: all of it is there already.',
    refused: {
      'live-changed': 'Nothing was changed: meanwhile somebody has written something that would be lost. This is the preview of now; look at it again and confirm once more. You can have the tills wait for the moment of the change.',
      'signed-loss': 'Nothing was changed: the number of signed documents that would be lost is another one now. Look at it again and confirm once more.',
    },
    signedLoss: (/** @type {number} */ n) =>
      `${count(n, 'signed document (receipt, end-of-day report or invoice)', 'signed documents (receipts, end-of-day reports or invoices)')} would be lost or changed. Fiscal law demands that they are kept: do this only with a backup of now in your hands.`,
    warnings: {
      openOrders: (/** @type {number} */ n) => `${count(n, 'order that is closed now would be open again, and its table with it.', 'orders that are closed now would be open again, and their tables with them.')}`,
      vouchers: (/** @type {number} */ n, /** @type {string} */ more) => `${count(n, 'voucher', 'vouchers')} would be worth ${more} more than now: what was redeemed since would be valid again.`,
      balances: (/** @type {number} */ n, /** @type {string} */ raised, /** @type {string} */ lowered) =>
        `The credit of ${count(n, 'customer', 'customers')} would change: up by ${raised} in all, down by ${lowered} in all.`,
      loginsEnd: 'Users and their passwords change: everybody has to log in again afterwards, with the passwords of the backup.',
      usersKept: 'No administrator of the backup could log in: the users of now are kept.',
    },
    counts: {
      new: (/** @type {number} */ n) => `${number.format(n)} new`,
      changed: (/** @type {number} */ n) => `${number.format(n)} changed`,
      same: (/** @type {number} */ n) => `${number.format(n)} the same`,
      dropped: (/** @type {number} */ n) => `${count(n, 'exists only now and will go', 'exist only now and will go')}`,
      kept: (/** @type {number} */ n) => `${count(n, 'stays as it is now', 'stay as they are now')}`,
      empty: 'Nothing there, and nothing in the backup',
      files: (/** @type {string} */ list) => `Files: ${list}`,
      caption: 'Changes by collection',
      heads: { new: 'New', changed: 'Changed', same: 'The same', dropped: 'Will go', kept: 'Stay' },
    },
    untouched: (/** @type {string} */ names) => `Not touched: ${names}.`,
    details: 'In figures, by collection',
    hint: 'All of it happens or nothing. Afterwards you can undo it.',
    fullHint: 'All of it happens or nothing. Afterwards you can undo it; signed documents that come in between are kept then.',
    restore: 'Restore …',
    undo: 'Undo …',
    back: 'Change nothing',
  },

  confirm: {
    title: 'Restore now?',
    undoTitle: 'Undo now?',
    overwrites: (/** @type {string} */ names, /** @type {number} */ changed, /** @type {number} */ dropped) =>
      `This overwrites what there is now in: ${names}. ${count(changed, 'document changes', 'documents change')}, ${count(dropped, 'goes', 'go')}.`,
    addsOnly: 'This only adds; nothing that there is now is overwritten.',
    canUndo: 'The state of now is kept on the server, so that you can undo it.',
    acknowledge: (/** @type {string} */ n) => `Type the number of signed documents that will be lost or changed: ${n}`,
    word: 'RESTORE',
    type: (/** @type {string} */ word) => `Type ${word} to confirm`,
    pause: 'Pause the tills for the moment of the change',
    pauseAbout: '30 seconds at most; what they enter meanwhile is saved right after.',
    restore: 'Restore',
    undo: 'Undo',
    no: 'Change nothing',
  },

  restored: {
    title: 'The restore is done',
    undoTitle: 'The undo is done',
    lead: (/** @type {string} */ moment) => `All of it was changed in one go on ${moment}.`,
    loginsEnded: 'Users were replaced, and every login has ended. Log in again, with a user and password of the state that is live now.',
    usersKept: 'No administrator of the backup could have logged in: the users of before were kept.',
    signedLoss: (/** @type {string} */ n) => `Signed documents lost or changed, as you acknowledged: ${n}.`,
    nothing: 'Nothing had to change: all of it was there already.',
    canUndo: 'The state from before is kept on the server.',
    undo: 'Undo …',
    close: 'Close',
    said: 'The restore is done.',
    counts: {
      new: (/** @type {number} */ n) => `${number.format(n)} added`,
      changed: (/** @type {number} */ n) => `${number.format(n)} changed`,
      same: (/** @type {number} */ n) => `${number.format(n)} the same`,
      dropped: (/** @type {number} */ n) => `${number.format(n)} removed`,
      kept: (/** @type {number} */ n) => `${number.format(n)} kept`,
      empty: 'Nothing there, before and now',
      files: (/** @type {string} */ list) => `Files: ${list}`,
      caption: 'What has changed, by collection',
      heads: { new: 'Added', changed: 'Changed', same: 'The same', dropped: 'Removed', kept: 'Kept' },
    },
  },

  points: {
    title: 'Undo a restore',
    lead: 'Before each restore the server keeps what there was, of the last three.',
    loading: 'Asking the server …',
    none: 'Nothing has been restored yet.',
    beforeRestore: (/** @type {string} */ name) => `Before the restore of ${name}`,
    beforeUndo: 'Before an undo',
    by: (/** @type {string} */ user) => `by ${user}`,
    more: (/** @type {string} */ names, /** @type {number} */ n) => `${names} and ${number.format(n)} more`,
    undo: 'Undo …',
    undoNamed: (/** @type {string} */ what, /** @type {string} */ moment) => `Undo: ${what}, ${moment}`,
  },

  /** What reads otherwise than of a backup, by the kinds of `errors`. @type {Partial<Record<import('../../engine/protocol.js').ErrorKind, readonly string[]>>} */
  restoreErrors: {
    'not-an-archive': ['The file is not a ZIP archive, or its end is missing.', 'If it was downloaded or copied, do that once more; perhaps it was cut short. Otherwise choose another file.'],
    'damaged-directory': ['The directory of the archive is damaged.', 'Use another copy of this backup.'],
    'damaged-entry': ['A part of the backup is not what its directory says: it is damaged.', 'Use another copy of this backup, or restore only the categories that are sound.'],
    'damaged-part': ['A part of the backup cannot be decompressed: it is damaged.', 'Use another copy of this backup, or restore only the categories that are sound.'],
    'missing-entry': ['Something that the table of contents names is not in the archive.', 'Use another copy of this backup, or restore only the categories that are all there.'],
    'bad-document': ['The backup holds a document that is not valid JSON, or has no proper id.', 'Leave its category out, or pass the technical details on to your DiKAS dealer: they name the document.'],
    'limit-exceeded': ['Something in the backup is larger than is safe to work with.', 'The technical details name what and how large.'],
    io: ['Reading the file failed.', 'Check that the drive is connected and that the file is where it was, then choose it again.'],
    'no-space': ['There is not enough room on this device.', 'Make room on the drive, then try again.'],
    'engine-unavailable': ['The restore program could not be started in this browser.', 'Reload the page. If that does not help, use a current Chrome, Edge, Firefox or Safari (16.4 or newer).'],
    cancelled: ['You stopped the restore before anything changed.', 'You can begin again at any time.'],
    unauthorized: ['Your login has ended or was refused.', 'Sign in again, then begin once more.'],
    forbidden: ['Your login may not restore backups.', 'Sign in as an administrator.'],
    'server-full': ['The disk of the server has no room for what is to be restored.', 'Make room on the server’s disk, then try again.'],
    busy: ['The server has too much to do at the moment.', 'Try again in a few minutes.'],
    incomplete: ['What arrived on the server is not all that the backup holds.', 'So that nothing is restored by halves, it was thrown away. Try again; if it stays, pass the technical details on to your DiKAS dealer.'],
    'bad-answer': ['The server’s answers arrived cut or garbled, though they were asked for again.', 'Check the network; a proxy or virus scanner in between may change answers. Then try again.'],
  },
};
