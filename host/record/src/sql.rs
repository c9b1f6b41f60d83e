//! What a free query may be: a look at the text before SQLite sees it.
//!
//! SQLite's own authorizer would be the natural guard, but sqlx does not expose it to safe code. The file is open
//! read-only, so this check guards only against what a read-only connection can still do: read other files by ATTACH,
//! change its own settings by PRAGMA, and hide a second statement behind the first.

/// PRAGMAs that only report; each may take a name as its argument, none may be assigned to.
const READING_PRAGMAS: [&str; 20] = [
    "application_id",
    "collation_list",
    "compile_options",
    "database_list",
    "encoding",
    "foreign_key_list",
    "freelist_count",
    "function_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "journal_mode",
    "module_list",
    "page_count",
    "page_size",
    "pragma_list",
    "table_info",
    "table_list",
    "table_xinfo",
    "user_version",
];

/// PRAGMAs of [`READING_PRAGMAS`] whose argument is a name to look up; for the others an argument is an assignment.
const PRAGMAS_WITH_NAME: [&str; 7] =
    ["foreign_key_list", "index_info", "index_list", "index_xinfo", "table_info", "table_list", "table_xinfo"];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// An unquoted word, in lower case.
    Word(String),
    /// A string or a quoted name.
    Quoted,
    Semicolon,
    Other(char),
}

/// `Err` says why the text is refused.
pub(crate) fn check_statement(text: &str) -> Result<(), String> {
    let mut tokens = tokenize(text)?;
    while tokens.last() == Some(&Token::Semicolon) {
        tokens.pop();
    }
    if tokens.contains(&Token::Semicolon) {
        return Err("it holds more than one statement, and `query` takes one".to_owned());
    }
    match tokens.first() {
        None => Err("it is empty; write for example \"SELECT * FROM runs\"".to_owned()),
        Some(Token::Word(word)) => match word.as_str() {
            "select" | "with" | "values" | "explain" => check_reading(&tokens),
            "pragma" => check_pragma(&tokens),
            "attach" | "detach" => Err("ATTACH and DETACH are not allowed; `query` reads one record".to_owned()),
            other => Err(format!(
                "it starts with {}, and `query` only reads: SELECT, WITH, VALUES, EXPLAIN, or a PRAGMA that reports",
                other.to_uppercase()
            )),
        },
        Some(_) => Err("it must start with SELECT, WITH, VALUES, EXPLAIN or PRAGMA".to_owned()),
    }
}

/// WITH and EXPLAIN may lead into a statement that writes, ATTACH hides behind EXPLAIN. (SQLite refuses the writing
/// ones too, since the file is open read-only; the words cannot be table names without quotes.)
fn check_reading(tokens: &[Token]) -> Result<(), String> {
    let explained = tokens.first() == Some(&Token::Word("explain".to_owned()));
    let start = match tokens {
        [_, Token::Word(query), Token::Word(plan), ..] if explained && query == "query" && plan == "plan" => 3,
        _ if explained => 1,
        _ => return check_with(tokens),
    };
    match tokens.get(start) {
        Some(Token::Word(word)) if matches!(word.as_str(), "select" | "with" | "values") => {
            check_with(&tokens[start..])
        }
        _ => Err("EXPLAIN must be followed by SELECT, WITH or VALUES".to_owned()),
    }
}

/// What follows the table expressions of a WITH, at the outermost level of parentheses.
fn check_with(tokens: &[Token]) -> Result<(), String> {
    if tokens.first() != Some(&Token::Word("with".to_owned())) {
        return Ok(());
    }
    let mut depth = 0_i64;
    for token in tokens {
        match token {
            Token::Other('(') => depth += 1,
            Token::Other(')') => depth -= 1,
            Token::Word(word) if depth == 0 => match word.as_str() {
                "select" | "values" => return Ok(()),
                "insert" | "update" | "delete" | "replace" => {
                    return Err(format!("it leads into {}, and `query` only reads", word.to_uppercase()));
                }
                _ => {}
            },
            _ => {}
        }
    }
    Ok(())
}

