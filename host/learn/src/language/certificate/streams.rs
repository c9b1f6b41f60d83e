//! Which random streams the responses of a certificate are drawn from.

use slhf_random::{Purpose, Row, Stream};

use super::certified::CertificatePlace;

/// Which responses of one stream: those to the first of the Leader's, those to its others, those to one of its reference's.
#[derive(Clone, Copy, Debug)]
pub(crate) enum To {
    First = 0,
    Others = 1,
    Reference = 2,
}

impl CertificatePlace {
    /// A row a sample of a prompt.
    pub(crate) fn rows(self, prompt: u32, (stream, to): (Stream, To), samples: std::ops::Range<u32>) -> Vec<Row> {
        let row = |sample: u32| Row {
            purpose: Purpose::CertificateTokens,
            prompt,
            step: self.stream,
            stream,
            round: to as u8,
            sample: sample as u16,
        };
        samples.map(row).collect()
    }

    /// The seed of what is drawn to one response of the Leader's reference: one of its own, so that any number of them draw from different streams.
    pub(crate) fn seed_of(self, response: Row) -> u64 {
        Row { purpose: Purpose::CertificateSeeds, ..response }.draw(self.seed, 0)
    }
}
