//! The API of restore sessions over a store in memory, by its description and strict, behind a network that loses what a
//! test wants.

use crate::backup::turn;
use crate::store::Random;
use crate::wire::{data, json, refusal};
use dikas_archive::api::restore::{
    BATCH_BYTES, BATCH_LINES, BatchStaged, BlobsQuestion, CommitRequest, ForeignBackup, MissingBlobs,
    PIECE_BYTES, Pause, RestoreBegun, RestoreOutcome, RestorePreview, RestoreRequest, RestoreSession,
    RestoreState, RunningRestore, SECRET_HEADER,
};
use dikas_archive::api::{ApiError, AttachmentRecord, CRC32_HEADER, Envelope, NDJSON};
use dikas_archive::digest::Sha256;
use dikas_archive::document;
use dikas_archive::error::{Error, ErrorKind, Result};
use dikas_archive::job::transport::{Method, Request, Response, Transport, TransportError};
use serde::Serialize;
use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};

pub const SESSION_ID: &str = "00112233445566778899aabbccddeeff";
pub const SECRET: &str = "ffeeddccbbaa99887766554433221100";

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Arrives,
    /// It never gets there.
    Lost,
    /// It gets there, and its answer does not come back.
    AnswerLost,
    /// Its body gets there with another byte in it.
    Garbled,
    /// Something on the way answers.
    Refused(u16),
}

type Oracle<'a> = Box<dyn Fn(usize, &Request) -> Fate + 'a>;

/// A server on which a restore can be staged.
pub struct Server<'a> {
    oracle: Oracle<'a>,
    turns: RefCell<Random>,
    pub log: RefCell<Vec<Request>>,
    pub under_way: Cell<usize>,
    pub most_under_way: Cell<usize>,
    pub held: Cell<usize>,
    pub most_held: Cell<usize>,
    pub asked_for_tokens: Cell<usize>,
    pub sleeps: Cell<usize>,
    /// The installation that it is, where that matters.
    pub installation: Option<String>,
    /// Somebody else restores here.
    pub other: Option<RunningRestore>,
    pub session: RefCell<Option<Session>>,
    pub blobs: RefCell<HashMap<Sha256, Vec<u8>>>,
    /// The position of what is live, and how many signed documents a commit loses.
    pub seq: Cell<u64>,
    pub signed_loss: Cell<u64>,
    /// A commit voids every login.
    pub ends_logins: Cell<bool>,
    logged_out: Cell<bool>,
}

pub struct Session {
    pub request: RestoreRequest,
    pub state: RestoreState,
    pub batches: BTreeMap<String, Vec<Vec<u8>>>,
    pub records: Vec<Vec<u8>>,
    /// Files of which pieces have come.
    pub files: HashMap<Sha256, Vec<u8>>,
    pub outcome: Option<RestoreOutcome>,
}

impl Session {
    /// All lines of a collection.
    pub fn lines(&self, collection: &str) -> Vec<u8> {
        self.batches.get(collection).map(|batches| batches.concat()).unwrap_or_default()
    }

    pub fn records(&self) -> Vec<AttachmentRecord> {
        let lines = self.records.concat();
        document::lines(&lines).map(|line| serde_json::from_slice(line).unwrap()).collect()
    }

    /// What is still missing, by the digests that were announced.
    fn gap(&self, blobs: &HashMap<Sha256, Vec<u8>>) -> Option<String> {
        for announced in &self.request.collections {
            let lines = self.lines(announced.name.as_str());
            let batches = self.batches.get(announced.name.as_str()).map_or(0, Vec::len) as u64;
            let documents = lines.iter().filter(|byte| **byte == b'\n').count() as u64;
            let found = (documents, lines.len() as u64, batches, Sha256::of(&lines));
            if found != (announced.documents, announced.bytes, announced.batches, announced.sha256) {
                return Some(announced.name.to_string());
            }
        }
        let announced = &self.request.attachments;
        let records = self.records();
        let lines = self.records.concat();
        let bytes: u64 = records.iter().map(|record| record.size).sum();
        let found = (records.len() as u64, bytes, self.records.len() as u64, Sha256::of(&lines));
        if found != (announced.attachments, announced.bytes, announced.batches, announced.sha256) {
            return Some("attachments".to_owned());
        }
        for record in &records {
            let owned = self.lines(record.collection.as_str());
            let owner = document::lines(&owned).any(|line| document::id_of(line).unwrap() == record.id);
            if !owner || !blobs.contains_key(&record.sha256) {
                return Some(record.sha256.to_string());
            }
        }
        None
    }
}

