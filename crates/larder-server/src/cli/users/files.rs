//! `larder users import` and `larder users export`, on the database of the settings.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::database;
use crate::cli::instance::output::plain;
use crate::domain::audit::{Action, Actor, Event};
use crate::domain::importing::{BulkFormat, ImportRow, ReadRow, RowReader, written, written_header};
use crate::domain::invalid::{Invalid, ValidationErrors};
use crate::domain::role::Role;
use crate::settings::Settings;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::importing::{BatchLines, ROWS_PER_BATCH, RowOutcome, Written};
use crate::store::writing::ByJournal;

/// How much of a file is read at once.
const PIECE_BYTES: usize = 64 << 10;

/// The commands that read or write files.
#[derive(Subcommand)]
pub(crate) enum Files {
    /// Create the users of a file that do not exist, and change those that exist.
    ///
    /// docs/bulk.md describes the file. 1,000 rows are one transaction, and a row that is refused affects no other.
    /// Running instances see each change through the journal. The file may give roles: a program that can write the
    /// database could give them anyway. Refused rows and the progress are on standard error, the counts on standard
    /// output.
    ///
    /// The database has to have its first superadmin, which the first start of `larder serve` makes.
    ///
    /// Exit codes: 0, every row is imported; 1, rows were refused or the import stopped, and standard error says at which
    /// line; 2, the arguments are wrong.
    Import {
        /// The file, or - for standard input
        #[arg(value_name = "FILE|-")]
        file: PathBuf,
        /// The form of the file [default: csv if its name ends with .csv, else ndjson]
        #[arg(long)]
        format: Option<Format>,
        /// Check and count every row, and write nothing
        #[arg(long)]
        dry_run: bool,
        /// Skip the lines before this one, to continue an import that stopped
        #[arg(long, value_name = "LINE", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
        from_line: u64,
    },
    /// Write all users to standard output, in the order of their ids; without password hashes.
    ///
    /// Exit codes: 0, every user is written, or the reader of the output ended; 1, the output is not complete, and the last
    /// line of standard error says why; 2, the arguments are wrong.
    Export {
        /// The form of the output
        #[arg(long, default_value = "ndjson")]
        format: Format,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    Ndjson,
    Csv,
}

impl From<Format> for BulkFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Ndjson => Self::Ndjson,
            Format::Csv => Self::Csv,
        }
    }
}

pub(crate) async fn run(files: Files, settings: Settings) -> anyhow::Result<()> {
    let store = database::open(&settings).await?;
    // On standard error: an export has the users on standard output. If its reader has ended, the command goes on.
    let _ = writeln!(io::stderr(), "{}", database::line(&settings, "DATABASE_URL"));
    let ended = match files {
        _ if store.total(&Default::default()).await? == 0 => Err(anyhow::anyhow!(
            "the database of DATABASE_URL has no user: if it is the right one, start `larder serve` once, which makes the \
             first superadmin"
        )),
        Files::Import { file, format, dry_run, from_line } => {
            let reader = RowReader::new(format.map_or_else(|| format_of(&file), Into::into));
            let mut import = Import {
                store: store.clone(),
                is_dry: dry_run,
                from_line,
                rows: Vec::new(),
                counts: Counts::default(),
                committed_line: from_line - 1,
            };
            let ran = import.run(&file, reader).await;
            import.report(ran)
        }
        Files::Export { format } => export(&store, format.into()).await,
    };
    store.close().await;
    ended
}

fn format_of(file: &Path) -> BulkFormat {
    match file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv")) {
        true => BulkFormat::Csv,
        false => BulkFormat::Ndjson,
    }
}

#[derive(Default)]
struct Counts {
    created: u64,
    updated: u64,
    unchanged: u64,
    refused: u64,
}

/// An import under way.
struct Import {
    store: Store,
    is_dry: bool,
    from_line: u64,
    /// The rows of the present batch, each with its line.
    rows: Vec<(u64, ImportRow)>,
    counts: Counts,
    /// Each row that begins at this line or before it is written or refused.
    committed_line: u64,
}

