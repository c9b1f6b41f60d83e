//! A deserializer's sentences in a reader's words.

/// A type error as a reader knows it.
#[must_use]
pub fn in_words(message: &str) -> String {
    if let Some(sentence) = unknown_variant(message) {
        return sentence;
    }
    let mut text = message.replace('\n', "; ").replace("invalid type: ", "").replace("invalid value: ", "");
    for (name, words) in [
        ("expected f64", "expected a number"),
        ("expected u64", "expected a whole number, not negative"),
        ("expected u32", "expected a whole number, not negative"),
        ("expected a sequence", "expected a list"),
        ("expected struct ", "expected a table of "),
        // Of a bare value in the place of one of several names.
        ("unit variant, expected string only", "expected a name in quotes"),
    ] {
        text = text.replace(name, words);
    }
    text
}

/// Serde's sentence on an unknown variant, with the nearest that is known; `None`: it is another sentence.
#[must_use]
pub fn unknown_variant(message: &str) -> Option<String> {
    let (said, expected) = message.strip_prefix("unknown variant `")?.split_once("`, expected ")?;
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    let names = slhf_words::known(said, known.iter().copied());
    let plain = said.trim().to_lowercase().replace([' ', '_'], "-");
    Some(match slhf_words::nearest(&plain, known.iter().copied()) {
        Some(near) => format!("\"{said}\" is not known; did you mean \"{near}\"? known are {names}"),
        None => format!("\"{said}\" is not known; known are {names}"),
    })
}

/// A path below `key` as a dotted key, and the problem with the place in a matrix: `game.preferences[0][1]` is row 1, column 2 of
/// `game.preferences`.
#[must_use]
pub fn place_of(path: &str, problem: String) -> (String, String) {
    match cell(path) {
        Some((matrix, row, column)) => (matrix.to_owned(), format!("row {row}, column {column}: {problem}")),
        None => (path.to_owned(), problem),
    }
}

fn cell(key: &str) -> Option<(&str, usize, usize)> {
    let (rest, column) = key.strip_suffix(']')?.rsplit_once('[')?;
    let (matrix, row) = rest.strip_suffix(']')?.rsplit_once('[')?;
    Some((matrix, row.parse::<usize>().ok()? + 1, column.parse::<usize>().ok()? + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_list_are_corrected() {
        let check = |message: &str, expected: Option<&str>| assert_eq!(unknown_variant(message).as_deref(), expected);
        check(
            "unknown variant `skipp`, expected `error` or `skip`",
            Some("\"skipp\" is not known; did you mean \"skip\"? known are skip, error"),
        );
        check("unknown variant `dpo`, expected `error` or `skip`", Some("\"dpo\" is not known; known are error, skip"));
        check("missing field `prompts`", None);
    }

    #[test]
    fn a_value_that_is_no_name_is_told_what_names_are() {
        assert_eq!(in_words("invalid type: unit variant, expected string only"), "expected a name in quotes");
    }

    #[test]
    fn a_number_of_a_matrix_is_told_by_row_and_column() {
        let check = |path: &str, key: &str, problem: &str| {
            assert_eq!(place_of(path, "bad".to_owned()), (key.to_owned(), problem.to_owned()));
        };
        check("game.preferences[0][1]", "game.preferences", "row 1, column 2: bad");
        check("method.reward.scores[0]", "method.reward.scores[0]", "bad");
        check("method.steps", "method.steps", "bad");
    }
}
