//! `slhf-lab ui`: the record in a browser.

mod audits;
mod cells;
mod comparisons;
mod curves;
mod experiments;
mod pages;
mod refusal;
mod remarks;
mod runs;
mod samples;
mod settings;
mod site;

use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;
use slhf_record::OpenMode;
use slhf_ui::{Access, Token};

use self::site::RecordSite;
use super::common::RecordArgument;
use crate::failure::Failure;
use crate::output;

/// Arguments of `ui`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The port on this machine's own address; 0 takes any free one
    #[arg(long, value_name = "PORT", default_value_t = 8484)]
    port: u16,
    /// Another address to listen on, such as 0.0.0.0:8484: whoever opens a page there must bring the token that is
    /// printed with the address
    #[arg(long, value_name = "ADDRESS", conflicts_with = "port")]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    record: RecordArgument,
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    // What is wrong with the record is said here and not in a browser.
    drop(arguments.record.open(OpenMode::Read)?);
    let (address, access) = match arguments.listen {
        Some(address) if address.ip().is_loopback() => (address, Access::Loopback),
        Some(address) => (address, Access::Token(token()?)),
        None => (SocketAddr::from(([127, 0, 0, 1], arguments.port)), Access::Loopback),
    };
    let bound = slhf_ui::bind(address, access).map_err(Failure::failed)?;
    output::print_text(&format!("{}\n", bound.url()))?;
    output::say("open it in a browser; Ctrl-C ends it");
    bound.serve(Arc::new(RecordSite::new(arguments.record.clone()))).map_err(Failure::failed)
}

fn token() -> Result<Token, Failure> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|error| Failure::failed(format!("no random bytes for a token: {error}")))?;
    Ok(Token::new(random))
}
