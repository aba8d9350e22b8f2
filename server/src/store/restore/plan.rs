//! What a restore or an undo would do, collection by collection: computed at one position of the store, shown as the
//! preview, and carried out by the commit as long as nothing that it would cost has changed since.

use super::judge::{File, How, Incoming, Rule, Stored, Verdict};
use super::warnings::Warnings;
use crate::auth;
use crate::failure::{Failure, Result};
use crate::store::{documents, live_generation, position, unsigned};
use dikas_archive::api::restore::{
    Changes, CollectionChanges, RestoreMode, RestorePreview, RestoreWarning, UntouchedCollection,
};
use dikas_archive::catalog::{self, CollectionName};
use rusqlite::{Connection, Row, Rows};
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};

/// No generation has this number.
const NONE: i64 = -1;

/// The documents of a generation, as [`Stored::of`] reads them.
const ROWS: &str = "SELECT id, body, seq, digest FROM documents WHERE generation = ?1 ORDER BY id";

/// What would be done.
#[derive(Debug)]
pub(super) struct Plan {
    /// The position of the store that it is of.
    pub(super) seq: i64,
    pub(super) collections: Vec<CollectionPlan>,
    untouched: Vec<UntouchedCollection>,
    warnings: Vec<RestoreWarning>,
    pub(super) logins_end: bool,
    pub(super) users_kept: bool,
}

/// What would be done to one collection.
#[derive(Debug)]
pub(super) struct CollectionPlan {
    pub(super) incoming: Incoming,
    /// The live generation that it was compared with; none where the collection did not exist.
    pub(super) live: Option<i64>,
    pub(super) changes: CollectionChanges,
    /// Of a merge: the documents to write, and to remove.
    pub(super) upserts: Vec<String>,
    pub(super) removes: HashSet<String>,
    /// The documents that the disk has changed, and that are written as they were.
    pub(super) heals: Vec<String>,
    /// Of a merge: the attachments to write, and to remove from documents that stay.
    pub(super) file_upserts: Vec<(String, String)>,
    pub(super) file_removes: HashSet<(String, String)>,
    /// The live documents stay, whatever came.
    pub(super) kept: bool,
    /// Of a large merge: the generation that holds its result but for what is written since.
    pub(super) prepared: Option<i64>,
}

impl Plan {
    /// Compares what comes with what is live.
    pub(super) fn compute(connection: &Connection, incoming: Vec<Incoming>) -> Result<Self> {
        let seq = position(connection)?;
        let names: HashSet<_> = incoming.iter().map(|incoming| incoming.collection.clone()).collect();
        let mut counts = Warnings::default();
        let mut collections = Vec::new();
        for incoming in incoming {
            collections.push(CollectionPlan::compute(connection, incoming, &mut counts)?);
        }
        let mut warnings = counts.told();
        let (mut logins_end, mut users_kept) = (false, false);
        if let Some(users) = collections.iter_mut().find(|plan| plan.touches_users()) {
            users_kept = !users.lets_an_admin_in(connection)?;
            logins_end = !users_kept && counts_anything(&users.changes.documents);
            if users_kept {
                users.keep();
            }
        }
        warnings.extend(logins_end.then_some(RestoreWarning::LoginsEnd));
        warnings.extend(users_kept.then_some(RestoreWarning::UsersKept));
        warnings.extend(missing(connection, &collections)?);
        let untouched = untouched(connection, &names)?;
        Ok(Self { seq, collections, untouched, warnings, logins_end, users_kept })
    }

    /// How many signed documents it would drop or change, they or their files.
    pub(super) fn signed_loss(&self) -> u64 {
        self.collections.iter().map(|plan| plan.changes.signed_loss).sum()
    }

    /// What a person sees of it.
    pub(super) fn preview(&self) -> RestorePreview {
        RestorePreview {
            seq: unsigned(self.seq),
            collections: self.changes(),
            untouched: self.untouched.clone(),
            files_left_out: 0,
            signed_loss: self.signed_loss(),
            warnings: self.warnings.clone(),
        }
    }

    /// What becomes of each collection.
    pub(super) fn changes(&self) -> Vec<CollectionChanges> {
        self.collections.iter().map(|plan| plan.changes.clone()).collect()
    }
}

