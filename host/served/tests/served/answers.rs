//! What servers say right is taken as it is said.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value as Json, json};
use slhf_plan::{ChoiceItem, CompletionItem, Evidence, FaultKind, ModelCall, ModelContext, ModelReply};
use slhf_served::{Budget, InFlight, ServedModel, ServedSettings};

use crate::server::{Request, Sent, Server, choice, json_of, listing};

#[test]
fn answers_come_in_the_order_of_the_items() {
    let server = Server::start(|request| {
        let question = request.body["messages"][0]["content"].as_str().unwrap_or_default();
        let Ok(number) = question.parse::<u32>() else { return Sent::Status(404, String::new()) };
        // The first ones are the slowest.
        thread::sleep(Duration::from_millis(u64::from(16 - number) * 3));
        json_of(&listing(&[("A", -f64::from(number)), ("B", -0.5)]))
    });
    let items: Vec<ChoiceItem> = (0..16).map(|number| choice(&number.to_string())).collect();
    let (reply, usage) = server.model().ask(&ModelCall::Choose(items, Evidence::LogProbabilities));
    let ModelReply::Chosen(outcomes) = reply else { panic!("{reply:?}") };
    for (number, outcome) in (0_u32..).zip(outcomes) {
        assert_eq!(outcome.unwrap().log_probabilities, [-f64::from(number), -0.5]);
    }
    assert_eq!((usage.calls, usage.items, usage.requests), (1, 16, 17));
}

#[test]
fn tokens_of_one_text_are_added_up_and_the_list_is_of_the_models_own_distribution() {
    let server = Server::start(|request| match request.path.as_str() {
        "/tokenize" => Sent::Status(404, String::new()),
        _ => json_of(&listing(&[("A", -1.0), ("B", -2.0), ("A", -3.0)])),
    });
    let (reply, _) = server.model().ask(&ModelCall::Choose(vec![choice("?")], Evidence::LogProbabilities));
    let ModelReply::Chosen(outcomes) = reply else { panic!("{reply:?}") };
    let found = outcomes[0].as_ref().unwrap().log_probabilities.clone();
    assert!((found[0] - ((-1.0_f64).exp() + (-3.0_f64).exp()).ln()).abs() < 1e-12);
    let body = &server.requests()[1].body;
    assert_eq!((&body["temperature"], &body["top_p"], &body["top_logprobs"]), (&json!(1), &json!(1), &json!(20)));
}

#[test]
fn the_older_shape_is_read_too() {
    let server = Server::start(|request| match request.path.as_str() {
        "/tokenize" => Sent::Status(404, String::new()),
        _ => json_of(&json!({
            "model": "tiny",
            "choices": [{ "index": 0, "text": " A", "finish_reason": "length", "logprobs": {
                "tokens": [" A"], "token_logprobs": [-0.25], "top_logprobs": [{ " A": -0.25, " B": -2.5 }] } }],
        })),
    });
    let item = ChoiceItem {
        context: ModelContext::Raw("Which?".to_owned()),
        continuations: vec![" B".to_owned(), " A".to_owned()],
        draw: 0,
    };
    let (reply, _) = server.model().ask(&ModelCall::Choose(vec![item], Evidence::LogProbabilities));
    let ModelReply::Chosen(outcomes) = reply else { panic!("{reply:?}") };
    assert_eq!(outcomes[0].as_ref().unwrap().log_probabilities, [-2.5, -0.25]);
}

/// As llama.cpp's server does it: ids are bytes, and a byte's log-probability is a function of it and of the one before.
fn llama(listed_is_off_by: f64) -> Server {
    let value = |before: u64, id: u64| -((before % 7 + id % 11) as f64) / 10.0 - 0.1;
    Server::start(move |request: &Request| match request.path.as_str() {
        "/tokenize" => {
            let text = request.body["content"].as_str().unwrap_or_default();
            json_of(&json!({ "tokens": text.bytes().collect::<Vec<u8>>() }))
        }
        "/apply-template" => {
            let text = request.body["messages"][0]["content"].as_str().unwrap_or_default();
            json_of(&json!({ "prompt": format!("<{text}>") }))
        }
        _ => {
            let before = request.body["prompt"].as_array().and_then(|ids| ids.last()?.as_u64()).unwrap_or(0);
            let forced = request.body["logit_bias"].as_object().and_then(|bias| bias.keys().next()?.parse().ok());
            let id = forced.unwrap_or(65);
            let off = if forced.is_none() { listed_is_off_by } else { 0.0 };
            let entry = json!({ "id": id, "token": "x", "logprob": value(before, id) + off });
            let mut first = entry.clone();
            first["top_logprobs"] = json!([entry]);
            json_of(
                &json!({ "model": "tiny", "choices": [{ "index": 0, "text": "x", "logprobs": { "content": [first] } }] }),
            )
        }
    })
}

#[test]
fn a_server_that_says_ids_is_asked_token_by_token() {
    let server = llama(0.0);
    let value = |before: u8, id: u8| -(f64::from(before % 7) + f64::from(id % 11)) / 10.0 - 0.1;
    let mut item = choice("Which?");
    item.continuations = vec!["AB".to_owned(), "C".to_owned()];
    let (reply, usage) = server.model().ask(&ModelCall::Choose(vec![item], Evidence::LogProbabilities));
    let ModelReply::Chosen(outcomes) = reply else { panic!("{reply:?}") };
    let expected = [value(b'>', b'A') + value(b'A', b'B'), value(b'>', b'C')];
    let found = &outcomes[0].as_ref().unwrap().log_probabilities;
    assert!(found.iter().zip(expected).all(|(one, other)| (one - other).abs() < 1e-12), "{found:?} {expected:?}");
    // Three for the way; a template, a context, two texts, three tokens.
    assert_eq!(usage.requests, 3 + 1 + 1 + 2 + 3);
    let asked = server.requests();
    assert!(
        asked.iter().filter(|one| one.path == "/v1/completions").all(|one| one.body["cache_prompt"] == json!(false))
    );
}