fn check_pragma(tokens: &[Token]) -> Result<(), String> {
    let allowed = || format!("only PRAGMAs that report are allowed: {}", READING_PRAGMAS.join(", "));
    // `PRAGMA schema.name` names the schema first.
    let qualified = tokens.get(2) == Some(&Token::Other('.'));
    let rest = tokens.get(if qualified { 3 } else { 1 }..).unwrap_or_default();
    let Some((Token::Word(name), arguments)) = rest.split_first() else { return Err(allowed()) };
    if !READING_PRAGMAS.contains(&name.as_str()) {
        return Err(allowed());
    }
    let named = matches!(arguments, [Token::Other('('), Token::Word(_) | Token::Quoted, Token::Other(')')])
        && PRAGMAS_WITH_NAME.contains(&name.as_str());
    if arguments.is_empty() || named {
        Ok(())
    } else {
        Err(format!("PRAGMA {name} must not be given a value, `query` only reads"))
    }
}

fn tokenize(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        rest = if first.is_whitespace() || first == '\u{feff}' {
            &rest[first.len_utf8()..]
        } else if let Some(comment) = rest.strip_prefix("--") {
            comment.find('\n').map_or("", |end| &comment[end..])
        } else if let Some(comment) = rest.strip_prefix("/*") {
            // SQLite lets a comment run to the end of the text.
            comment.find("*/").map_or("", |end| &comment[end + 2..])
        } else if matches!(first, '\'' | '"' | '`' | '[') {
            tokens.push(Token::Quoted);
            after_quoted(rest, first)?
        } else if first == ';' {
            tokens.push(Token::Semicolon);
            &rest[1..]
        } else if first.is_alphanumeric() || first == '_' {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..end].to_lowercase()));
            &rest[end..]
        } else if first == '\0' {
            return Err("it holds a NUL character".to_owned());
        } else {
            tokens.push(Token::Other(first));
            &rest[first.len_utf8()..]
        };
    }
    Ok(tokens)
}

/// What follows a quoted piece of text; a doubled quote stands for itself.
fn after_quoted(text: &str, quote: char) -> Result<&str, String> {
    let close = if quote == '[' { ']' } else { quote };
    let mut rest = &text[1..];
    loop {
        let Some(end) = rest.find(close) else { return Err(format!("a {quote} is never closed")) };
        rest = &rest[end + 1..];
        if close == ']' || !rest.starts_with(close) {
            return Ok(rest);
        }
        rest = &rest[1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, refused_because: &str) {
        match check_statement(text) {
            Ok(()) => assert_eq!(refused_because, "", "allowed: {text}"),
            Err(why) => {
                assert!(!refused_because.is_empty() && why.contains(refused_because), "refused {text}: {why}");
            }
        }
    }

    #[test]
    fn one_statement_that_reads() {
        check("SELECT * FROM runs", "");
        check("  select 1;  -- done; really\n ; /* ; */", "");
        check("SELECT ';', \"a;b\", [c;d], 'it''s; fine'", "");
        check("WITH a AS (SELECT 1) SELECT * FROM a", "");
        check("VALUES (1)", "");
        check("EXPLAIN QUERY PLAN SELECT 1", "");
        check("PRAGMA table_info(metric)", "");
        check("PRAGMA main.table_info('metric')", "");
        check("PRAGMA user_version", "");
    }

    #[test]
    fn what_is_refused() {
        check("", "empty");
        check("-- nothing", "empty");
        check("SELECT 1; SELECT 2", "more than one statement");
        check("SELECT 1; /* x */ DROP TABLE run", "more than one statement");
        check("ATTACH 'other.db' AS other", "ATTACH");
        check("attach 'other.db' as other", "ATTACH");
        check("/**/ATTACH 'other.db' AS other", "ATTACH");
        check("EXPLAIN ATTACH 'other.db' AS other", "EXPLAIN");
        check("DELETE FROM run", "DELETE");
        check("WITH a AS (SELECT 1) DELETE FROM run", "DELETE");
        check("WITH a(x) AS (SELECT (1)) INSERT INTO run SELECT * FROM a", "INSERT");
        check("PRAGMA journal_mode = DELETE", "must not be given a value");
        check("PRAGMA journal_mode(delete)", "must not be given a value");
        check("PRAGMA main.user_version = 7", "must not be given a value");
        check("PRAGMA wal_checkpoint", "only PRAGMAs that report");
        check("PRAGMA writable_schema = 1", "only PRAGMAs that report");
        check("VACUUM INTO 'copy.db'", "VACUUM");
        check("SELECT 'open", "never closed");
        check("(SELECT 1)", "must start with");
        check("SELECT 1\0; DROP TABLE run", "NUL");
    }
}
