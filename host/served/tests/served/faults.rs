//! Every way in which a server misbehaves ends as a named fault, or as a repetition that is counted; never as a number.

use std::time::{Duration, Instant};

use serde_json::json;
use slhf_plan::{Evidence, FaultKind, ModelCall, ModelReply, ModelUsage};
use slhf_served::{Budget, ServedModel, ServedSettings};

use crate::server::{Request, Sent, Server, choice, json_of, listing, settings};

/// What came of asking for one choice.
#[derive(Debug, PartialEq)]
enum Ended {
    Answered(Vec<f64>),
    Fault(FaultKind, String),
}

fn ask(model: &ServedModel) -> (Ended, ModelUsage) {
    ask_with(model, Evidence::LogProbabilities)
}

fn ask_with(model: &ServedModel, evidence: Evidence) -> (Ended, ModelUsage) {
    let started = Instant::now();
    let (reply, usage) = model.ask(&ModelCall::Choose(vec![choice("Which?")], evidence));
    assert!(started.elapsed() < Duration::from_secs(20), "it hung");
    let ModelReply::Chosen(outcomes) = reply else { panic!("{reply:?}") };
    let [outcome] = outcomes.try_into().unwrap();
    let ended = match outcome {
        Ok(choice) => Ended::Answered(choice.log_probabilities),
        Err(fault) => Ended::Fault(fault.kind, fault.reason),
    };
    (ended, usage)
}

/// A server that is no llama.cpp, and does `then` with calls of the interface.
fn server(then: impl Fn(&Request) -> Sent + Send + Sync + 'static) -> Server {
    Server::start(move |request| match request.path.as_str() {
        "/tokenize" => Sent::Status(404, String::new()),
        _ => then(request),
    })
}

fn good() -> Sent {
    json_of(&listing(&[("A", -0.5), ("B", -1.0)]))
}

/// `requests`: those of the interface, without the look for llama.cpp's own.
fn check(then: impl Fn(&Request) -> Sent + Send + Sync + 'static, kind: FaultKind, part: &str, requests: u64) {
    let server = server(then);
    let (ended, usage) = ask(&server.model());
    let Ended::Fault(found, reason) = ended else { panic!("{ended:?} in the place of {part}") };
    assert_eq!(found, kind, "{reason}");
    assert!(reason.contains(part), "{reason}");
    assert!(!reason.contains("0123456789"), "the key: {reason}");
    assert_eq!((usage.requests, usage.items, usage.faults.iter().sum::<u64>()), (requests + 1, 1, 1), "{reason}");
}

#[test]
fn silence_and_slowness_end_in_time() {
    let long = Duration::from_secs(3);
    check(move |_| Sent::Silence(long), FaultKind::TimeOut, "did not respond within 0.4 s; timeout_s", 1);
    let slow = || Sent::Dripping(listing(&[("A", -0.5), ("B", -1.0)]).to_string(), Duration::from_millis(20));
    check(move |_| slow(), FaultKind::TimeOut, "did not respond within 0.4 s", 1);
}

#[test]
fn refusals_are_repeated_only_where_that_can_help() {
    let status =
        |status| move |_: &Request| Sent::Status(status, r#"{"error": {"message": "no", "code": 7}}"#.to_owned());
    check(status(500), FaultKind::Refused, "(500 Internal Server Error: no)", 1);
    check(status(400), FaultKind::Refused, "(400 Bad Request: no)", 1);
    check(status(401), FaultKind::Refused, "(401 Unauthorized: no)", 1);
    check(status(429), FaultKind::Refused, "(429 Too Many Requests: no) (tried 2 times)", 2);
    check(status(503), FaultKind::Refused, "(tried 2 times)", 2);
    check(status(404), FaultKind::NotSupported, "(404 Not Found: no)", 1);
    let detail = |_: &Request| Sent::Status(422, r#"{"detail": [{"msg": "top_k"}]}"#.to_owned());
    check(detail, FaultKind::Refused, r#"[{"msg":"top_k"}]"#, 1);
    check(|_| Sent::Status(400, "plain words".to_owned()), FaultKind::Refused, ": plain words)", 1);
    let far = |_: &Request| Sent::With(429, "Retry-After: 3600", String::new());
    check(far, FaultKind::Refused, "asks for a pause of 3600 s, more than timeout_s", 1);
}

#[test]
fn what_passes_is_repeated_and_counted() {
    for first in [
        || Sent::With(429, "Retry-After: 0", String::new()),
        || Sent::Status(429, String::new()),
        || Sent::Status(502, String::new()),
        || Sent::Raw(Vec::new()),
        || Sent::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"choices\"".to_vec()),
    ] {
        let server = server(move |request| if request.number == 1 { first() } else { good() });
        let (ended, usage) = ask(&server.model());
        assert_eq!(ended, Ended::Answered(vec![-0.5, -1.0]));
        assert_eq!((usage.requests, usage.retries, usage.faults), (3, 1, [0; 6]));
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), (7, 1));
    }
}

#[test]
fn half_a_response_is_none() {
    let half = |_: &Request| Sent::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"choices\": [".to_vec());
    check(half, FaultKind::Refused, "ended the connection", 2);
    check(|_| Sent::Raw(b"\x00\x01\x02 no HTTP\r\n\r\n".to_vec()), FaultKind::Malformed, "as HTTP has it", 2);
    check(|_| Sent::Endless, FaultKind::TooLarge, "more than 32 MiB in one response", 1);
}

