//! A word where only certain words may stand: which was probably meant.

/// Methods as others call them, the nearest that is here, and how it differs. A name is lower case with hyphens.
const METHODS: [(&[&str], &str, &str); 12] = [
    (
        &["dpo", "iterative-dpo", "offline-dpo", "cdpo", "rdpo", "xpo", "oaif"],
        "online-dpo",
        "DPO's loss on pairs that the policy samples and the judge labels",
    ),
    (
        &["kto", "orpo", "simpo", "cpo", "slic", "slic-hf", "rso", "rpo", "bco", "aot", "alphapo", "apo"],
        "online-dpo",
        "a loss on pairs, which the policy samples and the judge labels",
    ),
    (
        &["ipo", "offline-ipo", "iterative-ipo"],
        "online-ipo",
        "IPO's loss on pairs that the policy samples and the judge labels",
    ),
    (
        &[
            "ppo",
            "a2c",
            "reinforce",
            "reinforce++",
            "reinforce-plus-plus",
            "remax",
            "pg",
            "vpg",
            "policy-gradient",
            "trpo",
        ],
        "rloo",
        "REINFORCE with a leave-one-out baseline and no value model",
    ),
    (&["rlhf"], "rloo", "policy gradient on the reward of a plugin or of a fitted reward model"),
    (&["gspo", "dapo", "dr-grpo", "cispo", "gpg"], "grpo", "rewards relative to those of a group"),
    (
        &["nlhf", "nash", "nash-mirror-descent", "nash-pg", "nash-md-pg", "egpo", "mpo"],
        "nash-md",
        "self-play against a mixture",
    ),
    (&["spin", "spo", "dno", "self-play"], "sppo", "self-play by regression"),
    (&["slhf", "stackelberg", "gda", "stackelberg-gradient-descent-ascent"], "stackelberg-gda", "Leader and Follower"),
    (
        &["bon", "raft", "rejection-sampling", "reranking", "best-of-k"],
        "best-of-n",
        "the best of N answers of the reference; trains nothing",
    ),
    (
        &["bc", "behavior-cloning", "supervised", "finetune", "fine-tuning", "rft"],
        "sft",
        "likelihood of preferred answers",
    ),
    (&["self-refine", "refine", "refinement"], "self-refinement", "the reference improves answers; trains nothing"),
];

/// Serde's sentence on an unknown variant of the value at `key`, in a reader's words; `None`: it is another sentence.
pub(super) fn in_words(key: &str, message: &str) -> Option<String> {
    let (said, expected) = message.strip_prefix("unknown variant `")?.split_once("`, expected ")?;
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    let names = known.join(", ");
    let plain = said.trim().to_lowercase().replace([' ', '_'], "-");
    let is_method = key == "method.name" || key.ends_with(".method.name");
    let other =
        METHODS.iter().find(|(others, here, _)| is_method && others.contains(&plain.as_str()) && known.contains(here));
    if let Some((_, here, about)) = other {
        return Some(format!("\"{said}\" is no method here; the nearest is \"{here}\" ({about}); known are {names}"));
    }
    match slhf_words::nearest(&plain, known.iter().copied()) {
        Some(near) => Some(format!("\"{said}\" is not known; did you mean \"{near}\"? known are {names}")),
        None => Some(format!("\"{said}\" is not known; known are {names}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_of_others_get_the_nearest_that_is_here() {
        let known = "expected one of `stackelberg-gda`, `rloo`, `grpo`, `nash-md`, `online-dpo`, `online-ipo`, `sppo`, `best-of-n`";
        let check = |said: &str, nearest: Option<&str>| {
            let sentence =
                in_words("method.name", &format!("unknown variant `{said}`, {known}")).expect("such a sentence");
            let found =
                sentence.split('"').nth(3).filter(|_| sentence.contains("nearest is") || sentence.contains("mean"));
            assert_eq!(found, nearest, "{sentence}");
        };
        for (said, nearest) in [
            ("dpo", "online-dpo"),
            ("DPO", "online-dpo"),
            ("Online_DPO", "online-dpo"),
            ("kto", "online-dpo"),
            ("orpo", "online-dpo"),
            ("simpo", "online-dpo"),
            ("ipo", "online-ipo"),
            ("ppo", "rloo"),
            ("reinforce", "rloo"),
            ("REINFORCE++", "rloo"),
            ("rlhf", "rloo"),
            ("dr_grpo", "grpo"),
            ("nash_md", "nash-md"),
            ("nlhf", "nash-md"),
            ("spin", "sppo"),
            ("slhf", "stackelberg-gda"),
            ("stackelberg", "stackelberg-gda"),
            ("best of n", "best-of-n"),
            ("grop", "grpo"),
        ] {
            check(said, Some(nearest));
        }
        check("magic", None);
    }

    #[test]
    fn every_method_that_is_named_exists() {
        let schema = schemars::schema_for!(super::super::LanguageExperimentConfig).to_value().to_string();
        for (others, here, _) in METHODS {
            assert!(schema.contains(&format!("\"const\":\"{here}\"")), "{here}");
            assert!(
                others.iter().all(|other| *other == other.to_lowercase() && !other.contains([' ', '_'])),
                "{others:?}"
            );
        }
    }

    #[test]
    fn other_words_are_corrected_too() {
        let sentence = in_words("data.on_bad_row", "unknown variant `skipp`, expected `error` or `skip`");
        assert_eq!(sentence.as_deref(), Some("\"skipp\" is not known; did you mean \"skip\"? known are error, skip"));
        assert_eq!(in_words("data.layout", "missing field `prompts`"), None);
        let dpo = in_words("data.on_bad_row", "unknown variant `dpo`, expected `error` or `skip`");
        assert_eq!(dpo.as_deref(), Some("\"dpo\" is not known; known are error, skip"));
    }
}
