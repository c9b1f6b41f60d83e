//! Prompts and answers that do not fit the positions of a model: refused when a run is planned.

use slhf_plan::{LanguageMethod, LanguagePlan, OverLong};

use slhf_foreign::Overflow;

/// Asks whether all that a run says fits.
pub(super) fn check(plan: &LanguagePlan) -> Result<(), (&'static str, String)> {
    let (training, evaluation) =
        (plan.method.training().sampling.max_new_tokens, plan.evaluation.sampling.max_new_tokens);
    let (key, longest) = if evaluation > training {
        ("evaluation.max_new_tokens", evaluation)
    } else {
        ("method.max_new_tokens", training)
    };
    let given = plan.data.layout.preferences().map_or(0, |pairs| pairs.max_response_tokens);
    let (key, longest) = if given > longest { ("data.max_response_tokens", given) } else { (key, longest) };
    match slhf_foreign::overflow(plan, longest) {
        Ok(None) => Ok(()),
        Ok(Some(Overflow { given: Some(answer), prompt_tokens, prompt, turn_tokens, positions, .. })) => {
            let (turn, improved) = (turn_tokens.unwrap_or(0), u64::from(evaluation));
            let needed = prompt_tokens + answer.tokens + turn + improved;
            let problem = format!(
                "a response of {} tokens in {} to a prompt of {prompt_tokens} (\"{prompt}\" of the prompts' file), the turn that asks to \
                 improve it of {turn} and the improved response of {improved} need {needed} positions, but the model has \
                 {positions}; shorten that response, lower evaluation.max_new_tokens, or take a model with more positions",
                answer.tokens,
                answer.file.display()
            );
            Err(("evaluation.transfer", problem))
        }
        Ok(Some(overflow)) => Err((key, sentence(plan, longest, &overflow))),
        Err(problem) => Err(("model.path", problem)),
    }
}

fn sentence(plan: &LanguagePlan, max_new_tokens: u32, overflow: &Overflow) -> String {
    let Overflow { prompt_tokens, prompt, turn_tokens, positions, prompts, fitting, .. } = overflow;
    let answer = u64::from(max_new_tokens);
    let (answers, further, parts) = match turn_tokens {
        Some(turn) => {
            let (first, second) = match plan.method {
                LanguageMethod::StackelbergGda(_) => ("the Leader's response", "the Follower's response"),
                _ => ("a response", "its refinement"),
            };
            let parts =
                format!("{first} of {answer}, the turn that asks to improve it of {turn} and {second} of {answer}");
            (2, turn + 2 * answer, parts)
        }
        None => (1, answer, format!("a response of {answer}")),
    };
    let needed = prompt_tokens + further;
    let mut ways = Vec::new();
    let for_answers = positions.saturating_sub(prompt_tokens + turn_tokens.unwrap_or(0)) / answers;
    if for_answers > 0 {
        ways.push(format!("lower it to at most {for_answers}"));
    }
    let for_prompts = positions.saturating_sub(further);
    let longer = prompts - fitting;
    let way = match plan.data.over_long {
        OverLong::Drop if *fitting > 0 => Some(format!("{longer} of {prompts} prompts are longer and left out")),
        OverLong::Truncate if for_prompts > 0 => {
            Some(format!("{longer} of {prompts} prompts are longer and shortened"))
        }
        _ => None,
    };
    if let Some(fate) = way {
        ways.push(format!("lower data.max_prompt_tokens to at most {for_prompts} ({fate})"));
    }
    if turn_tokens.is_some_and(|turn| turn + 2 > *positions) {
        ways.push("shorten method.instruction".to_owned());
    }
    ways.push("take a model with more positions".to_owned());
    format!(
        "a prompt of {prompt_tokens} tokens (\"{prompt}\" of the file), {parts} need {needed} positions, but the model has \
         {positions}; {}",
        ways.join(", or ")
    )
}
