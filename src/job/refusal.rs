//! What a refusal means: the server's own, that of a proxy before it, or an address that only names another one.

use super::transport::{Request, Response};
use crate::api::{ApiError, Envelope};
use crate::damage::Damaged;
use crate::error::{Error, ErrorKind};
use serde::de::IgnoredAny;

/// Where the API is, behind the address of a server.
const API: &str = "/api/v1";

/// How many characters of where a redirect leads are told.
const LONGEST_LOCATION: usize = 200;

/// What a refusal means. The server's own code and words are in it.
pub(super) fn refusal(request: &Request, response: &Response) -> Error {
    let status = response.status;
    if (300..400).contains(&status) {
        return redirected(&request.target, response.header("location"));
    }
    let envelope = serde_json::from_slice::<Envelope<IgnoredAny>>(&response.body).ok();
    let enveloped = envelope.is_some();
    if !enveloped && let Some(error) = refusal_of_a_proxy(request, response) {
        return error;
    }
    let (message, mut errors) = envelope.map(|it| (it.message, it.errors)).unwrap_or_default();
    let reason = (!errors.is_empty()).then(|| errors.swap_remove(0));
    let code = reason.as_ref().map_or("", |reason| reason.code.as_str());
    let kind = match kind_of(status, code) {
        _ if status == 503 && response.header("retry-after").is_none() => ErrorKind::ServerError,
        Some(kind) => kind,
        None if enveloped => ErrorKind::ServerError,
        None => ErrorKind::BadAnswer,
    };
    let words = message.or_else(|| reason.as_ref().map(|reason| reason.message.clone()));
    let text = match (kind, words) {
        (ErrorKind::BadAnswer, _) => "no DiKAS server answers at this address".to_owned(),
        (_, Some(words)) => format!("the server refused: {}", words.trim_end_matches('.')),
        (_, None) => "the server refused".to_owned(),
    };
    let mut error = Error::new(kind, text).expected("200", format!("{status} {code}").trim_end());
    if kind == ErrorKind::DamagedDocument {
        let told = serde_json::from_slice::<Envelope<Damaged>>(&response.body).ok();
        error = error.damaged(told.and_then(|it| it.data).unwrap_or_default().damaged);
    }
    match reason {
        Some(ApiError { field: Some(field), .. }) => error.on(field),
        _ => error,
    }
}

/// An address that names another one instead of answering. That one is not followed: it could be anybody's, and would
/// get a password or a token.
fn redirected(target: &str, location: Option<&str>) -> Error {
    let without_query = |text: &str| text.split(['?', '#']).next().unwrap_or_default().to_owned();
    let message = match location.map(without_query) {
        None => "this address redirects to another one: use that".to_owned(),
        Some(location) => match location.strip_suffix(&format!("{API}{}", without_query(target))) {
            Some(address) => format!("this address redirects to {address}: use that address"),
            None => format!(
                "this address redirects to {}, where no DiKAS server is: a log-in page of a proxy or of the \
                 network may stand in between",
                location.chars().take(LONGEST_LOCATION).collect::<String>()
            ),
        },
    };
    Error::new(ErrorKind::Redirected, message)
}

/// What a refusal means that is not the API's, where a proxy says so.
fn refusal_of_a_proxy(request: &Request, response: &Response) -> Option<Error> {
    let (kind, text) = match response.status {
        413 => (
            ErrorKind::ProxyLimit,
            "a proxy before the server takes no request of this size: raise its limit (nginx: client_max_body_size)",
        ),
        504 => (
            ErrorKind::Gateway,
            "the proxy answers, but the DiKAS server behind it did not in time: raise the proxy's time limit (nginx: \
             proxy_read_timeout), or see what holds the server up",
        ),
        502 => (ErrorKind::Gateway, AWAY),
        503 if response.header("retry-after").is_none() => (ErrorKind::Gateway, AWAY),
        _ => return None,
    };
    let found = match kind {
        ErrorKind::ProxyLimit => format!("413 for {} bytes", request.body.len()),
        _ => response.status.to_string(),
    };
    Some(Error::new(kind, text).expected("200", found))
}

const AWAY: &str = "the proxy answers, but the DiKAS server behind it does not: see whether it runs, and where the \
                    proxy looks for it";

/// What a server means by refusing with this status and code; none where that has no name of its own.
pub fn kind_of(status: u16, code: &str) -> Option<ErrorKind> {
    Some(match (status, code) {
        (429 | 503, _) => ErrorKind::Busy,
        (401, _) => ErrorKind::Unauthorized,
        (403, "cross-site") => ErrorKind::CrossSite,
        (403, _) => ErrorKind::Forbidden,
        (_, "job-gone") => ErrorKind::JobGone,
        (_, "job-running") => ErrorKind::Busy,
        (_, "restore-running") => ErrorKind::RestoreRunning,
        (_, "restore-gone") => ErrorKind::RestoreGone,
        (_, "foreign-backup") => ErrorKind::ForeignBackup,
        (_, "unknown-origin") => ErrorKind::UnknownOrigin,
        (_, "files-left-out") => ErrorKind::FilesLeftOut,
        (_, "incomplete") => ErrorKind::Incomplete,
        (_, "live-changed") => ErrorKind::LiveChanged,
        (_, "signed-loss") => ErrorKind::SignedLoss,
        (_, "damaged-document") => ErrorKind::DamagedDocument,
        (_, "damaged-database") => ErrorKind::DamagedDatabase,
        (507, _) => ErrorKind::ServerFull,
        (410, _) | (_, "snapshot-gone") => ErrorKind::SnapshotGone,
        (500.., _) => ErrorKind::ServerError,
        _ => return None,
    })
}