impl Import {
    async fn run(&mut self, path: &Path, mut rows: RowReader) -> anyhow::Result<()> {
        let (mut file, bytes): (Box<dyn Read + Send>, _) = match path.as_os_str() == "-" {
            true => (Box::new(io::stdin()), None),
            false => {
                let file =
                    File::open(path).with_context(|| format!("{} cannot be opened", path.display()))?;
                let bytes = file.metadata().map(|file| file.len()).ok();
                (Box::new(file), bytes)
            }
        };
        let progress = progress(bytes)?;
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let length = match file.read(&mut piece) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                read => read.with_context(|| format!("{} cannot be read", path.display()))?,
            };
            if length == 0 {
                break;
            }
            rows.push(&piece[..length]).map_err(unusable)?;
            self.take(&mut rows, &progress).await?;
            progress.inc(length as u64);
        }
        rows.finish().map_err(unusable)?;
        self.take(&mut rows, &progress).await?;
        self.write(&progress).await?;
        progress.finish_and_clear();
        Ok(())
    }

    /// Takes the complete rows of the reader, and writes each full batch.
    async fn take(&mut self, reader: &mut RowReader, progress: &ProgressBar) -> anyhow::Result<()> {
        while let Some(ReadRow { line, row }) = reader.next_row() {
            match row {
                _ if line < self.from_line => {}
                Ok(row) => self.rows.push((line, row)),
                Err(errors) => self.refuse(line, &errors, progress),
            }
            if self.rows.len() >= ROWS_PER_BATCH {
                self.write(progress).await?;
            }
        }
        Ok(())
    }

    /// Writes the rows of a batch.
    async fn write(&mut self, progress: &ProgressBar) -> anyhow::Result<()> {
        let (lines, rows): (Vec<_>, Vec<_>) = std::mem::take(&mut self.rows).into_iter().unzip();
        let (Some(first), Some(last)) = (lines.first().copied(), lines.last().copied()) else {
            return Ok(());
        };
        let is_dry = self.is_dry;
        let write = self.store.write(Actor::Nobody, ByJournal, move |tx| async move {
            tx.import_users(&rows, BatchLines { first, last }, is_dry, judge).await
        });
        let written: Result<_, StoreError> = write.await;
        let (outcomes, ()) = written?;
        for (line, outcome) in lines.into_iter().zip(outcomes) {
            match outcome {
                RowOutcome::Created => self.counts.created += 1,
                RowOutcome::Updated => self.counts.updated += 1,
                RowOutcome::Unchanged => self.counts.unchanged += 1,
                RowOutcome::Refused(errors) => self.refuse(line, &errors, progress),
            }
        }
        self.committed_line = last;
        progress.set_message(format!("{} users", self.counts.created + self.counts.updated));
        Ok(())
    }

    fn refuse(&mut self, line: u64, errors: &ValidationErrors, progress: &ProgressBar) {
        self.counts.refused += 1;
        for (field, message) in errors.iter() {
            // The bar is on standard error too, so it is hidden while a line is written.
            let text = plain(&format!("line {line}: {field} {message}"));
            // If the reader of standard error has ended, the import goes on.
            let _ = progress.suspend(|| writeln!(io::stderr(), "{text}"));
        }
    }

    /// Prints the counts, and says whether every row is imported.
    fn report(self, ran: anyhow::Result<()>) -> anyhow::Result<()> {
        let Counts { created, updated, unchanged, refused } = self.counts;
        let what = if self.is_dry { "Tried, nothing is written" } else { "Imported" };
        let said =
            say!("{what}: {created} created, {updated} updated, {unchanged} unchanged, {refused} refused.");
        match ran {
            Err(error) if self.is_dry => Err(error),
            Err(error) => {
                let line = self.committed_line;
                Err(error.context(format!(
                    "lines up to {line} are imported, continue with --from-line {}",
                    line + 1
                )))
            }
            Ok(()) if refused > 0 => bail!("{refused} rows were refused"),
            Ok(()) => said,
        }
    }
}

/// Whether a row may be written. A row may give roles: a program that can write the database could give them anyway. As
/// over HTTP, no import leaves an installation without its superadmin.
fn judge(Written { before, after, .. }: Written<'_>) -> Result<(), ValidationErrors> {
    let was_superadmin = before.is_some_and(|user| user.role == Role::Superadmin && user.is_active);
    if was_superadmin && (after.role != Role::Superadmin || !after.is_active) {
        let invalid = Invalid::new("an import neither demotes nor deactivates an active superadmin");
        return Err(ValidationErrors::one("role", invalid));
    }
    Ok(())
}

async fn export(store: &Store, format: BulkFormat) -> anyhow::Result<()> {
    let name = match format {
        BulkFormat::Ndjson => "ndjson",
        BulkFormat::Csv => "csv",
    };
    let events = vec![(Actor::Nobody, Event::of(Action::UserExport).text("format", name))];
    let note =
        store.write(Actor::Nobody, ByJournal, move |tx| async move { tx.record_events(&events).await });
    let noted: Result<_, StoreError> = note.await;
    noted?;
    let progress = progress(None)?;
    let mut output = BufWriter::new(io::stdout().lock());
    let (mut written_users, mut unreadable) = (0, 0);
    let mut put = |bytes: &[u8]| match output.write_all(bytes).and_then(|()| output.flush()) {
        // The reader of the output ended, as in `larder users export | head`. This is no error.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true).context("standard output cannot be written"),
    };
    let mut is_read = put(&written_header(format))?;
    let mut after = None;
    while is_read {
        let page = store.users_after(after).await?;
        let text: Vec<u8> = page.users.iter().flat_map(|user| written(format, user)).collect();
        is_read = put(&text)?;
        written_users += page.users.len();
        unreadable += page.unreadable;
        progress.set_message(format!("{written_users} users"));
        after = page.last;
        if after.is_none() {
            break;
        }
    }
    progress.finish_and_clear();
    if unreadable > 0 {
        bail!(
            "{unreadable} users cannot be read and are left out; the log names them, and docs/operations.md says how to mend them"
        );
    }
    Ok(())
}

/// A bar on standard error, which is drawn on a terminal only.
fn progress(bytes: Option<u64>) -> anyhow::Result<ProgressBar> {
    let (bar, template) = match bytes {
        Some(bytes) => (ProgressBar::new(bytes), "{bar:40} {bytes} of {total_bytes}, {msg}, {eta} left"),
        None => (ProgressBar::new_spinner(), "{spinner} {msg}, {elapsed}"),
    };
    bar.set_style(ProgressStyle::with_template(template)?);
    bar.enable_steady_tick(Duration::from_millis(200));
    Ok(bar)
}

fn unusable(errors: ValidationErrors) -> anyhow::Error {
    anyhow::anyhow!("the file cannot be used: {}", plain(&errors.to_string()))
}
