//! How long a command will still take, from what its parts have taken so far. No clock is read here: whoever asks says what time it is.
//!
//! A piece (a batch group) begins, trains and is evaluated. What each of these costs is guessed from its plan; how far the guess is
//! off is measured, for each of them apart, with what was measured last counting most. What was done before this command (a
//! checkpoint that a run goes on from) is neither work nor time here.

/// The part of a kind's work within which what was measured counts.
const WINDOW: f64 = 0.2;
/// So many steps, or evaluations, count at least.
const WINDOW_UNITS: f64 = 3.0;
/// Part of the whole time that has to be over before anything is said.
const SHARE_MIN: f64 = 0.04;

/// Steps of a piece that are slower than the others: kernels are chosen, memory is taken.
const WARM_UP: f64 = 3.0;

/// What the time goes to.
const KINDS: usize = 3;
/// The worker starts, loads its models, judges its games.
const START: usize = 0;
/// Training.
const STEP: usize = 1;
/// Evaluations.
const EVALUATION: usize = 2;

/// Guessed costs of a piece that is left to do, in seconds of any machine.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Guess {
    /// Of starting.
    pub(crate) start: f64,
    /// Of one step.
    pub(crate) step: f64,
    /// Steps that are left.
    pub(crate) steps: f64,
    /// Of one evaluation on the way.
    pub(crate) evaluation: f64,
    /// Of all evaluations that are left, the last one included.
    pub(crate) evaluations: f64,
}

/// What of a piece was done in this command.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Done {
    /// Steps.
    pub(crate) steps: f64,
    /// Of the guessed cost of its evaluations.
    pub(crate) evaluated: f64,
}

/// How a piece ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// All of it was done.
    Done,
    /// What was left of it will not be done.
    Broken,
}

/// Time that was measured against what was guessed of it.
#[derive(Clone, Copy, Debug, Default)]
struct Measured {
    seconds: f64,
    guessed: f64,
}

impl Measured {
    /// What was measured before counts less, the more work has been done since.
    fn add(&mut self, seconds: f64, guessed: f64, window: f64) {
        let kept = if window > 0.0 { (-guessed / window).exp() } else { 0.0 };
        self.seconds = self.seconds * kept + seconds;
        self.guessed = self.guessed * kept + guessed;
    }

    fn ratio(&self) -> Option<f64> {
        (self.guessed > 0.0).then(|| self.seconds / self.guessed)
    }
}

#[derive(Clone, Debug)]
struct Piece {
    guess: Guess,
    left: [f64; KINDS],
    measured: [Measured; KINDS],
    /// Since when nothing was heard of it; `None`: it has not begun, or it has ended.
    heard: Option<f64>,
    has_ended: bool,
    done: Done,
    /// How often something was done.
    events: u32,
}

impl Piece {
    /// How many times are no measure of those to come.
    fn warming_up(&self) -> u32 {
        (self.guess.steps / 10.0).clamp(1.0, WARM_UP) as u32
    }

    /// Whether its speed is known, or it is over.
    fn is_measured(&self) -> bool {
        self.has_ended || self.events > self.warming_up()
    }
}

/// The estimate of one command.
#[derive(Clone, Debug)]
pub(crate) struct TimeLeft {
    pieces: Vec<Piece>,
    lanes: f64,
    whole: [f64; KINDS],
    measured: [Measured; KINDS],
    began: Option<f64>,
}

impl TimeLeft {
    /// Pieces that are computed on so many lanes at once.
    pub(crate) fn new(guesses: &[Guess], lanes: usize) -> Self {
        let piece = |guess: &Guess| Piece {
            guess: *guess,
            left: [guess.start, guess.step * guess.steps, guess.evaluations],
            measured: [Measured::default(); KINDS],
            heard: None,
            has_ended: false,
            done: Done::default(),
            events: 0,
        };
        let pieces: Vec<Piece> = guesses.iter().map(piece).collect();
        let mut whole = [0.0; KINDS];
        for piece in &pieces {
            (0..KINDS).for_each(|kind| whole[kind] += piece.left[kind]);
        }
        Self { pieces, lanes: lanes.max(1) as f64, whole, measured: [Measured::default(); KINDS], began: None }
    }

    /// A piece begins.
    pub(crate) fn begin(&mut self, piece: usize, now: f64) {
        self.began.get_or_insert(now);
        if let Some(piece) = self.pieces.get_mut(piece) {
            piece.heard = Some(now);
        }
    }

