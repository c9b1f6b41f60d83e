//! Who is let in: browsers of this machine, and elsewhere whoever brings the token.
//!
//! A page of another origin can make a browser ask here, but it cannot choose the `Host` header, and cannot hide from
//! `Sec-Fetch-Site` and `Origin`: what names another host or comes from another site is refused before anything is read.

use std::fmt;
use std::net::SocketAddr;

use axum::http::{HeaderMap, Method, StatusCode, header};
use sha2::{Digest as _, Sha256};

/// Of the cookie that holds the token.
pub(crate) const COOKIE: &str = "slhf-lab";

/// Who may ask.
#[derive(Clone, Debug)]
pub enum Access {
    /// Browsers of this machine; the address is loopback's.
    Loopback,
    /// Whoever brings the token, wherever they are.
    Token(Token),
}

/// A secret that a browser brings.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(…)")
    }
}

impl Token {
    /// Of 32 random bytes.
    #[must_use]
    pub fn new(random: [u8; 32]) -> Self {
        Self(hex::encode(random))
    }

    /// As it stands in an address.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// In a time that does not depend on where the two differ: their hashes are compared.
    pub(crate) fn is(&self, brought: &str) -> bool {
        let (own, brought) = (Sha256::digest(self.0.as_bytes()), Sha256::digest(brought.as_bytes()));
        own.iter().zip(brought.iter()).fold(0, |difference, (one, other)| difference | (one ^ other)) == 0
    }
}

/// Whose requests are answered.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    pub(crate) address: SocketAddr,
    pub(crate) access: Access,
}

impl Guard {
    /// Refuses what another site sent; the token is looked at apart.
    pub(crate) fn check(&self, method: &Method, headers: &HeaderMap) -> Result<(), (StatusCode, &'static str)> {
        let text = |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
        let host = text(header::HOST).unwrap_or_default();
        if !self.is_own_host(host) {
            return Err((StatusCode::MISDIRECTED_REQUEST, "this server replies to its own address alone"));
        }
        let site = headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
        let is_navigation =
            headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate") && method == Method::GET;
        if matches!(site, Some("cross-site" | "same-site")) && !is_navigation {
            return Err((StatusCode::FORBIDDEN, "a page of another site asked"));
        }
        let origin = text(header::ORIGIN);
        let is_own_origin = |origin: &str| origin.strip_prefix("http://").is_some_and(|rest| rest == host);
        if origin.is_some_and(|origin| !is_own_origin(origin)) {
            return Err((StatusCode::FORBIDDEN, "a page of another origin asked"));
        }
        // Whatever writes says where it comes from: every browser sends one of the two with a form.
        if method != Method::GET && method != Method::HEAD && origin.is_none() && site != Some("same-origin") {
            return Err((StatusCode::FORBIDDEN, "a form without an origin is not followed"));
        }
        Ok(())
    }

    fn is_own_host(&self, host: &str) -> bool {
        let port = self.address.port();
        match &self.access {
            Access::Loopback => ["localhost", "127.0.0.1", "[::1]"].iter().any(|name| host == format!("{name}:{port}")),
            // A machine has many names; the token is what counts, and a cookie belongs to the name that it was set for.
            Access::Token(_) => host.rsplit_once(':').is_some_and(|(_, own)| own == port.to_string()),
        }
    }

    /// Whether the request brings what is asked for.
    pub(crate) fn is_let_in(&self, headers: &HeaderMap) -> bool {
        let Access::Token(token) = &self.access else { return true };
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.any(|(name, value)| name == COOKIE && token.is(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (header::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn other_sites_neither_read_nor_write() {
        let guard = Guard { address: "127.0.0.1:8080".parse().unwrap(), access: Access::Loopback };
        let own = ("host", "127.0.0.1:8080");
        for (method, pairs, is_allowed) in [
            (Method::GET, vec![own], true),
            (Method::GET, vec![("host", "localhost:8080")], true),
            // A name that somebody else lets point to this machine.
            (Method::GET, vec![("host", "evil.example:8080")], false),
            (Method::GET, vec![("host", "127.0.0.1:8081")], false),
            (Method::GET, vec![], false),
            (Method::GET, vec![own, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")], false),
            (Method::GET, vec![own, ("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors")], false),
            // A link on another page may lead here.
            (Method::GET, vec![own, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")], true),
            (Method::GET, vec![own, ("origin", "http://evil.example")], false),
            (Method::POST, vec![own], false),
            (Method::POST, vec![own, ("origin", "http://127.0.0.1:8080")], true),
            (Method::POST, vec![own, ("origin", "http://localhost:8080")], false),
            (Method::POST, vec![own, ("origin", "null")], false),
            (Method::POST, vec![own, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")], false),
            (Method::POST, vec![own, ("sec-fetch-site", "same-origin")], true),
        ] {
            assert_eq!(guard.check(&method, &headers(&pairs)).is_ok(), is_allowed, "{method} {pairs:?}");
        }
    }

    #[test]
    fn a_token_is_asked_for_where_others_can_reach() {
        let token = Token::new([7; 32]);
        let guard = Guard { address: "0.0.0.0:8080".parse().unwrap(), access: Access::Token(token.clone()) };
        let with = |cookie: &str| guard.is_let_in(&headers(&[("cookie", cookie)]));
        assert!(with(&format!("a=b; {COOKIE}={}", token.text())));
        assert!(!with(&format!("{COOKIE}={}", &token.text()[1..])) && !with("") && !with(&format!("{COOKIE}=")));
        assert!(!guard.is_let_in(&HeaderMap::new()));
        assert_eq!(format!("{token:?}"), "Token(…)");
    }
}
