//! Opening a record: cheaply, without touching what is not ours, and also where nothing can be written.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tokio::runtime::Runtime;

use crate::RecordError;
use crate::error::{BUSY_TIMEOUT_S, Doing as _, cause, primary_code};

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

/// "slhf" in ASCII, in the header of every record, so that no other SQLite file is taken for one.
const APPLICATION_ID: i64 = 0x736c_6866;

/// What is said of a file without a byte.
const EMPTY: &str = "an empty file, such as a command leaves that is killed at once; `slhf-lab run` fills it";

/// Page cache of one connection, in KiB.
const CACHE_KIB: i64 = 65_536;

/// Pages of the write-ahead log (32 MiB) before it is folded into the file: a running group touches the same last page
/// of each of its runs in every commit, and folding it in less often writes that page less often.
const LOG_PAGES: i64 = 8192;

/// Rows that may wait between sqlx's thread and ours.
const ROWS_IN_FLIGHT: usize = 4096;

/// What a record is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Writing verbs: the file is made where it is missing, and migrated where it is older.
    Create,
    /// Writing verbs that need an existing record (`resume`).
    Write,
    /// Reading verbs. Where the file is writable it is opened so, because dead runs are to be marked; where the file or
    /// its folder is read-only, reading still works.
    Read,
}

/// An open record. Everything is synchronous; the runtime lives and ends in here.
#[derive(Debug)]
pub struct Record {
    path: PathBuf,
    writable: bool,
    /// `None` only while the record is being dropped.
    connection: Option<SqliteConnection>,
    runtime: Runtime,
    /// A private copy that is being read instead of a read-only original whose write-ahead log needs recovery.
    snapshot: Option<tempfile::TempDir>,
}

impl Record {
    /// Opens a record.
    pub fn open(path: &Path, mode: OpenMode) -> Result<Self, RecordError> {
        check_name(path, mode)?;
        if is_compressed(path) {
            return match mode {
                OpenMode::Read => Self::open_compressed(path),
                OpenMode::Create | OpenMode::Write => {
                    Err(RecordError::ReadOnly { doing: format!("writing to the compressed copy {}", path.display()) })
                }
            };
        }
        let runtime = runtime()?;
        if mode == OpenMode::Read && !is_writable(path) {
            return Self::open_read_only(path, runtime);
        }
        let options = options(path).create_if_missing(mode == OpenMode::Create);
        let connection = runtime.block_on(open_writable(path, &options, mode))?;
        Ok(Self { path: path.to_owned(), writable: true, connection: Some(connection), runtime, snapshot: None })
    }

    /// Opens a record that is never written to, not even to mark dead runs.
    ///
    /// A write-ahead log needs a shared-memory file beside it, which a read-only folder refuses: a record without a
    /// pending log is then read as immutable, one with a pending log from a private copy.
    fn open_read_only(path: &Path, runtime: Runtime) -> Result<Self, RecordError> {
        let mut record = Self::connect_read_only(path, runtime)?;
        let path = record.path.clone();
        record.block(async |connection| {
            let found = versions(&path, connection).await?;
            let known = known_version();
            if found == known { Ok(()) } else { Err(RecordError::NeedsMigration { path, found, known }) }
        })?;
        Ok(record)
    }

    /// Opens a record of this schema or an earlier one for reading alone: it is neither migrated nor marked in any way.
    pub(crate) fn open_untouched(path: &Path) -> Result<Self, RecordError> {
        check_name(path, OpenMode::Read)?;
        let mut record = Self::connect_read_only(path, runtime()?)?;
        let path = record.path.clone();
        record.block(async |connection| match versions(&path, connection).await? {
            0 => Err(RecordError::NotARecord { path, found: EMPTY.to_owned() }),
            _ => Ok(()),
        })?;
        Ok(record)
    }

