//! `instruction-accuracy`: whether an answer follows its verifiable instructions, as `IFEval` counts it (Zhou et al., arXiv
//! 2311.07911).
//!
//! The instructions come in the metadata of the data row, as `IFEval`'s data has them or as the judge `instructions` takes
//! them ([`instruction_checks`]). The reward is 1 where all were followed strictly, else 0. Its attributes are made to be
//! averaged, each name over all its occurrences in all prompts; the means are then `IFEval`'s four numbers:
//!
//! | attribute | how often | its mean |
//! | --- | --- | --- |
//! | `prompt strict` | once | prompt-level accuracy, strict |
//! | `prompt loose` | once | prompt-level accuracy, loose |
//! | `instruction strict` | for every instruction | instruction-level accuracy, strict |
//! | `instruction loose` | for every instruction | instruction-level accuracy, loose |
//!
//! An answer that the length limit cut off has not followed what its end decides (a number that may not be exceeded, a
//! last phrase): it might have gone on. `IFEval` itself knows no such answers and judges every text as it is; on answers
//! that ended the two are the same. To the lab's own kinds of instructions an answer of mere repetition follows none.

use instruction_checks::{Finding, Instruction, check_parameter, instructions_of, loosely, strictly};
use serde::Deserialize;
use slhf_sdk::{Attribute, Candidate, Failure, JsonSchema, Manifest, Plugin, Reward, Score, manifest};

/// Parameters of `instruction-accuracy`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Parameters {
    /// The instructions of prompts whose metadata has none.
    pub instructions: Vec<Instruction>,
}

/// The reward.
#[derive(Debug)]
pub struct InstructionAccuracy {
    parameters: Parameters,
}

impl Plugin for InstructionAccuracy {
    type Parameters = Parameters;

    fn manifest() -> Manifest {
        manifest!(
            "whether an answer follows all of its prompt's verifiable instructions: IFEval's strict accuracy, with the \
             loose one and those of single instructions as attributes"
        )
        .length_sensitive()
    }

    fn new(parameters: Parameters) -> Result<Self, Failure> {
        check_parameter(&parameters.instructions)?;
        Ok(Self { parameters })
    }
}

impl Reward for InstructionAccuracy {
    fn score(&self, candidate: &Candidate) -> Result<Score, Failure> {
        let instructions = instructions_of(&candidate.metadata, &self.parameters.instructions)?;
        let answer = &candidate.response;
        let findings: Vec<(Finding, Finding)> = instructions
            .iter()
            .map(|instruction| (strictly(instruction, answer), loosely(instruction, answer)))
            .collect();
        let strict = prompt("prompt strict", findings.iter().map(|(strict, _)| strict));
        let loose = prompt("prompt loose", findings.iter().map(|(_, loose)| loose));
        let mut score = Score::new(strict.value).with(strict).with(loose);
        for (instruction, (strict, loose)) in instructions.iter().zip(&findings) {
            score = score.with(single("instruction strict", instruction, strict)).with(single(
                "instruction loose",
                instruction,
                loose,
            ));
        }
        Ok(score)
    }
}

/// Whether all were followed.
fn prompt<'finding>(name: &str, findings: impl ExactSizeIterator<Item = &'finding Finding>) -> Attribute {
    let all = findings.len();
    let followed = findings.filter(|finding| finding.followed).count();
    Attribute::new(name, f64::from(u8::from(followed == all))).because(format!("{followed} of {all} followed"))
}

fn single(name: &str, instruction: &Instruction, finding: &Finding) -> Attribute {
    let reason = format!("{}: {}", instruction.label(), finding.reason);
    Attribute::new(name, f64::from(u8::from(finding.followed))).because(reason)
}

slhf_sdk::export_reward!(InstructionAccuracy);

#[cfg(test)]
mod tests {
    use super::*;
    use instruction_checks::{Accuracy, Strictness};
    use slhf_sdk::{Response, parameters};

