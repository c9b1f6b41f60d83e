//! An OpenAI-compatible server on loopback that says what a test has it say.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde_json::{Value, json};

/// A call of the interface, as it came.
#[derive(Clone, Debug)]
pub struct Call {
    /// With its headers.
    pub head: String,
    /// JSON.
    pub body: Value,
}

/// A server that replies to every request by a function of its head and its body.
#[derive(Debug)]
pub struct Loopback {
    origin: String,
}

impl Loopback {
    /// `answer`: a status and a body; called from a thread a connection.
    ///
    /// # Panics
    /// When there is no port.
    pub fn start(answer: impl Fn(Call) -> (u16, String) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let origin = format!("http://{}/v1", listener.local_addr().expect("an address"));
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let answer = Arc::clone(&answer);
                thread::spawn(move || serve(&stream, &*answer));
            }
        });
        Self { origin }
    }

    /// The base of its interface.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

/// A server that chooses between A and B, by a function of the question.
#[derive(Debug)]
pub struct ChoosingServer {
    loopback: Loopback,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl ChoosingServer {
    /// The log-probability of A is that of a share which `share_of_a` makes of the question; `None`: the call is refused.
    ///
    /// # Panics
    /// When there is no port.
    pub fn start(share_of_a: impl Fn(&str) -> Option<f64> + Send + Sync + 'static) -> Self {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&calls);
        let loopback = Loopback::start(move |call| {
            if !call.head.contains("/chat/completions") {
                return (404, String::new());
            }
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(call.clone());
            let question = call.body["messages"][0]["content"].as_str().unwrap_or_default();
            match share_of_a(question) {
                Some(share) => (200, choice(share).to_string()),
                None => (503, json!({ "error": { "message": "not now" } }).to_string()),
            }
        });
        Self { loopback, calls }
    }

    /// The base of its interface.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.loopback.origin()
    }

    /// Calls so far that asked for a choice.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(mut stream: &TcpStream, answer: &(impl Fn(Call) -> (u16, String) + ?Sized)) {
    let Ok(reading) = stream.try_clone() else { return };
    let mut reader = BufReader::new(reading);
    while let Some((head, body)) = read(&mut reader) {
        let (status, text) = answer(Call { head, body: serde_json::from_slice(&body).unwrap_or_default() });
        let whole = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{text}", text.len());
        if stream.write_all(whole.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    loop {
        let before = head.len();
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
        if head[before..].trim().is_empty() {
            break;
        }
    }
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}

fn choice(share_of_a: f64) -> Value {
    let tokens = [("A", share_of_a.ln()), ("B", (1.0 - share_of_a).ln())];
    let listed: Vec<Value> =
        tokens.iter().map(|(token, logprob)| json!({ "token": token, "logprob": logprob })).collect();
    json!({
        "model": "chooser",
        "choices": [{
            "index": 0,
            "message": { "role": "assistant", "content": "A" },
            "finish_reason": "length",
            "logprobs": { "content": [{ "token": "A", "logprob": tokens[0].1, "top_logprobs": listed }] },
        }],
        "usage": { "prompt_tokens": 100, "completion_tokens": 1 },
    })
}
