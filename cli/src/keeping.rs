//! Which backups of a folder stay when a new one has come.

use crate::draft::{number_of_moment, with_ending};
use dikas_archive::catalog::{COLLECTIONS, Category};
use dikas_archive::error::{Error, ErrorKind, Result};
use dikas_archive::manifest::Manifest;
use dikas_archive::reader::BackupReader;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// The age below which a backup stays, however many there are: a mistake is noticed before the backup from before it goes.
const SETTLING: SignedDuration = SignedDuration::from_hours(48);

/// What became of the older backups.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Retained {
    /// Those that were removed, the oldest last.
    pub(crate) removed: Vec<PathBuf>,
    /// Those of the series that are dated after the new one: a clock was wrong then, or is now. They neither count nor go.
    pub(crate) future: Vec<PathBuf>,
}

/// Removes backups from the folder of the one that was just made, until `keep` are left of its series: that one, and the
/// newest of those that this program has named, that are of the same installation and of all that was `asked` for, and whose
/// directory and manifest are sound. What it cannot tell so much of neither counts nor goes, and neither does what is dated
/// after the new one. Nothing goes that is younger than [`SETTLING`].
///
/// A backup in which something is missing takes the place of no complete one, which may be the last that holds it: complete
/// ones count by themselves, and each other one counts among all.
///
/// # Errors
/// `io` where the folder cannot be read, or a backup not be removed; the new one stays in any case.
pub(crate) fn keep_newest(
    made: &Path,
    manifest: &Manifest,
    asked: Option<&[Category]>,
    keep: NonZeroUsize,
) -> Result<Retained> {
    let series = Series {
        installation: &manifest.source.installation,
        asked: asked.map(|asked| asked.iter().copied().collect()),
    };
    let now = moment(manifest)
        .ok_or_else(|| Error::new(ErrorKind::BadAnswer, "no moment").on(manifest.created.clone()))?;
    let mut found = find(made, &series)?;
    found.sort();
    found.reverse();
    let (future, past): (Vec<Found>, Vec<Found>) = found.into_iter().partition(|it| it.moment > now);
    let mut retained =
        Retained { removed: Vec::new(), future: future.into_iter().map(|it| it.path).collect() };
    let (mut all, mut complete) = (1, usize::from(manifest.missing.is_empty()));
    for Found { path, moment, is_complete, .. } in past {
        let newer = if is_complete { complete } else { all };
        all += 1;
        complete += usize::from(is_complete);
        if newer >= keep.get() && now.duration_since(moment) >= SETTLING {
            fs::remove_file(&path).map_err(|error| unremoved(&path, error))?;
            retained.removed.push(path);
        }
    }
    Ok(retained)
}

/// A backup of the series, in the order of age.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    moment: Timestamp,
    /// Of two of the same second, the later one has the greater number.
    number: u32,
    path: PathBuf,
    /// Whether nothing is missing in it that was damaged when it was made.
    is_complete: bool,
}

/// The backups of this series beside the one that was made.
fn find(made: &Path, series: &Series<'_>) -> Result<Vec<Found>> {
    let folder = made.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| unremoved(folder, error))? {
        let entry = entry.map_err(|error| unremoved(folder, error))?;
        let number = entry.file_name().to_str().and_then(number_of_moment);
        // A link is nothing that this program has made.
        let is_file = entry.file_type().is_ok_and(|it| it.is_file());
        let path = entry.path();
        if let Some(number) = number
            && is_file
            && Some(entry.file_name().as_os_str()) != made.file_name()
            && !is_of_server(&path)
            && let Some((moment, is_complete)) = told_of(&path, series)
        {
            found.push(Found { moment, number, path, is_complete });
        }
    }
    Ok(found)
}

/// Whether the schedule of a server has made it, whose record lies beside it then: it is that server's to remove.
fn is_of_server(path: &Path) -> bool {
    // Where the disk cannot tell, it may be.
    with_ending(path, ".json").try_exists().unwrap_or(true)
}

fn unremoved(path: &Path, error: std::io::Error) -> Error {
    let error = Error::from(error);
    let message = format!("the backup is made, but older ones cannot be removed: {}", error.message);
    Error { message, ..error }.on(path.display().to_string())
}

/// What backups have to have in common, for one to take the place of another: the installation, and what was asked for. What
/// was found then does not count: a collection that no version knows comes and goes.
#[derive(Debug)]
struct Series<'a> {
    installation: &'a str,
    /// None for everything.
    asked: Option<BTreeSet<Category>>,
}

