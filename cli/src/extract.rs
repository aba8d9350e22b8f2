//! `extract`: takes documents and files out of a backup, into a folder.

use crate::ended::{Ended, Failure};
use crate::folder::Folder;
use crate::look;
use crate::out::Out;
use crate::teller::Bar;
use crate::terminal::{plain, plain_json};
use crate::words;
use dikas_archive::damage::Missing;
use dikas_archive::error::{Error, ErrorKind, Result};
use dikas_archive::inspect::Inspector;
use dikas_archive::problems::Problems;
use dikas_backup::interrupt::Interrupt;
use serde::Serialize;
use std::fs::File;
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::PathBuf;

/// What `extract` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The backup.
    file: PathBuf,
    /// The folder to write into; it is made where it is missing. What is written is its owner's alone.
    #[arg(short, long, value_name = "FOLDER")]
    output: PathBuf,
    /// Takes out the documents of this collection alone; may be given several times.
    #[arg(long = "collection", value_name = "COLLECTION")]
    collections: Vec<String>,
    /// Takes out files: beside documents where collections are given, and then those of their documents alone; else
    /// nothing but files. Without both, everything is taken out.
    #[arg(long)]
    attachments: bool,
    /// Replaces files that are there.
    #[arg(long)]
    force: bool,
    /// Answers one JSON object instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Arguments {
    fn wants_documents(&self, collection: &str) -> bool {
        match self.collections.as_slice() {
            [] => !self.attachments,
            wanted => wanted.iter().any(|name| name == collection),
        }
    }

    fn wants_files_of(&self, collection: Option<&str>) -> bool {
        match self.collections.as_slice() {
            [] => true,
            wanted => self.attachments && wanted.iter().any(|name| Some(name.as_str()) == collection),
        }
    }
}

/// What was taken out.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Taken {
    collections: Vec<Written>,
    documents: u64,
    attachments: u64,
    bytes: u64,
    /// How many documents' files and files could not be taken out, or not whole.
    missed: u64,
    /// What the backup itself lacks.
    missing: Vec<Missing>,
    #[serde(flatten)]
    problems: Problems,
}

/// The documents of a collection, in a file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    collection: String,
    file: String,
    documents: u64,
}

/// Takes out what is wanted. What cannot be taken out is told, and hides nothing else.
pub(crate) fn extract(arguments: &Arguments, interrupt: &Interrupt) -> Result<(), Failure> {
    let unusable = |error| Failure::new(Ended::Unusable, error);
    let reading = interrupt.only_reads();
    let reader = look::open_damaged(&arguments.file, interrupt).map_err(unusable)?;
    let mut bar = Bar::new("Reading", reader.length(), interrupt);
    let mut inspector = Inspector::open(reader, &mut |bytes| bar.add(bytes)).map_err(unusable)?;
    drop(bar);
    let (problems, missing) = (look::problems(&inspector), look::missing(inspector.reader()));
    for name in &arguments.collections {
        if inspector.index().collection(name).is_none() {
            words::complain(&problems);
            let message = "the backup has no such collection";
            return Err(unusable(Error::new(ErrorKind::BadArgument, message).on(name)));
        }
    }
    drop(reading);
    interrupt.check()?;
    let folder = Folder::open(&arguments.output, arguments.force).map_err(unusable)?;
    let mut bar = Bar::new("Taking out", inspector.reader().length(), interrupt);
    let mut taking =
        Taking { arguments, folder, bar: &mut bar, taken: Taken { problems, missing, ..Taken::default() } };
    taking.documents(&mut inspector)?;
    taking.attachments(&mut inspector)?;
    let taken = taking.taken;
    bar.clear();
    tell(arguments, &taken)?;
    let message = match (taken.missed, taken.problems.found()) {
        (0, 0) => return Ok(()),
        (0, 1) => "all that was asked for was taken out whole, but the backup has a problem".to_owned(),
        (0, found) => {
            format!("all that was asked for was taken out whole, but the backup has {found} problems")
        }
        (missed, _) => {
            let files = words::counted(missed, "file is", "files are");
            format!("not everything was taken out: {files} missing or not whole")
        }
    };
    Err(Failure::new(Ended::Failed, Error::new(ErrorKind::DamagedEntry, message)))
}