    const TWO: &str = r#"{"instructions":[{"kind":"lowercase"},{"kind":"mention","word":"river"}]}"#;
    const IFEVAL: &str = r#"{"instruction_id_list":["length_constraints:number_words","punctuation:no_comma"],
        "kwargs":[{"relation":"less than","num_words":4},{}]}"#;

    fn reward(parameters: &str) -> Result<InstructionAccuracy, Failure> {
        parameters::read(parameters).and_then(InstructionAccuracy::new)
    }

    fn candidate(metadata: &str, response: Response) -> Candidate {
        Candidate { metadata: metadata.to_owned(), ..Candidate::new("Q", response) }
    }

    fn score(metadata: &str, text: &str) -> Score {
        reward("{}").unwrap().score(&candidate(metadata, Response::new(text))).unwrap()
    }

    fn attributes(score: &Score) -> Vec<(&str, f64, &str)> {
        score.attributes.iter().map(|it| (it.name.as_str(), it.value, it.reason.as_str())).collect()
    }

    #[test]
    fn every_prompt_and_every_instruction_counts_once() {
        let followed = score(TWO, "Sure:\nthe river bends");
        assert_eq!(followed.value, 0.0);
        assert_eq!(
            attributes(&followed),
            [
                ("prompt strict", 0.0, "1 of 2 followed"),
                ("prompt loose", 1.0, "2 of 2 followed"),
                ("instruction strict", 0.0, "lowercase: 1 words with capitals"),
                ("instruction loose", 1.0, "lowercase: 0 words with capitals, without the first line"),
                ("instruction strict", 1.0, "mention river: mentioned"),
                ("instruction loose", 1.0, "mention river: mentioned"),
            ]
        );
        assert_eq!(score(TWO, "the river bends").value, 1.0);
    }

    #[test]
    fn rows_of_ifeval_are_taken() {
        let missed = score(IFEVAL, "one, two");
        assert_eq!(
            attributes(&missed)[2..],
            [
                ("instruction strict", 1.0, "length_constraints:number_words less than 4: 2 words"),
                ("instruction loose", 1.0, "length_constraints:number_words less than 4: 2 words"),
                ("instruction strict", 0.0, "punctuation:no_comma: 1 commas"),
                ("instruction loose", 0.0, "punctuation:no_comma: 1 commas"),
            ]
        );
        assert_eq!(score(IFEVAL, "two two two").value, 1.0, "IFEval has nothing against repetition");
        assert_eq!(score(IFEVAL, " \n").value, 0.0, "an empty answer follows nothing");
    }

    #[test]
    fn a_cut_off_answer_might_have_gone_on() {
        let response = Response { finished: false, ..Response::new("one two") };
        let cut_off = reward("{}").unwrap().score(&candidate(IFEVAL, response)).unwrap();
        assert_eq!(cut_off.value, 0.0);
        assert_eq!(cut_off.attributes[2].reason, "length_constraints:number_words less than 4: 2 words, cut off");
        assert_eq!(cut_off.attributes[4].value, 1.0);
    }

    #[test]
    fn the_means_are_the_four_numbers() {
        let rows = [(TWO, "the river bends"), (TWO, "Sure:\nthe river bends"), (IFEVAL, "a, b"), (IFEVAL, "a b c d")];
        let mut accuracy = Accuracy::default();
        let mut attributes = Vec::new();
        for (metadata, text) in rows {
            accuracy.count(&instructions_of(metadata, &[]).unwrap(), &Response::new(text));
            attributes.extend(score(metadata, text).attributes);
        }
        let mean = |name: &str| {
            let values: Vec<f64> = attributes.iter().filter(|it| it.name == name).map(|it| it.value).collect();
            Some(values.iter().sum::<f64>() / values.len() as f64)
        };
        assert_eq!(mean("prompt strict"), accuracy.prompt_level(Strictness::Strict));
        assert_eq!(mean("prompt loose"), accuracy.prompt_level(Strictness::Loose));
        assert_eq!(mean("instruction strict"), accuracy.instruction_level(Strictness::Strict));
        assert_eq!(mean("instruction loose"), accuracy.instruction_level(Strictness::Loose));
    }

    #[test]
    fn a_prompt_without_instructions_is_a_failure_unless_parameters_have_some() {
        let asked = candidate("{}", Response::new("red and green"));
        assert_eq!(
            reward("{}").unwrap().score(&asked).unwrap_err().reason,
            "the metadata of the prompt has no 'instructions', a list like [{\"kind\": \"lowercase\"}] was expected"
        );
        let given = reward(r#"{"instructions":[{"kind":"lowercase"}]}"#).unwrap();
        assert_eq!(given.score(&asked).unwrap().value, 1.0);
        assert_eq!(
            reward(r#"{"instructions":[{"kind":"keywords","words":[]}]}"#).unwrap_err().reason,
            "parameter 'instructions[0]' is not right: 'words' is empty"
        );
    }
}
