//! A rank other than 0: it holds the model, and does what rank 0 orders until that is the end.

use slhf_plan::{FromWorker, RankAssignment, Work};
use slhf_torch_shim::{Meeting, ProcessGroup, Rank};

use super::crew::{SIGN_OF_LIFE, START_TIMEOUT};
use super::exchange::{BETWEEN_ORDERS, Exchange, ExchangeError};
use super::order::Order;
use super::passing::{NotDone, Pairs, Sets, pass_each};
use super::shares::{generate, send_moments, share_of, take_up, update};
use crate::environment;
use crate::error::{WorkerError, chain};
use crate::language::policies::Policies;
use crate::outgoing::Outgoing;

/// Until rank 0 says that it is over, or the ranks lose each other: then another one knows more than this.
pub(crate) fn serve(rank: &RankAssignment, outgoing: &Outgoing) -> Result<(), WorkerError> {
    // Rank 0 tells one that computes for long from one that does nothing any more.
    let signs = outgoing.clone();
    let thread = std::thread::Builder::new().name("signs-of-life".to_owned()).spawn(move || {
        while signs.send(&FromWorker::Progress { run_steps_done: 0 }).is_ok() {
            std::thread::sleep(SIGN_OF_LIFE);
        }
    });
    thread.map_err(|source| WorkerError::Thread { source })?;
    match carry_out(rank) {
        Err(error @ WorkerError::Exchange { .. }) => outgoing.send(&FromWorker::Lost(chain(&error))),
        ended => ended,
    }
}

/// Loads, joins, and carries out orders. What rank 0 is to know of them goes through the group.
fn carry_out(rank: &RankAssignment) -> Result<(), WorkerError> {
    let work = rank.assignment.work().map_err(|source| WorkerError::Plan { source })?;
    let Work::LanguageModel(plan) = work else { return Err(WorkerError::OutOfTurn { expected: "a language model" }) };
    environment::probe(&plan.device.name, plan.device.threads)?;
    let mut policies = Policies::load_share(&plan, share_of(&plan, rank.rank))?;
    let lost = |error: ExchangeError| WorkerError::Exchange { source: error };
    let join = || -> Result<Exchange, ExchangeError> {
        let meeting = Meeting::find(&rank.host, rank.port, START_TIMEOUT)?;
        let group =
            ProcessGroup::join(&meeting, &rank.own_host, Rank { rank: rank.rank, size: rank.size }, START_TIMEOUT)?;
        // Rank 0 alone says who takes too long; should it be gone, its connections are closed.
        Ok(Exchange::new(group, BETWEEN_ORDERS))
    };
    let exchange = join().map_err(lost)?;
    loop {
        let order: Order = exchange.order().map_err(lost)?;
        let done = match order {
            Order::Generate(generate_order) => generate(&mut policies, &exchange, &generate_order).map(drop),
            Order::Pass { micro_batches, first } => {
                pass_each::<Pairs>(&mut policies, &exchange, (&micro_batches, first), None).map(drop)
            }
            Order::PassSets { micro_batches, first } => {
                pass_each::<Sets>(&mut policies, &exchange, (&micro_batches, first), None).map(drop)
            }
            Order::Update(asked) => update(&mut policies, &exchange, &asked).map(drop),
            Order::Save => send_moments(&policies, &exchange).map(drop),
            Order::Restore(state) => take_up(&mut policies, &exchange, &state),
            Order::End => return Ok(()),
        };
        match done {
            // Rank 0 knows, and says it.
            Ok(()) | Err(NotDone::Refused(_)) => {}
            Err(NotDone::Lost(error)) => return Err(lost(error)),
        }
    }
}
