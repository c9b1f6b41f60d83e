//! Requests: one at a time, in a bounded time, of a bounded size, made again where that can help.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use slhf_plan::{FaultKind, ModelFault, ModelUsage};
use slhf_random::SplitMix64;
use ureq::Agent;
use ureq::http::{Response, StatusCode};

use crate::budget::Budget;
use crate::in_flight::InFlight;
use crate::key::Key;
use crate::origin::Origin;

/// Bytes of a response beyond which it is refused: a whole vocabulary's log-probabilities take 5 MB.
const RESPONSE_BYTES_MAX: u64 = 32 << 20;
/// Characters of a server's own words that are passed on.
const WORDS_MAX: usize = 200;
/// The first pause before a request is made again; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// How a served model is asked.
#[derive(Clone, Debug)]
pub struct ServedSettings {
    /// Where.
    pub origin: Origin,
    /// Which, as the server names it.
    pub model: String,
    /// What the server may call it in its answers, where that is another name.
    pub responds_as: Option<String>,
    /// The key, where one is needed.
    pub key: Option<Key>,
    /// Requests in flight at the server, at least 1, with those of all who share an [`InFlight`].
    pub concurrency: usize,
    /// For one request, from its first byte to the last of its response; pauses before a repetition are no longer than this.
    pub time_out: Duration,
    /// How often a request is made again.
    pub retries: u32,
}

/// One way to one server.
#[derive(Debug)]
pub(crate) struct Client {
    agent: Agent,
    settings: ServedSettings,
    budget: Budget,
    in_flight: Arc<InFlight>,
    usage: Mutex<ModelUsage>,
    /// For the jitter of pauses, which decides no result.
    pauses: AtomicU64,
}

