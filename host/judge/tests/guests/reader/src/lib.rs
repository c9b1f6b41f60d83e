//! `reader`: counts the vowels of both responses, so that every byte of them is read once.

use serde::Deserialize;
use slhf_sdk::{Comparison, Failure, JsonSchema, Manifest, Plugin, Preference, Verdict, manifest};

/// It has none.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameters {}

/// The judge.
#[derive(Debug)]
pub struct Reader;

impl Plugin for Reader {
    type Parameters = Parameters;

    fn manifest() -> Manifest {
        manifest!("the first response's share of the vowels in both").complementary()
    }

    fn new(_: Parameters) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Preference for Reader {
    fn compare(&self, comparison: &Comparison) -> Result<Verdict, Failure> {
        let vowels = |text: &str| text.bytes().filter(|byte| b"aeiou".contains(byte)).count() as f64;
        let (first, second) = (vowels(&comparison.first.text), vowels(&comparison.second.text));
        Ok(Verdict::new(if first + second > 0.0 { first / (first + second) } else { 0.5 }))
    }
}

slhf_sdk::export_preference!(Reader);
