//! What Python writes and what it does not, held against what Python's own `json` reads.

use serde_json::{Value, json};
use slhf_json::{describe, not_finite, read, read_object, read_settings, without_marks};

fn plain(text: &str) -> Value {
    without_marks(read(text.as_bytes()).expect(text))
}

#[test]
fn standard_json_is_read_as_it_stands() {
    for text in [
        "null",
        "[]",
        "{}",
        "-0.5e3",
        "0.30000000000000004",
        "18446744073709551615",
        r#"{"b": [1, -2, 3.0, true, null], "a": {"NaN": "Infinity", "-Infinity": "\"NaN\\"}}"#,
        r#""😀 \ud83d\ude00 \u00e9 \\ud83d \\\\ \" \/ \n""#,
        "  [ 1 , 2 ]\n\n",
    ] {
        assert_eq!(read(text.as_bytes()).expect(text), serde_json::from_str::<Value>(text).expect(text), "{text}");
    }
}

#[test]
fn numbers_that_are_not_finite_are_marked() {
    let check = |text: &str, name: &str| {
        let value = read(text.as_bytes()).expect(text);
        assert_eq!(not_finite(&value), Some(name), "{text}");
        // Whoever wants a number, a text, a flag or nothing finds none.
        assert!(value.as_f64().is_none() && value.as_str().is_none() && value.as_bool().is_none() && !value.is_null());
        assert_eq!((describe(&value).to_string(), slhf_json::kind(&value)), (name.to_owned(), name));
        assert_eq!(without_marks(value), Value::Null);
    };
    check("NaN", "NaN");
    check(" Infinity\n", "Infinity");
    check("-Infinity", "-Infinity");
    check("1e999", "Infinity");
    check("-1E+400", "-Infinity");
    check(&"9".repeat(400), "Infinity");
    assert_eq!(plain("[NaN,1,{\"a\":-Infinity}, \"NaN\"]"), json!([null, 1, { "a": null }, "NaN"]));
    let value = read(b"{\"b\": [1, NaN, \"x\\\"\"], \"a\": -Infinity}").expect("good");
    assert_eq!(describe(&value).to_string(), "{\"a\":-Infinity,\"b\":[1,NaN,\"x\\\"\"]}");
    assert_eq!(not_finite(&json!({})), None);
}

/// Python's `json.loads` refuses them too.
#[test]
fn what_python_does_not_write_is_refused() {
    for text in [
        "nan",
        "NAN",
        "+Infinity",
        "-NaN",
        "inf",
        "NaNs",
        "[NaN",
        "Infinity1",
        "1_000",
        "",
        "{'a': 1}",
        "[1,]",
        "1 2",
        "\"\\x\"",
    ] {
        assert!(read(text.as_bytes()).is_err(), "{text}");
    }
    let damaged = read(b"\"a\xff\"").expect_err("not UTF-8").to_string();
    assert!(damaged.contains("invalid unicode code point"), "{damaged}");
}

#[test]
fn half_of_a_surrogate_pair_is_the_sign_of_a_lost_character() {
    let check = |text: &str, expect: &str| assert_eq!(plain(&format!("\"{text}\"")), expect, "{text}");
    check("a\\ud83d", "a\u{fffd}");
    check("\\uD83D!", "\u{fffd}!");
    check("\\ude00\\ud83d", "\u{fffd}\u{fffd}");
    check("\\ud83d\\ud83d\\ude00", "\u{fffd}😀");
    check("\\ud83d\\u0041", "\u{fffd}A");
    check("\\ud83d\\n", "\u{fffd}\n");
    check("\\\\ud83d", "\\ud83d");
    assert_eq!(plain("{\"k\\udc00\": 1}"), json!({ "k\u{fffd}": 1 }));
    for cut in ["\"\\ud83d", "\"\\ud83d\\", "\"\\ud83d\\u", "\"\\u12\"", "\"\\"] {
        assert!(read(cut.as_bytes()).is_err(), "{cut}");
    }
}

#[test]
fn standard_text_is_borrowed_and_other_text_is_made_standard() {
    assert!(matches!(slhf_json::standard(b"{\"a\": [1, \"NaN\"]}"), std::borrow::Cow::Borrowed(_)));
    let made = slhf_json::standard(b"\xef\xbb\xbf{\"a\": NaN}");
    assert_eq!(serde_json::from_slice::<Value>(&made).expect("standard"), read(b"{\"a\": NaN}").expect("good"));
}

#[test]
fn byte_order_marks_are_skipped_and_keys_stand_once() {
    assert_eq!(plain("\u{feff}{\"a\": 1}"), json!({ "a": 1 }));
    let twice = read(b"{\n  \"a\": 1,\n  \"b\": {\"x\": 1, \"x\": 1}\n}").expect_err("twice").to_string();
    assert!(twice.starts_with("the key \"x\" stands twice in one object; expected each once at line 3 "), "{twice}");
}

#[test]
fn settings_are_an_object_and_3_0_is_a_whole_number_in_them() {
    let settings = read_settings(b"{\"a\": 3.0, \"b\": [-2.0, 2.5, 1e300], \"c\": {\"d\": 4096.0}}").expect("good");
    assert_eq!(settings["a"].as_u64(), Some(3));
    assert_eq!(settings["a"].as_f64(), Some(3.0));
    assert_eq!(settings["b"], json!([-2, 2.5, 1e300]));
    assert_eq!(settings["c"]["d"].as_u64(), Some(4096));
    assert_eq!(read_object(b"{\"a\": 3.0}").expect("good")["a"].as_u64(), None, "elsewhere a number stays as it is");
    let list = read_object(b"[1]").expect_err("a list").to_string();
    assert_eq!(list, "a list stands here; expected an object");
    let number = read_object(b"NaN").expect_err("a number").to_string();
    assert_eq!(number, "NaN stands here; expected an object");
}
