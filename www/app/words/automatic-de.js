// @ts-check
/** German, of the backups that the server makes and keeps. */

const number = new Intl.NumberFormat('de');

/** @param {number} n @param {string} one @param {string} other */
const count = (n, one, other) => `${number.format(n)} ${n === 1 ? one : other}`;

/** @param {readonly string[]} parts */
const list = (parts) => new Intl.ListFormat('de').format(parts);

/** @type {typeof import('./automatic-en.js').automaticEn} */
export const automaticDe = {
  automatic: {
    view: 'Automatik',
    title: 'Automatische Backups',
    lead: 'Der Server erstellt von selbst Backups, ohne dass jemand daran denken muss, und hebt sie in einem Ordner auf.',
    never: 'Die automatischen Backups sind hier nicht zu sehen',
    loading: 'Der Server wird gefragt …',
    failedTitle: 'Das hat nicht geklappt',
    copy: 'Kopieren',
    copied: 'Kopiert',
    selected: 'Markiert: Strg+C drücken',

    daily: (times) => `Täglich um ${list(times)} Uhr`,
    weekly: (days, times) => `Jeden ${list(days)} um ${list(times)} Uhr`,
    cron: (when) => `Nach dem Cron-Ausdruck ${when}`,
    next: 'Nächster Lauf',
    nextNever: 'nie: Der Ausdruck nennt keinen Tag, der kommt',
    success: 'Zuletzt gelungen',
    successNone: 'noch nie',
    attempt: 'Zuletzt versucht',
    attemptNone: 'noch nie',
    attemptGood: 'gelungen',
    attemptBad: 'fehlgeschlagen',
    by: {
      schedule: 'wie geplant',
      'catch-up': 'nachgeholt',
      person: (name) => `gestartet von ${name}`,
    },
    folder: 'Ordner auf dem Server',
    keeps: 'Was bleibt',
    keep: ({ daily, weekly, monthly }) => {
      const parts = [daily && count(daily, 'Tag', 'Tagen'), weekly && count(weekly, 'Woche', 'Wochen'), monthly && count(monthly, 'Monat', 'Monaten')];
      const named = parts.filter((part) => typeof part === 'string');
      return named.length > 0 ? `je das letzte von ${list(named)}` : 'das neueste heile';
    },
    verified: 'Jedes wird von der Platte zurückgelesen und verglichen.',
    notVerified: 'Sie werden nicht von der Platte zurückgelesen: So ist es eingestellt.',
    free: 'Frei auf dieser Platte',
    unknown: 'unbekannt',
    removed: (n) => `${count(n, 'altes wurde', 'alte wurden')} entfernt`,
    keepsAll: 'Jedes bleibt mindestens 48 Stunden.',
    run: 'Jetzt sichern',
    runHint: 'Erstellt sofort ein Backup und löscht keines. Das tun nur die geplanten Läufe, und nur mit Backups, die älter als 48 Stunden sind.',
    running: 'Ein Backup wird erstellt',
    runningShare: (share, what) => `${share} · ${what}`,
    began: 'Der Server hat mit einem Backup begonnen.',
    made: 'Das Backup ist fertig.',
    runFailed: (moment) => `Das Backup vom ${moment} ist fehlgeschlagen`,
    hookFailed: 'Auch der Befehl, der Fehler meldet, ist fehlgeschlagen:',
    noSchedule: 'Auf diesem Server ist nichts geplant. Damit er jede Nacht ein Backup erstellt, schreiben Sie diese Zeilen in eine Datei, und starten Sie den Server damit:',
    noScheduleStart: 'Der Ordner liegt am besten auf einer anderen Platte als die Daten. Auch ohne Plan kann jeder Computer mit einem Token ein Backup holen: siehe unten.',

    storedTitle: 'Backups auf dem Server',
    storedLead: 'Sie liegen im Ordner des Servers. Sehen Sie in eines hinein, laden Sie es herunter, oder stellen Sie daraus wieder her, gleich dort, wo es liegt.',
    storedNone: 'Es gibt noch keine Backups.',
    kept: { day: 'Tag', week: 'Woche', month: 'Monat' },
    keptFor: (newest, spans, recent) =>
      [newest && 'neuestes heiles', spans.length > 0 && `letztes von ${list(spans)}`, recent && 'jünger als 48 Stunden'].filter(Boolean).join(', '),
    inFuture: 'Das Datum liegt in der Zukunft: Die Uhr ging falsch, als dieses Backup entstand, oder sie geht jetzt falsch. Es zählt nicht mit und bleibt, bis Sie es löschen.',
    unchecked: 'noch nicht geprüft',
    sound: (age) => `${age} geprüft, heil`,
    damaged: (n, age) => `Beschädigt: ${count(n, 'Fehler', 'Fehler')}, gefunden ${age}.`,
    check: 'Prüfen',
    checkNamed: (name) => `${name} prüfen`,
    checking: (share) => `Jedes Byte wird gelesen, ${share} erledigt`,
    checkStopped: 'Die Prüfung wurde abgebrochen.',
    foundSound: (name) => `${name} ist in Ordnung.`,
    foundDamaged: (name) => `${name} ist beschädigt.`,
    download: 'Herunterladen',
    downloadNamed: (name) => `${name} herunterladen`,
    look: 'Hineinsehen',
    lookNamed: (name) => `In ${name} hineinsehen`,
    restore: 'Wiederherstellen …',
    restoreNamed: (name) => `${name} wiederherstellen`,
    remove: 'Löschen …',
    removeNamed: (name) => `${name} löschen`,
    removeTitle: 'Dieses Backup löschen?',
    removeText: (name) => `${name} wird endgültig vom Server gelöscht. Heruntergeladene Kopien bleiben, wie sie sind.`,
    removeNewest: (name, before) =>
      `${name} ist das neueste heile Backup auf dem Server. Es wird endgültig gelöscht; das davor ist vom ${before}.`,
    removeLast: (name) =>
      `${name} ist das letzte heile Backup auf dem Server. Es wird endgültig gelöscht, und dann ist hier keines mehr.`,
    removeYes: 'Endgültig löschen',
    removeNo: 'Behalten',
    removedOne: 'Das Backup wurde gelöscht.',

    tokensTitle: 'Backup-Token',
    tokensLead: 'Mit einem Token kann ein anderer Computer von selbst Backups holen, und sonst nichts.',
    tokensNone: 'Es gibt keine Token.',
    tokenName: 'Wofür ist es?',
    tokenHint: 'Etwa der Name des Computers, der die Backups holen soll.',
    tokenCreate: 'Token erstellen',
    tokenBy: (user, moment) => `erstellt von ${user}, ${moment}`,
    tokenUsed: (age) => `zuletzt benutzt ${age}`,
    tokenUnused: 'nie benutzt',
    tokenRevoke: 'Widerrufen …',
    tokenRevokeNamed: (name) => `${name} widerrufen`,
    tokenRevokeTitle: 'Dieses Token widerrufen?',
    tokenRevokeText: (name) => `Wer „${name}“ benutzt, kann von diesem Augenblick an keine Backups mehr holen.`,
    tokenRevokeYes: 'Widerrufen',
    tokenRevokeNo: 'Lassen',
    tokenRevoked: 'Das Token wurde widerrufen.',
    tokenTitle: (name) => `Das Token „${name}“`,
    tokenOnce: 'Es wird nur dieses eine Mal gezeigt. Legen Sie es in eine Datei, die nur root lesen kann, etwa /etc/dikas/token: Wer es hat, kann alles holen, was ein Backup enthält.',
    tokenUse: 'Dann erstellt diese Zeile ein Backup, von Hand oder per Cron:',
    tokenKept: 'Ich habe es verwahrt',
    tokenMade: 'Das Token wurde erstellt. Es wird nur dieses eine Mal gezeigt.',
  },

  serverErrors: {
    io: ['Auf dem Server ließ sich der Ordner der Backups oder eine Datei darin nicht lesen oder schreiben.', 'Prüfen Sie auf dem Server, ob der Ordner da ist, ob sein Laufwerk verbunden ist und ob der Server darin schreiben darf. Versuchen Sie es dann noch einmal.'],
    'no-space': ['Auf der Platte mit dem Ordner der Backups ist nicht genug Platz.', 'Schaffen Sie dort Platz, löschen Sie unten ein Backup, oder lassen Sie weniger aufheben. Versuchen Sie es dann noch einmal.'],
    'server-full': ['Auf der Platte mit dem Ordner der Backups ist nicht genug Platz.', 'Schaffen Sie dort Platz, löschen Sie unten ein Backup, oder lassen Sie weniger aufheben. Versuchen Sie es dann noch einmal.'],
    'damaged-entry': ['Ein Teil des Backups ist nicht, wie er sein soll.', 'Versuchen Sie es noch einmal; bleibt es dabei, lassen Sie Speicher und Platten des Servers prüfen.'],
    'damaged-part': ['Ein Teil des Backups lässt sich nicht entpacken.', 'Versuchen Sie es noch einmal; bleibt es dabei, lassen Sie Speicher und Platten des Servers prüfen.'],
    'archive-gone': ['Es ist nicht mehr auf dem Server.', 'Es wurde gelöscht, vielleicht von einem anderen Administrator oder nach Plan. Die Liste zeigt, was da ist.'],
    'archive-in-use': ['Dieses Backup wird gerade geprüft oder geschrieben.', 'Warten Sie, bis das fertig ist, und versuchen Sie es dann noch einmal.'],
    'job-running': ['Der Server erstellt gerade schon ein Backup.', 'Warten Sie, bis es fertig ist, und versuchen Sie es dann noch einmal, wenn es noch nötig ist.'],
    'no-folder': ['Der Ordner der Backups ist auf dem Server nicht lesbar.', 'Prüfen Sie auf dem Server, ob der Ordner da ist, ob sein Laufwerk verbunden ist und ob der Server ihn lesen darf. Öffnen Sie dann diese Ansicht noch einmal.'],
    'no-schedule': ['Auf diesem Server ist nichts geplant.', 'Richten Sie zuerst einen Plan ein: Die Zeilen dafür stehen oben.'],
    cancelled: ['Es wurde vor dem Ende abgebrochen.', 'Sie können es jederzeit wieder starten.'],
    'server-error': ['Der Server kam nicht an den Ordner der Backups heran, oder ein eigener Fehler hielt ihn auf.', 'Prüfen Sie auf dem Server, ob der Ordner da ist, ob sein Laufwerk verbunden ist und ob der Server darin schreiben darf. Versuchen Sie es dann noch einmal. Ist mit dem Ordner alles gut, geben Sie die technischen Einzelheiten an Ihren DiKAS-Händler weiter: Sie nennen den Grund.'],
    unreachable: ['Der Server war nicht erreichbar.', 'Prüfen Sie, ob der DiKAS-Server eingeschaltet ist und ob dieses Gerät im selben Netzwerk ist, und versuchen Sie es noch einmal.'],
    unauthorized: ['Ihre Anmeldung ist abgelaufen oder wurde abgelehnt.', 'Melden Sie sich erneut an.'],
    forbidden: ['Ihre Anmeldung darf die Backups auf dem Server nicht sehen.', 'Melden Sie sich als Administrator an.'],
    busy: ['Der Server hat gerade zu viel zu tun.', 'Versuchen Sie es in ein paar Minuten noch einmal.'],
    'bad-answer': ['Die Antwort des Servers war nicht zu verstehen.', 'Prüfen Sie das Netzwerk; ein Proxy oder Virenscanner dazwischen kann Antworten verändern. Versuchen Sie es dann noch einmal.'],
    internal: ['Das Programm hat einen Fehler gemacht.', 'Versuchen Sie es noch einmal. Geschieht es wieder, geben Sie die technischen Einzelheiten an Ihren DiKAS-Händler weiter.'],
  },
};
