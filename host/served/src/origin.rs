//! Where a server is: one origin and a path, to which all requests go.

use std::fmt;
use std::str::FromStr;

use ureq::http::Uri;

/// The base of an OpenAI-compatible interface: `http://127.0.0.1:8080/v1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    base: String,
    host: String,
    is_secure: bool,
}

/// Why a text is no such base.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// Not an address.
    #[error("\"{0}\" is no address; expected one like \"http://127.0.0.1:8080/v1\"")]
    NoAddress(String),
    /// Not `http` or `https`.
    #[error("\"{0}\" begins with neither http:// nor https://")]
    OtherScheme(String),
    /// A name and a password before the host.
    #[error("the address holds a user or a password; name the key's variable with key_env instead")]
    HoldsSecret,
    /// A query or a fragment.
    #[error("\"{0}\" has a query (?) or a fragment (#); expected the part before it alone")]
    HasQuery(String),
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let text = text.trim();
        let no_address = || OriginError::NoAddress(text.to_owned());
        if text.split("://").nth(1).and_then(|rest| rest.split('/').next()).is_some_and(|host| host.contains('@')) {
            return Err(OriginError::HoldsSecret);
        }
        if text.contains(['?', '#']) {
            return Err(OriginError::HasQuery(text.to_owned()));
        }
        let address: Uri = text.parse().map_err(|_| no_address())?;
        let is_secure = match address.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(_) => return Err(OriginError::OtherScheme(text.to_owned())),
            None => return Err(no_address()),
        };
        let host = address.host().filter(|host| !host.is_empty()).ok_or_else(no_address)?.to_owned();
        Ok(Self { base: text.trim_end_matches('/').to_owned(), host, is_secure })
    }
}

impl Origin {
    /// The address of a call of the interface.
    pub(crate) fn call(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }

    /// The address of what llama.cpp's server has beside the interface: without `/v1`.
    pub(crate) fn beside(&self, path: &str) -> String {
        format!("{}/{path}", self.base.strip_suffix("/v1").unwrap_or(&self.base))
    }

    /// Whether a key can be sent without others reading it: over TLS, or within this machine.
    #[must_use]
    pub fn keeps_secrets(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let is_here =
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        self.is_secure || is_here
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_an_address_and_nothing_more() {
        let check = |text: &str, expected: Result<(&str, bool), &str>| {
            let found = text.parse::<Origin>();
            let found = found.as_ref().map(|origin| (origin.base.as_str(), origin.keeps_secrets()));
            match expected {
                Ok(expected) => assert_eq!(found.ok(), Some(expected), "{text}"),
                Err(part) => {
                    let said = found.expect_err(text).to_string();
                    assert!(said.contains(part), "{said}");
                }
            }
        };
        check("http://127.0.0.1:8080/v1", Ok(("http://127.0.0.1:8080/v1", true)));
        check(" http://localhost/v1/ ", Ok(("http://localhost/v1", true)));
        check("http://[::1]:8000/v1", Ok(("http://[::1]:8000/v1", true)));
        check("http://10.0.0.7/v1", Ok(("http://10.0.0.7/v1", false)));
        check("https://example.org/v1", Ok(("https://example.org/v1", true)));
        check("http://localhost.example.org/v1", Ok(("http://localhost.example.org/v1", false)));
        check("localhost:8080", Err("no address"));
        check("ftp://localhost/", Err("neither http"));
        check("https://me:secret@example.org/v1", Err("key_env"));
        check("https://example.org/v1?key=1", Err("query"));
        check("", Err("no address"));
    }
}
