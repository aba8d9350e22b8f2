use crate::store::Store;
use crate::wire::{Answer, Wire, data, page_response, refusal};
use dikas_archive::api::SnapshotRequest;
use dikas_archive::error::{ErrorKind, Result};
use dikas_archive::job::Source as _;
use dikas_archive::job::client::{BAD_ANSWERS, LONGEST_WAIT_MILLISECONDS, TRIES};
use dikas_archive::job::http::HttpSource;
use dikas_archive::job::transport::{Method, Response, TransportError};
use futures::executor::block_on;
use std::cell::Cell;

fn shop() -> Store {
    Store::generate(7, &[("articles", 200), ("customers", 0), ("tables", 3)], 100)
}

/// Every line of a collection, through the client.
fn lines_over(wire: &Wire<'_>, collection: &str, max_bytes: u64) -> Result<String> {
    block_on(async {
        let source = HttpSource::open(wire, &SnapshotRequest::default()).await?;
        let collection = collection.parse()?;
        let (mut lines, mut after) = (Vec::new(), None);
        loop {
            let page = source.page(&collection, after.as_deref(), max_bytes).await?;
            assert_eq!(page.documents, page.lines.split_inclusive(|&b| b == b'\n').count() as u64);
            lines.extend(page.lines);
            after = page.next;
            if after.is_none() {
                source.close().await?;
                return Ok(String::from_utf8(lines).unwrap());
            }
        }
    })
}

fn truth(store: &Store, collection: &str) -> String {
    store.contents().documents[&collection.parse().unwrap()].values().map(String::as_str).collect()
}

#[test]
fn pages_of_any_size_give_every_line() {
    let store = shop();
    for max_bytes in [1, 500, 4096, 1 << 20] {
        let wire = Wire::new(&store, |_, _, _, answer| Ok(answer));
        assert_eq!(lines_over(&wire, "articles", max_bytes).unwrap(), truth(&store, "articles"));
        assert_eq!(wire.count(Method::Delete, ""), 1);
    }
    let wire = Wire::new(&store, |_, _, _, answer| Ok(answer));
    assert_eq!(lines_over(&wire, "customers", 1000).unwrap(), "");
}

/// What a network does to the third page, once or always.
type Damage = fn(Response) -> Response;

fn last_line_lost(mut answer: Response) -> Response {
    answer.body.pop();
    let end = answer.body.iter().rposition(|&byte| byte == b'\n').unwrap();
    answer.body.truncate(end + 1);
    answer
}

fn damages() -> Vec<(&'static str, Damage)> {
    vec![
        ("cut at a line boundary", last_line_lost),
        ("cut inside a line", |mut answer| {
            answer.body.truncate(answer.body.len() - 5);
            answer
        }),
        ("one byte changed", |mut answer| {
            let middle = answer.body.iter().position(|&byte| byte == b'x').unwrap();
            answer.body[middle] = b'y';
            answer
        }),
        ("nothing arrives", |mut answer| {
            answer.body.clear();
            answer
        }),
        ("headers lost", |answer| Response { headers: Vec::new(), ..answer }),
        ("headers of another", |answer| page_response(&answer.body, 1, None)),
        ("empty but consistent", |_| page_response(b"", 0, None)),
        ("a portal's page", |_| Response {
            status: 200,
            headers: vec![("content-type".to_owned(), "text/html".to_owned())],
            body: b"<h1>Welcome to our WLAN</h1>\n".to_vec(),
        }),
        ("cursor before its end", |answer| {
            let cut = last_line_lost(answer.clone());
            let documents = cut.body.iter().filter(|&&byte| byte == b'\n').count() as u64;
            let whole = answer.headers.into_iter().find(|(name, _)| name == "dikas-next").unwrap();
            let mut forged = page_response(&cut.body, documents, None);
            forged.headers.push(whole);
            forged
        }),
        ("not documents", |_| page_response(b"[]\n", 1, None)),
        ("far too long", |answer| Response { body: vec![b'\n'; 64 << 20], ..answer }),
    ]
}