impl CollectionPlan {
    fn compute(connection: &Connection, incoming: Incoming, warnings: &mut Warnings) -> Result<Self> {
        let name = incoming.collection.clone();
        let category = catalog::category_of(name.as_str());
        let live = live_generation(connection, name.as_str())?;
        let changes = CollectionChanges {
            name,
            category,
            documents: Changes::default(),
            attachments: Changes::default(),
            bytes: 0,
            signed_loss: 0,
        };
        let mut plan = Self {
            incoming,
            live,
            changes,
            upserts: Vec::new(),
            removes: HashSet::new(),
            heals: Vec::new(),
            file_upserts: Vec::new(),
            file_removes: HashSet::new(),
            kept: false,
            prepared: None,
        };
        plan.compare(connection, warnings)?;
        Ok(plan)
    }

    /// Fills in what becomes of documents and attachments.
    fn compare(&mut self, connection: &Connection, warnings: &mut Warnings) -> Result<()> {
        let added = added(connection, self.incoming.generation)?;
        let removable: HashSet<&str> =
            added.iter().filter(|(_, name)| name.is_empty()).map(|(id, _)| id.as_str()).collect();
        let signed = catalog::is_signed(self.incoming.collection.as_str());
        let mut losing = self.compare_files(connection, &added, &removable)?;
        if !signed {
            losing.clear();
        }
        let mut lost = 0;
        let mut both = Both::documents(connection, self.live, self.incoming.generation)?;
        let (how, changes, judge) = (self.incoming.how, &mut self.changes, &self.incoming);
        both.walk(|id, live, incoming| {
            let name = changes.name.as_str();
            let (now, after) = (live.map(Stored::of).transpose()?, incoming.map(Stored::of).transpose()?);
            changes.bytes += after.map_or(0, |after| after.body.len() as u64 + 1);
            let verdict = judge.document(id, now, after, removable.contains(id));
            verdict.count(&mut changes.documents);
            let (now, after) = (now.map(|now| now.body), after.map(|after| after.body));
            match verdict {
                Verdict::New => warnings.note(name, None, after),
                Verdict::Changed => warnings.note(name, now, after),
                Verdict::Dropped => warnings.note(name, now, None),
                Verdict::Healed => self.heals.push(id.to_owned()),
                Verdict::Same | Verdict::Kept => {}
            }
            if signed && matches!(verdict, Verdict::Changed | Verdict::Dropped) {
                losing.remove(id);
                lost += 1;
            }
            if let How::Merge(_) = how {
                match verdict {
                    Verdict::New | Verdict::Changed => self.upserts.push(id.to_owned()),
                    Verdict::Dropped => drop(self.removes.insert(id.to_owned())),
                    Verdict::Healed | Verdict::Same | Verdict::Kept => {}
                }
            }
            Ok(())
        })?;
        self.changes.signed_loss = lost + losing.len() as u64;
        Ok(())
    }

    /// Fills in what becomes of attachments; answers the documents that would lose a file or see one changed.
    fn compare_files(
        &mut self,
        connection: &Connection,
        added: &HashSet<(String, String)>,
        removable: &HashSet<&str>,
    ) -> Result<HashSet<String>> {
        let mut losing = HashSet::new();
        let (how, incoming_generation, live_generation) =
            (self.incoming.how, self.incoming.generation, self.live.unwrap_or(NONE));
        let owner_stays = |id: &str| owner_stays(connection, how, incoming_generation, live_generation, id);
        let mut both = Both::attachments(connection, self.live, incoming_generation)?;
        let (changes, judge) = (&mut self.changes.attachments, &self.incoming);
        both.walk(|id, live, incoming| {
            // Taken together, id and name are read from the row that is there.
            let row = live.or(incoming).ok_or_else(|| Failure::internal("neither side has a row"))?;
            let name: String = row.get(1)?;
            let now = live.map(File::of).transpose()?;
            let after = incoming.map(File::of).transpose()?;
            let key = (id.to_owned(), name);
            let goes_alone = added.contains(&key);
            let goes = goes_alone || removable.contains(id);
            let verdict = judge.file(&key, now.as_ref(), after.as_ref(), goes, || owner_stays(id))?;
            verdict.count(changes);
            let other_bytes =
                now.as_ref().zip(after.as_ref()).is_some_and(|(now, after)| now.sha256 != after.sha256);
            if verdict == Verdict::Dropped || verdict == Verdict::Changed && other_bytes {
                losing.insert(id.to_owned());
            }
            if let How::Merge(_) = how {
                match verdict {
                    Verdict::New | Verdict::Changed => self.file_upserts.push(key),
                    Verdict::Dropped if goes_alone => drop(self.file_removes.insert(key)),
                    Verdict::Dropped | Verdict::Healed | Verdict::Same | Verdict::Kept => {}
                }
            }
            Ok(())
        })?;
        Ok(losing)
    }

