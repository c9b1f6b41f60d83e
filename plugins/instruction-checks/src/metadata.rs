//! The instructions of a prompt, from its metadata or from a plugin's parameters.

use slhf_sdk::Failure;
use slhf_sdk::serde_json::{Map, Value, from_str};

use crate::ifeval;
use crate::instruction::Instruction;

/// The instructions of a data row's metadata: `IFEval`'s where it has `instruction_id_list`, else the list under
/// `instructions`, else `otherwise`. That there are none at all is a failure.
pub fn instructions_of(metadata: &str, otherwise: &[Instruction]) -> Result<Vec<Instruction>, Failure> {
    let metadata: Map<String, Value> = from_str(metadata)
        .map_err(|error| Failure::new(format!("the metadata of the prompt cannot be read: {error}")))?;
    let instructions = match (metadata.get("instruction_id_list"), metadata.get("instructions")) {
        (Some(ids), _) => ifeval::read_all(ids, &metadata)?.into_iter().map(Instruction::Ifeval).collect(),
        (None, Some(list)) => Instruction::read_all(list)?,
        (None, None) => otherwise.to_vec(),
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
