//! Is this backup sound? Every command that reads one gives the same answer, whatever was done to the file: each damage is
//! shown to each of them, and to the server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod support;

use dikas_archive::digest::Sha256;
use serde_json::{Value, json};
use support::{Entries, Shop, dikas_backup, entries, pack, stderr, stdout};

/// What a file is, and what says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Truth {
    Sound,
    /// The table of contents shows that something is wrong, before anything is read.
    DamagedAtSight,
    /// Only reading shows it.
    Damaged,
    NoBackup,
}

const PART: &str = "articles.jsonl.br";

/// The sound backup, and what may happen to it.
fn cases(sound: &[u8], all: &Entries) -> Vec<(&'static str, Truth, Vec<u8>)> {
    let file = attachment(all);
    let without = |name: &str| packed(all.iter().filter(|(key, _)| *key != name));
    let flipped = |content: &[u8]| {
        let at = sound.windows(content.len()).position(|window| window == content).unwrap();
        let mut bytes = sound.to_vec();
        bytes[at + content.len() / 2] ^= 1;
        bytes
    };
    let with_manifest = |change: &dyn Fn(&mut Value)| {
        let mut manifest: Value = serde_json::from_slice(&all["manifest.json"]).unwrap();
        change(&mut manifest);
        let mut all = all.clone();
        all.insert("manifest.json".to_owned(), serde_json::to_vec(&manifest).unwrap());
        packed(all.iter())
    };
    let overwritten = {
        // The receipts of the manifest, and others in their place.
        let mut all = all.clone();
        all.insert("receipts.jsonl.br".to_owned(), all[PART].clone());
        packed(all.iter())
    };
    let extra = [("extra.txt".to_owned(), b"what is this?".to_vec())];
    vec![
        ("as it was made", Truth::Sound, sound.to_vec()),
        ("packed by another program", Truth::Sound, packed(all.iter())),
        ("without its manifest", Truth::Sound, without("manifest.json")),
        ("a part is missing", Truth::DamagedAtSight, without(PART)),
        ("an attachment is missing", Truth::DamagedAtSight, without(&file)),
        (
            "an entry too many",
            Truth::DamagedAtSight,
            packed(all.iter().chain(extra.iter().map(|(n, c)| (n, c)))),
        ),
        ("cut", Truth::DamagedAtSight, sound[..sound.len() - 200].to_vec()),
        ("a flipped byte in the manifest", Truth::DamagedAtSight, flipped(&all["manifest.json"])),
        ("a flipped byte in a part", Truth::Damaged, flipped(&all[PART])),
        ("a flipped byte in an attachment", Truth::Damaged, flipped(&all[&file])),
        ("receipts overwritten", Truth::DamagedAtSight, overwritten),
        (
            "a digest that is not that of the part",
            Truth::Damaged,
            with_manifest(&|manifest| {
                for collection in manifest["collections"].as_array_mut().unwrap() {
                    for part in collection["parts"].as_array_mut().unwrap() {
                        part["sha256"] = json!(Sha256::of(b"another").to_string());
                    }
                }
            }),
        ),
        (
            "a document fewer than the manifest counts",
            Truth::Damaged,
            with_manifest(&|manifest| {
                let articles = &mut manifest["collections"].as_array_mut().unwrap()[0];
                let more = json!(articles["documents"].as_u64().unwrap() + 1);
                (articles["documents"], articles["parts"][0]["documents"]) = (more.clone(), more);
            }),
        ),
        ("pictures of a holiday", Truth::NoBackup, packed(extra.iter().map(|(n, c)| (n, c)))),
        ("an empty ZIP", Truth::NoBackup, packed(std::iter::empty())),
        ("no ZIP", Truth::NoBackup, b"not even an archive".to_vec()),
    ]
}

fn attachment(all: &Entries) -> String {
    all.keys().find(|name| name.starts_with("attachments/")).unwrap().clone()
}

fn packed<'a>(entries: impl Iterator<Item = (&'a String, &'a Vec<u8>)>) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    pack(file.path(), &entries.map(|(name, content)| (name.clone(), content.clone())).collect());
    std::fs::read(file.path()).unwrap()
}

