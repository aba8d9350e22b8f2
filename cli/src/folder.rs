//! A folder that files of an archive are written into, whatever the archive calls them: nothing leaves it, no link is
//! followed, nothing is overwritten unasked, and a file has its name only once it is whole. Files and folders that are
//! made are their owner's alone: they hold personal data and hashes of passwords.

use cap_fs_ext::{DirExt as _, OpenOptionsFollowExt as _};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirBuilder, File, OpenOptions};
use dikas_archive::error::{Error, ErrorKind, Result};
use std::fmt::Write as _;
use std::io::{self, ErrorKind as Reason};
use std::path::Path;

/// How the name of a file begins and ends until it is whole. Between stands a random number: another run may write into
/// the same folder.
const UNFINISHED: [&str; 2] = [".dikas-backup-", ".part"];

/// The modes of files and folders that none but their owner can read.
#[cfg(unix)]
const OWN_FILE: u32 = 0o600;
#[cfg(unix)]
const OWN_FOLDER: u32 = 0o700;

/// Where files go.
#[derive(Debug)]
pub(crate) struct Folder {
    root: Dir,
    /// The folder that the last file went to: the next one mostly goes there, too.
    last: Option<(Vec<String>, Dir)>,
    overwrites: bool,
}

impl Folder {
    /// Opens the folder, and makes it where it is missing.
    ///
    /// # Errors
    /// `io`
    pub(crate) fn open(path: &Path, overwrites: bool) -> Result<Self> {
        let on_path = |error: io::Error| Error::from(error).on(path.display().to_string());
        let mut folders = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut folders, OWN_FOLDER);
        folders.recursive(true).create(path).map_err(on_path)?;
        let root = Dir::open_ambient_dir(path, ambient_authority()).map_err(on_path)?;
        Ok(Self { root, last: None, overwrites })
    }

    /// Writes a file of this name, with folders between slashes; answers what it is called here, where some characters
    /// stand escaped.
    ///
    /// # Errors
    /// `unsafe-name`; `bad-argument` where there is such a file; `io`, `no-space`; those of `write`. Then there is no file.
    pub(crate) fn write(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut dyn io::Write) -> Result<()>,
    ) -> Result<String> {
        let path = segments(name)?;
        let written = path.join("/");
        let on_name = |error: io::Error| match error.kind() {
            Reason::AlreadyExists => exists(name),
            _ => Error::from(error).on(name),
        };
        let Some((file, folders)) = path.split_last() else { return Err(unsafe_name(name)) };
        let overwrites = self.overwrites;
        let folder = self.folder(folders).map_err(|error| Error::from(error).on(name))?;
        if !overwrites && folder.symlink_metadata(file).is_ok() {
            return Err(exists(name));
        }
        let mut unfinished = Unfinished::create(folder).map_err(on_name)?;
        write(&mut unfinished.file)?;
        unfinished.finish(file, overwrites).map_err(on_name)?;
        Ok(written)
    }

    /// The folder within, made where it is missing.
    fn folder(&mut self, path: &[String]) -> io::Result<&Dir> {
        if self.last.as_ref().is_none_or(|(last, _)| last != path) {
            let mut folder = self.root.try_clone()?;
            for segment in path {
                match folder.create_dir_with(segment, &own_folder()) {
                    Err(error) if error.kind() != Reason::AlreadyExists => return Err(error),
                    _ => folder = folder.open_dir_nofollow(segment)?,
                }
            }
            self.last = Some((path.to_vec(), folder));
        }
        self.last.as_ref().map(|(_, folder)| folder).ok_or_else(|| io::Error::other("no folder"))
    }
}

fn own_folder() -> DirBuilder {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "only unix has modes"))]
    let mut folder = DirBuilder::new();
    #[cfg(unix)]
    cap_std::fs::DirBuilderExt::mode(&mut folder, OWN_FOLDER);
    folder
}

/// A file that goes unless it is finished.
struct Unfinished<'a> {
    folder: &'a Dir,
    file: File,
    name: String,
}

