// @ts-check
/** Deutsch, zu Wiederherstellungen. Same shape as the English table. */

const number = new Intl.NumberFormat('de');

/** @param {number} n @param {string} one @param {string} other */
const count = (n, one, other) => `${number.format(n)} ${n === 1 ? one : other}`;

/** @type {typeof import('./restore-en.js').restoreEn} */
export const restoreDe = {
  restore: {
    view: 'Wiederherstellung',
    title: 'Backup wiederherstellen',
    lead: 'Wählen Sie eine Backup-Datei, egal wie groß: Sie wird in diesem Browser gelesen und geprüft. Sie sehen, was sich ändern würde, bevor sich etwas ändert, und können es hinterher rückgängig machen.',
    into: (business) => `In ${business}`,
    never: 'Hier lässt sich nichts wiederherstellen',
    failedTitle: 'Es wurde nichts wiederhergestellt',
    unsureTitle: 'Ob die Änderung geschehen ist, steht nicht fest',
    recovered: 'In diesem Tab lief eine Wiederherstellung, als die Seite verlassen wurde. Sie ist nicht geschehen: Es hat sich nichts geändert.',
    running: (user, begun, called) =>
      `${user} hat am ${begun} eine Wiederherstellung begonnen und war zuletzt ${called} aktiv. Geändert hat sie noch nichts. Ist sie liegen geblieben, vielleicht in einem geschlossenen Tab, brechen Sie sie ab und machen Sie mit Ihrer weiter.`,
    insist: 'Abbrechen und weitermachen',
    committing: {
      title: 'Die Änderung geschieht',
      lead: 'Das dauert Sekunden. Es geschieht alles oder nichts; bitte lassen Sie die Seite offen, bis es fertig ist.',
    },
    comparing: {
      title: 'Vergleich',
      lead: 'Der Server vergleicht den Wiederherstellungspunkt mit dem jetzigen Stand.',
    },
    verdict: {
      known: (version) => `Ein DiKAS-Backup im Format ${version}, das diese Version wiederherstellen kann. Es wird ganz gelesen und geprüft, bevor der Server etwas davon erfährt.`,
      none: 'Dieses Backup hat kein eigenes Verzeichnis. Was darin ist, wurde aus seinen Dateien erschlossen, und woher es stammt, ist nicht angegeben.',
    },
    foreign: (backup, here) =>
      `Dieses Backup stammt von einer anderen Installation: von ${backup}. Sie sind dabei, es in ${here} einzuspielen.`,
    choice: 'Was wiederhergestellt wird, und wie',
    what: 'Was wiederhergestellt wird',
    how: 'Wie wiederhergestellt wird',
    modes: {
      full: ['Alles', 'Eine vollständige Wiederherstellung: Alles, was dieses Backup abdeckt, wird wie damals. Was es nicht abdeckt, bleibt.'],
      identical: ['Einzelne Kategorien angleichen', 'Die gewählten Kategorien werden wie im Backup: Was es nur jetzt gibt, fällt weg. Belege und andere signierte Dokumente kommen immer nur hinzu.'],
      update: ['Ergänzen und aktualisieren', 'Was in den gewählten Kategorien fehlt, kommt hinzu, was abweicht, wird vom Backup überschrieben, und was es nur jetzt gibt, bleibt.'],
    },
    typeName: (business) => `Um ein Backup einer anderen Installation einzuspielen, geben Sie den Namen ihres Betriebs ein: ${business}`,
    unnamed: 'Der Name des Betriebs ist noch einzugeben.',
    show: 'Zeigen, was sich ändern würde',
    harmless: 'Dabei gehen die Daten zum Server und werden dort mit dem jetzigen Stand verglichen. Es ändert sich noch nichts.',
  },

  staging: {
    title: 'Die Wiederherstellung wird vorbereitet',
    steps: 'Schritte',
    done: 'fertig',
    cancel: 'Abbrechen',
    cancelling: 'Wird abgebrochen …',
    keepOpen: 'Geändert hat sich noch nichts. Bitte lassen Sie diese Seite offen; in anderen Tabs und Fenstern können Sie weiterarbeiten.',
    progress: 'Fortschritt der Vorbereitung',
    documents: 'Dokumente',
    files: 'Dateien',
    data: 'Daten',
    rate: 'Tempo',
    left: 'Noch',
    elapsed: 'Läuft seit',
    of: (done, all) => `${done} von ${all}`,
    perSecond: (size) => `${size}/s`,
    about: (time) => `etwa ${time}`,
    estimating: 'wird geschätzt …',
    soon: 'wenige Sekunden',
    say: (percent, left) => `${percent}. Noch ${left}.`,
    sayEstimating: (percent) => `${percent}. Die Restzeit wird geschätzt.`,
    leave: 'Eine Wiederherstellung wird vorbereitet. Abbrechen und abmelden? Geändert hat sich noch nichts.',
    phases: { check: 'Backup prüfen', stage: 'Senden', preview: 'Vergleichen' },
    doing: {
      open: 'Das Backup wird geöffnet',
      check: 'Das Backup wird gelesen und geprüft',
      stage: 'Was wiederhergestellt werden soll, geht zum Server',
      preview: 'Der Server vergleicht es mit dem jetzigen Stand',
    },
    notices: {
      'started-over': 'Die Vorbereitung hat von vorn begonnen.',
      waiting: 'Seit einer Weile geht es nicht voran. Vielleicht antwortet der Server nicht; die Anfrage wird automatisch wiederholt.',
      'on-server': '',
      'in-memory': '',
      'plain-parts': '',
    },
  },

  preview: {
    title: 'Was die Wiederherstellung ändern würde',
    undoTitle: 'Was das Zurückgehen ändern würde',
    lead: (name, moment) =>
      moment ? `Noch hat sich nichts geändert. Das würde ${name} mit dem Stand vom ${moment} ändern.` : `Noch hat sich nichts geändert. Das würde ${name} ändern.`,
    undoLead: (moment) => `Noch hat sich nichts geändert. Das würde sich ändern, wenn Sie auf den Stand vor dem ${moment} zurückgehen.`,
    nothing: 'Es würde sich nichts ändern: Alles ist schon da.',
    refused: {
      'live-changed': 'Es wurde nichts geändert: Inzwischen hat jemand etwas gespeichert, das verloren ginge. Das ist die Vorschau von jetzt; sehen Sie sie noch einmal an und bestätigen Sie erneut. Sie können die Kassen für den Moment der Änderung warten lassen.',
      'signed-loss': 'Es wurde nichts geändert: Die Zahl der signierten Dokumente, die verloren gingen, ist jetzt eine andere. Sehen Sie die Vorschau noch einmal an und bestätigen Sie erneut.',
    },
    signedLoss: (n) =>
      `${count(n, 'signiertes Dokument (Beleg, Tagesabschluss oder Rechnung) würde', 'signierte Dokumente (Belege, Tagesabschlüsse oder Rechnungen) würden')} verloren gehen oder geändert. Sie sind aufbewahrungspflichtig: Tun Sie das nur mit einem Backup des jetzigen Stands in der Hand.`,
    warnings: {
      openOrders: (n) => count(n, 'jetzt abgeschlossene Bestellung wäre wieder offen, und mit ihr der Tisch.', 'jetzt abgeschlossene Bestellungen wären wieder offen, und mit ihnen die Tische.'),
      vouchers: (n, more) => `${count(n, 'Gutschein wäre', 'Gutscheine wären')} um ${more} mehr wert als jetzt: Was seitdem eingelöst wurde, würde wieder gelten.`,
      balances: (n, raised, lowered) =>
        `Das Guthaben von ${count(n, 'Kunden', 'Kunden')} würde sich ändern: insgesamt ${raised} mehr und ${lowered} weniger.`,
      loginsEnd: 'Benutzer und ihre Passwörter ändern sich: Danach müssen sich alle neu anmelden, mit den Passwörtern des Backups.',
      usersKept: 'Kein Administrator des Backups könnte sich anmelden: Die jetzigen Benutzer bleiben.',
    },
    counts: {
      new: (n) => `${number.format(n)} neu`,
      changed: (n) => `${number.format(n)} geändert`,
      same: (n) => `${number.format(n)} gleich`,
      dropped: (n) => count(n, 'gibt es nur jetzt und fällt weg', 'gibt es nur jetzt und fallen weg'),
      kept: (n) => count(n, 'bleibt, wie es jetzt ist', 'bleiben, wie sie jetzt sind'),
      empty: 'Nichts da und nichts im Backup',
      files: (list) => `Dateien: ${list}`,
      caption: 'Änderungen nach Sammlungen',
      heads: { new: 'Neu', changed: 'Geändert', same: 'Gleich', dropped: 'Fallen weg', kept: 'Bleiben' },
    },
    untouched: (names) => `Unberührt: ${names}.`,
    details: 'In Zahlen, nach Sammlungen',
    hint: 'Es geschieht alles oder nichts. Danach können Sie es rückgängig machen.',
    fullHint: 'Es geschieht alles oder nichts. Danach können Sie es rückgängig machen; signierte Dokumente, die dazwischen entstehen, bleiben dabei erhalten.',
    restore: 'Wiederherstellen …',
    undo: 'Rückgängig machen …',
    back: 'Nichts ändern',
  },

  confirm: {
    title: 'Jetzt wiederherstellen?',
    undoTitle: 'Jetzt rückgängig machen?',
    overwrites: (names, changed, dropped) =>
      `Das überschreibt, was es jetzt gibt, in: ${names}. ${count(changed, 'Dokument ändert sich', 'Dokumente ändern sich')}, ${count(dropped, 'fällt weg', 'fallen weg')}.`,
    addsOnly: 'Es kommt nur etwas hinzu; überschrieben wird nichts.',
    canUndo: 'Der jetzige Stand bleibt auf dem Server aufgehoben, sodass Sie es rückgängig machen können.',
    acknowledge: (n) => `Geben Sie die Zahl der signierten Dokumente ein, die verloren gehen oder geändert werden: ${n}`,
    word: 'WIEDERHERSTELLEN',
    type: (word) => `Geben Sie zur Bestätigung ${word} ein`,
    pause: 'Die Kassen für den Moment der Änderung anhalten',
    pauseAbout: 'Höchstens 30 Sekunden; was dort inzwischen eingegeben wird, wird gleich danach gespeichert.',
    restore: 'Wiederherstellen',
    undo: 'Rückgängig machen',
    no: 'Nichts ändern',
  },

  restored: {
    title: 'Die Wiederherstellung ist fertig',
    undoTitle: 'Es ist rückgängig gemacht',
    lead: (moment) => `Alles wurde in einem Zug geändert, am ${moment}.`,
    loginsEnded: 'Die Benutzer wurden ersetzt, und alle Anmeldungen sind beendet. Melden Sie sich neu an, mit Benutzer und Passwort des Stands, der jetzt gilt.',
    usersKept: 'Kein Administrator des Backups hätte sich anmelden können: Die bisherigen Benutzer blieben.',
    signedLoss: (n) => `Signierte Dokumente, die wie bestätigt verloren gingen oder geändert wurden: ${n}.`,
    nothing: 'Es musste sich nichts ändern: Alles war schon da.',
    canUndo: 'Der Stand von vorher ist auf dem Server aufgehoben.',
    undo: 'Rückgängig machen …',
    close: 'Schließen',
    said: 'Die Wiederherstellung ist fertig.',
    counts: {
      new: (n) => `${number.format(n)} hinzugefügt`,
      changed: (n) => `${number.format(n)} geändert`,
      same: (n) => `${number.format(n)} gleich`,
      dropped: (n) => `${number.format(n)} entfernt`,
      kept: (n) => `${number.format(n)} behalten`,
      empty: 'Nichts da, vorher und jetzt',
      files: (list) => `Dateien: ${list}`,
      caption: 'Was sich geändert hat, nach Sammlungen',
      heads: { new: 'Hinzugefügt', changed: 'Geändert', same: 'Gleich', dropped: 'Entfernt', kept: 'Behalten' },
    },
  },

  points: {
    title: 'Eine Wiederherstellung rückgängig machen',
    lead: 'Vor jeder Wiederherstellung hebt der Server auf, was es gab, von den letzten dreien.',
    loading: 'Der Server wird gefragt …',
    none: 'Es wurde noch nichts wiederhergestellt.',
    beforeRestore: (name) => `Vor der Wiederherstellung von ${name}`,
    beforeUndo: 'Vor einem Zurückgehen',
    by: (user) => `von ${user}`,
    more: (names, n) => `${names} und ${number.format(n)} weitere`,
    undo: 'Rückgängig machen …',
    undoNamed: (what, moment) => `Rückgängig machen: ${what}, ${moment}`,
  },

  restoreErrors: {
    'not-an-archive': ['Die Datei ist kein ZIP-Archiv, oder ihr Ende fehlt.', 'Falls sie heruntergeladen oder kopiert wurde, tun Sie das noch einmal; vielleicht brach es vorzeitig ab. Sonst wählen Sie eine andere Datei.'],
    'damaged-directory': ['Das Inhaltsverzeichnis des Archivs ist beschädigt.', 'Nehmen Sie eine andere Kopie dieses Backups.'],
    'damaged-entry': ['Ein Teil des Backups ist nicht das, was sein Verzeichnis sagt: Er ist beschädigt.', 'Nehmen Sie eine andere Kopie dieses Backups, oder stellen Sie nur die Kategorien wieder her, die heil sind.'],
    'damaged-part': ['Ein Teil des Backups lässt sich nicht entpacken: Er ist beschädigt.', 'Nehmen Sie eine andere Kopie dieses Backups, oder stellen Sie nur die Kategorien wieder her, die heil sind.'],
    'missing-entry': ['Etwas, das im Verzeichnis steht, fehlt im Archiv.', 'Nehmen Sie eine andere Kopie dieses Backups, oder stellen Sie nur die Kategorien wieder her, die ganz da sind.'],
    'bad-document': ['Das Backup enthält ein Dokument, das kein gültiges JSON ist oder keine richtige Kennung hat.', 'Lassen Sie seine Kategorie weg, oder geben Sie die technischen Einzelheiten an Ihren DiKAS-Händler weiter: Sie nennen das Dokument.'],
    'limit-exceeded': ['Etwas im Backup ist größer, als sich sicher verarbeiten lässt.', 'Die technischen Einzelheiten nennen, was und wie groß.'],
    io: ['Die Datei ließ sich nicht lesen.', 'Prüfen Sie, ob das Laufwerk verbunden ist und die Datei noch dort liegt, und wählen Sie sie noch einmal.'],
    'no-space': ['Auf diesem Gerät ist nicht genug Platz.', 'Schaffen Sie Platz auf dem Laufwerk und versuchen Sie es noch einmal.'],
    'engine-unavailable': ['Das Programm zum Wiederherstellen ließ sich in diesem Browser nicht starten.', 'Laden Sie die Seite neu. Hilft das nicht, nehmen Sie Chrome, Edge, Firefox oder Safari (ab 16.4) in aktueller Fassung.'],
    cancelled: ['Sie haben die Wiederherstellung abgebrochen, bevor sich etwas geändert hat.', 'Sie können jederzeit neu beginnen.'],
    unauthorized: ['Ihre Anmeldung ist abgelaufen oder wurde abgelehnt.', 'Melden Sie sich erneut an und beginnen Sie noch einmal.'],
    forbidden: ['Ihre Anmeldung darf keine Backups wiederherstellen.', 'Melden Sie sich als Administrator an.'],
    'server-full': ['Auf der Festplatte des Servers ist kein Platz für das, was wiederhergestellt werden soll.', 'Schaffen Sie auf der Festplatte des Servers Platz und versuchen Sie es dann noch einmal.'],
    busy: ['Der Server hat gerade zu viel zu tun.', 'Versuchen Sie es in ein paar Minuten noch einmal.'],
    incomplete: ['Was beim Server angekommen ist, ist nicht alles, was das Backup enthält.', 'Damit nichts nur halb wiederhergestellt wird, wurde es verworfen. Versuchen Sie es noch einmal; bleibt es dabei, geben Sie die technischen Einzelheiten an Ihren DiKAS-Händler weiter.'],
    'bad-answer': ['Die Antworten des Servers kamen gekürzt oder verfälscht an, obwohl sie erneut angefordert wurden.', 'Prüfen Sie das Netzwerk; ein Proxy oder Virenscanner dazwischen kann Antworten verändern. Versuchen Sie es dann noch einmal.'],
  },
};