#[test]
fn a_response_that_says_something_else_is_no_number() {
    let said = |json: serde_json::Value| move |_: &Request| json_of(&json);
    let text = |text: &'static str| move |_: &Request| Sent::Status(200, text.to_owned());
    check(text("{\"choices\": ["), FaultKind::Malformed, "no JSON", 1);
    check(text("<html>"), FaultKind::Malformed, "no JSON", 1);
    check(said(json!({ "object": "error" })), FaultKind::Malformed, "no choices", 1);
    let mut two = listing(&[("A", -0.5), ("B", -1.0)]);
    let one = two["choices"][0].clone();
    two["choices"] = json!([one, one]);
    check(said(two), FaultKind::Malformed, "2 choices came where one", 1);
    let mut none = listing(&[("A", -0.5)]);
    none["choices"] = json!([]);
    check(said(none), FaultKind::Malformed, "0 choices came", 1);
    let mut other = listing(&[("A", -0.5), ("B", -1.0)]);
    other["choices"][0]["index"] = json!(3);
    check(said(other), FaultKind::Malformed, "1 choices came", 1);
    let mut mistaken = listing(&[("A", -0.5), ("B", -1.0)]);
    mistaken["model"] = json!("/models/other.gguf");
    check(said(mistaken), FaultKind::Malformed, "responds_as = \"/models/other.gguf\"", 1);
    let nan = listing(&[("A", -0.5), ("B", -1.0)]).to_string().replace("-1.0", "NaN");
    check(move |_| Sent::Status(200, nan.clone()), FaultKind::Malformed, "no JSON", 1);
    check(said(listing(&[("A", 0.7), ("B", -1.0)])), FaultKind::Malformed, "0.7 stands where a log-probability", 1);
    let mut null = listing(&[("A", -0.5), ("B", -1.0)]);
    null["choices"][0]["logprobs"]["content"][0]["top_logprobs"][1]["logprob"] = json!(null);
    check(said(null), FaultKind::Malformed, "null stands where a log-probability", 1);
    check(said(listing(&[("A", -0.1), ("C", -3.0)])), FaultKind::NotSupported, "\"B\" is not among its 2 most", 1);
}

#[test]
fn a_server_without_log_probabilities_is_told_so_or_asked_for_frequencies() {
    let silent = |request: &Request| {
        let text = if request.body["seed"] == 2 { "B." } else { "A" };
        let message = json!({ "content": text });
        json_of(
            &json!({ "model": "tiny", "choices": [{ "message": message, "finish_reason": "stop", "logprobs": null }] }),
        )
    };
    check(silent, FaultKind::NotSupported, "gives no log-probabilities", 1);
    let server = server(silent);
    let (ended, usage) = ask_with(&server.model(), Evidence::FrequencyOf(4));
    assert_eq!(ended, Ended::Answered(vec![0.75_f64.ln(), 0.25_f64.ln()]));
    assert_eq!(usage.requests, 6);
}

#[test]
fn no_redirect_is_followed() {
    let elsewhere = Server::start(|_| good());
    let location: &'static str = Box::leak(format!("Location: {}/chat/completions", elsewhere.origin).into_boxed_str());
    for status in [301, 302, 307, 308] {
        check(move |_| Sent::With(status, location, String::new()), FaultKind::Refused, "no redirect is followed", 1);
    }
    assert!(elsewhere.requests().is_empty());
}

#[test]
fn a_server_that_is_not_there_is_a_fault() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}/v1", listener.local_addr().unwrap());
    drop(listener);
    let model = ServedModel::new(ServedSettings { retries: 0, ..settings(&origin) }, Budget::new(None, 0));
    let (ended, _) = ask(&model);
    assert!(
        matches!(&ended, Ended::Fault(FaultKind::Refused, reason) if reason.contains("cannot be reached")),
        "{ended:?}"
    );
}

#[test]
fn a_key_is_sent_and_shown_nowhere() {
    let blunt = |request: &Request| {
        let key =
            request.head.lines().find_map(|line| line.split_once("Bearer ")).map(|(_, key)| key.trim().to_owned());
        Sent::Status(401, format!("{{\"error\": \"Incorrect key: {}\"}}", key.unwrap_or_default()))
    };
    let server = server(blunt);
    let model = server.model();
    let (ended, _) = ask(&model);
    let Ended::Fault(_, reason) = ended else { panic!("{ended:?}") };
    assert!(reason.contains("Incorrect key: [key]"), "{reason}");
    assert!(server.requests().iter().all(|request| request.head.contains("Bearer sk-0123456789abcdefghijklmn")));
    assert!(!format!("{model:?}").contains("0123456789"));
}

#[test]
fn a_spent_budget_asks_nothing_more() {
    let server = server(|_| good());
    let model = ServedModel::new(server.settings(), Budget::new(Some(20), 5));
    let asked: Vec<Ended> = (0..4).map(|_| ask(&model).0).collect();
    let answered = asked.iter().filter(|ended| matches!(ended, Ended::Answered(_))).count();
    let Ended::Fault(FaultKind::OverBudget, reason) = &asked[3] else { panic!("{asked:?}") };
    assert!(reason.contains("the budget of 20 tokens") && reason.contains("--budget-tokens"), "{reason}");
    // What llama.cpp's own call may have cost is counted by its bytes.
    assert!((1..=2).contains(&answered), "{asked:?}");
    let asked_before = server.requests().len();
    ask(&model);
    assert_eq!(server.requests().len(), asked_before);
}
