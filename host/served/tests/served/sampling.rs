//! A server that samples: what it is sent, and every way in which it misbehaves as a named fault; never as an invented token.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use slhf_plan::{
    FaultKind, ModelUsage, SampleCall, SampleRow, SampledResponse, SamplerCall, SamplerOutcome, SamplerReply, Sampling,
};
use slhf_served::{Budget, InFlight, ServedSampler};

use crate::server::{Request, Sent, Server, json_of};

const END: u32 = 2;

fn sampler(server: &Server) -> ServedSampler {
    ServedSampler::sharing(server.settings(), Budget::new(None, 0), Arc::<InFlight>::default())
}

fn call(rows: u32) -> SamplerCall {
    SamplerCall::Sample(Box::new(SampleCall {
        adapter: Some("slhf-1".to_owned()),
        rows: (0..rows).map(|row| SampleRow { context: vec![5, 6 + row], seed: u64::from(row) << 40 }).collect(),
        sampling: Sampling { temperature: 0.5, top_k: 0, top_p: 1.0, max_new_tokens: 3 },
        end_tokens: vec![END],
        vocabulary: 100,
    }))
}

/// A right response of two tokens.
fn right() -> Json {
    json!({
        "model": "slhf-1",
        "choices": [{
            "index": 0,
            "text": "so",
            "finish_reason": "stop",
            "token_ids": [7, END],
            "prompt_token_ids": null,
            "logprobs": { "tokens": ["so", "</s>"], "token_logprobs": [-0.25, -1.5] },
        }],
        "usage": { "prompt_tokens": 2, "completion_tokens": 2 },
    })
}

fn ask(then: impl Fn(&Request) -> Sent + Send + Sync + 'static, call: &SamplerCall) -> (SamplerOutcome, ModelUsage) {
    let server = Server::start(then);
    let started = Instant::now();
    let asked = sampler(&server).ask(call);
    assert!(started.elapsed() < Duration::from_secs(20), "it hung");
    asked
}

/// `requests`: that were made before it was given up.
fn check(then: impl Fn(&Request) -> Sent + Send + Sync + 'static, kind: FaultKind, part: &str, requests: u64) {
    let (outcome, usage) = ask(then, &call(1));
    let fault = outcome.expect_err(part);
    assert_eq!(fault.kind, kind, "{fault}");
    assert!(fault.reason.contains(part), "{fault}");
    assert!(!fault.reason.contains("0123456789"), "the key: {fault}");
    assert_eq!((usage.requests, usage.items, usage.faults.iter().sum::<u64>()), (requests, 1, 1), "{fault}");
}

/// A right response but for one field, which is a fault and no reason to ask again.
fn wrong(change: impl Fn(&mut Json) + Send + Sync + 'static, kind: FaultKind, part: &str) {
    let mut response = right();
    change(&mut response);
    check(move |_| json_of(&response), kind, part, 1);
}

#[test]
fn every_row_is_a_request_with_its_own_seed_and_nothing_is_left_to_the_server() {
    let server = Server::start(|request| {
        let mut response = right();
        response["choices"][0]["prompt_token_ids"] = request.body["prompt"].clone();
        // Which row it is for: the last token of its context.
        response["choices"][0]["token_ids"] = json!([request.body["prompt"][1], END]);
        json_of(&response)
    });
    let (outcome, usage) = sampler(&server).ask(&call(9));
    let row =
        |row: u32| SampledResponse { tokens: vec![6 + row, END], log_probabilities: vec![-0.25, -1.5], finished: true };
    assert_eq!(outcome, Ok(SamplerReply::Sampled((0..9).map(row).collect())));
    assert_eq!((usage.calls, usage.items, usage.requests, usage.completion_tokens), (1, 9, 9, 18));
    let mut requests = server.requests();
    requests.sort_by_key(|request| request.body["prompt"][1].as_u64());
    for (row, request) in requests.iter().enumerate() {
        assert_eq!(request.path, "/v1/completions");
        let sent = json!({
            "model": "slhf-1", "prompt": [5, 6 + row], "max_tokens": 3, "temperature": 0.5, "top_p": 1.0, "top_k": 0, "min_p": 0.0,
            "repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0, "seed": (row as u64) << 40,
            "ignore_eos": true, "stop_token_ids": [END], "logprobs": 1, "return_token_ids": true,
        });
        assert_eq!(request.body, sent);
    }
}

