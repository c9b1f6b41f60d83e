//! The documented interface is the one that the migrations make.

use slhf_record::{Cell, QueryLimits, views};

use crate::support::Place;

#[test]
fn the_listing_is_what_the_file_holds() {
    let place = Place::new();
    let mut record = place.create();
    let mut ask = |statement: &str| -> Vec<String> {
        let answer = record.query(statement, QueryLimits::default()).unwrap();
        answer
            .rows
            .into_iter()
            .map(|mut row| match row.remove(0) {
                Cell::Text(text) => text,
                other => panic!("{other:?}"),
            })
            .collect()
    };
    let mut documented: Vec<&str> = views().iter().map(|view| view.name).collect();
    documented.sort_unstable();
    assert_eq!(ask("SELECT name FROM sqlite_schema WHERE type = 'view' ORDER BY name"), documented);
    for view in views() {
        let columns: Vec<&str> = view.columns.iter().map(|column| column.name).collect();
        let found = ask(&format!("SELECT name FROM pragma_table_info('{}') ORDER BY cid", view.name));
        assert_eq!(found, columns, "{}", view.name);
    }
}

/// The columns that other programs were promised.
#[test]
fn the_promised_columns_are_there() {
    let promised = [
        ("runs", "run experiment execution cell seed status reason started_at finished_at"),
        ("parameters", "run key value"),
        ("metrics", "run step key value non_finite"),
        ("latest_metrics", "run step key value non_finite"),
        ("schedules", "run step kappa leader_learning_rate follower_learning_rate leader_updates follower_updates"),
    ];
    for (name, columns) in promised {
        let view = views().iter().find(|view| view.name == name).unwrap();
        for column in columns.split(' ') {
            assert!(view.columns.iter().any(|known| known.name == column), "{name}.{column}");
        }
    }
    for name in
        ["experiments", "evaluations", "completions", "verdicts", "plugins", "artefacts", "state_changes", "costs"]
    {
        assert!(views().iter().any(|view| view.name == name), "{name}");
    }
}

/// Every column is read once, so that a view over a column that no longer exists is noticed.
#[test]
fn every_view_can_be_read() {
    let place = Place::new();
    let mut record = place.create();
    for view in views() {
        let answer = record.query(&format!("SELECT * FROM {}", view.name), QueryLimits::default()).unwrap();
        let rows = usize::from(view.name == "records");
        assert_eq!((answer.columns.len(), answer.rows.len()), (view.columns.len(), rows), "{}", view.name);
    }
}
