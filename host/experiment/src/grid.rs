//! `[[ablation]]`: axes × values, as one document for each cell.

use toml::{Table, Value};

use crate::document;

/// More cells than this are refused: the grid is made in memory.
const CELLS_MAX: usize = 100_000;

/// One point of the grid before its defaults are filled in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Point {
    /// Unique and readable; `base` without axes.
    pub(crate) label: String,
    /// Axis → value, in the order of the axes.
    pub(crate) settings: Vec<(String, String)>,
    /// The whole document, without `ablation`.
    pub(crate) document: Table,
}

/// An axis: its name, and for each value its label and what it merges into the document.
pub(crate) struct Axis {
    /// As labels and listings show it.
    pub(crate) name: String,
    /// Whether labels need the axis's name before the value's.
    has_key: bool,
    values: Vec<(String, Table)>,
}

/// What is wrong with the grid: the key it stands under, and the problem.
pub(crate) type GridError = (String, String);

impl Axis {
    /// The dotted keys that it varies.
    pub(crate) fn keys(&self) -> impl Iterator<Item = String> {
        self.values.iter().flat_map(|(_, part)| document::leaves(part))
    }

    /// The partial documents that it merges, with the place each stands at.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Table> {
        self.values.iter().map(|(_, part)| part)
    }
}

/// The axes of a document.
pub(crate) fn axes(document: &Table) -> Result<Vec<Axis>, GridError> {
    let entries = match document.get("ablation") {
        None => return Ok(Vec::new()),
        Some(Value::Array(entries)) => entries,
        Some(_) => return Err(("ablation".to_owned(), "expected [[ablation]], a list of tables".to_owned())),
    };
    let mut axes: Vec<Axis> = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let place = format!("ablation[{index}]");
        let axis = axis(entry, &place)?;
        for earlier in &axes {
            let clash = axis.keys().find_map(|key| earlier.keys().find(|other| document::overlap(&key, other)));
            if let Some(key) = clash {
                return Err((place, format!("{key} is varied by the axis \"{}\" already", earlier.name)));
            }
        }
        axes.push(axis);
    }
    Ok(axes)
}

fn axis(entry: &Value, place: &str) -> Result<Axis, GridError> {
    let fail = |key: &str, problem: String| Err((format!("{place}{key}"), problem));
    let Some(entry) = entry.as_table() else {
        return fail("", "expected a table with key and values, or name and values".to_owned());
    };
    let text = |key: &str| entry.get(key).and_then(Value::as_str);
    let Some(Value::Array(values)) = entry.get("values") else {
        return fail(".values", "missing; expected a list".to_owned());
    };
    if values.is_empty() {
        return fail(".values", "an empty list; expected at least one value".to_owned());
    }
    let axis = match (text("key"), text("name")) {
        (Some(key), None) => by_key(key, values, place)?,
        (None, Some(name)) => by_name(name, values, place)?,
        (Some(_), Some(_)) => return fail("", "key and name at once; expected one of them".to_owned()),
        (None, None) => {
            return fail("", "expected key = \"a.dotted.key\", or a name where values are tables".to_owned());
        }
    };
    for (index, (label, _)) in axis.values.iter().enumerate() {
        if axis.values[..index].iter().any(|(earlier, _)| earlier == label) {
            return fail(&format!(".values[{index}]"), format!("\"{label}\" stands there twice"));
        }
    }
    Ok(axis)
}

fn by_key(key: &str, values: &[Value], place: &str) -> Result<Axis, GridError> {
    if key == "ablation" || key.starts_with("ablation.") || ["seeds", "kind", "name"].contains(&key) {
        return Err((format!("{place}.key"), format!("{key} cannot be varied")));
    }
    let mut parts = Vec::with_capacity(values.len());
    for value in values {
        let mut part = Table::new();
        document::set(&mut part, key, value.clone()).map_err(|problem| (format!("{place}.key"), problem))?;
        parts.push((document::short(value), part));
    }
    Ok(Axis { name: key.to_owned(), has_key: true, values: parts })
}