#[test]
fn a_damaged_page_is_fetched_again_and_never_believed() {
    let store = shop();
    for (what, damage) in damages() {
        let wire = Wire::new(&store, |_, number, _, answer| match number {
            3 => Ok(damage(answer)),
            _ => Ok(answer),
        });
        assert_eq!(lines_over(&wire, "articles", 4096).expect(what), truth(&store, "articles"), "{what}");
        assert_eq!(wire.sleeps.borrow().len(), 1, "{what}");

        let wire = Wire::new(&store, |_, number, _, answer| match number {
            3.. => Ok(damage(answer)),
            _ => Ok(answer),
        });
        let error = lines_over(&wire, "articles", 4096).unwrap_err();
        assert_eq!(error.kind, ErrorKind::BadAnswer, "{what}: {error}");
        assert_eq!(error.subject.as_deref(), Some("articles"), "{what}");
        assert!(error.message.contains("proxy"), "{what}: {error}");
        assert_eq!(wire.log.borrow().len(), 3 + BAD_ANSWERS as usize, "{what}");
    }
}

#[test]
fn a_page_that_comes_twice_is_noticed() {
    let store = shop();
    let first = store.page_of("articles", None, 4096);
    let wire = Wire::new(&store, |_, number, _, answer| match number {
        2 => Ok(page_response(&first.lines, first.documents, first.next.as_deref())),
        _ => Ok(answer),
    });
    assert_eq!(lines_over(&wire, "articles", 4096).unwrap(), truth(&store, "articles"));
}

#[test]
fn a_server_that_is_away_for_a_while_is_waited_for() {
    let store = shop();
    let troubles: [fn() -> Answer; 6] = [
        || Err(TransportError::Unreachable("refused".to_owned())),
        || Err(TransportError::Cut("reset".to_owned())),
        || Err(TransportError::Timeout),
        || Ok(refusal(500, "internal")),
        || Ok(Response { status: 502, ..Response::default() }),
        || Ok(refusal(429, "busy")),
    ];
    for trouble in troubles {
        for first in 0..4 {
            let wire =
                Wire::new(
                    &store,
                    |_, number, _, answer| {
                        if (first..first + 2).contains(&number) { trouble() } else { Ok(answer) }
                    },
                );
            assert_eq!(lines_over(&wire, "articles", 8192).unwrap(), truth(&store, "articles"));
            assert_eq!(*wire.sleeps.borrow(), [499, 999]);
        }
    }
}

#[test]
fn a_server_that_is_gone_for_good_is_said_to_be() {
    let store = shop();
    let troubles: [(ErrorKind, fn() -> Answer); 3] = [
        (ErrorKind::Unreachable, || Err(TransportError::Unreachable("refused".to_owned()))),
        (ErrorKind::Unreachable, || Err(TransportError::Cut("reset".to_owned()))),
        (ErrorKind::ServerError, || Ok(refusal(500, "internal"))),
    ];
    for (kind, trouble) in troubles {
        let wire = Wire::new(&store, |_, number, _, answer| if number > 2 { trouble() } else { Ok(answer) });
        let error = lines_over(&wire, "articles", 4096).unwrap_err();
        assert_eq!(error.kind, kind);
        assert_eq!(wire.log.borrow().len(), 3 + TRIES as usize);
        assert!(wire.sleeps.borrow().iter().all(|&wait| wait < LONGEST_WAIT_MILLISECONDS));
    }
    let wire = Wire::new(&store, |_, _, _, _| Err(TransportError::Timeout));
    assert_eq!(lines_over(&wire, "articles", 4096).unwrap_err().kind, ErrorKind::Unreachable);
    assert!(wire.log.borrow().len() < 5, "silence costs patience");
}

#[test]
fn retry_after_is_heeded_in_seconds_and_survived_as_a_date() {
    let store = shop();
    for (value, expected) in [("30", 30_000), ("0", 499), ("Wed, 21 Oct 2026 07:28:00 GMT", 499), ("-1", 499)]
    {
        let wire = Wire::new(&store, |_, number, _, answer| {
            let mut busy = refusal(503, "paused");
            busy.headers.push(("Retry-After".to_owned(), value.to_owned()));
            Ok(if number == 1 { busy } else { answer })
        });
        lines_over(&wire, "articles", 4096).unwrap();
        assert_eq!(*wire.sleeps.borrow(), [expected], "{value}");
    }
    let wire = Wire::new(&store, |_, _, _, _| {
        let mut busy = refusal(429, "busy");
        busy.headers.push(("Retry-After".to_owned(), u64::MAX.to_string()));
        Ok(busy)
    });
    let error = lines_over(&wire, "articles", 4096).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Busy);
    assert!(error.message.contains(&format!("wait for {} seconds", u64::MAX / 1000)), "{error}");
    assert!(wire.sleeps.borrow().is_empty());
}

