//! Documents and files that careless code breaks: they must come out of a backup as they went into the server.

use crate::api::Api;
use crate::checks::{array, text};
use crate::tools::Unzipped;
use std::collections::BTreeMap;

/// An id with everything that URLs, paths and percent-encoding trip over.
pub const AWKWARD_ID: &str = "WS-2026/11 100%/Größe ÄÖÜ%2F&a=b+c#?\u{2028}🧾";

/// What was put in, as it must come out.
#[derive(Debug, Default)]
pub struct Awkward {
    /// By collection and id: the line without its line feed.
    pub documents: BTreeMap<(String, String), Vec<u8>>,
    /// By collection, id and name: the bytes.
    pub attachments: BTreeMap<(String, String, String), Vec<u8>>,
    /// Names of attachments that the server did not accept.
    pub refused: Vec<String>,
}

/// Puts everything awkward into a server.
pub async fn load(api: &Api) -> Awkward {
    let mut awkward = Awkward::default();
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    let digits = "123456789012345678901234567890123456789012345678901234567890";
    let bodies = [
        ("art_escapes", r#""text":"\u00e4\u00C4\/\\\"\b\f\n\r\t\ud83e\uddfe","Ä":"ä""#.to_owned()),
        (
            "art_separators",
            "\"raw\":\"a\u{2028}b\u{2029}c\u{85}d\u{feff}e\u{7f}\",\"escaped\":\"\\u2028\\u2029\"".into(),
        ),
        ("art_numbers", format!("\"n\":{digits},\"m\":-0.{digits}e-308,\"o\":1E+400,\"p\":1.00,\"q\":-0")),
        ("art_twice", r#""inner":{"a":1,"a":2,"a":{"a":null,"a":[]}},"inner":{"_id":"x","_id":7}"#.into()),
        ("art_space", "  \"a\"\t:\t[ ]  ,\"b\" : {  }  ".into()),
        ("art_deep", format!("\"deep\":{deep}")),
        ("art_nul", r#""nul":"\u0000","long":""#.to_owned() + &"ü\u{2028}".repeat(40_000) + "\""),
        ("art_combining", "\"nfd\":\"a\u{308}\",\"nfc\":\"ä\"".into()),
    ];
    let mut lines = Vec::new();
    for (id, body) in bodies {
        // The id stands in the middle of some and at the end of others.
        let line = match lines.len() % 2 {
            0 => format!("{{{body},\"_id\":\"{id}\",\"documentType\":\"Article\"}}"),
            _ => format!("{{\"documentType\":\"Article\",{body},\"_id\":\"{id}\"}}"),
        };
        awkward.documents.insert(("articles".into(), id.into()), line.clone().into_bytes());
        lines.extend(line.into_bytes());
        lines.push(b'\n');
    }
    // Names and ids may be escaped too, and a string may hold half a surrogate pair.
    let escaped = [
        ("art_key", r#"{"a":"\ud800","\u005fid":"art_key"}"#),
        ("art_id", r#"{"_id":"\u0061rt\u005Fid","documentType":"Article"}"#),
    ];
    for (id, line) in escaped {
        awkward.documents.insert(("articles".into(), id.into()), line.into());
        lines.extend(line.bytes());
        lines.push(b'\n');
    }
    api.post_documents("articles", lines).await;

    // Line breaks between the tokens are dropped, and nothing else is.
    let quoted = serde_json::to_string(AWKWARD_ID).unwrap();
    let pretty = format!("{{\r\n\t\"_id\":\r\n\t{quoted},\n  \"zwölf\": 12.0\r\n}}");
    let status = api.put_document("workshop-orders", AWKWARD_ID, pretty.clone()).await;
    assert!(status.is_success(), "{AWKWARD_ID}: {status}");
    let kept = pretty.replace(['\r', '\n'], "");
    awkward.documents.insert(("workshop-orders".into(), AWKWARD_ID.into()), kept.into_bytes());

    // A collection that had something and has nothing now.
    assert!(api.put_document("vouchers", "vou_1", r#"{"_id":"vou_1"}"#).await.is_success());
    api.delete_document("vouchers", "vou_1").await;

    let long = format!("{}.pdf", "Übergroß ".repeat(27));
    let names = [
        "Rechnung für Gäste.pdf",
        "a b.png",
        "A B.png",
        "..",
        ".",
        "...",
        "CON",
        "con.txt",
        "aux.",
        "a/b\\c.txt",
        "100% %41 %2F.txt",
        "a\u{308}.txt",
        "ä.txt",
        " lead and trail ",
        "null\u{0}byte",
        "line\nfeed\u{202e}gpj.exe",
        "-rf",
        "~",
        "C:evil.txt",
        "manifest.json",
        &long,
        &"x".repeat(300),
    ];
    for (number, name) in names.into_iter().enumerate() {
        for (collection, id) in [("workshop-orders", AWKWARD_ID), ("articles", "art_twice")] {
            let bytes = format!("{collection} {number} {name}").into_bytes();
            let status =
                api.put_attachment(collection, id, name, "application/octet-stream", bytes.clone()).await;
            if status.is_success() {
                awkward.attachments.insert((collection.into(), id.into(), name.into()), bytes);
            } else {
                assert_eq!(status.as_u16(), 400, "{name:?}");
                awkward.refused.push(name.to_owned());
            }
        }
    }
    // An empty file is a file.
    assert!(
        api.put_attachment("articles", "art_twice", "empty.bin", "application/x-empty", vec![])
            .await
            .is_success()
    );
    awkward.attachments.insert(("articles".into(), "art_twice".into(), "empty.bin".into()), vec![]);
    awkward
}

impl Awkward {
    /// A backup holds every line and every file as it was put in.
    pub fn compare(&self, backup: &Unzipped) {
        let lines = backup.lines();
        for ((collection, id), line) in &self.documents {
            let found = lines[collection].split(|byte| *byte == b'\n').any(|found| found == line);
            assert!(found, "{collection} {id} is not as it was: {:?}", String::from_utf8_lossy(line));
        }
        for collection in ["articles", "workshop-orders"] {
            let count = lines[collection].iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(
                count,
                self.documents.keys().filter(|key| key.0 == collection).count(),
                "{collection}"
            );
        }
        let manifest = backup.manifest();
        let empty =
            array(&manifest["collections"]).iter().find(|it| it["name"] == "vouchers").expect("is covered");
        assert_eq!((&empty["documents"], &empty["parts"]), (&0.into(), &serde_json::json!([])));
        let listed = array(&manifest["attachments"]);
        assert_eq!(listed.len(), self.attachments.len());
        for file in listed {
            let field = |name: &str| text(&file[name]).to_owned();
            let bytes = &self.attachments[&(field("collection"), field("id"), field("name"))];
            assert!(backup.read(text(&file["path"])) == *bytes, "{file}");
        }
    }
}