fn by_name(name: &str, values: &[Value], place: &str) -> Result<Axis, GridError> {
    let mut parts = Vec::with_capacity(values.len());
    for (index, value) in values.iter().enumerate() {
        let key = format!("{place}.values[{index}]");
        let Some(table) = value.as_table() else {
            return Err((key, "expected a table: a label, and what it merges into this experiment".to_owned()));
        };
        let mut part = table.clone();
        let label = match part.remove("label") {
            Some(Value::String(label)) if !label.trim().is_empty() => label,
            Some(_) => return Err((format!("{key}.label"), "expected a text".to_owned())),
            None => {
                return Err((format!("{key}.label"), "missing; every value of a named axis has a label".to_owned()));
            }
        };
        for forbidden in ["ablation", "seeds", "kind", "name"] {
            if part.contains_key(forbidden) {
                return Err((format!("{key}.{forbidden}"), "cannot be varied".to_owned()));
            }
        }
        parts.push((label, part));
    }
    Ok(Axis { name: name.to_owned(), has_key: false, values: parts })
}

/// All cells, the last axis varying fastest.
pub(crate) fn points(document: &Table, axes: &[Axis]) -> Result<Vec<Point>, GridError> {
    let mut base = document.clone();
    base.remove("ablation");
    let count = axes.iter().try_fold(1_usize, |count, axis| count.checked_mul(axis.values.len()));
    if count.is_none_or(|count| count > CELLS_MAX) {
        return Err(("ablation".to_owned(), format!("more than {CELLS_MAX} cells; make the grid smaller")));
    }
    let mut points = vec![Point { label: String::new(), settings: Vec::new(), document: base }];
    for axis in axes {
        points = points.iter().flat_map(|point| axis.values.iter().map(|value| step(point, axis, value))).collect();
    }
    if axes.is_empty() {
        "base".clone_into(&mut points[0].label);
    }
    Ok(points)
}

fn step(point: &Point, axis: &Axis, (label, part): &(String, Table)) -> Point {
    let mut next = point.clone();
    document::merge(&mut next.document, part);
    next.settings.push((axis.name.clone(), label.clone()));
    let shown = if axis.has_key { format!("{}={label}", axis.name) } else { label.clone() };
    next.label = if next.label.is_empty() { shown } else { format!("{}, {shown}", next.label) };
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> Result<Vec<String>, GridError> {
        let document: Table = toml::from_str(text).unwrap();
        let points = points(&document, &axes(&document)?)?;
        Ok(points.into_iter().map(|point| point.label).collect())
    }

    #[test]
    fn the_grid_is_the_product_of_its_axes() {
        let text = "[method]\nname = 'rlhf'\n[[ablation]]\nkey = 'schedule.kappa.value'\nvalues = [0.5, 2]\n\
                    [[ablation]]\nname = 'm'\nvalues = [{label = 'A', method = {steps = 1}}, {label = 'B'}]";
        assert_eq!(
            labels(text).unwrap(),
            [
                "schedule.kappa.value=0.5, A",
                "schedule.kappa.value=0.5, B",
                "schedule.kappa.value=2, A",
                "schedule.kappa.value=2, B"
            ]
        );
        assert_eq!(labels("kind = 'game'").unwrap(), ["base"]);
    }

    #[test]
    fn what_is_no_grid_is_refused_where_it_stands() {
        let check = |text: &str, key: &str, problem: &str| {
            assert_eq!(labels(text), Err((key.to_owned(), problem.to_owned())));
        };
        check(
            "[[ablation]]\nkey = 'a'\nvalues = []",
            "ablation[0].values",
            "an empty list; expected at least one value",
        );
        check("[[ablation]]\nkey = 'a'\nvalues = [1, 1]", "ablation[0].values[1]", "\"1\" stands there twice");
        check("[[ablation]]\nkey = 'seeds'\nvalues = [1]", "ablation[0].key", "seeds cannot be varied");
        check(
            "[[ablation]]\nname = 'n'\nvalues = [{method = {steps = 1}}]",
            "ablation[0].values[0].label",
            "missing; every value of a named axis has a label",
        );
        check(
            "[[ablation]]\nkey = 'a.b'\nvalues = [1]\n[[ablation]]\nkey = 'a'\nvalues = [1]",
            "ablation[1]",
            "a.b is varied by the axis \"a.b\" already",
        );
        check(
            "[[ablation]]\nvalues = [1]",
            "ablation[0]",
            "expected key = \"a.dotted.key\", or a name where values are tables",
        );
    }
}
