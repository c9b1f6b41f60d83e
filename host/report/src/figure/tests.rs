//! Every kind of figure on awkward input: by its shapes, and by the picture that a browser's renderer makes of it.

use std::path::PathBuf;

use resvg::tiny_skia;

use super::scene::{Anchor, Ink, Label, Medium, Scene, Shape, Weight};
use super::{
    Axis, Curves, Dots, Drawing, Figure, Group, Matrix, MatrixCell, Parallel, ParallelAxis, Path, Point, Row, Series,
    Simplex, Spread, text,
};

/// Long names that differ at their ends alone, with commas.
fn long_name(number: usize) -> String {
    format!("judge = attribute-committee (ties = \"first\", missing_eos_penalty = 1.0), kappa = {number}")
}

fn series(name: impl Into<String>, values: &[f64]) -> Series {
    let point = |(step, value): (usize, &f64)| Point {
        x: 10.0 * step as f64,
        y: *value,
        range: Some((value - 0.05, value + 0.08)),
    };
    Series { name: name.into(), points: values.iter().enumerate().map(point).collect() }
}

fn learning(number: usize) -> Vec<f64> {
    (0..12).map(|step| 1.0 - 0.8 * (-0.05 * (number + 1) as f64 * f64::from(step)).exp()).collect()
}

fn curves(title: &str, y: Axis, series: Vec<Series>) -> Figure {
    let x = Axis::linear("step");
    Figure::Curves(Curves { title: title.to_owned(), x, y, level: Some(0.5), spread: Spread::Band, series })
}

fn dots(title: &str, axis: Axis, groups: Vec<Group>) -> Figure {
    Figure::Dots(Dots { title: title.to_owned(), axis, level: None, groups })
}

fn row(name: impl Into<String>, value: f64) -> Row {
    Row { name: name.into(), value, range: Some((value - value.abs() * 0.4, value + value.abs() * 0.3)) }
}

fn matrix(title: &str, names: Vec<String>) -> Figure {
    let many = names.len();
    let cell = |row: usize, column: usize| {
        let value = 0.5 + 0.45 * ((row as f64 - column as f64) / many as f64);
        (row != column).then_some(MatrixCell { value, is_significant: row + 2 < column })
    };
    let cells = (0..many).map(|row| (0..many).map(|column| cell(row, column)).collect()).collect();
    Figure::Matrix(Matrix { title: title.to_owned(), names, cells })
}

fn parallel(cells: usize) -> Figure {
    let axis = |title: &str, value: fn(usize) -> String| {
        let values: Vec<Option<String>> = (0..cells).map(|cell| (cell % 11 != 7).then(|| value(cell))).collect();
        ParallelAxis::of_texts(title, &values)
    };
    let result = (0..cells).map(|cell| if cell == 5 { Some(f64::NAN) } else { Some(((cell * 37) % 41) as f64 / 50.0) });
    Figure::Parallel(Parallel {
        title: "Settings beside the win rate".to_owned(),
        axes: vec![
            axis("schedule.kappa.value", |cell| 10_f64.powi(cell as i32 % 4).to_string()),
            axis("method", |cell| if cell % 3 == 0 { long_name(cell % 6) } else { format!("method {}", cell % 3) }),
            axis("method.max_new_tokens", |cell| (16 + cell % 5 * 8).to_string()),
            ParallelAxis::Numbers { axis: Axis::share("win_rate leader/reference"), values: result.collect() },
        ],
    })
}

fn simplex(paths: usize) -> Figure {
    let path = |number: usize| {
        let point = |step: u32| {
            let turn = f64::from(step) * 0.3 + number as f64;
            let weights = [1.2 + turn.cos(), 1.2 + (turn + 2.0).cos(), 1.2 + (turn + 4.0).cos()];
            let total: f64 = weights.iter().sum();
            weights.map(|weight| weight / total)
        };
        Path {
            name: format!("cycle, nash-md, m = 0.{number}"),
            points: (0..20).map(point).collect(),
            target: Some([0.2, 0.3, 0.5]),
        }
    };
    let actions = ["rock", "an action whose name is far longer than a panel is wide", "scissors"].map(str::to_owned);
    Figure::Simplex(Simplex {
        title: "Policies over three actions".to_owned(),
        actions,
        paths: (0..paths).map(path).collect(),
    })
}