#[test]
fn an_expired_token_is_refreshed_on_the_way() {
    let store = shop();
    let wire = Wire::new(&store, |wire, number, _, answer| {
        if number % 4 == 3 {
            wire.expire_token();
        }
        Ok(answer)
    });
    assert_eq!(lines_over(&wire, "articles", 2048).unwrap(), truth(&store, "articles"));
    assert!(wire.refreshes.get() > 2);
    assert!(wire.sleeps.borrow().is_empty());
}

#[test]
fn a_refresh_whose_answer_is_lost_is_asked_for_again_and_the_login_goes_on() {
    let store = shop();
    let lost = Cell::new(0);
    let wire = Wire::new(&store, |wire, number, request, answer| {
        if number % 4 == 3 {
            wire.expire_token();
        }
        if request.target == "/auth/refresh" && lost.replace(lost.get() + 1) % 2 == 0 {
            return Err(TransportError::Timeout);
        }
        Ok(answer)
    });
    assert_eq!(lines_over(&wire, "articles", 2048).unwrap(), truth(&store, "articles"));
    assert!(wire.refreshes.get() > 2 && lost.get() > 4 && !wire.logged_out.get());
}

#[test]
fn a_login_that_has_ended_is_not_tried_again() {
    let store = shop();
    let wire = Wire::new(&store, |wire, number, _, answer| {
        if number == 2 {
            wire.expire_token();
            wire.logged_out.set(true);
        }
        Ok(answer)
    });
    let error = lines_over(&wire, "articles", 4096).unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Unauthorized, "the login has ended"));
    assert_eq!(wire.log.borrow().len(), 5, "two pages' work, the refused page, one refresh");

    // A server that refuses whatever it hands out.
    let wire = Wire::new(&store, |_, _, request, answer| {
        Ok(if request.target.starts_with("/auth") { answer } else { refusal(401, "unauthorized") })
    });
    assert_eq!(lines_over(&wire, "articles", 4096).unwrap_err().kind, ErrorKind::Unauthorized);
    assert!(wire.log.borrow().len() <= 3);
}

#[test]
fn nobody_has_to_log_in_to_leave() {
    let store = shop();
    let wire = Wire::new(&store, |_, _, _, answer| Ok(answer));
    block_on(async {
        let source = HttpSource::open(&wire, &SnapshotRequest::default()).await.unwrap();
        wire.expire_token();
        source.close().await.unwrap();
    });
    assert_eq!((wire.refreshes.get(), wire.count(Method::Delete, ""), wire.log.borrow().len()), (0, 1, 2));
}

#[test]
fn calls_that_are_refused_together_refresh_once() {
    let store = shop();
    let wire = Wire::new(&store, |wire, number, _, answer| {
        if number == 0 {
            wire.expire_token();
        }
        Ok(answer)
    });
    block_on(async {
        let source = HttpSource::open(&wire, &SnapshotRequest::default()).await.unwrap();
        let (articles, tables) = ("articles".parse().unwrap(), "tables".parse().unwrap());
        let (a, b) = futures::join!(source.page(&articles, None, 99), source.page(&tables, None, 99));
        a.unwrap();
        b.unwrap();
    });
    assert_eq!(wire.refreshes.get(), 1);
}

#[test]
fn refusals_keep_their_meaning_and_the_servers_words() {
    let store = shop();
    for (answer, kind) in [
        (refusal(403, "forbidden"), ErrorKind::Forbidden),
        (refusal(403, "cross-site"), ErrorKind::CrossSite),
        (refusal(410, "snapshot-gone"), ErrorKind::SnapshotGone),
        (refusal(404, "snapshot-gone"), ErrorKind::SnapshotGone),
        (refusal(404, "not-found"), ErrorKind::ServerError),
        (refusal(413, "too-large"), ErrorKind::ServerError),
        (Response { status: 404, ..Response::default() }, ErrorKind::BadAnswer),
        (Response { status: 302, ..Response::default() }, ErrorKind::Redirected),
        (Response { status: 413, ..Response::default() }, ErrorKind::ProxyLimit),
    ] {
        let wire =
            Wire::new(&store, |_, number, _, fine| Ok(if number == 1 { answer.clone() } else { fine }));
        let error = lines_over(&wire, "articles", 4096).unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert_eq!(wire.log.borrow().len(), 2, "{error}");
        if !answer.body.is_empty() {
            assert!(error.message.contains("words for"), "{error}");
            assert!(error.actual.unwrap().starts_with(&answer.status.to_string()));
        }
    }
}

