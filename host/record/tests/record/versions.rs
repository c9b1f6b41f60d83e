//! A record of every earlier schema: made by that version's migrations, with a row in every table that it had.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use slhf_record::{Cell, OpenMode, QueryLimits, Record, RecordError};
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection};

use crate::merges::full;
use crate::support::Place;

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

/// "slhf".
const APPLICATION_ID: i64 = 0x736c_6866;

fn versions() -> impl Iterator<Item = i64> {
    MIGRATIONS.iter().map(|migration| migration.version)
}

/// Fills an earlier record with those rows and columns of the full one that it could hold.
async fn fill(connection: &mut SqliteConnection, full: &Path) {
    let attach = format!("ATTACH '{}' AS full", full.display());
    sqlx::raw_sql(AssertSqlSafe(attach)).execute(&mut *connection).await.unwrap();
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '_sqlx%'",
    )
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    for table in tables {
        let columns: Vec<String> = sqlx::query_scalar(
            "SELECT name FROM pragma_table_info(?1, 'main') WHERE name IN (SELECT name FROM pragma_table_info(?1, 'full'))",
        )
        .bind(&table)
        .fetch_all(&mut *connection)
        .await
        .unwrap();
        let columns = columns.iter().map(|column| format!("\"{column}\"")).collect::<Vec<_>>().join(", ");
        let copy = format!("INSERT OR IGNORE INTO main.{table} ({columns}) SELECT {columns} FROM full.{table}");
        sqlx::raw_sql(AssertSqlSafe(copy)).execute(&mut *connection).await.unwrap();
    }
    sqlx::raw_sql("DETACH full").execute(connection).await.unwrap();
}

/// A record as a version with this schema left it.
fn of_schema(version: i64, full: &Path) -> Place {
    let place = Place::new();
    let migrations = MIGRATIONS.iter().filter(|one| one.version <= version).cloned().collect::<Vec<_>>();
    let migrator = Migrator { migrations: Cow::Owned(migrations), ..Migrator::DEFAULT };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(place.path()).create_if_missing(true).foreign_keys(false);
        let mut connection = options.connect().await.unwrap();
        migrator.run_direct(None, &mut connection, false).await.unwrap();
        fill(&mut connection, full).await;
        let mark = format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {version}");
        sqlx::raw_sql(AssertSqlSafe(mark)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
    place
}

fn rows(record: &mut Record, view: &str) -> Vec<Vec<Cell>> {
    record.query(&format!("SELECT * FROM {view} ORDER BY 1, 2, 3"), QueryLimits::default()).unwrap().rows
}

#[test]
fn every_earlier_schema_is_migrated_with_all_its_rows() {
    let full = full();
    let mut today = full.read();
    for version in versions() {
        let place = of_schema(version, &full.path());
        let mut record = Record::open(&place.path(), OpenMode::Write).unwrap();
        assert_eq!(record.check().unwrap(), [], "schema {version}");
        for view in ["metrics", "schedules", "evaluations", "parameters", "verdicts", "costs", "plugins", "experiments"]
        {
            // Version 1 had plans alone, 3 measurements, 5 verdicts.
            let first = if view == "parameters" || view == "experiments" { 1 } else { 5 };
            if version >= first {
                assert_eq!(rows(&mut record, view), rows(&mut today, view), "{view} of schema {version}");
            }
        }
        let runs = record.query("SELECT run, cell, seed, status, length(run_id) FROM runs", QueryLimits::default());
        assert_eq!(runs.unwrap().rows.len(), 2, "schema {version}");
    }
}

#[test]
fn every_earlier_schema_is_merged_and_left_as_it_is() {
    let full = full();
    for version in versions() {
        let (ours, theirs) = (Place::new(), of_schema(version, &full.path()));
        let before = fs::read(theirs.path()).unwrap();
        let mut record = ours.create();
        let merged = record.merge(&theirs.path()).unwrap();
        assert_eq!(merged.taken.added.len(), 2, "schema {version}");
        assert_eq!(merged.without_ids, (version < 12).then_some(version));
        let again = record.merge(&theirs.path()).unwrap();
        assert!(again.taken.is_nothing() && again.taken.known == 2, "schema {version}: {again:?}");
        assert_eq!(fs::read(theirs.path()).unwrap(), before, "schema {version}");
        assert_eq!(record.check().unwrap(), [], "schema {version}");
    }
}

#[test]
fn a_later_schema_is_neither_opened_nor_merged() {
    let (ours, theirs) = (Place::new(), full());
    crate::merges::execute(&theirs.path(), "PRAGMA user_version = 18");
    for refused in [Record::open(&theirs.path(), OpenMode::Write).err(), ours.create().merge(&theirs.path()).err()] {
        let error = refused.unwrap();
        assert!(matches!(error, RecordError::TooNew { found: 18, known: 17, .. }), "{error}");
        assert!(error.to_string().ends_with("this slhf-lab knows versions up to 17: use a newer slhf-lab"), "{error}");
    }
}