/// The pictures: what each is called, and what is drawn.
fn cases() -> Vec<(&'static str, Figure)> {
    let many = |count: usize| (0..count).map(|number| series(long_name(number), &learning(number))).collect::<Vec<_>>();
    let gap = |name: String, value: f64| row(name, value);
    let equal = [learning(1), learning(1), learning(1), learning(4)];
    let equal =
        equal.iter().zip(["a, b", "the same again", "and again", "another"]).map(|(values, name)| series(name, values));
    let broken = vec![
        series("with gaps", &[0.2, f64::NAN, 0.4, 0.5, f64::INFINITY, 0.6]),
        series("nothing but NaN", &[f64::NAN; 6]),
        series("one value", &[0.3]),
    ];
    vec![
        ("curves-four", curves("Win rate over the reference", Axis::share("win rate"), many(4))),
        ("curves-one-point", curves("Loss", Axis::linear("loss (nats)"), vec![series("SLHF", &[0.31])])),
        (
            "curves-equal",
            curves(
                "Equal series",
                Axis::linear("KL of the Leader from the reference (nats per response)"),
                equal.collect(),
            ),
        ),
        ("curves-not-a-number", curves("Values that are none", Axis::linear("loss"), broken)),
        ("curves-forty", curves("Win rate over the reference, by cell", Axis::share("win rate"), many(40))),
        (
            "dots-twelve",
            dots(
                "Win rate over the reference",
                Axis::share("win rate"),
                vec![Group {
                    name: String::new(),
                    rows: (0..12).map(|n| row(long_name(n), 0.08 * n as f64)).collect(),
                }],
            ),
        ),
        (
            "dots-rounding",
            dots(
                "stackelberg_gap at the end",
                Axis::logarithm("stackelberg_gap"),
                vec![
                    Group {
                        name: "cycle".to_owned(),
                        rows: vec![gap("stackelberg-gda".to_owned(), 3e-32), gap("nash-md, m = 0.5".to_owned(), 0.02)],
                    },
                    Group {
                        name: "a lopsided judge, whose name is long enough to need two lines of the figure".to_owned(),
                        rows: vec![
                            gap("stackelberg-gda".to_owned(), -2e-17),
                            gap("inpo".to_owned(), 0.4),
                            gap("rloo".to_owned(), f64::NAN),
                        ],
                    },
                ],
            ),
        ),
        (
            "dots-one",
            dots(
                "One value",
                Axis::linear("tokens"),
                vec![Group { name: String::new(), rows: vec![row("SLHF", 23.0)] }],
            ),
        ),
        ("matrix-six", matrix("How often the row is preferred to the column", (0..6).map(long_name).collect())),
        ("matrix-forty", matrix("Forty policies", (0..40).map(|n| format!("cell {n}, follower(leader)")).collect())),
        ("parallel-forty", parallel(40)),
        ("parallel-two", parallel(2)),
        ("simplex-one", simplex(1)),
        ("simplex-seven", simplex(7)),
    ]
}

fn scene(name: &str, figure: &Figure) -> Scene {
    figure.scene().unwrap_or_else(|sentence| panic!("{name} is no picture: {sentence}"))
}

type Rectangle = (f64, f64, f64, f64);

/// Left, top, right and bottom of a label, at the most.
fn bounds(label: &Label) -> Rectangle {
    let wide = text::width(&label.text, label.size) * if label.weight == Weight::Bold { 1.1 } else { 1.0 };
    let left = match label.anchor {
        Anchor::Start => label.at.0,
        Anchor::Middle => label.at.0 - wide / 2.0,
        Anchor::End => label.at.0 - wide,
    };
    (left, label.at.1 - 0.75 * label.size, left + wide, label.at.1 + 0.2 * label.size)
}

fn overlap(one: &Rectangle, other: &Rectangle) -> bool {
    one.0 < other.2 && other.0 < one.2 && one.1 < other.3 && other.1 < one.3
}

/// Whether the line between two places comes through the rectangle: looked at in steps of a pixel.
fn crosses(rectangle: &Rectangle, from: (f64, f64), to: (f64, f64)) -> bool {
    let steps = ((to.0 - from.0).hypot(to.1 - from.1)).ceil().max(1.0);
    (0..=steps as usize).any(|step| {
        let share = step as f64 / steps;
        let (x, y) = (from.0 + share * (to.0 - from.0), from.1 + share * (to.1 - from.1));
        rectangle.0 < x && x < rectangle.2 && rectangle.1 < y && y < rectangle.3
    })
}

/// Whether a shape of the data lies under the rectangle.
fn lies_under(shape: &Shape, rectangle: &Rectangle) -> bool {
    match shape {
        Shape::Line { ink: Ink::Grid, .. } | Shape::Text(_) | Shape::Plot { .. } => false,
        Shape::Line { through, .. } | Shape::Curve { through, .. } => {
            through.windows(2).any(|pair| crosses(rectangle, pair[0], pair[1]))
        }
        Shape::Area { within, .. } => within.iter().any(|at| overlap(rectangle, &(at.0, at.1, at.0, at.1))),
        Shape::Dot { at, radius, .. } | Shape::Ring { at, radius, .. } => {
            overlap(rectangle, &(at.0 - radius, at.1 - radius, at.0 + radius, at.1 + radius))
        }
        Shape::Box { corner, size, .. } => {
            overlap(rectangle, &(corner.0, corner.1, corner.0 + size.0, corner.1 + size.1))
        }
    }
}