impl Series<'_> {
    /// Whether a backup is of this series, as far as its manifest tells what was asked for: it names the collections that DiKAS
    /// has even where they are empty, and those of [`Category::Other`] only where there are some.
    fn has(&self, manifest: &Manifest) -> bool {
        let mut covered: BTreeSet<Category> = manifest.collections.iter().map(|it| it.category).collect();
        let is_asked = match &self.asked {
            None => COLLECTIONS.iter().all(|collection| covered.contains(&collection.category)),
            Some(asked) => {
                covered.extend(asked.get(&Category::Other));
                covered == *asked
            }
        };
        is_asked && manifest.source.installation == self.installation
    }
}

/// The moment of a sound backup of this series, and whether nothing is missing in it.
fn told_of(path: &Path, series: &Series<'_>) -> Option<(Timestamp, bool)> {
    let reader = BackupReader::open(File::open(path).ok()?).ok()?;
    if !reader.verify_directory().is_sound() {
        return None;
    }
    let manifest = reader.manifest().ok()??;
    let moment = moment(manifest)?;
    series.has(manifest).then_some((moment, manifest.missing.is_empty()))
}

fn moment(manifest: &Manifest) -> Option<Timestamp> {
    manifest.created.parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use dikas_archive::api::{CollectionSummary, Snapshot, SourceInfo};
    use dikas_archive::damage::{Missing, Reason};
    use dikas_archive::writer::BackupWriter;

    /// A backup of this moment with these collections in it, all of them empty.
    fn backup(
        folder: &Path,
        name: &str,
        created: &str,
        collections: &[(&str, Category)],
    ) -> (PathBuf, Manifest) {
        backup_without(folder, name, created, collections, Vec::new())
    }

    /// The same, in which this is missing.
    fn backup_without(
        folder: &Path,
        name: &str,
        created: &str,
        collections: &[(&str, Category)],
        missing: Vec<Missing>,
    ) -> (PathBuf, Manifest) {
        let source = SourceInfo {
            installation: "0".repeat(32),
            business: "Zum Goldenen Hirschen".to_owned(),
            product: "DiKAS 26.3".to_owned(),
            position: 1,
        };
        let mut names: Vec<&(&str, Category)> = collections.iter().collect();
        names.sort();
        let collections = names.into_iter().map(|(name, category)| CollectionSummary {
            name: name.parse().unwrap(),
            category: *category,
            documents: 0,
            bytes: 0,
            attachments: 0,
            attachment_bytes: 0,
        });
        let (id, created) = ("0".repeat(32), created.to_owned());
        let snapshot = Snapshot { id, created, source, collections: collections.collect(), missing };
        let path = folder.join(name);
        let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        BackupWriter::new(file).finish(&snapshot).unwrap();
        let reader = BackupReader::open(File::open(&path).unwrap()).unwrap();
        let manifest = reader.into_manifest().unwrap().unwrap();
        (path, manifest)
    }

    fn everything() -> Vec<(&'static str, Category)> {
        COLLECTIONS.iter().map(|collection| (collection.name, collection.category)).collect()
    }

    fn only(category: Category) -> Vec<(&'static str, Category)> {
        everything().into_iter().filter(|(_, its)| *its == category).collect()
    }

    fn name(day: u32) -> String {
        format!("dikas_202611{day:02}_040000.zip")
    }

    fn created(day: u32) -> String {
        format!("2026-11-{day:02}T04:00:00Z")
    }

    fn keep(count: usize) -> NonZeroUsize {
        NonZeroUsize::new(count).unwrap()
    }

    #[test]
    fn a_collection_that_nobody_knows_begins_no_new_series() {
        let folder = tempfile::tempdir().unwrap();
        let with_other = [everything(), vec![("loyalty-points", Category::Other)]].concat();
        let make = |day, collections: &[_]| backup(folder.path(), &name(day), &created(day), collections);
        let (first, _) = make(1, &everything());
        let (second, _) = make(2, &with_other);
        let (third, _) = make(3, &everything());
        // Of less, and so another series.
        let (articles, _) = make(4, &only(Category::Articles));
        let (made, manifest) = make(5, &with_other);
        let retained = keep_newest(&made, &manifest, None, keep(3)).unwrap();
        assert_eq!(retained, Retained { removed: vec![first], future: Vec::new() });
        let retained = keep_newest(&made, &manifest, None, keep(1)).unwrap();
        assert_eq!(retained.removed, [third, second]);
        assert!(articles.exists() && made.exists());
    }

    #[test]
    fn a_series_of_some_categories_is_that_of_the_same_categories() {
        let folder = tempfile::tempdir().unwrap();
        let other = ("loyalty-points", Category::Other);
        let articles = only(Category::Articles);
        let with_other = [articles.clone(), vec![other]].concat();
        let make = |day, collections: &[_]| backup(folder.path(), &name(day), &created(day), collections);
        let (of_both, _) = make(1, &with_other);
        let (of_articles, _) = make(2, &articles);
        let (of_all, _) = make(3, &everything());
        let (made, manifest) = make(4, &articles);
        let asked = [Category::Articles];
        let retained = keep_newest(&made, &manifest, Some(&asked), keep(1)).unwrap();
        assert_eq!(retained.removed, [of_articles]);
        let asked = [Category::Articles, Category::Other];
        let (last, manifest) = make(6, &with_other);
        let retained = keep_newest(&last, &manifest, Some(&asked), keep(1)).unwrap();
        assert_eq!(retained.removed, [made, of_both]);
        assert!(of_all.exists() && last.exists());
    }

    #[test]
    fn backups_of_a_clock_that_was_ahead_cost_no_other_and_stay() {
        let folder = tempfile::tempdir().unwrap();
        let mut ahead = Vec::new();
        for day in 1..=3 {
            let (name, created) =
                (format!("dikas_203611{day:02}_040000.zip"), created(day).replace("2026", "2036"));
            ahead.push(backup(folder.path(), &name, &created, &everything()).0);
        }
        ahead.reverse();
        let nights: Vec<PathBuf> =
            (1..=3).map(|day| backup(folder.path(), &name(day), &created(day), &everything()).0).collect();
        let (made, manifest) = backup(folder.path(), &name(4), &created(4), &everything());
        let retained = keep_newest(&made, &manifest, None, keep(3)).unwrap();
        assert_eq!(retained, Retained { removed: vec![nights[0].clone()], future: ahead.clone() });
        // A clock that has fallen back sees all of them ahead.
        let (made, manifest) =
            backup(folder.path(), "dikas_20000101_040000.zip", "2000-01-01T04:00:00Z", &everything());
        let retained = keep_newest(&made, &manifest, None, keep(1)).unwrap();
        assert_eq!((retained.removed.len(), retained.future.len()), (0, 6));
    }

    #[test]
    fn of_one_second_the_one_with_the_greater_number_is_the_newer() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Vec::new();
        for name in
            ["dikas_20261101_040000.zip", "dikas_20261101_040000-2.zip", "dikas_20261101_040000-10.zip"]
        {
            files.push(backup(folder.path(), name, &created(1), &everything()).0);
        }
        let (made, manifest) = backup(folder.path(), &name(3), &created(3), &everything());
        let retained = keep_newest(&made, &manifest, None, keep(2)).unwrap();
        assert_eq!(retained.removed, [files[1].clone(), files[0].clone()]);
    }

    #[test]
    fn what_is_younger_than_two_days_stays_however_many_there_are() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str, created: &str| backup(folder.path(), name, created, &everything());
        let (old, _) = make(&name(3), &created(3));
        let (younger, _) = make("dikas_20261103_040001.zip", "2026-11-03T04:00:01Z");
        let (night, _) = make(&name(4), &created(4));
        let (by_hand, _) = make("dikas_20261105_035900.zip", "2026-11-05T03:59:00Z");
        let (made, manifest) = make(&name(5), &created(5));
        let retained = keep_newest(&made, &manifest, None, keep(1)).unwrap();
        assert_eq!(retained.removed, [old]);
        assert!([younger, night, by_hand, made].iter().all(|file| file.exists()));
    }

    #[test]
    fn one_in_which_something_is_missing_takes_the_place_of_no_complete_one() {
        let folder = tempfile::tempdir().unwrap();
        let missing = Missing {
            collection: "receipts".parse().unwrap(),
            id: "rcp_1".to_owned(),
            name: None,
            reason: Reason::Changed,
            attachments: 0,
        };
        let make = |day, missing: &[Missing]| {
            backup_without(folder.path(), &name(day), &created(day), &everything(), missing.to_vec())
        };
        let complete: Vec<PathBuf> = (1..=3).map(|day| make(day, &[]).0).collect();
        let without = std::slice::from_ref(&missing);
        let others: Vec<PathBuf> = (4..=8).map(|day| make(day, without).0).collect();
        let (made, manifest) = make(9, without);
        let removed = keep_newest(&made, &manifest, None, keep(2)).unwrap().removed;
        // That of the 8th is the second of all.
        assert_eq!(
            removed,
            [3, 2, 1, 0]
                .map(|at| others[at].clone())
                .into_iter()
                .chain([complete[0].clone()])
                .collect::<Vec<_>>()
        );
        // Once it is whole again, the others go as ever.
        let (made, manifest) = make(11, &[]);
        let removed = keep_newest(&made, &manifest, None, keep(2)).unwrap().removed;
        assert_eq!(removed, [others[4].clone(), complete[1].clone()]);
    }
}