    fn connect_read_only(path: &Path, runtime: Runtime) -> Result<Self, RecordError> {
        let (connection, snapshot) = runtime.block_on(async {
            match connect_checked(path, &options(path).read_only(true)).await {
                Ok(connection) => Ok((connection, None)),
                Err(RecordError::CannotOpen { .. } | RecordError::ReadOnly { .. }) => {
                    if has_pending_log(path) {
                        let folder = copy_with_log(path)?;
                        let copy = folder.path().join("record.db");
                        Ok((connect_checked(path, &options(&copy)).await?, Some(folder)))
                    } else {
                        let immutable = options(path).read_only(true).immutable(true);
                        Ok((connect_checked(path, &immutable).await?, None))
                    }
                }
                Err(error) => Err(error),
            }
        })?;
        Ok(Self { path: path.to_owned(), writable: false, connection: Some(connection), runtime, snapshot })
    }

    /// A second, read-only connection to a record that this process has open.
    pub(crate) fn open_as_reader(path: &Path) -> Result<Self, RecordError> {
        Self::open_read_only(path, runtime()?)
    }

    /// Another connection that reads the same file, for a thread of its own; `None` where this one reads a private copy.
    pub fn second_reader(&self) -> Result<Option<Self>, RecordError> {
        if self.snapshot.is_some() {
            return Ok(None);
        }
        Self::open_as_reader(&self.path).map(Some)
    }

    /// This record, as a private copy of the one at `path`.
    pub(crate) fn into_copy_of(mut self, path: &Path, folder: tempfile::TempDir) -> Self {
        path.clone_into(&mut self.path);
        self.writable = false;
        self.snapshot = Some(folder);
        self
    }

    /// The file, as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A number that is another one whenever somebody else has written to the record since this call was made before. It says
    /// nothing beside a number that another [`Record`] of the same file says.
    pub fn change_counter(&mut self) -> Result<i64, RecordError> {
        self.block(async |connection| {
            let doing = "looking for changes of the record";
            sqlx::query_scalar("SELECT data_version FROM pragma_data_version").fetch_one(connection).await.doing(doing)
        })
    }

    /// Whether this record can be written to.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// Runs asynchronous work on the connection.
    pub(crate) fn block<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, RecordError>,
    ) -> Result<T, RecordError> {
        let Some(connection) = self.connection.as_mut() else {
            return Err(RecordError::Invalid { what: "the record was closed".to_owned() });
        };
        self.runtime.block_on(work(connection))
    }

    /// Runs asynchronous work in one transaction that takes the write lock at once: all of it is durable, or none.
    pub(crate) fn transaction<T>(
        &mut self,
        doing: &'static str,
        work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, RecordError>,
    ) -> Result<T, RecordError> {
        if !self.writable {
            return Err(RecordError::ReadOnly { doing: doing.to_owned() });
        }
        self.block(async |connection| {
            let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
            let result = work(&mut transaction).await;
            match result {
                Ok(value) => {
                    transaction.commit().await.doing(doing)?;
                    Ok(value)
                }
                Err(error) => {
                    // The first error counts; a failed rollback is made good by the next opening.
                    let _ = transaction.rollback().await;
                    Err(error)
                }
            }
        })
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        // Closing lets the last connection fold the log into the file; nothing depends on it.
        if let Some(connection) = self.connection.take() {
            let _ = self.runtime.block_on(connection.close());
        }
    }
}

fn runtime() -> Result<Runtime, RecordError> {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|source| RecordError::System { doing: "an asynchronous runtime".to_owned(), source })
}

fn check_name(path: &Path, mode: OpenMode) -> Result<(), RecordError> {
    if is_no_name_of_a_file(path) {
        return Err(RecordError::NoFileName { path: path.to_owned() });
    }
    if mode != OpenMode::Create && !path.exists() {
        return Err(RecordError::Absent { path: path.to_owned() });
    }
    if path.exists() {
        slhf_files::check_kind(path)
            .map_err(|refusal| RecordError::NotARecord { path: path.to_owned(), found: refusal.to_string() })?;
    }
    Ok(())
}

/// SQLite takes some names for something else: a database in memory, or an address.
fn is_no_name_of_a_file(path: &Path) -> bool {
    let name = path.as_os_str().as_encoded_bytes();
    name.is_empty() || name.starts_with(b":") || name.starts_with(b"file:")
}

