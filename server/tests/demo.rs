//! The demo restaurant, audited from its JSON alone: every sum, number and reference is worked out again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use dikas_archive::catalog::COLLECTIONS;
use dikas_archive::digest::Hasher;
use dikas_server::demo::{Item, generate};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::AddAssign;
use std::sync::LazyLock;

type Documents = BTreeMap<&'static str, BTreeMap<String, Value>>;
type Sums<K> = BTreeMap<K, i64>;

static ALL: LazyLock<Documents> = LazyLock::new(|| documents(300));

/// Reads the stream; each id once, each owner before its attachments.
fn documents(days: u32) -> Documents {
    let mut all = Documents::new();
    for item in generate(days) {
        match item {
            Item::Document { collection, body } => {
                assert!(!body.contains(['\n', '\r']), "a line end in {body}");
                serde_json::from_str::<Value>(&body).expect(&body);
                let value: Value = serde_json::from_str(&quote_decimals(&body)).expect(&body);
                let id = value["_id"].as_str().unwrap().to_owned();
                let row = dikas_archive::catalog::collection(collection).unwrap();
                assert!(id.starts_with(row.id_prefix), "{id}");
                assert!(row.document_types.contains(&value["documentType"].as_str().unwrap()), "{id}");
                let clash = all.entry(collection).or_default().insert(id, value);
                assert!(clash.is_none(), "{clash:?}");
            }
            Item::Attachment { collection, id, .. } => assert!(all[collection].contains_key(&id), "{id}"),
        }
    }
    all
}

/// The same JSON with every decimal number as text, so that no amount passes through a float.
fn quote_decimals(json: &str) -> String {
    let (mut out, mut inside, mut escaped) = (String::with_capacity(json.len() + 256), false, false);
    for piece in json.split_inclusive([',', ':', '[', ']', '{', '}', '"', '\\']) {
        let (word, end) =
            piece.split_at(piece.len() - usize::from(piece.ends_with(|c: char| c.is_ascii_punctuation())));
        if !inside && word.contains('.') {
            out.extend(["\"", word, "\"", end]);
        } else {
            out.push_str(piece);
        }
        let after_escape = escaped && word.is_empty();
        escaped = inside && end == "\\" && !after_escape;
        inside ^= end == "\"" && !after_escape;
    }
    out
}

/// An amount in cents: digits, a point, two digits.
fn cents(value: &Value) -> i64 {
    exact(text(value))
}

fn exact(amount: &str) -> i64 {
    let (euros, rest) = amount.split_once('.').unwrap_or_else(|| panic!("{amount} has no decimals"));
    assert_eq!(rest.len(), 2, "{amount}");
    format!("{euros}{rest}").parse().unwrap()
}

