//! Random data, random backups, every mode: what a restore makes of them is told by a second set of rules, and an undo
//! brings back what was.

use super::*;
use crate::bench::attachment_path;
use rusqlite::Connection;
use serde_json::json;

const COLLECTIONS: [&str; 4] = ["articles", "counters", "receipts", "a-new-one"];
const IDS: u64 = 12;
const ROUNDS: u64 = 12;

/// Documents and files by collection, id and, for a file, name.
type State = BTreeMap<(String, String, Option<String>), String>;

#[tokio::test]
async fn random_restores_do_what_was_previewed_and_can_be_undone() {
    for (seed, merged_rows) in [(1, 0), (2, 100), (3, 2)] {
        let bench = Bench::with(|config| config.restores.merged_rows = merged_rows).await;
        let random = &mut Random(seed);
        for round in 0..ROUNDS {
            write_at_random(&bench, random).await;
            let before = look(&bench).await;
            let mode = [RestoreMode::Full, RestoreMode::Identical, RestoreMode::Update][round as usize % 3];
            let (backup, incoming) = backup_at_random(random);
            let expected = restored(&before, &backup, &incoming, mode);
            let session = Session::staged(&bench, &backup, mode).await;
            let preview = session.preview().await;
            let place = format!("seed {seed}, round {round}, {mode:?}");
            assert_eq!(preview.signed_loss, signed_loss(&before, &expected), "{place}");
            check_counts(&preview, &before, &expected, &place);
            let outcome: RestoreOutcome =
                session.try_commit(preview.seq, Some(preview.signed_loss)).await.expect(OK).data();
            assert_eq!(look(&bench).await, expected, "{place}");

            // Back, and forth again.
            for (from, to) in [(&expected, &before), (&before, &expected)] {
                if outcome.restore_point.is_none() {
                    break;
                }
                let points: Value = bench.get("/backup/restore-points").await.expect(OK).data();
                let path = format!("/backup/restore-points/{}", points[0]["id"].as_str().unwrap());
                let preview: RestorePreview = bench.get(&format!("{path}/preview")).await.expect(OK).data();
                assert_eq!(preview.signed_loss, signed_loss(from, to), "undo, {place}");
                let body = json!({"seq": preview.seq, "acknowledgeSigned": preview.signed_loss}).to_string();
                bench.post(&format!("{path}/activate"), body).await.expect(OK);
                let counters = |state: &State| only(state, |name| name == "counters");
                let others = |state: &State| only(state, |name| name != "counters");
                let now = look(&bench).await;
                assert_eq!(others(&now), others(to), "undo, {place}");
                // Counters go forward and never back, whatever is undone.
                assert_eq!(counters(&now), counters(&expected), "undo, {place}");
            }
            check_digests(&bench, &place).await;
        }
    }
}

/// Whether each row has the digest of what it says, in the live data and in restore points.
async fn check_digests(bench: &Bench, place: &str) {
    let snapshot = bench.snapshot().await;
    let path = format!("/backup/snapshots/{}", snapshot.id);
    bench.get(&format!("{path}/attachments")).await.expect(OK);
    for collection in COLLECTIONS {
        bench.lines(&snapshot, collection).await;
    }
    bench.delete(&path).await.expect(OK);
    let connection = Connection::open(bench.folder.path().join("data/dikas.sqlite")).unwrap();
    for table in ["documents", "attachments"] {
        let sql = format!("SELECT count(*) FROM {table} WHERE digest IS NULL OR length(digest) <> 16");
        let without: u32 = connection.query_row(&sql, (), |row| row.get(0)).unwrap();
        assert_eq!(without, 0, "{table}, {place}");
    }
}

/// How many signed documents differ or are gone, they or their files.
fn signed_loss(before: &State, after: &State) -> u64 {
    let lost = before.iter().filter(|(key, value)| key.0 == "receipts" && after.get(key) != Some(value));
    lost.map(|((_, id, _), _)| id).collect::<std::collections::BTreeSet<_>>().len() as u64
}

/// Whether the preview says of each collection what differs.
fn check_counts(preview: &RestorePreview, before: &State, after: &State, place: &str) {
    for changes in &preview.collections {
        for (files, counted) in [(false, changes.documents), (true, changes.attachments)] {
            let own = |state: &State| {
                let mut own = only(state, |name| name == changes.name.as_str());
                own.retain(|key, _| key.2.is_some() == files);
                own
            };
            let (before, after) = (own(before), own(after));
            let new = after.keys().filter(|key| !before.contains_key(*key)).count() as u64;
            let dropped = before.keys().filter(|key| !after.contains_key(*key)).count() as u64;
            let changed =
                before.iter().filter(|(key, old)| after.get(*key).is_some_and(|new| new != *old)).count();
            let found = [counted.new, counted.changed, counted.dropped];
            assert_eq!(found, [new, changed as u64, dropped], "{place}, {}, files: {files}", changes.name);
        }
    }
}