#[test]
fn a_server_whose_two_ways_disagree_is_refused() {
    let server = llama(1.0);
    let (reply, _) = server.model().ask(&ModelCall::Choose(vec![choice("?")], Evidence::LogProbabilities));
    let ModelReply::Chosen(outcomes) = reply else { panic!("{reply:?}") };
    let fault = outcomes[0].as_ref().unwrap_err();
    assert!(fault.kind == FaultKind::NotSupported && fault.reason.contains("cannot be trusted"), "{fault:?}");
}

#[test]
fn completions_say_how_they_ended() {
    let server = Server::start(|request| {
        let reason = request.body["messages"][0]["content"].as_str().unwrap_or("stop");
        json_of(&json!({ "model": "tiny-2026-01-01", "usage": { "prompt_tokens": 3, "completion_tokens": 5 },
            "choices": [{ "index": 0, "message": { "content": "so" }, "finish_reason": reason }] }))
    });
    let item = |text: &str| CompletionItem {
        context: choice(text).context,
        max_new_tokens: 8,
        temperature: 0.5,
        top_p: 0.9,
        draw: (1 << 40) + 5,
    };
    let call = ModelCall::Complete(["stop", "length", "content_filter"].map(item).to_vec());
    let (reply, usage) = server.model().ask(&call);
    let ModelReply::Completed(outcomes) = reply else { panic!("{reply:?}") };
    let told = |at: usize| outcomes[at].as_ref().map(|one| (one.text.as_str(), one.finished, one.token_count)).ok();
    assert_eq!((told(0), told(1)), (Some(("so", true, 5)), Some(("so", false, 5))));
    assert!(outcomes[2].as_ref().is_err_and(|fault| fault.reason.contains("content_filter")));
    assert_eq!((usage.prompt_tokens, usage.completion_tokens), (9, 15));
    let body = &server.requests()[0].body;
    assert_eq!((&body["seed"], &body["temperature"]), (&json!(5), &json!(0.5)));
}

#[test]
fn embeddings_are_one_vector_a_text() {
    let server = Server::start(|request| {
        let vector = match request.body["input"][0].as_str() {
            Some("good") => json!([0.5, -1]),
            // A vector a token.
            Some("tokens") => json!([[0.5], [1.0]]),
            _ => json!([]),
        };
        json_of(&json!({ "model": "tiny", "data": [{ "index": 0, "embedding": vector }] }))
    });
    let texts = ["good", "tokens", "none"].map(str::to_owned).to_vec();
    let (reply, _) = server.model().ask(&ModelCall::Embed(texts));
    let ModelReply::Embedded(outcomes) = reply else { panic!("{reply:?}") };
    assert_eq!(outcomes[0].as_ref().unwrap().vector, [0.5, -1.0]);
    assert!(
        outcomes[1..].iter().all(|outcome| outcome.as_ref().is_err_and(|fault| fault.kind == FaultKind::Malformed))
    );
}

#[test]
fn a_model_by_another_name_is_taken_where_that_was_said() {
    let server = Server::start(|request| {
        if request.path == "/tokenize" {
            return Sent::Status(404, String::new());
        }
        let mut said: Json = listing(&[("A", -0.5), ("B", -1.0)]);
        said["model"] = json!("/models/tiny.gguf");
        json_of(&said)
    });
    let settings = ServedSettings { responds_as: Some("/models/tiny.gguf".to_owned()), ..server.settings() };
    let model = ServedModel::new(settings, Budget::new(None, 0));
    let (reply, _) = model.ask(&ModelCall::Choose(vec![choice("?")], Evidence::LogProbabilities));
    assert!(matches!(reply, ModelReply::Chosen(outcomes) if outcomes[0].is_ok()));
}

/// Two batches at once, as a plugin's threads ask them, and two models of one server: never more requests than the limit.
#[test]
fn requests_in_flight_are_counted_for_all_who_ask() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counted = (Arc::clone(&now), Arc::clone(&most));
    let server = Server::start(move |_| {
        let (now, most) = &counted;
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(20));
        now.fetch_sub(1, Ordering::SeqCst);
        json_of(&json!({ "model": "tiny", "data": [{ "index": 0, "embedding": [0.5] }] }))
    });
    let in_flight = Arc::new(InFlight::default());
    let model = |concurrency| {
        let settings = ServedSettings { concurrency, time_out: Duration::from_secs(20), ..server.settings() };
        ServedModel::sharing(settings, Budget::new(None, 0), Arc::clone(&in_flight))
    };
    let (first, second) = (model(3), model(3));
    let texts: Vec<String> = (0..12).map(|number| format!("text {number}")).collect();
    thread::scope(|scope| {
        for model in [&first, &first, &second] {
            let texts = &texts;
            scope.spawn(move || {
                let (outcomes, _) = model.embed(texts, &|_, _| ());
                assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
            });
        }
    });
    assert_eq!((now.load(Ordering::SeqCst), most.load(Ordering::SeqCst)), (0, 3));
}