fn int(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("{value} is no integer"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

fn rows(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list"))
}

fn add<K: Ord>(sums: &mut Sums<K>, key: K, amount: i64) {
    sums.entry(key).or_default().add_assign(amount);
}

/// Tax within a gross amount by the definition of rounding: the integer next to it, halves away from zero.
fn tax_within(gross: i64, rate: i64) -> i64 {
    let whole = gross.abs() * rate / (100 + rate);
    let rest = gross.abs() * rate % (100 + rate);
    gross.signum() * (whole + i64::from(rest * 2 >= 100 + rate))
}

#[test]
fn the_same_days_give_the_same_bytes_and_every_collection() {
    let digest = || {
        let mut hasher = Hasher::default();
        for item in generate(12) {
            match item {
                Item::Document { collection, body } => {
                    hasher.update(format!("{collection} {body}").as_bytes())
                }
                Item::Attachment { collection, id, name, media_type, bytes } => {
                    hasher.update(format!("{collection} {id} {name} {media_type}").as_bytes());
                    hasher.update(&bytes);
                }
            }
        }
        hasher.finish()
    };
    assert_eq!(digest(), digest());
    let all = &*ALL;
    for row in COLLECTIONS {
        assert!(all.get(row.name).is_some_and(|documents| !documents.is_empty()), "{} is empty", row.name);
    }
    assert!(documents(0).keys().all(|name| *name != "receipts" && *name != "day-closes"));
}

#[test]
fn two_years_have_their_receipts_and_every_file_is_what_it_says() {
    let (mut receipts, mut bytes, mut lines, mut files, mut file_bytes) = (0_u32, 0, 0_u32, 0, 0);
    let mut blobs = BTreeSet::new();
    let mut types = BTreeSet::new();
    for item in generate(730) {
        match item {
            Item::Document { collection, body } => {
                receipts += u32::from(collection == "receipts");
                lines += 1;
                bytes += body.len() + 1;
            }
            Item::Attachment { name, media_type, bytes, .. } => {
                files += 1;
                file_bytes += bytes.len();
                types.insert(media_type);
                check_file(&name, media_type, &bytes);
                blobs.insert(dikas_archive::digest::Sha256::of(&bytes));
            }
        }
    }
    println!("{receipts} receipts, {lines} documents, {bytes} bytes; {files} files, {file_bytes} bytes");
    assert!(receipts.abs_diff(34_500) <= 300, "{receipts} receipts");
    assert!((50_000_000..65_000_000).contains(&bytes), "{bytes} bytes of documents");
    assert!((200..320).contains(&files) && (6_000_000..14_000_000).contains(&file_bytes), "{file_bytes}");
    assert!(blobs.len() < files, "some files have two owners");
    assert_eq!(types.len(), 3);
}

fn check_file(name: &str, media_type: &str, bytes: &[u8]) {
    match media_type {
        "image/png" => {
            let decoder = png::Decoder::new(std::io::Cursor::new(bytes));
            let mut reader = decoder.read_info().expect(name);
            let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
            reader.next_frame(&mut pixels).expect(name);
            assert!((15_000..90_000).contains(&bytes.len()), "{name}: {} bytes", bytes.len());
        }
        "image/jpeg" => assert!(!jpeg_decoder::Decoder::new(bytes).decode().expect(name).is_empty()),
        "application/pdf" => check_pdf(name, bytes),
        other => panic!("{name} is {other}"),
    }
    assert!(!name.contains(['/', '\0']), "{name}");
}

/// Every offset of the cross-reference table points at its object (ISO 32000-1 section 7.5.4).
fn check_pdf(name: &str, bytes: &[u8]) {
    assert!(bytes.starts_with(b"%PDF-1.4\n") && bytes.ends_with(b"%%EOF\n"), "{name}");
    let tail = String::from_utf8_lossy(&bytes[bytes.len() - 30..]).into_owned();
    let start: usize = tail.split("startxref\n").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
    let table = std::str::from_utf8(&bytes[start..]).unwrap();
    let entries: Vec<_> = table.lines().skip(3).take_while(|line| line.ends_with(" n ")).collect();
    assert_eq!(entries.len(), 7, "{name}");
    for (at, entry) in entries.iter().enumerate() {
        let offset: usize = entry[..10].parse().unwrap();
        assert!(bytes[offset..].starts_with(format!("{} 0 obj\n", at + 1).as_bytes()), "{name}, object {at}");
    }
}

#[test]
fn numbers_have_no_gaps_and_counters_hold_the_highest() {
    let all = &*ALL;
    for counter in all["counters"].values() {
        let (collection, name) = (text(&counter["collection"]), text(&counter["name"]));
        let mut used: Vec<_> = all[collection]
            .values()
            .filter(|document| counter["year"].is_null() || document["year"] == counter["year"])
            .map(|document| {
                int(if document[name].is_null() { &document["fiscal"][name] } else { &document[name] })
            })
            .collect();
        used.sort_unstable();
        let step = if name == "signatureCounter" { 2 } else { 1 };
        let wanted: Vec<_> = (1..=used.len() as i64).map(|number| number * step).collect();
        assert_eq!(used, wanted, "{}", counter["_id"]);
        assert_eq!(used.last().copied(), Some(int(&counter["value"])), "{}", counter["_id"]);
    }
    let counted: BTreeSet<_> = all["counters"].values().map(|counter| text(&counter["collection"])).collect();
    for collection in ["receipts", "day-closes", "vouchers", "invoices", "expenses", "customers"] {
        assert!(counted.contains(collection), "{collection} has no counter");
    }
}

#[test]
fn every_reference_finds_its_document() {
    let all = &*ALL;
    let mut found = Sums::<&str>::new();
    for document in all.values().flat_map(BTreeMap::values) {
        follow(all, document, &mut found);
    }
    for kind in ["articleId", "tableId", "customerId", "receiptId", "voucherId", "invoiceId", "discoGuestId"]
    {
        assert!(found.contains_key(kind), "nothing refers by {kind}");
    }
}

fn follow<'a>(all: &Documents, value: &'a Value, found: &mut Sums<&'a str>) {
    for inner in value.as_array().into_iter().flatten() {
        follow(all, inner, found);
    }
    for (key, inner) in value.as_object().into_iter().flatten() {
        follow(all, inner, found);
        let collection = match key.as_str() {
            "articleId" => "articles",
            "articleGroupId" => "article-groups",
            "optionTemplateId" => "option-templates",
            "tableId" => "tables",
            "tableGroupId" => "table-groups",
            "employeeId" => "employees",
            "customerId" => "customers",
            "receiptId" | "soldReceiptId" => "receipts",
            "voucherId" => "vouchers",
            "invoiceId" => "invoices",
            "discoGuestId" => "disco-guests",
            "admissionGroupId" => "admission-groups",
            "printerId" => "printers",
            "_id" | "clientId" | "vatId" => continue,
            other => {
                assert!(!other.ends_with("Id"), "what does {other} refer to?");
                continue;
            }
        };
        assert!(all[collection].contains_key(text(inner)), "{key} {inner} of {value}");
        add(found, key.as_str(), 1);
    }
}

#[test]
fn receipts_add_up_and_their_fiscal_data_agree() {
    let all = &*ALL;
    let mut last = String::new();
    for (id, receipt) in &all["receipts"] {
        let (mut total, mut gross) = (0, Sums::<i64>::new());
        for line in rows(&receipt["lines"]) {
            let full = int(&line["quantity"]) * cents(&line["unitPrice"]);
            let discount = if line["discount"].is_null() { 0 } else { cents(&line["discount"]["amount"]) };
            assert_eq!(cents(&line["total"]), full - discount, "{id}");
            total += full - discount;
            add(&mut gross, int(&line["taxRate"]), full - discount);
        }
        assert_eq!(cents(&receipt["total"]), total, "{id}");
        let taxes: Sums<i64> =
            rows(&receipt["taxes"]).iter().map(|tax| (int(&tax["rate"]), cents(&tax["gross"]))).collect();
        assert_eq!(taxes, gross, "{id}");
        for tax in rows(&receipt["taxes"]) {
            let gross = cents(&tax["gross"]);
            assert_eq!(cents(&tax["tax"]), tax_within(gross, int(&tax["rate"])), "{id}");
            assert_eq!(cents(&tax["net"]) + cents(&tax["tax"]), gross, "{id}");
        }
        let mut paid = Sums::<&str>::new();
        for payment in rows(&receipt["payments"]) {
            let amount = cents(&payment["amount"]);
            add(&mut paid, if payment["type"] == "cash" { "Bar" } else { "Unbar" }, amount);
            if !payment["given"].is_null() {
                assert_eq!(cents(&payment["given"]) - cents(&payment["change"]), amount, "{id}");
                assert!(cents(&payment["change"]) >= 0, "{id}");
            }
        }
        let tip = cents(&receipt["tip"]);
        assert_eq!(paid.values().sum::<i64>(), total + tip, "{id}");

        let fiscal = &receipt["fiscal"];
        let data: Vec<_> = text(&fiscal["processData"]).split('^').collect();
        assert_eq!((data.len(), data[0], &fiscal["processType"]), (3, "Beleg", &"Kassenbeleg-V1".into()));
        let at = |rate| gross.get(&rate).copied().unwrap_or(0);
        let by_rate: Vec<_> = data[1].split('_').map(exact).collect();
        assert_eq!(by_rate, [at(19), at(7), 0, 0, at(0) + tip], "{id}");
        let by_payment: Sums<&str> = data[2]
            .split('_')
            .map(|part| part.split_once(':').map(|(amount, kind)| (kind, exact(amount))).unwrap())
            .collect();
        assert_eq!(by_payment, paid, "{id}");
        assert!(text(&fiscal["logTimeStart"]) < text(&fiscal["logTimeEnd"]), "{id}");
        assert!(text(&fiscal["logTimeEnd"]) > last.as_str(), "{id} goes back in time");
        text(&fiscal["logTimeEnd"]).clone_into(&mut last);
        if let Some(voided) = receipt["voids"]["receiptId"].as_str() {
            let voided = &all["receipts"][voided];
            assert_eq!(cents(&voided["total"]), -total, "{id}");
            assert_eq!(voided["receiptNumber"], receipt["voids"]["receiptNumber"], "{id}");
        }
    }
    assert!(all["receipts"].values().any(|receipt| !receipt["voids"].is_null()), "nothing was ever voided");
}

/// Counts and sums that day closes and shifts share.
fn check_totals(id: &str, close: &Value, receipts: &[&Value]) {
    let sum = |field: &str| receipts.iter().map(|receipt| cents(&receipt[field])).sum::<i64>();
    assert_eq!(int(&close["receiptCount"]), receipts.len() as i64, "{id}");
    assert_eq!((cents(&close["total"]), cents(&close["tips"])), (sum("total"), sum("tip")), "{id}");
    for (list, key, amounts) in
        [("taxes", "rate", &["gross", "net", "tax"][..]), ("payments", "type", &["amount"])]
    {
        let collect = |values: &mut dyn Iterator<Item = &Value>| {
            let mut sums = Sums::new();
            for row in values {
                amounts
                    .iter()
                    .for_each(|amount| add(&mut sums, (row[key].to_string(), *amount), cents(&row[*amount])));
            }
            sums
        };
        let own = collect(&mut rows(&close[list]).iter());
        assert_eq!(
            own,
            collect(&mut receipts.iter().flat_map(|receipt| rows(&receipt[list]))),
            "{id}: {list}"
        );
    }
}

#[test]
fn day_closes_and_shifts_equal_their_receipts() {
    let all = &*ALL;
    let mut next = 1;
    for (id, close) in &all["day-closes"] {
        let of_day = |document: &&Value| document["zNumber"] == close["zNumber"];
        let receipts: Vec<_> = all["receipts"].values().filter(of_day).collect();
        check_totals(id, close, &receipts);
        assert_eq!(int(&close["firstReceiptNumber"]), next, "{id}");
        next += receipts.len() as i64;
        assert_eq!(int(&close["lastReceiptNumber"]), next - 1, "{id}");
        assert!(receipts.iter().all(|receipt| receipt["businessDate"] == close["businessDate"]), "{id}");

        let mut in_shifts = 0;
        for shift in all["shifts"].values().filter(of_day) {
            let own: Vec<_> = receipts
                .iter()
                .copied()
                .filter(|receipt| receipt["employeeId"] == shift["employeeId"])
                .collect();
            check_totals(text(&shift["_id"]), shift, &own);
            in_shifts += own.len();
        }
        assert_eq!(in_shifts, receipts.len(), "{id}: some receipt belongs to no shift");

        let cash = &close["cash"];
        let received: i64 = receipts
            .iter()
            .flat_map(|receipt| rows(&receipt["payments"]))
            .filter(|payment| payment["type"] == "cash")
            .map(|payment| cents(&payment["amount"]))
            .sum();
        let spent: i64 =
            all["expenses"].values().filter(of_day).map(|expense| cents(&expense["gross"])).sum();
        assert_eq!((cents(&cash["received"]), cents(&cash["expenses"])), (received, spent), "{id}");
        let expected = cents(&cash["float"]) + received - cents(&close["tips"]) - spent;
        assert_eq!(cents(&cash["expected"]), expected, "{id}");
        let pieces: i64 =
            rows(&cash["pieces"]).iter().map(|row| cents(&row["value"]) * int(&row["pieces"])).sum();
        assert_eq!(pieces, cents(&cash["counted"]), "{id}");
        assert_eq!(pieces - expected, cents(&cash["difference"]), "{id}");
        assert!(cents(&cash["difference"]).abs() <= 2_00, "{id}");
    }
    assert_eq!(next - 1, all["receipts"].len() as i64);
}

#[test]
fn vouchers_credit_and_invoices_add_up() {
    let all = &*ALL;
    let (mut sold, mut used, mut credit, mut visits) = (Sums::new(), Sums::new(), Sums::new(), Sums::new());
    for (id, receipt) in &all["receipts"] {
        for line in rows(&receipt["lines"]) {
            if let Some(voucher) = line["voucherId"].as_str() {
                add(&mut sold, (voucher, id.as_str()), cents(&line["total"]));
            }
            if line["articleId"] == "art_9902" {
                add(&mut credit, (text(&receipt["customerId"]), id.as_str()), cents(&line["total"]));
            }
        }
        for payment in rows(&receipt["payments"]) {
            match text(&payment["type"]) {
                "voucher" => {
                    add(&mut used, (text(&payment["voucherId"]), id.as_str()), cents(&payment["amount"]));
                }
                "customer-credit" => {
                    add(&mut credit, (text(&receipt["customerId"]), id.as_str()), -cents(&payment["amount"]));
                }
                _ => {}
            }
        }
        if let Some(customer) = receipt["customerId"].as_str() {
            add(&mut visits, customer, 1);
        }
    }
    let (mut stated_sold, mut stated_used) = (Sums::new(), Sums::new());
    for (id, voucher) in &all["vouchers"] {
        let value = cents(&voucher["value"]);
        add(&mut stated_sold, (id.as_str(), text(&voucher["soldReceiptId"])), value);
        let mut rest = value;
        for redemption in rows(&voucher["redemptions"]) {
            let amount = cents(&redemption["amount"]);
            add(&mut stated_used, (id.as_str(), text(&redemption["receiptId"])), amount);
            rest -= amount;
        }
        assert_eq!(cents(&voucher["remainingValue"]), rest, "{id}");
        assert!(rest >= 0, "{id}");
    }
    assert_eq!((stated_sold, stated_used), (sold, used));

    let (mut stated, mut balances) = (Sums::new(), Sums::new());
    for (id, transaction) in &all["customer-transactions"] {
        let (customer, amount) = (text(&transaction["customerId"]), cents(&transaction["amount"]));
        add(&mut stated, (customer, text(&transaction["receiptId"])), amount);
        add(&mut balances, customer, amount);
        assert_eq!(balances[customer], cents(&transaction["balanceAfter"]), "{id}");
        assert!(balances[customer] >= 0, "{id}");
    }
    assert_eq!(stated, credit);
    for (id, customer) in &all["customers"] {
        let of = |sums: &Sums<&str>| sums.get(id.as_str()).copied().unwrap_or(0);
        assert_eq!(
            (cents(&customer["balance"]), int(&customer["bonusPoints"])),
            (of(&balances), of(&visits))
        );
    }
    for (id, invoice) in &all["invoices"] {
        let receipt = &all["receipts"][text(&invoice["receiptId"])];
        for field in ["total", "taxes", "lines", "customerId"] {
            assert_eq!(invoice[field], receipt[field], "{id}: {field}");
        }
    }
    for (id, notice) in &all["dunning-notices"] {
        let invoice = &all["invoices"][text(&notice["invoiceId"])];
        assert_eq!((&notice["amount"], &notice["customerId"]), (&invoice["total"], &invoice["customerId"]));
        assert_eq!(invoice["paidOnIssue"], false, "{id}");
        assert!(text(&notice["date"]) > text(&invoice["dueDate"]), "{id}");
    }
}
