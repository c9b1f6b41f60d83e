//! What can go wrong before a page is shown.

use std::net::SocketAddr;

/// Serving failed.
#[derive(Debug, thiserror::Error)]
pub enum UiError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: choose another port with --port (0 takes any free one)")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The address is not this machine's own, and nobody asked for that.
    #[error(
        "{address} can be reached from other machines: say --listen {address} to serve there, which asks every browser for a token"
    )]
    NotLoopback {
        /// Where.
        address: SocketAddr,
    },
    /// Answering stopped.
    #[error("serving pages")]
    Serve {
        /// What the system says.
        source: std::io::Error,
    },
}