/// What a request sends, and what is to come back.
#[derive(Clone, Copy)]
enum Asked<'a> {
    /// A call of the interface: JSON for JSON, paid in tokens.
    Call(&'a str),
    /// An order: JSON for words, which cost nothing.
    Order(&'a str),
    /// A look, which sends nothing and costs nothing.
    Look,
}

/// What one attempt came to.
enum Attempt {
    Answered(Json),
    /// Another attempt can help; not before so long, where the server says so.
    Again(ModelFault, Option<Duration>),
    /// It cannot.
    Failed(ModelFault),
}

impl Client {
    pub(crate) fn new(settings: ServedSettings, budget: Budget, in_flight: Arc<InFlight>) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(settings.time_out))
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .proxy(None)
            .max_idle_connections(settings.concurrency.max(1))
            .max_idle_connections_per_host(settings.concurrency.max(1))
            .user_agent("slhf-lab")
            .build();
        Self {
            agent: Agent::new_with_config(config),
            settings,
            budget,
            in_flight,
            usage: Mutex::new(ModelUsage::default()),
            pauses: AtomicU64::new(0),
        }
    }

    pub(crate) fn settings(&self) -> &ServedSettings {
        &self.settings
    }

    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// What was counted since it was asked last.
    pub(crate) fn take_usage(&self) -> ModelUsage {
        std::mem::take(&mut *self.usage.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn count(&self, count: impl FnOnce(&mut ModelUsage)) {
        count(&mut self.usage.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// A call of the interface.
    pub(crate) fn post(&self, path: &str, body: &Json) -> Result<Json, ModelFault> {
        self.request(&self.settings.origin.call(path), Asked::Call(&body.to_string()))
    }

    /// An order that is answered in words.
    pub(crate) fn order(&self, path: &str, body: &Json) -> Result<(), ModelFault> {
        self.request(&self.settings.origin.call(path), Asked::Order(&body.to_string())).map(drop)
    }

    /// What the interface lists.
    pub(crate) fn look(&self, path: &str) -> Result<Json, ModelFault> {
        self.request(&self.settings.origin.call(path), Asked::Look)
    }

    /// A call of what llama.cpp's server has beside it.
    pub(crate) fn post_beside(&self, path: &str, body: &Json) -> Result<Json, ModelFault> {
        self.request(&self.settings.origin.beside(path), Asked::Call(&body.to_string()))
    }

    fn request(&self, address: &str, asked: Asked<'_>) -> Result<Json, ModelFault> {
        if let Some(limit) = self.budget.reached() {
            let reason = format!(
                "the budget of {limit} tokens for {} is spent ({} were); `slhf-lab resume --budget-tokens N` goes on with more",
                self.named(),
                self.budget.spent()
            );
            return Err(ModelFault::new(FaultKind::OverBudget, reason));
        }
        let mut pause = FIRST_PAUSE;
        for attempt in 0..=self.settings.retries {
            let request = self.in_flight.enter(self.settings.concurrency.max(1));
            let started = Instant::now();
            let outcome = self.attempt(address, asked);
            drop(request);
            self.count(|usage| {
                usage.requests += 1;
                usage.retries += u64::from(attempt > 0);
                usage.milliseconds += u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            });
            let (fault, pause_asked) = match outcome {
                Attempt::Answered(json) => {
                    if let Asked::Call(sent) = asked {
                        self.count_tokens(&json, sent.len());
                    }
                    return Ok(json);
                }
                Attempt::Failed(fault) => return Err(fault),
                Attempt::Again(fault, pause_asked) => (fault, pause_asked),
            };
            if attempt == self.settings.retries {
                let reason = match attempt {
                    0 => fault.reason,
                    _ => format!("{} (tried {} times)", fault.reason, attempt + 1),
                };
                return Err(ModelFault::new(fault.kind, reason));
            }
            let wait = pause_asked.unwrap_or_else(|| self.jittered(pause));
            if wait > self.settings.time_out.max(FIRST_PAUSE) {
                let reason =
                    format!("{} and asks for a pause of {} s, more than timeout_s", fault.reason, wait.as_secs());
                return Err(ModelFault::new(fault.kind, reason));
            }
            thread::sleep(wait);
            pause = (pause * 2).min(PAUSE_MAX).min(self.settings.time_out.max(FIRST_PAUSE));
        }
        Err(ModelFault::new(FaultKind::Refused, format!("{} was not asked", self.named())))
    }

    /// Half of the pause to all of it, so that requests that failed together do not come again together.
    fn jittered(&self, pause: Duration) -> Duration {
        let count = self.pauses.fetch_add(1, Ordering::Relaxed);
        let seed = count ^ u64::from(std::process::id()) << 32;
        let share = SplitMix64::new(seed).uniform();
        pause.mul_f64(0.5 + 0.5 * share)
    }

    fn attempt(&self, address: &str, asked: Asked<'_>) -> Attempt {
        let key = self.settings.key.as_ref().map(|key| ("Authorization", key.header()));
        let response = match asked {
            Asked::Call(body) | Asked::Order(body) => {
                let request = self.agent.post(address).header("Content-Type", "application/json");
                key.into_iter().fold(request, |request, (name, value)| request.header(name, value)).send(body)
            }
            Asked::Look => {
                let request = self.agent.get(address);
                key.into_iter().fold(request, |request, (name, value)| request.header(name, value)).call()
            }
        };
        match response {
            Ok(response) => self.read(response, asked),
            Err(error) => self.unanswered(&error),
        }
    }

    fn read(&self, mut response: Response<ureq::Body>, asked: Asked<'_>) -> Attempt {
        let status = response.status();
        if status.is_redirection() {
            let reason = format!(
                "{} sends requests elsewhere ({status}); no redirect is followed: name the address itself",
                self.named()
            );
            return Attempt::Failed(ModelFault::new(FaultKind::Refused, reason));
        }
        let pause = response.headers().get("retry-after").and_then(|value| value.to_str().ok()).and_then(seconds);
        let body = response.body_mut().with_config().limit(RESPONSE_BYTES_MAX).read_to_vec();
        let body = match body {
            Ok(body) => body,
            Err(ureq::Error::BodyExceedsLimit(_)) => {
                let reason =
                    format!("{} sent more than {} MiB in one response", self.named(), RESPONSE_BYTES_MAX >> 20);
                return Attempt::Failed(ModelFault::new(FaultKind::TooLarge, reason));
            }
            Err(error) => return self.unanswered(&error),
        };
        if status.is_success() && matches!(asked, Asked::Order(_)) {
            return Attempt::Answered(Json::Null);
        }
        if status.is_success() {
            return match serde_json::from_slice::<Json>(&body) {
                Ok(json) => Attempt::Answered(json),
                Err(error) => Attempt::Failed(self.malformed(&format!("its response is no JSON ({error})"))),
            };
        }
        let words = self.words_of(&body);
        let reason = format!("{} refused the request ({status}{words})", self.named());
        let fault = ModelFault::new(FaultKind::Refused, reason);
        match status {
            // 500 stands for bad requests, too, on the servers that people run: the same request would fail again.
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Attempt::Again(fault, pause),
            StatusCode::NOT_FOUND | StatusCode::NOT_IMPLEMENTED | StatusCode::METHOD_NOT_ALLOWED => {
                Attempt::Failed(ModelFault { kind: FaultKind::NotSupported, ..fault })
            }
            _ => Attempt::Failed(fault),
        }
    }

    /// No response, or half of one.
    fn unanswered(&self, error: &ureq::Error) -> Attempt {
        let named = self.named();
        match error {
            ureq::Error::Timeout(_) => {
                let seconds = self.settings.time_out.as_secs_f64();
                let reason = format!("{named} did not respond within {seconds} s; timeout_s raises that limit");
                Attempt::Failed(ModelFault::new(FaultKind::TimeOut, reason))
            }
            ureq::Error::Io(_) | ureq::Error::ConnectionFailed | ureq::Error::HostNotFound => {
                let reason = format!("{named} cannot be reached, or ended the connection ({error})");
                Attempt::Again(ModelFault::new(FaultKind::Refused, reason), None)
            }
            _ => {
                let words = shortened(&error.to_string());
                let reason = format!("{named} did not respond as HTTP has it ({words})");
                Attempt::Again(ModelFault::new(FaultKind::Malformed, reason), None)
            }
        }
    }

    /// A response that does not say what it should.
    pub(crate) fn malformed(&self, what: &str) -> ModelFault {
        ModelFault::new(FaultKind::Malformed, format!("{}: {}", self.named(), self.hidden(what)))
    }

    /// Something that this server does not do.
    pub(crate) fn not_supported(&self, what: &str) -> ModelFault {
        ModelFault::new(FaultKind::NotSupported, format!("{}: {what}", self.named()))
    }

    /// The model, for messages.
    pub(crate) fn named(&self) -> String {
        format!("the model \"{}\" at {}", self.settings.model, self.settings.origin)
    }

    fn hidden(&self, text: &str) -> String {
        let text = shortened(text);
        self.settings.key.as_ref().map_or_else(|| text.clone(), |key| key.hide_in(&text))
    }

    /// What a server says of its refusal: the four shapes of errors that servers have.
    fn words_of(&self, body: &[u8]) -> String {
        let words = match serde_json::from_slice::<Json>(body) {
            Ok(json) => [&json["error"]["message"], &json["error"], &json["detail"], &json["message"], &json]
                .into_iter()
                .find(|words| !words.is_null())
                .map(|words| words.as_str().map_or_else(|| words.to_string(), str::to_owned))
                .unwrap_or_default(),
            Err(_) => String::from_utf8_lossy(body).into_owned(),
        };
        let words = self.hidden(words.trim());
        if words.is_empty() { words } else { format!(": {words}") }
    }

    /// A server that does not say what it read and wrote still spends: four bytes are taken for a token then.
    fn count_tokens(&self, json: &Json, sent_bytes: usize) {
        let of = |name: &str| json["usage"][name].as_u64();
        let (prompt, completion) = (of("prompt_tokens"), of("completion_tokens"));
        self.budget.spend(match (prompt, completion) {
            (None, None) => sent_bytes as u64 / 4 + 1,
            _ => prompt.unwrap_or(0) + completion.unwrap_or(0),
        });
        self.count(|usage| {
            usage.prompt_tokens += prompt.unwrap_or(0);
            usage.completion_tokens += completion.unwrap_or(0);
        });
    }
}

/// `Retry-After` as a number of seconds; a date is not understood, and the usual pause is taken.
fn seconds(value: &str) -> Option<Duration> {
    let seconds = value.trim().parse::<f64>().ok().filter(|seconds| (0.0..1e9).contains(seconds))?;
    Some(Duration::from_secs_f64(seconds))
}

fn shortened(text: &str) -> String {
    let mut signs = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = signs.char_indices().nth(WORDS_MAX) {
        signs.truncate(end);
        signs.push('…');
    }
    signs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_a_number_of_seconds() {
        assert_eq!(seconds(" 2 "), Some(Duration::from_secs(2)));
        assert_eq!(seconds("0.5"), Some(Duration::from_millis(500)));
        for none in ["", "-1", "NaN", "inf", "Wed, 21 Oct 2015 07:28:00 GMT"] {
            assert_eq!(seconds(none), None, "{none}");
        }
    }

    #[test]
    fn words_of_servers_are_one_short_line() {
        assert_eq!(shortened("a\n  b\tc"), "a b c");
        assert_eq!(shortened(&"ä".repeat(300)), format!("{}…", "ä".repeat(200)));
    }
}
