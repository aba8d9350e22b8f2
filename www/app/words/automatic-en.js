// @ts-check
/** English, of the backups that the server makes and keeps. The German table has the same shape. */

const number = new Intl.NumberFormat('en');

/** @param {number} n @param {string} one @param {string} other */
const count = (n, one, other) => `${number.format(n)} ${n === 1 ? one : other}`;

/** @param {readonly string[]} parts */
const list = (parts) => new Intl.ListFormat('en').format(parts);

export const automaticEn = {
  automatic: {
    view: 'Automatic',
    title: 'Automatic backups',
    lead: 'The server makes backups by itself, while nobody has to think of it, and keeps them in a folder.',
    never: 'The automatic backups cannot be seen here',
    loading: 'Asking the server …',
    failedTitle: 'That did not work',
    copy: 'Copy',
    copied: 'Copied',
    selected: 'Selected: press Ctrl+C',

    daily: (/** @type {readonly string[]} */ times) => `Every day at ${list(times)}`,
    weekly: (/** @type {readonly string[]} */ days, /** @type {readonly string[]} */ times) => `Every ${list(days)} at ${list(times)}`,
    cron: (/** @type {string} */ when) => `By the cron expression ${when}`,
    next: 'Next run',
    nextNever: 'never: the expression names no day that comes',
    success: 'Last success',
    successNone: 'none yet',
    attempt: 'Last attempt',
    attemptNone: 'none yet',
    attemptGood: 'went well',
    attemptBad: 'failed',
    by: {
      schedule: 'when it was due',
      'catch-up': 'caught up on',
      person: (/** @type {string} */ name) => `started by ${name}`,
    },
    folder: 'Folder on the server',
    keeps: 'What is kept',
    keep: (/** @type {{ daily: number, weekly: number, monthly: number }} */ { daily, weekly, monthly }) => {
      const parts = [daily && count(daily, 'day', 'days'), weekly && count(weekly, 'week', 'weeks'), monthly && count(monthly, 'month', 'months')];
      const named = parts.filter((part) => typeof part === 'string');
      return named.length > 0 ? `the last of each of ${list(named)}` : 'the newest good one';
    },
    verified: 'Each one is read back from the disk and compared.',
    notVerified: 'They are not read back from the disk: so it is configured.',
    free: 'Free on that disk',
    unknown: 'not known',
    removed: (/** @type {number} */ n) => `${count(n, 'old one was', 'old ones were')} removed`,
    keepsAll: 'Each stays for at least 48 hours.',
    run: 'Back up now',
    runHint: 'This makes a backup at once and removes none. Only the scheduled runs remove backups, and only those older than 48 hours.',
    running: 'A backup is being made',
    runningShare: (/** @type {string} */ share, /** @type {string} */ what) => `${share} · ${what}`,
    began: 'The server has begun a backup.',
    made: 'The backup is finished.',
    runFailed: (/** @type {string} */ moment) => `The backup of ${moment} failed`,
    hookFailed: 'The command that tells of failures failed too:',
    noSchedule: 'Nothing is scheduled on this server. To have it make a backup every night, write these lines into a file, and start the server with it:',
    noScheduleStart: 'The folder is best on another disk than the data. Without a schedule, any computer can fetch a backup with a token: see below.',

    storedTitle: 'Backups on the server',
    storedLead: 'They lie in the folder of the server. Look into one, download it, or restore from it, right where it is.',
    storedNone: 'There are no backups yet.',
    kept: { day: 'day', week: 'week', month: 'month' },
    keptFor: (/** @type {boolean} */ newest, /** @type {readonly string[]} */ spans, /** @type {boolean} */ recent) =>
      [newest && 'newest good one', spans.length > 0 && `last of its ${list(spans)}`, recent && 'younger than 48 hours'].filter(Boolean).join(', '),
    inFuture: 'Dated in the future: the clock was wrong when this backup was made, or it is wrong now. It is not counted, and stays until you delete it.',
    unchecked: 'not checked yet',
    sound: (/** @type {string} */ age) => `checked ${age}, sound`,
    damaged: (/** @type {number} */ n, /** @type {string} */ age) => `Damaged: ${count(n, 'problem', 'problems')} found ${age}.`,
    check: 'Check',
    checkNamed: (/** @type {string} */ name) => `Check ${name}`,
    checking: (/** @type {string} */ share) => `Every byte is read, ${share} done`,
    checkStopped: 'The check was cancelled.',
    foundSound: (/** @type {string} */ name) => `${name} is sound.`,
    foundDamaged: (/** @type {string} */ name) => `${name} is damaged.`,
    download: 'Download',
    downloadNamed: (/** @type {string} */ name) => `Download ${name}`,
    look: 'Look inside',
    lookNamed: (/** @type {string} */ name) => `Look inside ${name}`,
    restore: 'Restore …',
    restoreNamed: (/** @type {string} */ name) => `Restore ${name}`,
    remove: 'Delete …',
    removeNamed: (/** @type {string} */ name) => `Delete ${name}`,
    removeTitle: 'Delete this backup?',
    removeText: (/** @type {string} */ name) => `${name} is deleted from the server, for good. Copies that were downloaded stay as they are.`,
    removeNewest: (/** @type {string} */ name, /** @type {string} */ before) =>
      `${name} is the newest good backup on the server. It is deleted for good; the one before is of ${before}.`,
    removeLast: (/** @type {string} */ name) =>
      `${name} is the last good backup on the server. It is deleted for good, and then there is none left here.`,
    removeYes: 'Delete for good',
    removeNo: 'Keep it',
    removedOne: 'The backup has been deleted.',

    tokensTitle: 'Backup tokens',
    tokensLead: 'With a token, another computer can fetch backups by itself, and can do nothing else.',
    tokensNone: 'There are no tokens.',
    tokenName: 'What is it for?',
    tokenHint: 'Such as the name of the computer that is to fetch the backups.',
    tokenCreate: 'Create a token',
    tokenBy: (/** @type {string} */ user, /** @type {string} */ moment) => `created by ${user}, ${moment}`,
    tokenUsed: (/** @type {string} */ age) => `last used ${age}`,
    tokenUnused: 'never used',
    tokenRevoke: 'Revoke …',
    tokenRevokeNamed: (/** @type {string} */ name) => `Revoke ${name}`,
    tokenRevokeTitle: 'Revoke this token?',
    tokenRevokeText: (/** @type {string} */ name) => `Whoever uses “${name}” can fetch no more backups, from this moment on.`,
    tokenRevokeYes: 'Revoke',
    tokenRevokeNo: 'Leave it',
    tokenRevoked: 'The token has been revoked.',
    tokenTitle: (/** @type {string} */ name) => `The token “${name}”`,
    tokenOnce: 'It is shown this once. Put it into a file that only root can read, such as /etc/dikas/token: whoever has it can fetch everything that a backup holds.',
    tokenUse: 'Then this line makes a backup, by hand or by cron:',
    tokenKept: 'I have put it away',
    tokenMade: 'The token has been created. It is shown this once.',
  },

  /** What reads otherwise where the server makes and keeps backups; all else is in `errors`. */
  serverErrors: {
    io: ['On the server, the folder of the backups or a file in it could not be read or written.', 'Check on the server that the folder is there, that its drive is connected, and that the server may write in it. Then try again.'],
    'no-space': ['There is not enough room on the disk with the folder of the backups.', 'Make room there, delete a backup below, or have fewer kept. Then try again.'],
    'server-full': ['There is not enough room on the disk with the folder of the backups.', 'Make room there, delete a backup below, or have fewer kept. Then try again.'],
    'damaged-entry': ['A part of the backup is not what it should be.', 'Try again; should it stay, have the memory and the disks of the server checked.'],
    'damaged-part': ['A part of the backup cannot be decompressed.', 'Try again; should it stay, have the memory and the disks of the server checked.'],
    'archive-gone': ['It is no longer on the server.', 'It was deleted, perhaps by another administrator or by the schedule. The list shows what is there.'],
    'archive-in-use': ['This backup is being checked or written at the moment.', 'Wait until that has ended, then try again.'],
    'job-running': ['The server is making a backup already.', 'Wait until it is finished, then try again if you still need to.'],
    'no-folder': ['The folder of the backups cannot be read on the server.', 'Check on the server that the folder is there, that its drive is connected, and that the server may read it. Then open this view again.'],
    'no-schedule': ['Nothing is scheduled on this server.', 'Configure a schedule first: the lines for it stand above.'],
    cancelled: ['It was cancelled before its end.', 'Start it again at any time.'],
    'server-error': ['The server could not get at the folder of the backups, or a fault of its own stopped it.', 'Check on the server that the folder is there, that its drive is connected, and that the server may write in it. Then try again. If the folder is well, pass the technical details on to your DiKAS dealer: they say what it was.'],
    unreachable: ['The server could not be reached.', 'Check that the DiKAS server is switched on and that this device is in the same network, then try again.'],
    unauthorized: ['Your login has ended or was refused.', 'Sign in again.'],
    forbidden: ['Your login may not see the backups on the server.', 'Sign in as an administrator.'],
    busy: ['The server has too much to do at the moment.', 'Try again in a few minutes.'],
    'bad-answer': ['The server’s answer could not be understood.', 'Check the network; a proxy or virus scanner in between may change answers. Then try again.'],
    internal: ['The program made a mistake.', 'Try again. If it happens again, pass the technical details on to your DiKAS dealer.'],
  },
};