impl<'a> Server<'a> {
    pub fn new(oracle: impl Fn(usize, &Request) -> Fate + 'a) -> Self {
        Self {
            oracle: Box::new(oracle),
            turns: RefCell::new(Random(7)),
            log: RefCell::default(),
            under_way: Cell::new(0),
            most_under_way: Cell::new(0),
            held: Cell::new(0),
            most_held: Cell::new(0),
            asked_for_tokens: Cell::new(0),
            sleeps: Cell::new(0),
            installation: None,
            other: None,
            session: RefCell::default(),
            blobs: RefCell::default(),
            seq: Cell::new(40),
            signed_loss: Cell::new(0),
            ends_logins: Cell::new(false),
            logged_out: Cell::new(false),
        }
    }

    pub fn calm() -> Self {
        Self::new(|_, _| Fate::Arrives)
    }

    pub fn count(&self, method: Method, path: &str) -> usize {
        let log = self.log.borrow();
        log.iter().filter(|request| request.method == method && request.target.contains(path)).count()
    }

    pub fn state(&self) -> Option<RestoreState> {
        self.session.borrow().as_ref().map(|session| session.state)
    }

    fn preview(&self) -> RestorePreview {
        RestorePreview {
            seq: self.seq.get(),
            collections: Vec::new(),
            untouched: Vec::new(),
            signed_loss: self.signed_loss.get(),
            files_left_out: 0,
            warnings: Vec::new(),
        }
    }