#[test]
fn a_proxy_is_told_from_the_server_behind_it() {
    let store = shop();
    let page = |status: u16| {
        let headers = vec![("content-type".to_owned(), "text/html".to_owned())];
        Response { status, headers, body: b"<html><h1>nginx</h1></html>".to_vec() }
    };
    for (status, kind, words) in [
        (413, ErrorKind::ProxyLimit, "client_max_body_size"),
        (502, ErrorKind::Gateway, "the proxy answers, but the DiKAS server behind it does not"),
        (503, ErrorKind::Gateway, "the proxy answers"),
        (504, ErrorKind::Gateway, "proxy_read_timeout"),
    ] {
        let wire = Wire::new(&store, |_, _, _, _| Ok(page(status)));
        let error = lines_over(&wire, "articles", 4096).unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(words) && !error.message.contains("no DiKAS"), "{error}");
        assert!(error.actual.unwrap().starts_with(&status.to_string()));
    }
}

#[test]
fn a_redirect_is_not_followed_and_the_address_to_use_is_named() {
    let store = shop();
    let target = "/backup/snapshots";
    for (location, words) in [
        (Some(format!("https://till/api/v1{target}")), "redirects to https://till: use that address"),
        (
            Some(format!("https://till/dikas/api/v1{target}?x=1")),
            "redirects to https://till/dikas: use that address",
        ),
        (
            Some("https://login.example/?back=till".to_owned()),
            "redirects to https://login.example/, where no DiKAS",
        ),
        (None, "redirects to another one"),
    ] {
        for status in [301, 302, 303, 307, 308] {
            let headers = location.iter().map(|to| ("Location".to_owned(), to.clone())).collect();
            let moved = Response { status, headers, ..Response::default() };
            let wire = Wire::new(&store, |_, number, _, answer| {
                Ok(if number == 0 { moved.clone() } else { answer })
            });
            let error = lines_over(&wire, "articles", 4096).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Redirected);
            assert!(error.message.contains(words), "{error}");
            assert_eq!(wire.log.borrow().len(), 1, "it is asked once");
        }
    }
}

#[test]
fn a_snapshot_whose_id_could_be_a_path_is_refused() {
    let store = shop();
    for id in ["", "../../users", "0123456789ABCDEF0123456789ABCDEF", "0123456789abcdef0123456789abcde/"] {
        let mut snapshot = store.contents().snapshot.clone();
        snapshot.id = id.to_owned();
        let wire = Wire::new(&store, |_, _, _, _| Ok(data(&snapshot)));
        assert_eq!(lines_over(&wire, "articles", 4096).unwrap_err().kind, ErrorKind::BadAnswer);
    }
}

#[test]
fn ranges_are_what_was_asked_for() {
    let mut store = shop();
    for seed in 8.. {
        if store.contents().blobs.values().any(|blob| blob.len() > 10_000) {
            break;
        }
        store = Store::generate(seed, &[("articles", 200)], 100);
    }
    let (sha256, blob) = store.contents().blobs.iter().max_by_key(|(_, blob)| blob.len()).unwrap();
    let read = |wire: &Wire<'_>, step: u64| -> Result<Vec<u8>> {
        block_on(async {
            let source = HttpSource::open(wire, &SnapshotRequest::default()).await?;
            let mut bytes = Vec::new();
            while bytes.len() < blob.len() {
                bytes.extend(source.read(sha256, bytes.len() as u64, step).await?);
            }
            Ok(bytes)
        })
    };
    for step in [1000, 4096, 1 << 20] {
        let trouble = Cell::new(0);
        let wire = Wire::new(&store, |_, number, _, answer| {
            trouble.set(trouble.get() + 1);
            match number % 3 {
                2 => Err(TransportError::Cut("reset".to_owned())),
                _ => Ok(answer),
            }
        });
        assert!(read(&wire, step).as_ref() == Ok(blob));
        assert!(trouble.get() > 1);
    }
    // A proxy that drops `Range` and answers with the whole: fine where the whole was asked for, else noticed.
    let whole = Wire::new(&store, |_, number, _, answer| {
        Ok(if number == 0 {
            answer
        } else {
            Response { status: 200, headers: Vec::new(), body: blob.clone() }
        })
    });
    assert!(read(&whole, 1 << 20).as_ref() == Ok(blob));
    assert_eq!(read(&whole, 1000).unwrap_err().kind, ErrorKind::BadAnswer);
    // Another range than the one asked for.
    let shifted = Wire::new(&store, |_, number, _, mut answer| {
        if number > 0 {
            answer.headers = vec![("content-range".to_owned(), "bytes 1-9/10".to_owned())];
        }
        Ok(answer)
    });
    assert_eq!(read(&shifted, 1000).unwrap_err().kind, ErrorKind::BadAnswer);
}