struct Taking<'a, 'b> {
    arguments: &'a Arguments,
    folder: Folder,
    bar: &'a mut Bar<'b>,
    taken: Taken,
}

impl Taking<'_, '_> {
    fn documents(&mut self, inspector: &mut Inspector<File>) -> Result<()> {
        let names = inspector.index().names_in_order();
        for collection in names.into_iter().filter(|name| self.arguments.wants_documents(name)) {
            let Self { folder, bar, taken, .. } = self;
            let (mut documents, mut bytes, mut found) = (0, 0, Problems::default());
            let written = folder.write(&format!("{}.jsonl", file_name(&collection)), |file| {
                let mut file = std::io::BufWriter::with_capacity(1 << 20, file);
                found = inspector.each(&collection, 0, &mut |bytes| bar.add(bytes), &mut |_, line| {
                    file.write_all(line)?;
                    if !line.ends_with(b"\n") {
                        file.write_all(b"\n")?;
                        bytes += 1;
                    }
                    documents += 1;
                    bytes += line.len() as u64;
                    Ok(ControlFlow::Continue(()))
                })?;
                Ok(file.flush()?)
            });
            taken.missed += u64::from(written.is_ok() && !found.is_empty());
            taken.problems.append_new(found);
            match written {
                Ok(file) => {
                    taken.documents += documents;
                    taken.bytes += bytes;
                    taken.collections.push(Written { collection, file, documents });
                }
                Err(error) => self.note(error)?,
            }
        }
        Ok(())
    }

    fn attachments(&mut self, inspector: &mut Inspector<File>) -> Result<()> {
        let reader = inspector.reader();
        let mut attachments = reader.attachments();
        attachments.sort_by_cached_key(|attachment| reader.position(&attachment.path));
        for attachment in attachments {
            if !self.arguments.wants_files_of(attachment.collection.as_deref()) {
                continue;
            }
            let Self { folder, bar, .. } = self;
            let mut copied = 0;
            let written = folder.write(&attachment.path, |file| {
                let mut content = reader.attachment(&attachment.path)?;
                let mut buffer = vec![0; 256 << 10];
                loop {
                    let count = std::io::Read::read(&mut content, &mut buffer)?;
                    let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
                    file.write_all(bytes)?;
                    copied += count as u64;
                    bar.add(count as u64)?;
                }
                Ok(())
            });
            match written {
                Ok(_) => {
                    self.taken.attachments += 1;
                    self.taken.bytes += copied;
                }
                Err(error) => self.note(error)?,
            }
        }
        Ok(())
    }

    /// Goes on with all else, unless nothing else could be written either.
    fn note(&mut self, error: Error) -> Result<()> {
        if matches!(error.kind, ErrorKind::Cancelled | ErrorKind::NoSpace) {
            return Err(error);
        }
        self.taken.missed += 1;
        self.taken.problems.push_new(error);
        Ok(())
    }
}

/// A collection of another program may be called anything; its name is one segment.
fn file_name(collection: &str) -> String {
    let name = collection.replace('/', "%2F");
    if name.is_empty() { "%".to_owned() } else { name }
}

fn tell(arguments: &Arguments, taken: &Taken) -> Result<()> {
    let mut out = Out::new();
    if arguments.json {
        let answer = serde_json::to_string(taken).unwrap_or_default();
        let _ = out.write(format!("{}\n", plain_json(&answer)))?;
        return out.finish();
    }
    words::complain(&taken.problems);
    words::complain_of_missing(&arguments.file, &taken.missing);
    for Written { file, documents, .. } in &taken.collections {
        let _ = out.write(format!("{:<32} {documents:>9} documents\n", plain(file)))?;
    }
    let _ = out.write(format!(
        "{} documents and {} files, {} bytes, in {}\n",
        taken.documents,
        taken.attachments,
        taken.bytes,
        plain(&arguments.output.display().to_string())
    ))?;
    out.finish()
}
