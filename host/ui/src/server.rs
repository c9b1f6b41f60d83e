//! Requests and replies.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::stream::{self, Stream};

use crate::error::UiError;
use crate::frame;
use crate::guard::{Access, COOKIE, Guard};
use crate::site::{Query, Site, ViewError};

/// How often it is looked whether there is something new.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Of a form: tags and a note.
const FORM_BYTES_MAX: usize = 64 << 10;

/// An address that is listened on, before anything is answered.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    guard: Guard,
}

struct Shared {
    site: Arc<dyn Site>,
    guard: Guard,
}

/// Listens on an address.
///
/// # Errors
/// The address is taken, or is not loopback's without a token.
pub fn bind(address: SocketAddr, access: Access) -> Result<Bound, UiError> {
    if matches!(access, Access::Loopback) && !address.ip().is_loopback() {
        return Err(UiError::NotLoopback { address });
    }
    let failed = |source| UiError::Listen { address, source };
    let listener = TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok(Bound { listener, guard: Guard { address, access } })
}

impl Bound {
    /// Where, with the port that the system chose.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.guard.address
    }

    /// What is to be opened in a browser.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.guard.access {
            Access::Loopback => format!("http://{}/", self.guard.address),
            Access::Token(token) => format!("http://{}/#{}", self.guard.address, token.text()),
        }
    }

    /// Answers until the process ends.
    ///
    /// # Errors
    /// The system refuses to go on.
    pub fn serve(self, site: Arc<dyn Site>) -> Result<(), UiError> {
        let failed = |source| UiError::Serve { source };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let shared = Arc::new(Shared { site, guard: self.guard });
        let listener = self.listener;
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
            axum::serve(listener, router(shared)).await.map_err(failed)
        })
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/session", post(session))
        .route("/events", get(events))
        .fallback(get(page).post(change))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), let_in))
        .route("/style.css", get(async || asset("text/css", frame::style())))
        .route("/ui.js", get(async || asset("text/javascript", frame::SCRIPT.to_owned())))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), guarded))
        .with_state(shared)
}

/// Refuses other sites, and says what a browser may do with a reply.
async fn guarded(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let mut response = match shared.guard.check(request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err((status, why)) => (status, why).into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in [
        ("content-security-policy", frame::POLICY),
        ("x-content-type-options", "nosniff"),
        // With `no-referrer` a browser would send forms of our own pages with the origin `null`.
        ("referrer-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cache-control", "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Asks for the token where there is one.
async fn let_in(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    if shared.guard.is_let_in(request.headers()) || request.uri().path() == "/session" {
        return next.run(request).await;
    }
    (StatusCode::UNAUTHORIZED, html(frame::text(frame::door()))).into_response()
}

fn asset(kind: &'static str, text: String) -> Response {
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

fn html(text: String) -> Response {
    asset("text/html; charset=utf-8", text)
}

/// Trades the token for a cookie that no script can read and no other site sends.
async fn session(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let brought = std::str::from_utf8(&body).unwrap_or_default().trim();
    match &shared.guard.access {
        Access::Token(token) if token.is(brought) => {
            let cookie = format!("{COOKIE}={}; HttpOnly; SameSite=Strict; Path=/", token.text());
            ([(header::SET_COOKIE, cookie)], "").into_response()
        }
        _ => (StatusCode::UNAUTHORIZED, "the token is another one").into_response(),
    }
}

async fn page(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    let path = parts(uri.path());
    let query = Query::new(pairs(uri.query().unwrap_or_default()));
    let site = Arc::clone(&shared.site);
    let made = tokio::task::spawn_blocking(move || {
        let version = site.version();
        let found = site.view(&path, &query);
        let (status, view) = match found {
            Ok(view) => (StatusCode::OK, view),
            Err(error) => refused(&error),
        };
        let own = format!("/{}", path.join("/"));
        (status, frame::text(frame::page(&view, &site.links(), &own, &version)))
    });
    match made.await {
        Ok((status, text)) => (status, html(text)).into_response(),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "this page could not be made").into_response(),
    }
}

fn refused(error: &ViewError) -> (StatusCode, crate::site::View) {
    let (status, title) = match error {
        ViewError::NotFound(_) => (StatusCode::NOT_FOUND, "Nothing is here"),
        ViewError::BadRequest(_) => (StatusCode::BAD_REQUEST, "This address is not understood"),
        ViewError::Failed(_) => (StatusCode::INTERNAL_SERVER_ERROR, "The record cannot be read"),
    };
    (status, frame::sentence(title, &error.to_string()))
}

async fn change(State(shared): State<Arc<Shared>>, uri: Uri, body: Bytes) -> Response {
    if body.len() > FORM_BYTES_MAX {
        return (StatusCode::PAYLOAD_TOO_LARGE, "a note has at most 64 KiB").into_response();
    }
    let (path, form) = (parts(uri.path()), Query::new(pairs(std::str::from_utf8(&body).unwrap_or_default())));
    let site = Arc::clone(&shared.site);
    match tokio::task::spawn_blocking(move || site.change(&path, &form)).await {
        Ok(Ok(change)) => (StatusCode::SEE_OTHER, [(header::LOCATION, change.path)], "").into_response(),
        Ok(Err(error)) => {
            let (status, _) = refused(&error);
            let view = frame::sentence("Nothing was written", &error.to_string());
            (status, html(frame::text(frame::page(&view, &shared.site.links(), "", "")))).into_response()
        }
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "this could not be written").into_response(),
    }
}

/// A line whenever there may be something new.
async fn events(
    State(shared): State<Arc<Shared>>,
    _headers: HeaderMap,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let stream = stream::unfold((shared, String::new()), async |(shared, known)| {
        loop {
            let site = Arc::clone(&shared.site);
            let version = tokio::task::spawn_blocking(move || site.version()).await.unwrap_or_default();
            if version != known {
                return Some((Ok(Event::default().data(version.clone())), (shared, version)));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    });
    Sse::new(stream).keep_alive(KeepAlive::default())
}

/// Of an address, decoded; empty ones are left out.
fn parts(path: &str) -> Vec<String> {
    path.split('/').filter(|part| !part.is_empty()).map(decoded).collect()
}

fn pairs(query: &str) -> Vec<(String, String)> {
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(&key.replace('+', " ")), decoded(&value.replace('+', " ")))
    };
    query.split('&').filter(|pair| !pair.is_empty()).map(pair).collect()
}

/// `%XX` as the bytes that they are; what is no UTF-8 is shown as such.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        match (bytes[at], hex.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_decoded() {
        assert_eq!(parts("/experiment/a%2Fb/%CE%BA//"), ["experiment", "a/b", "κ"]);
        assert_eq!(decoded("100%"), "100%");
        assert_eq!(decoded("%zz%4"), "%zz%4");
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(pairs("q=a+b%2Bc&x&y="), [pair("q", "a b+c"), pair("x", ""), pair("y", "")]);
    }
}
