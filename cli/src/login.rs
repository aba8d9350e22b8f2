//! Who calls the server, and for what.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use dikas_archive::catalog::Category;
use dikas_archive::error::{Error, ErrorKind, Result};
use dikas_backup::http::Http;
use dikas_backup::interrupt::Interrupt;
use std::env::VarError;
use std::fs::{File, Metadata};
use std::io::{self, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

/// The password stands in this variable of the environment: on the command line every process could read it.
const PASSWORD: &str = "DIKAS_PASSWORD";

/// The server and the login.
#[derive(Debug, clap::Args)]
pub(crate) struct Server {
    /// Address of the server, such as http://127.0.0.1:5015 or https://till.example.
    #[arg(long)]
    url: String,
    /// Trusts the certificates in this file (PEM) and what they vouch for, beside those of the system.
    ///
    /// It may be the server's own, as `openssl req -x509` makes it: then it is compared byte for byte, is good until it
    /// runs out, and for the names that are in it (subjectAltName), or for any name where there are none.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    #[command(flatten)]
    who: Who,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Who {
    /// Logs in with this name. The password stands in DIKAS_PASSWORD, or is asked for.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Calls with the token in this file, which no other user may read. A backup token can back up and no more.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl Server {
    /// Calls until this is raised.
    ///
    /// # Errors
    /// `bad-argument`, `io` where the token cannot be read, `unauthorized`, and those of a call.
    pub(crate) async fn connect(&self, interrupt: &Interrupt) -> Result<Http> {
        let on = |file: &Path, error: io::Error| Error::from(error).on(file.display().to_string());
        let pem = self.ca_file.as_ref().map(|file| std::fs::read(file).map_err(|error| on(file, error)));
        let http = Http::with_certificates(&self.url, pem.transpose()?.as_deref())?.until(interrupt);
        match (&self.who.user, &self.who.token_file) {
            (Some(user), _) => http.log_in(user, &password(user)?).await,
            (None, Some(file)) => {
                let token = private_text(file).map_err(|error| error.on(file.display().to_string()))?;
                let token = token.trim();
                if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                    let message = "this file holds no token";
                    return Err(Error::new(ErrorKind::BadArgument, message).on(file.display().to_string()));
                }
                Ok(http.with_token(token))
            }
            (None, None) => Err(Error::new(ErrorKind::Internal, "no login was given")),
        }
    }
}

/// The text of a file that no other user reads. One that others can read is refused, as ssh does with a key. A file of
/// another user is for that user to guard: so are the secrets that a container is given.
fn private_text(file: &Path) -> Result<String> {
    let mut file = File::open(file)?;
    refuse_shared(&file.metadata()?)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    plain_text(bytes)
}

/// Text in UTF-8; the byte order mark that some editors of Windows put in front is none of it.
fn plain_text(mut bytes: Vec<u8>) -> Result<String> {
    const MARK: &[u8] = "\u{feff}".as_bytes();
    if bytes.starts_with(MARK) {
        bytes.drain(..MARK.len());
    }
    let found = match bytes.as_slice() {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "UTF-16",
        _ => "another encoding",
    };
    String::from_utf8(bytes).map_err(|_| {
        let message = "this file is not in UTF-8: save it so (PowerShell: Out-File -Encoding ascii)";
        Error::new(ErrorKind::BadArgument, message).expected("UTF-8", found)
    })
}

#[cfg(unix)]
fn refuse_shared(metadata: &Metadata) -> Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let is_own = metadata.is_file() && metadata.uid() == rustix::process::geteuid().as_raw();
    if !is_own || metadata.mode() & 0o077 == 0 {
        return Ok(());
    }
    let message =
        "other users of this machine can read or change this file: make it yours alone with chmod 600";
    let found = format!("mode {:04o}", metadata.mode() & 0o777);
    Err(Error::new(ErrorKind::BadArgument, message).expected("mode 0600", found))
}

#[cfg(not(unix))]
fn refuse_shared(_: &Metadata) -> Result<()> {
    Ok(())
}

fn password(user: &str) -> Result<String> {
    match std::env::var(PASSWORD) {
        Ok(password) => return Ok(password),
        Err(VarError::NotPresent) => {}
        Err(VarError::NotUnicode(_)) => {
            let message =
                "the password is not in UTF-8: set the terminal and the script that sets it to UTF-8";
            return Err(Error::new(ErrorKind::BadArgument, message).on(PASSWORD));
        }
    }
    if !io::stdin().is_terminal() {
        let message = format!("no password: set {PASSWORD}, or run this in a terminal");
        return Err(Error::new(ErrorKind::BadArgument, message));
    }
    let question = format!("Password of {}: ", crate::terminal::plain(user));
    rpassword::prompt_password(question).map_err(Error::from)
}

/// Reads the name of a category; help and completions list them all.
pub(crate) fn category() -> impl TypedValueParser<Value = Category> {
    let names = Category::ALL.iter().map(|category| category.as_str());
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Category>())
}