    /// Whether carrying it out changes nothing.
    pub(super) fn is_nothing(&self) -> bool {
        self.kept || !counts_anything(&self.changes.documents) && !counts_anything(&self.changes.attachments)
    }

    pub(super) fn touches_users(&self) -> bool {
        self.incoming.collection.as_str() == "users" && !self.is_nothing()
    }

    /// Whether an admin could log in afterwards.
    pub(super) fn lets_an_admin_in(&self, connection: &Connection) -> Result<bool> {
        let incoming = bodies(connection, self.incoming.generation)?;
        let after = match self.incoming.how {
            How::Replace { .. } => self.with_kept(connection, incoming)?,
            How::Merge(_) => {
                let mut after = bodies(connection, self.live.unwrap_or(NONE))?;
                after.retain(|id, _| !self.removes.contains(id));
                // These ids are in order, as they were compared.
                let comes =
                    |id: &String| [&self.upserts, &self.heals].iter().any(|it| it.binary_search(id).is_ok());
                after.extend(incoming.into_iter().filter(|(id, _)| comes(id)));
                after
            }
        };
        Ok(auth::an_admin_can_log_in(after.values().map(Vec::as_slice)))
    }

    /// Adds to the documents that come those that a replacement keeps: what the backup lacks, or was written since.
    fn with_kept(
        &self,
        connection: &Connection,
        mut incoming: BTreeMap<String, Vec<u8>>,
    ) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut live = connection.prepare_cached(ROWS)?;
        let mut live = live.query([self.live.unwrap_or(NONE)])?;
        while let Some(row) = live.next()? {
            let (id, now) = (text(row, 0)?, Stored::of(row)?);
            let kept = || self.incoming.document(id, Some(now), None, false) == Verdict::Kept;
            if !incoming.contains_key(id) && kept() {
                incoming.insert(id.to_owned(), now.body.to_vec());
            }
        }
        Ok(incoming)
    }

    /// Leaves everything as it is.
    fn keep(&mut self) {
        self.kept = true;
        for changes in [&mut self.changes.documents, &mut self.changes.attachments] {
            let now = changes.changed + changes.same + changes.dropped + changes.kept;
            *changes = Changes { kept: now, ..Changes::default() };
        }
    }

    /// The verdicts of a merge of counters now: they go on growing.
    pub(super) fn refresh_counters(&mut self, connection: &Connection) -> Result<()> {
        if matches!(self.incoming.how, How::Merge(Rule::Greater)) {
            let incoming = self.incoming.clone();
            *self = Self::compute(connection, incoming, &mut Warnings::default())?;
        }
        Ok(())
    }
}

/// How a restore of this mode brings a collection in.
pub(super) fn how(connection: &Connection, mode: RestoreMode, collection: &CollectionName) -> Result<How> {
    let name = collection.as_str();
    let signed = catalog::is_signed(name);
    // Where nothing is live, whatever comes becomes what is live.
    if is_empty(connection, name)? {
        return Ok(How::Replace { carry_after: None });
    }
    Ok(match mode {
        _ if name == "counters" => How::Merge(Rule::Greater),
        RestoreMode::Full => How::Replace { carry_after: None },
        _ if signed => How::Merge(Rule::Add),
        RestoreMode::Identical => How::Replace { carry_after: None },
        RestoreMode::Update => How::Merge(Rule::Overwrite),
    })
}

