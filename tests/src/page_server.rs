//! `slhf-lab ui` in another process, and raw requests to it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::Lab;

/// Pages that are served until this is dropped.
#[derive(Debug)]
pub struct PageServer {
    process: Child,
    /// What it printed, without the end of the line.
    pub url: String,
}

/// What a server replied.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The lines of the head, in lower case.
    pub head: String,
    /// What follows.
    pub body: String,
}

impl PageServer {
    /// Serves the record of a lab's folder on a free port.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start(lab: &Lab, arguments: &[&str]) -> Self {
        let mut command = lab.command([&["ui"], arguments].concat());
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("slhf-lab starts");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("an address");
        Self { process, url: line.trim_end().to_owned() }
    }

    /// The number of the server's process.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.process.id()
    }

    /// `127.0.0.1:8484`
    #[must_use]
    pub fn host(&self) -> &str {
        let rest = self.url.strip_prefix("http://").unwrap_or(&self.url);
        rest.split('/').next().unwrap_or_default()
    }

    /// A page by its path, as a browser of this machine asks.
    #[must_use]
    pub fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[("Host", self.host())], "")
    }

    /// Any request.
    ///
    /// # Panics
    /// There is no reply.
    #[must_use]
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut stream = TcpStream::connect(self.host().replace("0.0.0.0", "127.0.0.1")).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("set");
        let headers = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect::<Vec<_>>().concat();
        let length = body.len();
        let request =
            format!("{method} {path} HTTP/1.1\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text).expect("a reply");
        let text = String::from_utf8_lossy(&text).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Reply { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    /// The beginning of a reply that does not end.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn first_event(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.host()).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("set");
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host());
        stream.write_all(request.as_bytes()).expect("sent");
        let lines = BufReader::new(stream).lines().map_while(Result::ok);
        lines.into_iter().find(|line| line.starts_with("data:")).expect("an event")
    }
}

impl Drop for PageServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