fn restored(before: &State, backup: &Backup, incoming: &State, mode: RestoreMode) -> State {
    let covered = |name: &str| backup.collections.contains_key(name);
    let adds = |name: &str| mode != RestoreMode::Full && name == "receipts";
    let stays =
        |name: &str| !covered(name) || mode == RestoreMode::Update || adds(name) || name == "counters";
    let mut after = only(before, stays);
    for (key, value) in incoming {
        let value_of = |text: &str| serde_json::from_str::<Value>(text).unwrap()["value"].as_u64();
        let kept = after.get(key).is_some_and(|now| match key.0.as_str() {
            "counters" => value_of(now) > value_of(value),
            name => adds(name),
        });
        if !kept {
            after.insert(key.clone(), value.clone());
        }
    }
    after
}

fn only(state: &State, wanted: impl Fn(&str) -> bool) -> State {
    state.iter().filter(|(key, _)| wanted(&key.0)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// A backup of some collections, and what it holds.
fn backup_at_random(random: &mut Random) -> (Backup, State) {
    let mut lines: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut state = State::new();
    let mut files = Vec::new();
    for name in COLLECTIONS {
        if random.below(5) == 0 {
            continue;
        }
        let lines = lines.entry(name).or_default();
        for id in (0..IDS).filter(|_| random.below(3) > 0).collect::<Vec<_>>() {
            let (id, line) = document(id, random);
            if name != "counters" && random.below(3) == 0 {
                let bytes = random.below(3).to_string();
                state.insert((name.to_owned(), id.clone(), Some("f".to_owned())), bytes.clone());
                files.push((name, id.clone(), bytes));
            }
            state.insert((name.to_owned(), id, None), line.clone());
            lines.push(line);
        }
    }
    if lines.is_empty() {
        lines.insert("articles", Vec::new());
    }
    let lines: Vec<(&str, Vec<&str>)> =
        lines.iter().map(|(name, lines)| (*name, lines.iter().map(String::as_str).collect())).collect();
    let lines: Vec<(&str, &[&str])> = lines.iter().map(|(name, lines)| (*name, lines.as_slice())).collect();
    let backup = Backup::of(&lines);
    let backup = files.iter().fold(backup, |all, (name, id, bytes)| all.with_file(name, id, "f", bytes));
    (backup, state)
}

/// What tills and admins do between restores.
async fn write_at_random(bench: &Bench, random: &mut Random) {
    for _ in 0..10 {
        let name = COLLECTIONS[random.below(COLLECTIONS.len() as u64) as usize];
        let (id, line) = document(random.below(IDS), random);
        let path = crate::bench::document_path(name, &id);
        // Signed documents refuse some of it: that is as it should be.
        match random.below(4) {
            0 => drop(bench.delete(&path).await),
            _ => drop(bench.put(&path, line).await),
        }
        if name != "counters" {
            let request = Request::put(format!("/api/v1{}", attachment_path(name, &id, "f")))
                .header("authorization", format!("Bearer {}", bench.admin))
                .header("content-type", "text/plain")
                .body(Body::from(random.below(3).to_string()));
            bench.send(request.unwrap()).await;
        }
    }
}

fn document(id: u64, random: &mut Random) -> (String, String) {
    let id = format!("{id:02}");
    let line = format!(r#"{{"_id":"{id}","value":{}}}"#, random.below(4));
    (id, line)
}

async fn look(bench: &Bench) -> State {
    let snapshot = bench.snapshot().await;
    let mut state = State::new();
    for name in COLLECTIONS {
        if !snapshot.collections.iter().any(|collection| collection.name.as_str() == name) {
            continue;
        }
        for line in String::from_utf8(bench.lines(&snapshot, name).await).unwrap().lines() {
            let id = dikas_archive::document::id_of(line.as_bytes()).unwrap();
            state.insert((name.to_owned(), id, None), line.to_owned());
        }
    }
    let path = format!("/backup/snapshots/{}/attachments", snapshot.id);
    let records: Value = bench.get(&path).await.expect(OK).data();
    for record in serde_json::from_value::<Vec<AttachmentRecord>>(records["attachments"].clone()).unwrap() {
        let path = attachment_path(record.collection.as_str(), &record.id, &record.name);
        let bytes = bench.get(&path).await.expect(OK).body;
        let key = (record.collection.to_string(), record.id, Some(record.name));
        state.insert(key, String::from_utf8(bytes.to_vec()).unwrap());
    }
    bench.delete(&format!("/backup/snapshots/{}", snapshot.id)).await.expect(OK);
    state
}

/// A linear congruential generator (Knuth's MMIX).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}