    /// So much of a piece has been done by now.
    pub(crate) fn advance(&mut self, index: usize, done: Done, now: f64) {
        let Some(piece) = self.pieces.get(index) else { return };
        let Some(heard) = piece.heard else { return };
        let steps = (done.steps - piece.done.steps).max(0.0) * piece.guess.step;
        let evaluated = (done.evaluated - piece.done.evaluated).max(0.0);
        if steps <= 0.0 && evaluated <= 0.0 {
            return;
        }
        let guessed = [piece.left[START], steps, evaluated];
        if (1..=piece.warming_up()).contains(&piece.events) {
            // The first time was that of starting too, and the first steps are slow.
            self.pieces[index].measured[STEP] = Measured::default();
        }
        self.spend(index, guessed, (now - heard).max(0.0));
        let piece = &mut self.pieces[index];
        piece.events += 1;
        piece.heard = Some(now);
        piece.done = done;
    }

    /// A piece has ended.
    pub(crate) fn end(&mut self, index: usize, ending: Ending, now: f64) {
        let Some(piece) = self.pieces.get(index) else { return };
        if let (Some(heard), Ending::Done) = (piece.heard, ending) {
            self.spend(index, piece.left, (now - heard).max(0.0));
        }
        let piece = &mut self.pieces[index];
        piece.left = [0.0; KINDS];
        piece.heard = None;
        piece.has_ended = true;
    }

    /// Shares a measured time out among the kinds of work that it went to, by what is known of them.
    fn spend(&mut self, index: usize, guessed: [f64; KINDS], seconds: f64) {
        let expected: Vec<f64> =
            (0..KINDS).map(|kind| guessed[kind] * self.ratio(&self.pieces[index], kind).unwrap_or(1.0)).collect();
        let sum: f64 = expected.iter().sum();
        let piece = &mut self.pieces[index];
        for kind in 0..KINDS {
            if guessed[kind] <= 0.0 || sum <= 0.0 {
                continue;
            }
            let unit = [0.0, piece.guess.step, piece.guess.evaluation][kind];
            let spent = seconds * expected[kind] / sum;
            let own = piece.guess.whole(kind);
            piece.measured[kind].add(spent, guessed[kind], (WINDOW * own).max(WINDOW_UNITS * unit));
            self.measured[kind].add(spent, guessed[kind], (WINDOW * self.whole[kind]).max(WINDOW_UNITS * unit));
            piece.left[kind] = (piece.left[kind] - guessed[kind]).max(0.0);
        }
    }

    /// Measured seconds a guessed one: the piece's own where there are any, else all pieces', else those of other work.
    fn ratio(&self, piece: &Piece, kind: usize) -> Option<f64> {
        let others = || {
            let kinds = if kind == START { [STEP, EVALUATION] } else { [STEP + EVALUATION - kind, START] };
            kinds.into_iter().find_map(|kind| self.measured[kind].ratio())
        };
        piece.measured[kind].ratio().or_else(|| self.measured[kind].ratio()).or_else(others)
    }

    /// The whole, and what is left of it, in seconds of this machine as far as they are known.
    fn seconds(&self, now: f64) -> (f64, f64, f64) {
        let (mut all, mut left, mut longest) = (0.0, 0.0, 0.0_f64);
        for piece in &self.pieces {
            let cost = |work: &dyn Fn(usize) -> f64| -> f64 {
                (0..KINDS).map(|kind| work(kind) * self.ratio(piece, kind).unwrap_or(1.0)).sum()
            };
            let still = cost(&|kind| piece.left[kind]);
            // What is under way has been for a while.
            let under_way = piece.heard.map_or(0.0, |heard| (now - heard).max(0.0)).min(still);
            all += cost(&|kind| piece.guess.whole(kind));
            left += still - under_way;
            longest = longest.max(still - under_way);
        }
        (all, left, longest)
    }

    /// The part of the work that is done, from 0 to 1.
    pub(crate) fn share(&self, now: f64) -> f64 {
        let (all, left, _) = self.seconds(now);
        if self.pieces.iter().all(|piece| piece.has_ended) {
            1.0
        } else if all > 0.0 {
            (1.0 - left / all).clamp(0.0, 1.0)
        } else {
            0.0
        }
    }

    /// Seconds left; `None` while too little was seen to say so.
    pub(crate) fn left(&self, now: f64) -> Option<f64> {
        let over = now - self.began?;
        if !self.pieces.iter().any(Piece::is_measured) {
            return None;
        }
        let (_, left, longest) = self.seconds(now);
        let left = (left / self.lanes).max(longest);
        (over >= SHARE_MIN * (over + left)).then_some(left)
    }
}

impl Guess {
    fn whole(&self, kind: usize) -> f64 {
        [self.start, self.step * self.steps, self.evaluations][kind]
    }
}

#[cfg(test)]
mod tests;
