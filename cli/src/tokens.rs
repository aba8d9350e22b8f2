//! `tokens`: the long-lived logins of those who back up by themselves.

use crate::draft::{private, refuse_taken};
use crate::ended::{Ended, Failure};
use crate::login::Server;
use crate::out::Out;
use crate::terminal::{plain, plain_json};
use dikas_archive::api::archives::{BackupToken, NewToken, TokenRequest};
use dikas_archive::error::{Error, ErrorKind, Result};
use dikas_archive::job::client::{Client, Patience, data};
use dikas_archive::job::transport::{Method, Request, Transport};
use dikas_backup::interrupt::Interrupt;
use serde_json::json;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// What `tokens` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Makes a token and shows it, this one time: the server keeps no more than its digest.
    Create {
        #[command(flatten)]
        server: Server,
        /// What the token is called in lists, such as the machine that will use it.
        name: String,
        /// Writes the token into this new file, which nobody else can read, and shows it to nobody.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Lists the tokens, the oldest first, with their last use.
    List {
        #[command(flatten)]
        server: Server,
        /// Answers a JSON array instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Makes a token void, at once and for good.
    Revoke {
        #[command(flatten)]
        server: Server,
        /// The token's id, or its name where no other has it.
        #[arg(value_name = "ID|NAME")]
        token: String,
    },
}

/// Makes, lists or revokes tokens.
pub(crate) async fn tokens(arguments: &Arguments, interrupt: &Interrupt) -> Result<(), Failure> {
    match &arguments.command {
        Command::Create { server, name, output } => {
            if let Some(file) = output {
                refuse_taken(file).map_err(|error| Failure::new(Ended::Unusable, error))?;
            }
            let client = connected(server, interrupt).await?;
            create(&client, name, output.as_deref()).await
        }
        Command::List { server, json } => {
            let tokens = list(&connected(server, interrupt).await?).await?;
            shown(&match (json, tokens.is_empty()) {
                (true, _) => format!("{}\n", plain_json(&json!(tokens).to_string())),
                (false, true) => "There is no token.\n".to_owned(),
                (false, false) => tokens.iter().map(described).collect(),
            })
        }
        Command::Revoke { server, token } => {
            let client = connected(server, interrupt).await?;
            let found = named(list(&client).await?, token)
                .map_err(|error| Failure::new(Ended::Unusable, error.on(token.as_str())))?;
            let request = Request::new(Method::Delete, "/auth/tokens").query("id", &found.id);
            client.call(request, |_| Ok(()), Patience::of(Method::Delete)).await?;
            shown(&format!("Void from now on:\n{}", described(&found)))
        }
    }
}

async fn connected(server: &Server, interrupt: &Interrupt) -> Result<Client<impl Transport>> {
    let http = server.connect(interrupt).await?;
    interrupt.listen();
    Ok(Client::new(http))
}

async fn create(client: &Client<impl Transport>, name: &str, output: Option<&Path>) -> Result<(), Failure> {
    let request = Request::new(Method::Post, "/auth/tokens").json(&TokenRequest { name: name.to_owned() })?;
    // Sent again, it would make another one.
    let NewToken { token, about } = client.call(request, data, Patience::none()).await?;
    let Some(file) = output else {
        return shown(&format!("{}\n", plain(&token)));
    };
    if let Err(error) = write(file, &token) {
        // Nobody will ever know it.
        let request = Request::new(Method::Delete, "/auth/tokens").query("id", &about.id);
        let _ = client.call(request, |_| Ok(()), Patience::none()).await;
        return Err(error.on(file.display().to_string()).into());
    }
    Ok(())
}

/// A new file with the token, for its owner alone.
fn write(file: &Path, token: &str) -> Result<()> {
    let mut file = private().create_new(true).open(file)?;
    writeln!(file, "{token}")?;
    Ok(file.sync_all()?)
}

async fn list(client: &Client<impl Transport>) -> Result<Vec<BackupToken>> {
    client.call(Request::new(Method::Get, "/auth/tokens"), data, Patience::of(Method::Get)).await
}

/// The one token with this id or, where there is none, this name.
fn named(tokens: Vec<BackupToken>, wanted: &str) -> Result<BackupToken> {
    let (by_id, others): (Vec<_>, Vec<_>) = tokens.into_iter().partition(|token| token.id == wanted);
    let mut found = by_id.into_iter().chain(others.into_iter().filter(|token| token.name == wanted));
    let Some(first) = found.next() else {
        return Err(Error::new(ErrorKind::BadArgument, "there is no such token"));
    };
    if first.id != wanted && found.next().is_some() {
        let message = "several tokens have this name: name it by its id, as `tokens list` has it";
        return Err(Error::new(ErrorKind::BadArgument, message));
    }
    Ok(first)
}

fn described(token: &BackupToken) -> String {
    let last = token.last_used.as_deref().map_or("never".to_owned(), plain);
    let (id, name, created, by) =
        (plain(&token.id), plain(&token.name), plain(&token.created), plain(&token.created_by));
    format!("{id}  {name}\n  made {created} by {by}, last used: {last}\n")
}

fn shown(text: &str) -> Result<(), Failure> {
    let mut out = Out::new();
    let _ = out.write(text)?;
    Ok(out.finish()?)
}