    fn answer(&self, request: &Request, body: &[u8]) -> Response {
        let header = |name| request.headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str());
        let own = format!("/backup/restores/{SESSION_ID}");
        let rest = request.target.strip_prefix(&own);
        if request.method == Method::Get && rest == Some("") {
            return match &*self.session.borrow() {
                Some(session) if header(SECRET_HEADER) == Some(SECRET) => data(&self.told(session)),
                _ => refusal(410, "restore-gone"),
            };
        }
        if header("authorization") != Some("Bearer token") || self.logged_out.get() {
            return refusal(401, "unauthorized");
        }
        if request.method == Method::Post && request.target == "/backup/restores" {
            return self.begin(serde_json::from_slice(body).unwrap());
        }
        let mut session = self.session.borrow_mut();
        let Some(session) = session.as_mut() else { return refusal(410, "restore-gone") };
        let rest = rest.unwrap_or_else(|| panic!("{}", request.target));
        let parts: Vec<&str> = rest.split('/').skip(1).collect();
        if session.state != RestoreState::Open && parts != ["commit"] {
            return refusal(410, "restore-gone");
        }
        match (request.method, parts.as_slice()) {
            (Method::Delete, []) => {
                session.state = RestoreState::Aborted;
                data(&())
            }
            (Method::Put, ["documents", collection, number]) => {
                let announced = session.request.collections.iter().find(|it| it.name.as_str() == *collection);
                let announced = announced.expect("a collection that was announced").batches;
                let batches = session.batches.entry((*collection).to_owned()).or_default();
                stage(batches, number.parse().unwrap(), announced, body, &header)
            }
            (Method::Put, ["attachments", number]) => {
                let announced = session.request.attachments.batches;
                stage(&mut session.records, number.parse().unwrap(), announced, body, &header)
            }
            (Method::Post, ["blobs", "missing"]) => {
                let asked: BlobsQuestion = serde_json::from_slice(body).unwrap();
                let blobs = self.blobs.borrow();
                assert!(asked.sha256.iter().collect::<HashSet<_>>().len() == asked.sha256.len());
                let missing = asked.sha256.into_iter().filter(|sha256| !blobs.contains_key(sha256)).collect();
                data(&MissingBlobs { missing })
            }
            (Method::Put, ["blobs", rest]) => {
                let (sha256, place) = rest.split_once('?').unwrap_or((rest, ""));
                let sha256: Sha256 = sha256.parse().unwrap();
                let crc32 = format!("{:08x}", crc32fast::hash(body));
                if !place.is_empty() && header(CRC32_HEADER) != Some(&crc32) {
                    return refusal_on(400, "bad-request", CRC32_HEADER);
                }
                let place: Vec<usize> =
                    place.split('&').filter_map(|it| it.split_once('=')?.1.parse().ok()).collect();
                let whole = match place[..] {
                    [from, size] => {
                        assert!(body.len() <= PIECE_BYTES && size > PIECE_BYTES, "{rest}");
                        let file = session.files.entry(sha256).or_default();
                        match from.cmp(&file.len()) {
                            Ordering::Greater => return refusal(409, "out-of-order"),
                            Ordering::Equal => file.extend_from_slice(body),
                            Ordering::Less => assert_eq!(file[from..][..body.len()], *body),
                        }
                        if file.len() < size {
                            return data(&());
                        }
                        file.clone()
                    }
                    _ => body.to_vec(),
                };
                if Sha256::of(&whole) != sha256 {
                    return refusal_on(400, "bad-blob", "sha256");
                }
                self.blobs.borrow_mut().insert(sha256, whole);
                data(&())
            }
            (Method::Get, ["preview"]) => match session.gap(&self.blobs.borrow()) {
                Some(gap) => refusal_on(409, "incomplete", &gap),
                None => data(&self.preview()),
            },
            (Method::Post, ["pause"]) => data(&Pause { seconds: 30 }),
            (Method::Post, ["commit"]) => self.commit(session, &serde_json::from_slice(body).unwrap()),
            _ => refusal(404, "not-found"),
        }
    }

    fn begin(&self, request: RestoreRequest) -> Response {
        let begun = RestoreBegun {
            id: SESSION_ID.to_owned(),
            secret: SECRET.to_owned(),
            expires: "2026-11-24T06:59:41Z".to_owned(),
            idle_seconds: 1800,
        };
        if let Some(other) = &self.other {
            return with_data(409, "restore-running", other);
        }
        if let (Some(here), Some(source)) = (&self.installation, &request.archive.source)
            && *here != source.installation
            && request.business_name.as_ref() != Some(&source.business)
        {
            let names = ForeignBackup { backup: Some(source.business.clone()), here: "Hier".to_owned() };
            return with_data(409, "foreign-backup", &names);
        }
        assert!(request.collections.is_sorted_by(|one, next| one.name < next.name));
        let mut session = self.session.borrow_mut();
        match &*session {
            Some(open) if open.state == RestoreState::Open => {
                assert_eq!(open.request, request, "the same key, and something else behind it");
            }
            _ => {
                let (batches, records, files) = (BTreeMap::new(), Vec::new(), HashMap::new());
                let state = RestoreState::Open;
                *session = Some(Session { request, state, batches, records, files, outcome: None });
            }
        }
        data(&begun)
    }

    fn commit(&self, session: &mut Session, asked: &CommitRequest) -> Response {
        if let Some(outcome) = &session.outcome {
            return data(outcome);
        }
        if let Some(gap) = session.gap(&self.blobs.borrow()) {
            return refusal_on(409, "incomplete", &gap);
        }
        if asked.seq != self.seq.get() {
            return with_data(409, "live-changed", &self.preview());
        }
        if asked.acknowledge_signed.unwrap_or(0) != self.signed_loss.get() {
            return with_data(409, "signed-loss", &self.preview());
        }
        let outcome = RestoreOutcome {
            committed: "2026-11-23T19:00:00Z".to_owned(),
            seq: self.seq.get() + 1,
            restore_point: Some("0".repeat(32)),
            collections: Vec::new(),
            signed_loss: self.signed_loss.get(),
            files_left_out: asked.acknowledge_files_left_out.unwrap_or_default(),
            logins_ended: self.ends_logins.get(),
            users_kept: false,
        };
        session.outcome = Some(outcome.clone());
        session.state = RestoreState::Committed;
        self.logged_out.set(self.ends_logins.get());
        data(&outcome)
    }

    fn told(&self, session: &Session) -> RestoreSession {
        RestoreSession {
            id: SESSION_ID.to_owned(),
            state: session.state,
            user: "admin".to_owned(),
            begun: "2026-11-23T18:59:41Z".to_owned(),
            ended: None,
            mode: session.request.mode,
            staged: Vec::new(),
            attachment_batches: 0,
            outcome: session.outcome.clone(),
        }
    }
}