/// The version that a fully migrated record has.
pub(crate) fn known_version() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// Settings of every connection; the journal mode is set only after the file is known to be ours.
pub(crate) fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(Duration::from_secs(BUSY_TIMEOUT_S))
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Full)
        .pragma("cache_size", format!("-{CACHE_KIB}"))
        .pragma("wal_autocheckpoint", LOG_PAGES.to_string())
        // Rows come through a channel from sqlx's own thread; a small one makes the two threads wait for each other.
        .row_buffer_size(ROWS_IN_FLIGHT)
        .disable_statement_logging()
}

/// Opens, checks, and migrates where needed.
pub(crate) async fn open_writable(
    path: &Path,
    options: &SqliteConnectOptions,
    mode: OpenMode,
) -> Result<SqliteConnection, RecordError> {
    let mut connection = connect_checked(path, options).await?;
    let found = versions(path, &mut connection).await?;
    if found == 0 && mode != OpenMode::Create {
        return Err(RecordError::NotARecord { path: path.to_owned(), found: EMPTY.to_owned() });
    }
    if found < known_version() {
        set_journal_mode(&mut connection).await?;
        migrate(path, &mut connection).await?;
    }
    Ok(connection)
}

async fn connect_checked(path: &Path, options: &SqliteConnectOptions) -> Result<SqliteConnection, RecordError> {
    let opened = async {
        let mut connection = options.connect().await?;
        // The first look at the file: until here SQLite has not read a byte of it.
        sqlx::query("SELECT count(*) FROM sqlite_schema").fetch_one(&mut connection).await?;
        Ok(connection)
    };
    let connection = opened.await.map_err(|error: sqlx::Error| match primary_code(&error) {
        Some(26) => RecordError::NotARecord { path: path.to_owned(), found: "it is no SQLite file".to_owned() },
        Some(11) => RecordError::Corrupt { doing: format!("opening {}", path.display()), source: cause(error) },
        Some(5 | 6) => RecordError::Busy {
            doing: format!("opening {}", path.display()),
            waited_s: BUSY_TIMEOUT_S,
            source: cause(error),
        },
        Some(8) => RecordError::ReadOnly { doing: format!("opening {}", path.display()) },
        Some(10) => RecordError::Database { doing: format!("opening {}", path.display()), source: cause(error) },
        Some(13) => RecordError::DiskFull { doing: format!("opening {}", path.display()), source: cause(error) },
        _ => RecordError::CannotOpen { path: path.to_owned(), source: cause(error) },
    })?;
    Ok(connection)
}

/// The schema version; 0 for an empty file. Foreign and newer files are errors.
async fn versions(path: &Path, connection: &mut SqliteConnection) -> Result<i64, RecordError> {
    let doing = "reading the schema version";
    let (application_id, version, objects): (i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version), \
         (SELECT count(*) FROM sqlite_schema)",
    )
    .fetch_one(connection)
    .await
    .doing(doing)?;
    let known = known_version();
    match (application_id, version, objects) {
        (0, 0, 0) => Ok(0),
        (APPLICATION_ID, version, _) if version > known => {
            Err(RecordError::TooNew { path: path.to_owned(), found: version, known })
        }
        (APPLICATION_ID, version, _) => Ok(version),
        _ => Err(RecordError::NotARecord {
            path: path.to_owned(),
            found: "it is an SQLite file of another program".to_owned(),
        }),
    }
}

/// Write-ahead logging. Changing into it needs an exclusive lock that SQLite's busy timeout does not wait for, so two
/// processes that make the same record at once try again.
async fn set_journal_mode(connection: &mut SqliteConnection) -> Result<(), RecordError> {
    let mut tries = 0;
    loop {
        match sqlx::query("PRAGMA journal_mode = WAL").fetch_one(&mut *connection).await {
            Ok(_) => return Ok(()),
            Err(error) if matches!(primary_code(&error), Some(5 | 6)) && tries < 100 => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(error).doing("setting the journal mode"),
        }
    }
}

/// All missing migrations and the version in one transaction: a record is never half migrated.
async fn migrate(path: &Path, connection: &mut SqliteConnection) -> Result<(), RecordError> {
    let outcome = migrate_in_one(path, connection).await;
    outcome.map_err(|error| match error {
        RecordError::DiskFull { source, .. } => RecordError::NoRoomToMigrate { path: path.to_owned(), source },
        other => other,
    })
}