impl<'a> Unfinished<'a> {
    fn create(folder: &'a Dir) -> io::Result<Self> {
        let number = getrandom::u64().map_err(io::Error::other)?;
        let [beginning, end] = UNFINISHED;
        let name = format!("{beginning}{number:016x}{end}");
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).follow(cap_fs_ext::FollowSymlinks::No);
        #[cfg(unix)]
        cap_std::fs::OpenOptionsExt::mode(&mut options, OWN_FILE);
        let file = folder.open_with(&name, &options)?;
        Ok(Self { folder, file, name })
    }

    /// Gives it its name. A rename would replace what has come there meanwhile; a link does not, where there are any.
    fn finish(self, name: &str, overwrites: bool) -> io::Result<()> {
        if overwrites {
            return self.folder.rename(&self.name, self.folder, name);
        }
        match self.folder.hard_link(&self.name, self.folder, name) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == Reason::AlreadyExists => Err(error),
            Err(_) if self.folder.symlink_metadata(name).is_ok() => Err(Reason::AlreadyExists.into()),
            Err(_) => self.folder.rename(&self.name, self.folder, name),
        }
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        // After a rename there is none.
        let _ = self.folder.remove_file(&self.name);
    }
}

/// The segments of a name that every file system takes as they are: what some take for something else stands escaped, as in
/// FORMAT.md section 7.
fn segments(name: &str) -> Result<Vec<String>> {
    name.split('/').map(|segment| safe(segment).ok_or_else(|| unsafe_name(name))).collect()
}

fn safe(segment: &str) -> Option<String> {
    if matches!(segment, "" | "." | "..") {
        return None;
    }
    let last = segment.chars().count() - 1;
    let mut safe = String::new();
    for (at, c) in segment.chars().enumerate() {
        let special = c.is_control() || r#"<>:"/\|?*"#.contains(c) || (at == last && matches!(c, '.' | ' '));
        // A device keeps its meaning whatever stands behind a dot.
        if special || (at == 0 && is_device(segment)) {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                let _ = write!(safe, "%{byte:02X}");
            }
        } else {
            safe.push(c);
        }
    }
    Some(safe)
}

/// Whether Windows takes this name for a device.
fn is_device(segment: &str) -> bool {
    let stem = segment.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    if matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$") {
        return true;
    }
    let number = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    number.is_some_and(|number| {
        matches!(number, "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³")
    })
}

fn exists(name: &str) -> Error {
    Error::new(ErrorKind::BadArgument, "there is such a file already; --force would replace it").on(name)
}

fn unsafe_name(name: &str) -> Error {
    Error::new(ErrorKind::UnsafeName, "a file cannot be called so").on(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_runs_into_one_folder_give_no_file_the_content_of_another() {
        let path = tempfile::tempdir().unwrap();
        let mut one = Folder::open(path.path(), false).unwrap();
        let mut other = Folder::open(path.path(), false).unwrap();
        one.write("one.txt", |file| {
            file.write_all(b"first ")?;
            other.write("other.txt", |file| Ok(file.write_all(b"of the other")?)).unwrap();
            Ok(file.write_all(b"second")?)
        })
        .unwrap();
        let read = |name: &str| std::fs::read_to_string(path.path().join(name)).unwrap();
        assert_eq!((read("one.txt").as_str(), read("other.txt").as_str()), ("first second", "of the other"));
        assert_eq!(std::fs::read_dir(path.path()).unwrap().count(), 2);
    }

    #[test]
    fn names_stay_within_and_mean_the_same_everywhere() {
        for (name, safe) in [
            ("receipts.jsonl", Some("receipts.jsonl")),
            ("attachments/articles/art 1/Bär.png", Some("attachments/articles/art 1/Bär.png")),
            ("a/../b", None),
            ("../b", None),
            ("/etc/passwd", None),
            ("a//b", None),
            ("a/.", None),
            ("", None),
            ("a\\..\\b", Some("a%5C..%5Cb")),
            ("C:\\x", Some("C%3A%5Cx")),
            ("con", Some("%63on")),
            ("a/LPT¹.txt", Some("a/%4CPT¹.txt")),
            ("COM10", Some("COM10")),
            ("nul .x", Some("%6Eul .x")),
            ("x\u{1b}[2J\n", Some("x%1B[2J%0A")),
            ("x. ", Some("x.%20")),
            ("...", Some("..%2E")),
        ] {
            assert_eq!(segments(name).ok().map(|path| path.join("/")).as_deref(), safe, "{name:?}");
        }
    }
}