fn stage<'a>(
    batches: &mut Vec<Vec<u8>>,
    number: usize,
    announced: u64,
    body: &[u8],
    header: &impl Fn(&'static str) -> Option<&'a str>,
) -> Response {
    assert_eq!(header("content-type"), Some(NDJSON));
    if header(CRC32_HEADER) != Some(&format!("{:08x}", crc32fast::hash(body))) {
        return refusal_on(400, "bad-request", CRC32_HEADER);
    }
    let lines = body.iter().filter(|byte| **byte == b'\n').count();
    assert!(body.ends_with(b"\n") && (lines == 1 || body.len() <= BATCH_BYTES && lines <= BATCH_LINES));
    assert!((number as u64) < announced, "a batch beyond what was announced");
    match batches.get(number) {
        Some(known) if known != body => return refusal(409, "batch-conflict"),
        Some(_) => {}
        None if batches.len() < number => return refusal(409, "out-of-order"),
        None => batches.push(body.to_vec()),
    }
    data(&BatchStaged { batches: batches.len() as u64, lines: 0 })
}

fn refusal_on(status: u16, code: &str, field: &str) -> Response {
    let message = format!("about {code}");
    let errors =
        vec![ApiError { code: code.to_owned(), message: message.clone(), field: Some(field.to_owned()) }];
    json(status, &Envelope::<()> { data: None, is_success: false, message: Some(message), errors })
}

fn with_data<T: Serialize>(status: u16, code: &str, data: &T) -> Response {
    let message = format!("about {code}");
    let errors = vec![ApiError { code: code.to_owned(), message: message.clone(), field: None }];
    json(status, &Envelope { data: Some(data), is_success: false, message: Some(message), errors })
}

impl Transport for Server<'_> {
    async fn send(&self, request: &Request) -> std::result::Result<Response, TransportError> {
        let number = self.log.borrow().len();
        assert!(number < 5_000, "the client does not stop asking");
        let kept = Request { body: Vec::new(), ..request.clone() };
        self.log.borrow_mut().push(kept);
        self.under_way.update(|calls| calls + 1);
        self.held.update(|held| held + request.body.len());
        self.most_under_way.set(self.most_under_way.get().max(self.under_way.get()));
        self.most_held.set(self.most_held.get().max(self.held.get()));
        let turns = self.turns.borrow_mut().below(4);
        for _ in 0..turns {
            turn().await;
        }
        let cut = || Err(TransportError::Cut("reset".to_owned()));
        let answer = match (self.oracle)(number, request) {
            Fate::Lost => cut(),
            Fate::Refused(status) => Ok(refusal(status, "busy")),
            Fate::AnswerLost => {
                self.answer(request, &request.body);
                cut()
            }
            Fate::Garbled => {
                let mut body = request.body.clone();
                if request.method == Method::Put
                    && let Some(byte) = body.last_mut()
                {
                    *byte ^= 1;
                }
                Ok(self.answer(request, &body))
            }
            Fate::Arrives => Ok(self.answer(request, &request.body)),
        };
        turn().await;
        self.under_way.update(|calls| calls - 1);
        self.held.update(|held| held - request.body.len());
        answer
    }

    async fn sleep(&self, _: u64) -> std::result::Result<(), TransportError> {
        self.sleeps.update(|sleeps| sleeps + 1);
        turn().await;
        Ok(())
    }

    fn random(&self) -> f64 {
        0.5
    }

    async fn token(&self, rejected: Option<&str>) -> Result<String> {
        self.asked_for_tokens.update(|times| times + 1);
        match rejected {
            None => Ok("token".to_owned()),
            Some(_) => Err(Error::new(ErrorKind::Unauthorized, "the login has ended")),
        }
    }
}
