//! Tokenizers and chat templates against what transformers says (fixtures/make.py).

#![expect(
    clippy::unwrap_used,
    clippy::struct_field_names,
    reason = "a test fails by panicking; the names are those of the JSON"
)]

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use slhf_plan::Message;
use slhf_policy::{Ending, StoredModel, Thinking, Tokens};

#[derive(Deserialize)]
struct Expected {
    texts: Vec<Text>,
    chats: Vec<Chat>,
}

#[derive(Deserialize)]
struct Text {
    text: String,
    tokens: Vec<u32>,
    decoded: String,
}

#[derive(Deserialize)]
struct Chat {
    messages: Vec<Message>,
    generation: bool,
    thinking: bool,
    text: String,
    tokens: Vec<u32>,
}

/// Model files and the folder whose expectations they share.
const MODELS: [(&str, &str); 8] = [
    ("llama-tied", "llama-tied"),
    ("llama-scaled", "llama-scaled"),
    ("llama-bias", "llama-bias"),
    ("qwen2", "qwen2"),
    ("qwen3", "qwen3"),
    ("llama-f32.gguf", "llama-tied"),
    ("qwen2-f16.gguf", "qwen2"),
    ("qwen3-bf16.gguf", "qwen3"),
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn tokens(name: &str, thinking: Thinking) -> Tokens {
    StoredModel::open(&fixture(name)).unwrap().tokens(thinking).unwrap()
}

fn expected(folder: &str) -> Expected {
    serde_json::from_slice(&fs::read(fixture(folder).join("expected.json")).unwrap()).unwrap()
}

fn user(content: &str) -> Message {
    Message { role: "user".to_owned(), content: content.to_owned() }
}

#[test]
fn texts_become_the_tokens_that_transformers_makes_and_back() {
    for (model, folder) in MODELS {
        let tokens = tokens(model, Thinking::Off);
        for Text { text, tokens: ids, decoded } in expected(folder).texts {
            assert_eq!(tokens.encode(&text).unwrap(), ids, "{model} {text:?}");
            assert_eq!(tokens.decode(&ids).unwrap(), decoded, "{model} {text:?}");
            assert_eq!(tokens.pieces(&ids).len(), ids.len());
        }
    }
}

#[test]
fn conversations_are_rendered_as_transformers_renders_them() {
    for (model, folder) in MODELS {
        for chat in expected(folder).chats {
            let tokens = tokens(model, if chat.thinking { Thinking::On } else { Thinking::Off });
            let ending = if chat.generation { Ending::GenerationPrompt } else { Ending::Closed };
            let text = tokens.render(&chat.messages, ending).unwrap();
            assert_eq!(text, chat.text, "{model}");
            assert_eq!(tokens.encode(&text).unwrap(), chat.tokens, "{model}");
        }
    }
}

#[test]
fn a_follow_up_goes_on_where_the_answer_ended() {
    for model in ["llama-tied", "qwen2", "llama-f32.gguf"] {
        let tokens = tokens(model, Thinking::Off);
        let turn = tokens.turn("Improve the answer.").unwrap();
        let answer = tokens.encode("The leader's answer.").unwrap();
        let finished = [answer.as_slice(), &[2]].concat();
        let assistant = Message { role: "assistant".to_owned(), content: "The leader's answer.".to_owned() };
        let conversation = [user("What is better?"), assistant, user("Improve the answer.")];
        let whole = tokens.prompt(&conversation).unwrap();
        let prompt = tokens.prompt(&conversation[..1]).unwrap();
        // An answer that ended by itself keeps its one end token; one that was cut is closed: both give the same.
        assert_eq!([&prompt, &finished, &turn.after(&finished)].map(Vec::as_slice).concat(), whole, "{model}");
        assert_eq!([&prompt, &answer, &turn.after(&answer)].map(Vec::as_slice).concat(), whole, "{model}");
        assert_eq!(turn.closing, [2]);
    }
}

#[test]
fn a_template_that_drops_thinking_follows_up_only_without_it() {
    let quiet = tokens("qwen3", Thinking::Off);
    let turn = quiet.turn("Improve it.").unwrap();
    assert_eq!(quiet.pieces(&turn.closing), ["<|im_end|>"]);
    let written = quiet.pieces(&turn.opening).concat();
    assert!(written.ends_with("<|im_start|>assistantĊ<think>ĊĊ</think>ĊĊ"), "{written}");
    let error = tokens("qwen3", Thinking::On).turn("Improve it.").unwrap_err().to_string();
    assert!(error.contains("drops the thinking of earlier turns"), "{error}");
    assert!(error.ends_with("set thinking = false"), "{error}");
}

#[test]
fn end_tokens_are_those_of_configuration_and_tokenizer() {
    assert_eq!(tokens("llama-scaled", Thinking::Off).end_tokens(), [0, 2]);
    // The file names 2: <|endoftext|>, which llama.cpp takes by its text, is no end of this model.
    assert_eq!(tokens("llama-f32.gguf", Thinking::Off).end_tokens(), [2]);
    assert_eq!(tokens("llama-f32.gguf", Thinking::Off).beginning_token(), Some(1));
}

/// The tokens of a copy of `llama-tied` with another template.
fn with_template(source: &str) -> Tokens {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture("llama-tied")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    fs::write(folder.path().join("chat_template.jinja"), source).unwrap();
    StoredModel::open(folder.path()).unwrap().tokens(Thinking::Off).unwrap()
}

#[test]
fn templates_see_what_transformers_shows_them() {
    let cases = [
        ("{{ strftime_now('%d %b %Y') }}", "26 Jul 2024"),
        ("{{ bos_token }}{{ eos_token }}", "<|im_start|><|im_end|>"),
        ("{{ messages[0] | tojson }}", r#"{"role": "user", "content": "a <b> & 'c'"}"#),
        ("{% if tools is none %}none{% endif %}", "none"),
        (
            "{% for m in messages %}\n    {% generation %}{{ m.content.split('&')[0].strip() }}{% endgeneration %}\n{% endfor %}",
            "a <b>",
        ),
        ("{{ messages[0]['content'] | trim }}\n", "a <b> & 'c'"),
    ];
    for (source, expected) in cases {
        let rendered = with_template(source).render(&[user("a <b> & 'c'")], Ending::Closed).unwrap();
        assert_eq!(rendered.trim(), expected, "{source}");
    }
}

#[test]
fn templates_that_cannot_be_used_say_why() {
    let error = with_template("{{ raise_exception('roles must alternate') }}")
        .render(&[user("x")], Ending::Closed)
        .unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("roles must alternate"), "{source}");
    let error = with_template("{{ messages|length }}{% for m in messages %}{{ m.content }}{% endfor %}").turn("again");
    let error = error.unwrap_err().to_string();
    assert!(error.contains("renders a prompt differently once a response follows it"), "{error}");
    let endless = "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}";
    assert!(with_template(endless).render(&[user("x")], Ending::Closed).is_err());
}

#[test]
fn a_saved_tokenizer_is_the_same_tokenizer() {
    let tokens = tokens("llama-f32.gguf", Thinking::Off);
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in tokens.files().unwrap() {
        fs::write(folder.path().join(name), content).unwrap();
    }
    for name in ["config.json", "model.safetensors"] {
        fs::copy(fixture("llama-tied").join(name), folder.path().join(name)).unwrap();
    }
    let again = StoredModel::open(folder.path()).unwrap().tokens(Thinking::Off).unwrap();
    assert_eq!(again.files().unwrap(), tokens.files().unwrap());
    assert_eq!(again.prompt(&[user("12 Grüße")]).unwrap(), tokens.prompt(&[user("12 Grüße")]).unwrap());
}