async fn migrate_in_one(path: &Path, connection: &mut SqliteConnection) -> Result<(), RecordError> {
    let doing = "migrating";
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.doing(doing)?;
    MIGRATIONS.run_direct(None, &mut *transaction, false).await.map_err(|source| match source {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) if primary_code(&error) == Some(13) => {
            RecordError::DiskFull { doing: doing.to_owned(), source: cause(error) }
        }
        source => RecordError::Migration { path: path.to_owned(), source: Box::new(source) },
    })?;
    let mark = format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {}", known_version());
    sqlx::raw_sql(sqlx::AssertSqlSafe(mark)).execute(&mut *transaction).await.doing(doing)?;
    transaction.commit().await.doing(doing)
}

/// Whether this process may write to the file and beside it (SQLite's log lies there).
fn is_writable(path: &Path) -> bool {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let access = |path: &Path| rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok();
    access(path) && access(folder)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn has_pending_log(path: &Path) -> bool {
    std::fs::metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > 0)
}

pub(crate) fn copy_with_log(path: &Path) -> Result<tempfile::TempDir, RecordError> {
    let copy = || -> std::io::Result<tempfile::TempDir> {
        let folder = tempfile::tempdir()?;
        std::fs::copy(path, folder.path().join("record.db"))?;
        let log = beside(path, "-wal");
        if log.exists() {
            std::fs::copy(log, folder.path().join("record.db-wal"))?;
        }
        Ok(folder)
    };
    copy().map_err(|source| RecordError::System {
        doing: format!("a copy of the record {} into the temporary folder", path.display()),
        source,
    })
}

/// Whether a record is a compressed copy, by its name.
pub(crate) fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_full_while_migrating_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lab.db");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let error = runtime.block_on(async {
            let mut connection = options(&path).create_if_missing(true).connect().await.unwrap();
            // SQLite says of a limit of its own what it says of a disk.
            sqlx::query("PRAGMA max_page_count = 8").execute(&mut connection).await.unwrap();
            migrate(&path, &mut connection).await.unwrap_err()
        });
        let said = error.to_string();
        assert!(matches!(error, RecordError::NoRoomToMigrate { .. }) && error.is_failure(), "{error:?}");
        assert!(said.contains("nothing of it was changed: free about as much space as it takes"), "{said}");
        Record::open(&path, OpenMode::Create).expect("with room it is migrated");
    }

    /// A folder that refuses SQLite's shared-memory file cannot be made by a test that runs as root; its two ways out
    /// are tested by themselves.
    #[test]
    fn ways_out_of_a_read_only_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lab.db");
        let mut record = Record::open(&path, OpenMode::Create).unwrap();
        record.acquire_lease().unwrap();
        let count = async |connection: &mut SqliteConnection| -> i64 {
            sqlx::query_scalar("SELECT count(*) FROM lease").fetch_one(connection).await.unwrap()
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();

        // The lease lies in the write-ahead log, which the copy must bring along.
        assert!(has_pending_log(&path));
        let copy = copy_with_log(&path).unwrap();
        let found = runtime.block_on(async {
            let mut connection = connect_checked(&path, &options(&copy.path().join("record.db"))).await.unwrap();
            count(&mut connection).await
        });
        assert_eq!(found, 1);

        // After the last connection there is no log, and the file alone says it all.
        drop(record);
        assert!(!has_pending_log(&path));
        let found = runtime.block_on(async {
            let immutable = options(&path).read_only(true).immutable(true);
            count(&mut connect_checked(&path, &immutable).await.unwrap()).await
        });
        assert_eq!(found, 1);
    }

    #[test]
    fn every_connection_writes_durably() {
        let folder = tempfile::tempdir().unwrap();
        let mut record = Record::open(&folder.path().join("lab.db"), OpenMode::Create).unwrap();
        for (pragma, expected) in [("journal_mode", "wal"), ("synchronous", "2"), ("foreign_keys", "1")] {
            let found: String = record
                .block(async |connection| {
                    let statement = format!("SELECT CAST({pragma} AS TEXT) FROM pragma_{pragma}");
                    sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).fetch_one(connection).await.doing("asking")
                })
                .unwrap();
            assert_eq!(found, expected, "{pragma}");
        }
    }
}