/// What `restore --json` says of the file.
fn checked(output: &std::process::Output) -> Value {
    let events = stdout(output);
    let mut events = events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.find(|event| event["event"] == "checked").expect("it was checked")
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[test]
fn every_command_says_the_same_of_the_same_file() {
    let shop = Shop::with_folder();
    let made = shop.create("made.zip");
    let sound = std::fs::read(&made).unwrap();
    let all = entries(&made);
    let attachment = attachment(&all);
    let manifest: Value = serde_json::from_slice(&all["manifest.json"]).unwrap();
    let business = manifest["source"]["business"].as_str().unwrap().to_owned();
    for (what, truth, bytes) in cases(&sound, &all) {
        let file = shop.file("case.zip");
        std::fs::write(&file, &bytes).unwrap();
        let code = |by_reading: bool| match truth {
            Truth::Sound => 0,
            Truth::Damaged if !by_reading => 0,
            Truth::Damaged | Truth::DamagedAtSight => 1,
            Truth::NoBackup => 2,
        };
        let run = |arguments: &[&str]| {
            let mut command = dikas_backup();
            let output = command.args(arguments).current_dir(shop.folder.path()).output().unwrap();
            (output, format!("{what}: {}", arguments.join(" ")))
        };
        for (arguments, by_reading) in [
            (&["verify", "case.zip"][..], true),
            (&["verify", "case.zip", "--json"], true),
            (&["inspect", "case.zip"], false),
            (&["inspect", "case.zip", "--json"], false),
            (&["extract", "case.zip", "-o", "out", "--force"], true),
            (&["diff", "case.zip", "case.zip"], true),
        ] {
            let (output, told) = run(arguments);
            assert_eq!(
                output.status.code(),
                Some(code(by_reading)),
                "{told}\n{}{}",
                stdout(&output),
                stderr(&output)
            );
            let words = [stdout(&output), stderr(&output)].concat();
            assert!(words.lines().all(|line| !line.contains("1 problems")), "{told}: {words}");
            if code(by_reading) > 0 && !arguments.contains(&"--json") {
                assert!(words.contains(" ["), "a problem with its code: {told}: {words}");
            }
        }
        let restored = shop.restore(&file, &["--dry-run", "--business", &business]);
        let told = [stdout(&restored), stderr(&restored)].concat();
        let path = format!("/backup/restore?dryRun=true&businessName={}", encoded(&business));
        let (status, body) = shop.send(&path, "application/zip", &bytes);
        if what.contains("attachment") {
            // The rest can be restored, once a person agrees to do without the file.
            assert_eq!(restored.status.code(), Some(0), "{what}: {told}");
            assert!(told.contains(&attachment) && !told.contains("is sound"), "{what}: {told}");
            assert!(!told.contains("no part of this restore"), "told twice: {what}: {told}");
            let checked = checked(&shop.restore(&file, &["--dry-run", "--json", "--business", &business]));
            assert_eq!(
                (&checked["filesLeftOut"], &checked["problems"]["found"]),
                (&json!(1), &json!(0)),
                "{what}"
            );
            assert_eq!(status, 200, "{what}: {body}");
            let body: Value = serde_json::from_str(&body).unwrap();
            assert_eq!(body["data"]["preview"]["filesLeftOut"], 1, "{what}: {body}");
        } else {
            // An entry that the manifest does not name is no part of the backup; the rest is restored without it.
            let usable = truth == Truth::Sound || what == "an entry too many";
            assert_eq!(restored.status.code() == Some(0), usable, "{what}: {told}");
            assert_eq!(told.contains("is sound"), truth == Truth::Sound, "{what}: {told}");
            assert_eq!(status, if usable { 200 } else { 422 }, "{what}: {body}");
        }
        let check = shop.check(&format!("{}.zip", Sha256::of(what.as_bytes())), &bytes);
        assert_eq!(
            check["state"],
            if truth == Truth::Sound { "sound" } else { "damaged" },
            "{what}: {check}"
        );
    }
}

#[test]
fn what_a_program_on_the_way_has_made_of_a_file_is_named() {
    let shop = Shop::empty();
    let piece = shop.file("backup.zip.001");
    std::fs::write(&piece, b"PK\x03\x04 the first of three").unwrap();
    let split = dikas_backup().arg("verify").arg(&piece).output().unwrap();
    assert_eq!(split.status.code(), Some(2));
    assert!(stderr(&split).contains("split archive"), "{}", stderr(&split));

    for media_type in ["multipart/form-data; boundary=x", "application/x-www-form-urlencoded"] {
        let (status, body) = shop.send("/backup/restore", media_type, b"--x\r\n");
        assert_eq!(status, 415, "{body}");
        assert!(body.contains("--data-binary @FILE") && body.contains("application/zip"), "{body}");
    }
}

#[cfg(unix)]
#[test]
fn a_token_or_password_in_another_encoding_is_read_or_named() {
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::PermissionsExt as _;
    let shop = Shop::empty();
    let file = shop.token_file();
    let token = std::fs::read_to_string(&file).unwrap();
    let create = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let mut command = dikas_backup();
        command.args(["create", "--url", &shop.url, "--token-file"]).arg(&file);
        command.arg("-o").arg(shop.file("made.zip")).output().unwrap()
    };
    let utf16: Vec<u8> = format!("\u{feff}{token}\r\n").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let refused = create(&utf16);
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("UTF-16"), "{}", stderr(&refused));
    let marked = create(format!("\u{feff}{token}\r\n").as_bytes());
    assert_eq!(marked.status.code(), Some(0), "{}", stderr(&marked));

    let mut command = dikas_backup();
    command.args(["create", "--url", &shop.url, "--user", "admin", "-o"]).arg(shop.file("other.zip"));
    let latin = command.env("DIKAS_PASSWORD", std::ffi::OsStr::from_bytes(b"Gr\xf6\xdfe")).output().unwrap();
    assert_eq!(latin.status.code(), Some(2), "{}", stderr(&latin));
    assert!(stderr(&latin).contains("UTF-8"), "{}", stderr(&latin));
}