#[test]
fn no_label_lies_over_data_or_another_label_or_outside() {
    for (name, figure) in cases() {
        let scene = scene(name, &figure);
        let labels: Vec<&Label> = scene
            .shapes
            .iter()
            .filter_map(|shape| if let Shape::Text(label) = shape { Some(label) } else { None })
            .collect();
        for (number, label) in labels.iter().enumerate() {
            let own = bounds(label);
            assert!(
                own.0 >= 0.0 && own.1 >= 0.0 && own.2 <= scene.size.0 && own.3 <= scene.size.1,
                "{name}: {label:?} leaves {:?}",
                scene.size
            );
            for other in &labels[..number] {
                assert!(!overlap(&own, &bounds(other)), "{name}: {label:?} lies over {other:?}");
            }
            let is_on_cell = label.ink == Ink::OnCell;
            let below = scene.shapes.iter().find(|shape| !is_on_cell && lies_under(shape, &own));
            assert_eq!(below, None, "{name}: {label:?}");
        }
    }
}

#[test]
fn names_are_whole_and_differ() {
    for (name, figure) in cases() {
        let scene = scene(name, &figure);
        let said: String = scene
            .shapes
            .iter()
            .filter_map(|shape| if let Shape::Text(label) = shape { Some(label.text.replace(' ', "")) } else { None })
            .collect();
        let names: Vec<String> = match figure {
            Figure::Curves(curves) => curves
                .series
                .into_iter()
                .filter(|series| series.points.iter().any(|point| point.y.is_finite()))
                .map(|series| series.name)
                .collect(),
            Figure::Dots(dots) => dots.groups.into_iter().flat_map(|group| group.rows).map(|row| row.name).collect(),
            Figure::Matrix(matrix) => matrix.names,
            Figure::Parallel(parallel) => {
                let of = |axis: ParallelAxis| match axis {
                    ParallelAxis::Numbers { axis, .. } => vec![axis.title],
                    ParallelAxis::Names { title, values } => {
                        values.into_iter().flatten().chain([title]).collect::<Vec<_>>()
                    }
                };
                parallel.axes.into_iter().flat_map(of).collect()
            }
            Figure::Simplex(simplex) => simplex.paths.into_iter().map(|path| path.name).collect(),
        };
        for wanted in names {
            assert!(said.contains(&wanted.replace(' ', "")), "{name}: {wanted} is not whole");
        }
    }
}

#[test]
fn what_does_not_vary_is_a_sentence() {
    let flat = |value: f64| Series {
        name: "a".to_owned(),
        points: (0..3).map(|x| Point { x: f64::from(x), y: value, range: None }).collect(),
    };
    let group = |values: &[f64]| {
        vec![Group {
            name: String::new(),
            rows: values.iter().map(|value| Row { name: "a".to_owned(), value: *value, range: None }).collect(),
        }]
    };
    for (figure, expected) in [
        (curves("c", Axis::share("win rate"), vec![flat(0.5), flat(0.5)]), "win rate: 0.5 everywhere."),
        (curves("c", Axis::linear("loss"), vec![flat(f64::NAN)]), "loss: there is no number to draw."),
        (curves("c", Axis::linear("loss"), Vec::new()), "loss: there is no number to draw."),
        (dots("d", Axis::logarithm("gap"), group(&[1e-17, -3e-33, 0.0])), "gap: at rounding (< 1e-15) everywhere."),
        (dots("d", Axis::logarithm("gap"), group(&[1e-17, 3e-15])), "gap: at rounding (< 1e-14) everywhere."),
        (dots("d", Axis::linear("tokens"), group(&[3.0, 3.0])), "tokens: 3 everywhere."),
    ] {
        assert_eq!(figure.draw(), Drawing::Sentence(expected.to_owned()));
    }
}

/// Where the pictures are kept.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/pictures")
}

/// Of the pixels, those whose color differs by more than the smoothing of an edge.
fn share_of_other_pixels(one: &tiny_skia::Pixmap, other: &tiny_skia::Pixmap) -> f64 {
    let differs = |(one, other): &(&tiny_skia::PremultipliedColorU8, &tiny_skia::PremultipliedColorU8)| {
        let far = |a: u8, b: u8| a.abs_diff(b) > 40;
        far(one.red(), other.red()) || far(one.green(), other.green()) || far(one.blue(), other.blue())
    };
    let all = one.pixels().len().max(1) as f64;
    one.pixels().iter().zip(other.pixels()).filter(differs).count() as f64 / all
}

/// `SLHF_PICTURES=write cargo test -p slhf-report` makes them anew: look at them before you commit them.
#[test]
fn pictures_look_as_they_did() {
    let is_written = std::env::var("SLHF_PICTURES").is_ok_and(|wish| wish == "write");
    for (name, figure) in cases() {
        let picture = crate::png::drawn(&scene(name, &figure).svg(Medium::Still)).expect("a picture");
        let path = folder().join(format!("{name}.png"));
        if is_written {
            picture.save_png(&path).expect("a picture is written");
            continue;
        }
        let known = tiny_skia::Pixmap::load_png(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!((picture.width(), picture.height()), (known.width(), known.height()), "{name}");
        let share = share_of_other_pixels(&picture, &known);
        assert!(share < 0.001, "{name}: {share} of its pixels differ from {}", path.display());
    }
}
