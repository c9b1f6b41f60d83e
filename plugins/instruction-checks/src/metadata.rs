//! The instructions of a prompt, from its metadata or from a plugin's parameters.

use slhf_sdk::Failure;
use slhf_sdk::serde_json::{Map, Value, from_str};

use crate::instruction::Instruction;

/// The instructions under `instructions` of a data row's metadata; `otherwise` where it has none. That there are none
/// at all is a failure.
pub fn instructions_of(metadata: &str, otherwise: &[Instruction]) -> Result<Vec<Instruction>, Failure> {
    let metadata: Map<String, Value> = from_str(metadata)
        .map_err(|error| Failure::new(format!("the metadata of the prompt cannot be read: {error}")))?;
    let instructions = match metadata.get("instructions") {
        Some(list) => Instruction::read_all(list)?,
        None => otherwise.to_vec(),
    };
    if instructions.is_empty() {
        return Err(
            "the metadata of the prompt has no 'instructions', a list like [{\"kind\": \"lowercase\"}] was expected"
                .into(),
        );
    }
    Ok(instructions)
}

/// Whether the arguments of a plugin's parameter `instructions` mean something. The failure names the instruction.
pub fn check_parameter(instructions: &[Instruction]) -> Result<(), Failure> {
    for (index, instruction) in instructions.iter().enumerate() {
        instruction
            .check()
            .map_err(|problem| Failure::new(format!("parameter 'instructions[{index}]' is not right: {problem}")))?;
    }
    Ok(())
}
