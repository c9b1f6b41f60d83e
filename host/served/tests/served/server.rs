//! A server on loopback that does what it is told with each request.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value as Json, json};
use slhf_plan::{ChoiceItem, Message, ModelContext};
use slhf_served::{Budget, Key, ServedModel, ServedSettings};

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// From 0.
    pub(crate) number: usize,
    pub(crate) path: String,
    pub(crate) head: String,
    pub(crate) body: Json,
}

/// What is sent back.
pub(crate) enum Sent {
    /// A status with a body.
    Status(u16, String),
    /// Likewise with a header line.
    With(u16, &'static str, String),
    /// Bytes as they are; then the connection ends.
    Raw(Vec<u8>),
    /// Nothing for so long, then the connection ends.
    Silence(Duration),
    /// A body without an end.
    Endless,
    /// An answer, byte by byte, with a pause before each.
    Dripping(String, Duration),
}

pub(crate) fn json_of(value: &Json) -> Sent {
    Sent::Status(200, value.to_string())
}

pub(crate) struct Server {
    pub(crate) origin: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Every request is answered by `answer`, each connection on a thread of its own.
    pub(crate) fn start(answer: impl Fn(&Request) -> Sent + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}/v1", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer, count) = (Arc::clone(&requests), Arc::new(answer), Arc::new(AtomicUsize::new(0)));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (kept, answer, count) = (Arc::clone(&kept), Arc::clone(&answer), Arc::clone(&count));
                thread::spawn(move || serve(&stream, &*answer, &kept, &count));
            }
        });
        Self { origin, requests }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn settings(&self) -> ServedSettings {
        settings(&self.origin)
    }

    pub(crate) fn model(&self) -> ServedModel {
        ServedModel::new(self.settings(), Budget::new(None, 0))
    }
}

pub(crate) fn settings(origin: &str) -> ServedSettings {
    ServedSettings {
        origin: origin.parse().unwrap(),
        model: "tiny".to_owned(),
        responds_as: None,
        key: Key::new("sk-0123456789abcdefghijklmn"),
        concurrency: 4,
        time_out: Duration::from_millis(400),
        retries: 1,
    }
}

fn serve(
    stream: &TcpStream,
    answer: &(impl Fn(&Request) -> Sent + ?Sized),
    kept: &Mutex<Vec<Request>>,
    count: &AtomicUsize,
) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some((path, head, body)) = read(&mut reader) {
        let body = serde_json::from_slice(&body).unwrap_or(Json::Null);
        let request = Request { number: count.fetch_add(1, Ordering::SeqCst), path, head, body };
        kept.lock().unwrap().push(request.clone());
        if !send(stream, answer(&request)) {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<(String, String, Vec<u8>)> {
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
    let path = head.split_whitespace().nth(1)?.to_owned();
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some((path, head, body))
}

/// Whether the connection goes on.
fn send(mut stream: &TcpStream, sent: Sent) -> bool {
    let whole = |status: u16, header: &str, body: &str| {
        format!("HTTP/1.1 {status} X\r\n{header}Content-Length: {}\r\n\r\n{body}", body.len())
    };
    match sent {
        Sent::Status(status, body) => stream.write_all(whole(status, "", &body).as_bytes()).is_ok(),
        Sent::With(status, header, body) => {
            stream.write_all(whole(status, &format!("{header}\r\n"), &body).as_bytes()).is_ok()
        }
        Sent::Raw(bytes) => {
            let _ = stream.write_all(&bytes);
            false
        }
        Sent::Silence(time) => {
            thread::sleep(time);
            false
        }
        Sent::Endless => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            let chunk = format!("{:x}\r\n{}\r\n", 1 << 16, " ".repeat(1 << 16));
            while stream.write_all(chunk.as_bytes()).is_ok() {}
            false
        }
        Sent::Dripping(body, pause) => {
            for byte in whole(200, "", &body).as_bytes() {
                thread::sleep(pause);
                if stream.write_all(&[*byte]).is_err() {
                    return false;
                }
            }
            true
        }
    }
}

/// A chat answer with these tokens listed at its first position.
pub(crate) fn listing(tokens: &[(&str, f64)]) -> Json {
    let entries: Vec<Json> =
        tokens.iter().map(|(token, logprob)| json!({ "token": token, "logprob": logprob, "bytes": null })).collect();
    json!({
        "model": "tiny",
        "choices": [{
            "index": 0,
            "message": { "role": "assistant", "content": "A" },
            "finish_reason": "length",
            "logprobs": { "content": [{ "token": "A", "logprob": -0.5, "top_logprobs": entries }] },
        }],
        "usage": { "prompt_tokens": 7, "completion_tokens": 1 },
    })
}

/// Which of A and B?
pub(crate) fn choice(question: &str) -> ChoiceItem {
    let message = Message { role: "user".to_owned(), content: question.to_owned() };
    ChoiceItem {
        context: ModelContext::Conversation(vec![message]),
        continuations: vec!["A".to_owned(), "B".to_owned()],
        draw: 1,
    }
}