#[test]
fn what_is_no_sample_is_a_fault() {
    use FaultKind::{Malformed, NotSupported, Refused};
    wrong(|it| it["choices"] = json!([]), Malformed, "0 choices came where one was asked for");
    wrong(|it| it["choices"] = json!([it["choices"][0], it["choices"][0]]), Malformed, "2 choices came");
    wrong(|it| it["choices"] = Json::Null, Malformed, "its response has no choices");
    wrong(
        |it| it["model"] = json!("tiny"),
        Malformed,
        "it responds as \"tiny\" where the adapter \"slhf-1\" was asked",
    );
    wrong(|it| it["model"] = Json::Null, Malformed, "other weights than the trained ones");
    wrong(
        |it| it["choices"][0]["token_ids"] = json!([7, 100]),
        Malformed,
        "the token 100, where the model here has 100",
    );
    wrong(|it| it["choices"][0]["token_ids"] = json!([-1, END]), Malformed, "the token -1");
    wrong(|it| it["choices"][0]["token_ids"] = json!(["7", END]), Malformed, "the token \"7\"");
    wrong(|it| it["choices"][0]["token_ids"] = json!([]), Malformed, "a response without a token");
    wrong(|it| it["choices"][0]["token_ids"] = json!([7, 7, 7, END]), Malformed, "4 tokens came where at most 3");
    wrong(
        |it| it["choices"][0]["token_ids"] = Json::Null,
        NotSupported,
        "return_token_ids is there from vLLM 0.10.2 on",
    );
    wrong(|it| it["choices"][0]["prompt_token_ids"] = json!([6]), Malformed, "it read other tokens than it was sent");
    wrong(|it| it["choices"][0]["token_ids"] = json!([END, 7]), Malformed, "goes on after a token that ends it");
    wrong(
        |it| it["choices"][0]["token_ids"] = json!([7, 8]),
        Malformed,
        "ended after 2 of 3 tokens without an end token",
    );
    wrong(|it| it["choices"][0]["logprobs"] = Json::Null, NotSupported, "no log-probabilities, which were asked for");
    let listed = |values: Json| move |it: &mut Json| it["choices"][0]["logprobs"]["token_logprobs"] = values.clone();
    wrong(listed(json!([-0.25])), Malformed, "1 log-probabilities of 2 tokens");
    wrong(listed(json!([-0.25, null])), Malformed, "null stands where a log-probability was asked for");
    wrong(listed(json!([-0.25, 0.5])), Malformed, "0.5 stands where a log-probability was asked for");
    wrong(listed(json!([-0.25, "NaN"])), Malformed, "stands where a log-probability was asked for");
    wrong(listed(json!([-9999.0, -0.25])), Malformed, "-9999.0 for a token that it sampled");
    wrong(
        |it| it["choices"][0]["finish_reason"] = json!("abort"),
        Refused,
        "gave the response up (finish_reason \"abort\")",
    );
    wrong(|it| it["choices"][0]["finish_reason"] = json!("error"), Refused, "gave the response up");
    let nan = right().to_string().replace("-0.25", "NaN");
    check(move |_| Sent::Status(200, nan.clone()), Malformed, "its response is no JSON", 1);
}