/// What a merge of this generation added, if it holds what a merge took the place of.
pub(super) fn added(connection: &Connection, generation: i64) -> Result<HashSet<(String, String)>> {
    let mut statement =
        connection.prepare_cached("SELECT document_id, name FROM added WHERE generation = ?1")?;
    let rows = statement.query_map([generation], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Whether a document is there when all is done: only asked of those whose files a replacement would carry over.
pub(super) fn owner_stays(
    connection: &Connection,
    how: How,
    incoming: i64,
    live: i64,
    id: &str,
) -> Result<bool> {
    let How::Replace { carry_after: Some(after) } = how else { return Ok(true) };
    if documents::exists(connection, incoming, id)? {
        return Ok(true);
    }
    let sql = "SELECT 1 FROM documents WHERE generation = ?1 AND id = ?2 AND seq > ?3";
    Ok(connection.prepare_cached(sql)?.exists((live, id, after))?)
}

/// What to say where backups lack something that was damaged when they were made.
fn missing(connection: &Connection, plans: &[CollectionPlan]) -> Result<Option<RestoreWarning>> {
    let sql = "SELECT 1 FROM attachments WHERE generation = ?1 AND document_id = ?2 AND name = ?3";
    let mut file = connection.prepare_cached(sql)?;
    let (mut missing, mut kept) = (0, 0);
    for plan in plans {
        let live = plan.live.unwrap_or(NONE);
        for (id, name) in &plan.incoming.missing {
            let is_there = match name.is_empty() {
                true => documents::exists(connection, live, id)?,
                false => file.exists((live, id, name))?,
            };
            missing += 1;
            kept += u64::from(is_there);
        }
    }
    Ok((missing > 0).then_some(RestoreWarning::Missing { missing, kept }))
}

fn is_empty(connection: &Connection, collection: &str) -> Result<bool> {
    let sql = "SELECT 1 FROM collections JOIN generations ON generations.id = live
               WHERE name = ?1 AND documents > 0";
    Ok(!connection.prepare_cached(sql)?.exists([collection])?)
}

fn untouched(connection: &Connection, names: &HashSet<CollectionName>) -> Result<Vec<UntouchedCollection>> {
    let sql = "SELECT name, documents FROM collections JOIN generations ON generations.id = live
               WHERE documents > 0 ORDER BY name";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(())?;
    let mut untouched = Vec::new();
    while let Some(row) = rows.next()? {
        let name: CollectionName = row.get::<_, String>(0)?.parse()?;
        if !names.contains(&name) {
            let category = catalog::category_of(name.as_str());
            untouched.push(UntouchedCollection { name, category, documents: unsigned(row.get(1)?) });
        }
    }
    Ok(untouched)
}

fn bodies(connection: &Connection, generation: i64) -> Result<BTreeMap<String, Vec<u8>>> {
    let sql = "SELECT id, body FROM documents WHERE generation = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([generation], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn counts_anything(changes: &Changes) -> bool {
    changes.new + changes.changed + changes.dropped > 0
}

/// The rows of two generations side by side, in the order of their keys as bytes.
struct Both<'a> {
    live: rusqlite::CachedStatement<'a>,
    incoming: rusqlite::CachedStatement<'a>,
    generations: [i64; 2],
    /// Whether a key is id and name, or id alone.
    named: bool,
}

impl<'a> Both<'a> {
    fn documents(connection: &'a Connection, live: Option<i64>, incoming: i64) -> Result<Self> {
        Self::of(connection, ROWS, [live.unwrap_or(NONE), incoming], false)
    }

    fn attachments(connection: &'a Connection, live: Option<i64>, incoming: i64) -> Result<Self> {
        let sql = "SELECT document_id, name, type, size, sha256, seq FROM attachments WHERE generation = ?1
                   ORDER BY document_id, name";
        Self::of(connection, sql, [live.unwrap_or(NONE), incoming], true)
    }

    fn of(connection: &'a Connection, sql: &str, generations: [i64; 2], named: bool) -> Result<Self> {
        let (live, incoming) = (connection.prepare_cached(sql)?, connection.prepare_cached(sql)?);
        Ok(Self { live, incoming, generations, named })
    }

    /// Shows each key once, with the row that either side has of it.
    fn walk(
        &mut self,
        mut each: impl FnMut(&str, Option<&Row<'_>>, Option<&Row<'_>>) -> Result<()>,
    ) -> Result<()> {
        let [live, incoming] = self.generations;
        let mut live: Rows<'_> = self.live.query([live])?;
        let mut incoming: Rows<'_> = self.incoming.query([incoming])?;
        let (mut now, mut after) = (live.next()?, incoming.next()?);
        loop {
            let order = match (now, after) {
                (None, None) => return Ok(()),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(now), Some(after)) => compare(now, after, self.named)?,
            };
            let shown = (now.filter(|_| order.is_le()), after.filter(|_| order.is_ge()));
            let row = shown.0.or(shown.1).ok_or_else(|| Failure::internal("neither side has a row"))?;
            each(text(row, 0)?, shown.0, shown.1)?;
            if order.is_le() {
                now = live.next()?;
            }
            if order.is_ge() {
                after = incoming.next()?;
            }
        }
    }
}

fn compare(now: &Row<'_>, after: &Row<'_>, named: bool) -> Result<Ordering> {
    let ids = text(now, 0)?.cmp(text(after, 0)?);
    Ok(if named { ids.then(text(now, 1)?.cmp(text(after, 1)?)) } else { ids })
}

fn text<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a str> {
    row.get_ref(column)?.as_str().map_err(Failure::internal)
}
