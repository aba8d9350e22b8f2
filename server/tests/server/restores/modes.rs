//! What becomes of documents and files: full, identical, add and update.

use super::*;
use crate::bench::attachment_path;
use dikas_archive::api::restore::RestoreWarning;
use dikas_archive::catalog::Category;
use dikas_archive::damage::Reason;

const NOW: &[&str] = &[r#"{"_id":"a","n":1}"#, r#"{"_id":"b","n":1}"#, r#"{"_id":"c","n":1}"#];
const THEN: &[&str] = &[r#"{"_id":"b","n":1}"#, r#"{"_id":"c","n":0}"#, r#"{"_id":"d","n":0}"#];

async fn bench() -> Bench {
    let bench = Bench::new().await;
    for collection in ["articles", "customers"] {
        put(&bench, collection, NOW).await;
    }
    bench
}

#[tokio::test]
async fn a_full_restore_replaces_what_the_backup_covers_and_nothing_else() {
    let bench = bench().await;
    put(&bench, "tables", &[r#"{"_id":"t"}"#]).await;
    let backup = Backup::of(&[("articles", THEN), ("tables", &[])]);
    let session = Session::staged(&bench, &backup, RestoreMode::Full).await;
    let preview = session.preview().await;
    assert_eq!(counts(changes_of(&preview.collections, "articles").documents), [1, 1, 1, 1, 0]);
    assert_eq!(changes_of(&preview.collections, "articles").bytes, THEN.concat().len() as u64 + 3);
    assert_eq!(counts(changes_of(&preview.collections, "tables").documents), [0, 0, 0, 1, 0]);
    let untouched: Vec<_> = preview.untouched.iter().map(|it| (it.name.as_str(), it.documents)).collect();
    assert_eq!(untouched, [("customers", 3), ("users", 1)]);
    assert_eq!((preview.signed_loss, preview.warnings.len()), (0, 0));
    assert_eq!(live(&bench, "articles").await, NOW, "a preview changes nothing");

    let outcome: RestoreOutcome = session.try_commit(preview.seq, None).await.expect(OK).data();
    assert_eq!(outcome.collections, preview.collections);
    assert!(outcome.seq > preview.seq && outcome.restore_point.is_some());
    assert_eq!(live(&bench, "articles").await, THEN);
    assert_eq!(live(&bench, "tables").await, [""; 0]);
    assert_eq!(live(&bench, "customers").await, NOW);
    put(&bench, "articles", &[r#"{"_id":"e"}"#]).await;
    assert_eq!(live(&bench, "articles").await.len(), 4, "writes go to what is live now");
}

#[tokio::test]
async fn an_update_adds_and_changes_and_drops_nothing() {
    // Merged by the commit, or put together before it.
    for merged_rows in [100, 0] {
        let bench = Bench::with(|config| config.restores.merged_rows = merged_rows).await;
        put(&bench, "articles", NOW).await;
        for name in ["f", "kept"] {
            bench.put(&attachment_path("articles", "c", name), name).await.expect(CREATED);
        }
        let backup = Backup::of(&[("articles", THEN)]).with_file("articles", "c", "f", "then");
        let session = Session::staged(&bench, &backup, RestoreMode::Update).await;
        let preview = session.preview().await;
        assert_eq!(counts(preview.collections[0].documents), [1, 1, 1, 0, 1]);
        assert_eq!(counts(preview.collections[0].attachments), [0, 1, 0, 0, 1]);
        assert_eq!(preview.collections[0].category, Category::Articles);
        // None of this is lost, so that nobody has to be asked again.
        put(&bench, "articles", &[r#"{"_id":"a","n":2}"#, r#"{"_id":"late"}"#]).await;
        bench.put(&attachment_path("articles", "late", "f"), "late").await.expect(CREATED);
        session.try_commit(preview.seq, None).await.expect(OK);
        let expected = [r#"{"_id":"a","n":2}"#, THEN[0], THEN[1], THEN[2], r#"{"_id":"late"}"#];
        assert_eq!(live(&bench, "articles").await, expected);
        for (id, name, bytes) in [("c", "f", "then"), ("c", "kept", "kept"), ("late", "f", "late")] {
            assert_eq!(bench.get(&attachment_path("articles", id, name)).await.expect(OK).body, bytes);
        }
    }
}

#[tokio::test]
async fn into_an_empty_store_all_modes_bring_the_same() {
    for mode in [RestoreMode::Full, RestoreMode::Identical, RestoreMode::Update] {
        let bench = Bench::new().await;
        let counter = &[r#"{"_id":"cnt","value":7}"#];
        let backup =
            Backup::of(&[("articles", THEN), ("counters", counter), ("new-ones", THEN), ("receipts", THEN)]);
        let backup =
            backup.with_file("receipts", "b", "scan.pdf", "scan").with_file("new-ones", "c", "x", "");
        let outcome = restore(&bench, &backup, mode).await;
        assert_eq!(outcome.collections.iter().map(|it| it.documents.new).sum::<u64>(), 10);
        for name in ["articles", "new-ones", "receipts"] {
            assert_eq!(live(&bench, name).await, THEN, "{name}");
        }
        assert_eq!(live(&bench, "counters").await, counter);
        assert_eq!(bench.get(&attachment_path("receipts", "b", "scan.pdf")).await.expect(OK).body, "scan");
    }
}

#[tokio::test]
async fn files_come_with_their_documents() {
    let bench = bench().await;
    for (id, name, bytes) in
        [("b", "same", "s"), ("b", "changed", "now"), ("b", "only", "o"), ("c", "x", "x")]
    {
        bench.put(&attachment_path("articles", id, name), bytes).await.expect(CREATED);
        bench.put(&attachment_path("customers", id, name), bytes).await.expect(CREATED);
    }
    let files = |backup: Backup, of: &str| {
        let backup = backup.with_file(of, "b", "same", "s").with_file(of, "b", "changed", "then");
        backup.with_file(of, "d", "new", "n")
    };
    let backup = files(Backup::of(&[("articles", THEN)]), "articles");
    let outcome = restore(&bench, &backup, RestoreMode::Identical).await;
    // The types differ: what a till sends without one is octet-stream.
    assert_eq!(counts(outcome.collections[0].attachments), [1, 2, 0, 2, 0]);
    let get = async |of: &str, id: &str, name: &str| bench.get(&attachment_path(of, id, name)).await;
    assert_eq!(get("articles", "b", "changed").await.expect(OK).body, "then");
    assert_eq!(get("articles", "d", "new").await.expect(OK).body, "n");
    get("articles", "b", "only").await.expect(StatusCode::NOT_FOUND);

    let backup = files(Backup::of(&[("customers", THEN)]), "customers");
    let outcome = restore(&bench, &backup, RestoreMode::Update).await;
    assert_eq!(counts(outcome.collections[0].attachments), [1, 2, 0, 0, 2]);
    assert_eq!(get("customers", "b", "changed").await.expect(OK).body, "then");
    assert_eq!(get("customers", "b", "only").await.expect(OK).body, "o");
}

#[tokio::test]
async fn counters_only_go_forward() {
    let count = |id: &str, value: u32| format!(r#"{{"_id":"{id}","value":{value}}}"#);
    for mode in [RestoreMode::Full, RestoreMode::Identical, RestoreMode::Update] {
        let bench = Bench::new().await;
        let now = [count("high", 9), count("low", 1), count("only", 4)];
        put(&bench, "counters", &now.each_ref().map(String::as_str)).await;
        let then = [count("high", 8), count("low", 2), count("new", 3)];
        let backup = Backup::of(&[("counters", &then.each_ref().map(String::as_str))]);
        let session = Session::staged(&bench, &backup, mode).await;
        let preview = session.preview().await;
        assert_eq!(counts(preview.collections[0].documents), [1, 1, 0, 0, 2]);
        // A till goes on counting, and no preview has to be shown again.
        put(&bench, "counters", &[&count("low", 5)]).await;
        session.try_commit(preview.seq, None).await.expect(OK);
        let expected = [count("high", 9), count("low", 5), count("new", 3), count("only", 4)];
        assert_eq!(live(&bench, "counters").await, expected);
    }
}

#[tokio::test]
async fn the_same_again_changes_nothing_and_makes_no_restore_point() {
    let bench = bench().await;
    let backup = Backup::of(&[("articles", NOW)]);
    let outcome = restore(&bench, &backup, RestoreMode::Full).await;
    assert_eq!(counts(outcome.collections[0].documents), [0, 0, 3, 0, 0]);
    assert_eq!(outcome.restore_point, None);
}

#[tokio::test]
async fn a_person_is_warned() {
    let bench = Bench::new().await;
    let voucher =
        |value: &str, state: &str| format!(r#"{{"_id":"vou_1","remainingValue":{value},"state":"{state}"}}"#);
    let customer = |balance: &str| format!(r#"{{"_id":"cust_1","balance":{balance}}}"#);
    put(&bench, "vouchers", &[&voucher("0.00", "redeemed")]).await;
    put(&bench, "customers", &[&customer("12.50")]).await;
    let backup = Backup::of(&[
        ("customers", &[&customer("10.00")]),
        ("open-orders", &[r#"{"_id":"open_1"}"#]),
        ("vouchers", &[&voucher("25.00", "open")]),
    ]);
    let preview = Session::staged(&bench, &backup, RestoreMode::Full).await.preview().await;
    let expected = [
        RestoreWarning::OpenOrders { orders: 1 },
        RestoreWarning::Vouchers { vouchers: 1, cents: 2500 },
        RestoreWarning::Balances { customers: 1, raised: 0, lowered: 250 },
    ];
    assert_eq!(preview.warnings, expected);
}

#[tokio::test]
async fn what_the_backup_says_that_it_lacks_stays_as_it_is_and_is_counted() {
    for mode in [RestoreMode::Full, RestoreMode::Identical, RestoreMode::Update] {
        let bench = bench().await;
        for (id, name) in [("a", "x"), ("b", "y"), ("b", "z")] {
            bench.put(&attachment_path("articles", id, name), name).await.expect(CREATED);
        }
        let lacking = |id: &str, name: Option<&str>| Missing {
            collection: "articles".parse().unwrap(),
            id: id.to_owned(),
            name: name.map(str::to_owned),
            reason: Reason::Changed,
            attachments: 0,
        };
        let mut backup = Backup::of(&[("articles", THEN)]);
        backup.missing = vec![lacking("a", None), lacking("b", Some("y")), lacking("gone", None)];
        let session = Session::staged(&bench, &backup, mode).await;
        let preview = session.preview().await;
        assert_eq!(preview.warnings, [RestoreWarning::Missing { missing: 3, kept: 2 }]);
        assert_eq!(counts(preview.collections[0].documents), [1, 1, 1, 0, 1]);
        let dropped = u64::from(mode != RestoreMode::Update);
        assert_eq!(counts(preview.collections[0].attachments), [0, 0, 0, dropped, 3 - dropped]);
        session.try_commit(preview.seq, None).await.expect(OK);
        assert_eq!(live(&bench, "articles").await, [&NOW[..1], THEN].concat(), "{mode:?}");
        for (id, name) in [("a", "x"), ("b", "y")] {
            let file = bench.get(&attachment_path("articles", id, name)).await.expect(OK);
            assert_eq!(file.body, name);
        }
    }
}

#[tokio::test]
async fn a_signed_document_that_the_backup_lacks_is_no_loss() {
    let bench = Bench::new().await;
    put(&bench, "receipts", NOW).await;
    let mut backup = Backup::of(&[("receipts", &NOW[1..])]);
    let lacking = serde_json::json!({"collection": "receipts", "id": "a", "reason": "changed"});
    backup.missing = vec![serde_json::from_value(lacking).unwrap()];
    let session = Session::staged(&bench, &backup, RestoreMode::Full).await;
    let preview = session.preview().await;
    assert_eq!((preview.signed_loss, counts(preview.collections[0].documents)), (0, [0, 0, 2, 0, 1]));
    session.try_commit(preview.seq, None).await.expect(OK);
    assert_eq!(live(&bench, "receipts").await, NOW);
}