#[test]
fn rounding_above_zero_is_no_fault_and_stays_no_probability_above_one() {
    let mut response = right();
    response["choices"][0]["logprobs"]["token_logprobs"] = json!([1e-7, -0.5]);
    let (outcome, _) = ask(move |_| json_of(&response), &call(1));
    let Ok(SamplerReply::Sampled(sampled)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(sampled[0].log_probabilities, [0.0, -0.5]);
}

#[test]
fn a_server_that_is_ill_ends_in_time_and_is_asked_again_where_that_can_help() {
    use FaultKind::{Malformed, Refused, TimeOut, TooLarge};
    let status = |status| move |_: &Request| Sent::Status(status, r#"{"error": {"message": "no"}}"#.to_owned());
    check(status(500), Refused, "(500 Internal Server Error: no)", 1);
    check(status(404), Refused, "it has lost the adapter \"slhf-1\"; was it started anew?", 1);
    check(status(429), Refused, "(429 Too Many Requests: no) (tried 2 times)", 2);
    check(status(503), Refused, "(tried 2 times)", 2);
    check(|_| Sent::Silence(Duration::from_secs(3)), TimeOut, "did not respond within 0.4 s; timeout_s", 1);
    let slow = || Sent::Dripping(right().to_string(), Duration::from_millis(20));
    check(move |_| slow(), TimeOut, "did not respond within 0.4 s", 1);
    check(|_| Sent::Status(200, r#"{"choices": [{"tok"#.to_owned()), Malformed, "its response is no JSON", 1);
    let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{\"choices\"".to_vec();
    check(move |_| Sent::Raw(cut.clone()), Refused, "ended the connection", 2);
    let endless = Server::start(|_| Sent::Endless);
    let mut settings = endless.settings();
    settings.time_out = Duration::from_secs(10);
    let sampler = ServedSampler::sharing(settings, Budget::new(None, 0), Arc::default());
    let fault = sampler.ask(&call(1)).0.expect_err("it has no end");
    assert_eq!((fault.kind, fault.reason.contains("more than 32 MiB")), (TooLarge, true), "{fault}");
    let gone = Server::start(|_| Sent::Raw(Vec::new()));
    let mut settings = gone.settings();
    settings.origin = "http://127.0.0.1:1/v1".parse().unwrap();
    let fault = ServedSampler::sharing(settings, Budget::new(None, 0), Arc::default()).ask(&call(1)).0;
    assert!(fault.is_err_and(|fault| fault.reason.contains("cannot be reached")));
    // One refusal for the moment is no fault, and is counted.
    let once = |request: &Request| match request.number {
        0 => Sent::Status(429, String::new()),
        _ => json_of(&right()),
    };
    let (outcome, usage) = ask(once, &call(1));
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!((usage.requests, usage.retries), (2, 1));
}

#[test]
fn the_first_row_that_fails_is_what_is_told_and_the_others_are_asked_no_more() {
    let server = Server::start(|_| Sent::Status(500, "the engine is dead".to_owned()));
    let (outcome, usage) = sampler(&server).ask(&call(200));
    assert!(outcome.is_err_and(|fault| fault.reason.contains("the engine is dead")));
    // As many as are in flight at once have been sent by then.
    assert!(usage.requests <= 8, "{usage:?}");
}

#[test]
fn adapters_are_loaded_and_let_go_by_the_documented_calls() {
    let load = SamplerCall::Load { adapter: "a".to_owned(), folder: "/checkpoints/a".to_owned(), rank: 64 };
    let unload = SamplerCall::Unload { adapter: "a".to_owned() };
    let server = Server::start(|_| Sent::Status(200, "Success: LoRA adapter 'a' added successfully.".to_owned()));
    assert_eq!(sampler(&server).ask(&load).0, Ok(SamplerReply::Done));
    assert_eq!(sampler(&server).ask(&unload).0, Ok(SamplerReply::Done));
    let [loaded, unloaded] = &server.requests()[..] else { panic!("two requests") };
    assert_eq!(loaded.path, "/v1/load_lora_adapter");
    // Without `load_inplace`: names are new.
    assert_eq!(loaded.body, json!({ "lora_name": "a", "lora_path": "/checkpoints/a" }));
    assert_eq!((&*unloaded.path, &unloaded.body), ("/v1/unload_lora_adapter", &json!({ "lora_name": "a" })));

    let refused = |status, words: &'static str| ask(move |_| Sent::Status(status, words.to_owned()), &load).0;
    let check = |status, words, kind, part: &str| {
        let fault = refused(status, words).expect_err(part);
        assert_eq!(fault.kind, kind, "{fault}");
        assert!(fault.reason.contains(part), "{fault}");
    };
    let off = r#"{"detail": "Not Found"}"#;
    check(404, off, FaultKind::NotSupported, "started with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True");
    check(404, off, FaultKind::NotSupported, "and see /checkpoints/a (device.sampler.folder_on_server");
    let rank = r#"{"error": {"message": "LoRA rank 64 is greater than max_lora_rank 16."}}"#;
    check(400, rank, FaultKind::Refused, "greater than max_lora_rank 16.): it must see /checkpoints/a");
    check(400, rank, FaultKind::Refused, "take matrices of rank 64 (--max-lora-rank)");
    // The reply to the first order was lost.
    assert!(refused(400, "The lora adapter 'a' has already been loaded.").is_ok());
    // A server that was started anew.
    assert!(ask(|_| Sent::Status(404, String::new()), &unload).0.is_ok());
}

#[test]
fn the_model_must_be_among_those_that_the_server_has() {
    let listed = |models: Json| ask(move |_| json_of(&json!({ "data": models })), &SamplerCall::Look).0;
    let base = json!({ "id": "tiny", "root": "/models/tiny", "parent": null });
    assert_eq!(listed(json!([base])), Ok(SamplerReply::Done));
    let said = |outcome: SamplerOutcome| outcome.expect_err("a fault").reason;
    assert!(said(listed(json!([{ "id": "big" }]))).contains("the server has big; set device.sampler.model"));
    assert!(said(listed(json!([{ "id": "tiny", "parent": "big" }]))).contains("that is an adapter there"));
    assert!(said(listed(Json::Null)).contains("it lists no models"));
    let server = Server::start(|_| json_of(&json!({ "data": [{ "id": "tiny" }] })));
    assert!(sampler(&server).ask(&SamplerCall::Look).0.is_ok());
    let [request] = &server.requests()[..] else { panic!("one request") };
    assert!(request.path == "/v1/models" && request.head.starts_with("GET "), "{}", request.head);
    assert!(request.head.contains("0123456789"), "the server is shown its key");
}

#[test]
fn the_model_without_adapters_responds_by_its_own_name() {
    let asked = |named: Json| {
        let SamplerCall::Sample(mut sample) = call(1) else { panic!("a call for samples") };
        sample.adapter = None;
        let mut response = right();
        response["model"] = named;
        ask(move |_| json_of(&response), &SamplerCall::Sample(sample)).0
    };
    let own = Server::start(|_| Sent::Silence(Duration::ZERO)).settings().model;
    assert!(asked(json!(own)).is_ok());
    // Some servers leave it out.
    assert!(asked(Json::Null).is_ok());
    let fault = asked(json!("another")).expect_err("an alias");
    assert!(fault.reason.contains("set device.sampler.model = \"another\""), "{fault}");
}

#[test]
fn a_budget_ends_sampling() {
    let server = Server::start(|_| json_of(&right()));
    let sampler = ServedSampler::sharing(server.settings(), Budget::new(Some(4), 0), Arc::default());
    assert!(sampler.ask(&call(1)).0.is_ok());
    let fault = sampler.ask(&call(1)).0.expect_err("it is spent");
    assert_eq!(fault.kind, FaultKind::OverBudget, "{fault}");
}
