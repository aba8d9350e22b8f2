//! Programs that know nothing of this project and judge what it wrote: `unzip`, `brotli`, `sha256sum`.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

/// An archive, unpacked by `unzip` into a folder of its own.
pub struct Unzipped {
    folder: tempfile::TempDir,
}

/// Tests the archive with `unzip -t` and unpacks it with `unzip`.
pub fn unzip(archive: &Path) -> Unzipped {
    unzip_test(archive);
    let folder = tempfile::tempdir().unwrap();
    run(Command::new("unzip").arg("-q").arg(archive).arg("-d").arg(folder.path()));
    Unzipped { folder }
}

/// Tests the archive with `unzip -t`.
pub fn unzip_test(archive: &Path) {
    run(Command::new("unzip").arg("-tq").arg(archive));
}

/// One entry, as `unzip -p` gives it.
pub fn unzip_one(archive: &Path, entry: &str) -> Vec<u8> {
    run(Command::new("unzip").arg("-p").arg(archive).arg(entry))
}

/// Name and size of every entry, in the order of the directory, as `zipinfo` lists them.
pub fn zipinfo(archive: &Path) -> Vec<(String, u64)> {
    let listed = String::from_utf8(run(Command::new("zipinfo").arg("-l").arg(archive))).unwrap();
    let entry = |line: &str| {
        let mut words = line.split_whitespace();
        let size = words.nth(3)?.parse().ok()?;
        words.nth(5).map(|name| (name.to_owned(), size))
    };
    // The first line is the archive's, the second its number of entries, the last its sum.
    listed.lines().filter(|line| line.starts_with('-')).filter_map(entry).collect()
}

/// The digest that `sha256sum` finds of one entry, however large.
pub fn sha256sum_of_entry(archive: &Path, entry: &str) -> String {
    let script = "unzip -p \"$1\" \"$2\" | sha256sum";
    first_word(run(Command::new("sh").args(["-c", script, "sh"]).arg(archive).arg(entry)))
}

/// The digest that `sha256sum` finds of JSON lines: of these parts, which `brotli` decodes, one behind the other.
pub fn sha256sum_of_lines(archive: &Path, parts: &[String]) -> String {
    let script =
        "archive=$1; shift; for part; do unzip -p \"$archive\" \"$part\" | brotli -d -c; done | sha256sum";
    first_word(run(Command::new("sh").args(["-c", script, "sh"]).arg(archive).args(parts)))
}

/// `sha256sum`, while bytes come in.
pub struct Summing {
    process: Child,
    input: BufWriter<ChildStdin>,
}

impl Summing {
    /// Nothing has come in yet.
    pub fn start() -> Self {
        let mut command = Command::new("sha256sum");
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = BufWriter::with_capacity(1 << 20, process.stdin.take().unwrap());
        Self { process, input }
    }

    /// The next bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.input.write_all(bytes).unwrap();
    }

    /// The digest of all of them.
    pub fn sum(self) -> String {
        drop(self.input.into_inner().unwrap());
        first_word(self.process.wait_with_output().unwrap().stdout)
    }
}

/// Checks that there is so much space for what tests write.
pub fn assert_room(bytes: u64) {
    let folder = std::env::temp_dir();
    let out = run(Command::new("df").args(["--output=avail", "-B1"]).arg(&folder));
    let free =
        String::from_utf8(out).unwrap().lines().nth(1).and_then(|line| line.trim().parse::<u64>().ok());
    let free = free.expect("df says how much is free");
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    let (needed, there) = (gigabytes(bytes), gigabytes(free));
    assert!(free >= bytes, "{} needs {needed:.1} GB, {there:.1} GB are free", folder.display());
}

impl Unzipped {
    /// Where an entry came to lie.
    pub fn path(&self, entry: &str) -> PathBuf {
        self.folder.path().join(entry)
    }

    /// The bytes of an entry.
    pub fn read(&self, entry: &str) -> Vec<u8> {
        std::fs::read(self.path(entry)).unwrap_or_else(|error| panic!("{entry}: {error}"))
    }

    /// The manifest, as plain JSON: the types under test have no say here.
    pub fn manifest(&self) -> serde_json::Value {
        serde_json::from_slice(&self.read("manifest.json")).expect("manifest.json is JSON")
    }

    /// The JSON lines of every collection, decoded by `brotli -d`, parts joined in the order of their numbers.
    pub fn lines(&self) -> BTreeMap<String, Vec<u8>> {
        let mut parts = BTreeMap::new();
        for entry in std::fs::read_dir(self.folder.path()).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let Some(stem) = name.strip_suffix(".jsonl.br") else { continue };
            let (collection, number) = match stem.split_once('.') {
                Some((collection, number)) => (collection, number.parse::<u32>().expect("a part's number")),
                None => (stem, 1),
            };
            parts.insert((collection.to_owned(), number), name);
        }
        let mut lines = BTreeMap::<String, Vec<u8>>::new();
        for ((collection, _), name) in parts {
            lines.entry(collection).or_default().extend(self.brotli(&name));
        }
        lines
    }

    /// The bytes of every file below `attachments/`, by its path in the archive.
    pub fn attachments(&self) -> BTreeMap<String, Vec<u8>> {
        let files = self.files().into_iter().filter(|path| path.starts_with("attachments/"));
        files.map(|path| (path.clone(), self.read(&path))).collect()
    }

    /// The paths of all files.
    pub fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.push(path.strip_prefix(self.folder.path()).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        files
    }

    /// The entry decoded by Google's program.
    pub fn brotli(&self, entry: &str) -> Vec<u8> {
        run(Command::new("brotli").args(["-d", "-c"]).arg(self.path(entry)))
    }

    /// Checks many files at once with `sha256sum --check`: pairs of digest and entry.
    pub fn sha256sum_check(&self, files: impl Iterator<Item = (String, String)>) {
        let list: String = files.map(|(digest, entry)| format!("{digest}  {entry}\n")).collect();
        let list_file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&list_file, list).unwrap();
        let mut command = Command::new("sha256sum");
        command.args(["--check", "--strict", "--quiet"]).arg(list_file.path());
        run(command.current_dir(self.folder.path()));
    }

    /// The digest that `sha256sum` finds.
    pub fn sha256sum(&self, entry: &str) -> String {
        sha256sum(&self.path(entry))
    }
}

/// The digest that `sha256sum` finds.
pub fn sha256sum(file: &Path) -> String {
    // Read from standard input, a name with a backslash cannot change the form of the answer.
    let input = std::fs::File::open(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    first_word(run(Command::new("sha256sum").stdin(input)))
}

fn first_word(out: Vec<u8>) -> String {
    String::from_utf8(out).unwrap().split_whitespace().next().unwrap().to_owned()
}

/// Runs a program to its good end and returns what it wrote.
fn run(command: &mut Command) -> Vec<u8> {
    // unzip shows names beyond ASCII as question marks, and creates them so, unless the locale is a UTF-8 one.
    let output = command.env("LC_ALL", "C.UTF-8").output();
    let output = output.unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
    assert!(
        output.status.success(),
        "{command:?} ended with {}:\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout[..output.stdout.len().min(4000)]),
        String::from_utf8_lossy(&output.stderr),
    );
    output.stdout
}
