//! Metrics, evaluations and recorded completions.

use std::num::NonZeroU32;

use slhf_learn::language::{Answer, Evaluators, GivenAnswers, Measured, PairJudge};
use slhf_plan::{ControlVariate, Instruction, LanguageMethod, Role, SelfRefinement, Who};

use super::setup::{ByFunction, Judge, Setup, Told, hashed, rloo_on_rewards};
use super::tabular::{TWO_TOKENS, Tabular};

fn judge() -> Judge<impl FnMut(u32, &Answer, &Answer) -> Result<f64, String>> {
    Judge(|prompt, first: &Answer, second: &Answer| Ok(hashed(prompt, first, second)))
}

#[test]
fn every_name_that_people_expect_is_there_at_every_step() {
    let setup = Setup::new();
    let told = setup.train(&mut Tabular::new(TWO_TOKENS, 2, 0.5), &mut judge());
    assert_eq!(
        told.machine,
        [
            "step_time",
            "timing/generate",
            "timing/judge",
            "timing/train",
            "perf/tokens_per_second",
            "perf/mfu",
            "memory/peak_bytes",
        ]
    );
    let own = [
        "rewards/probabilities",
        "rewards/margins",
        "loss/leader",
        "loss/follower",
        "objective/kl_leader",
        "objective/kl_follower",
        "objective/entropy_leader",
        "objective/entropy_follower",
        "completions/mean_length",
        "completions/mean_length_leader",
        "completions/mean_length_follower",
        "completions/eos_rate",
        "completions/eos_rate_leader",
        "completions/eos_rate_follower",
        "frac_reward_zero_std",
        "grad_norm",
        "grad_norm_leader",
        "grad_norm_follower",
        "learning_rate",
        "follower_weight",
        "num_tokens",
    ];
    for step in 1..=4 {
        for key in own {
            assert!(told.metric(step, key).is_finite(), "{key} of step {step}");
        }
    }
    assert!(told.metric(1, "objective/kl_leader") > 0.0);
    let norms = told.metric(1, "grad_norm_leader").hypot(told.metric(1, "grad_norm_follower"));
    assert_eq!(told.metric(1, "grad_norm"), norms);
    assert_eq!(told.metric(2, "epoch"), 2.0);
    assert!(told.metric(2, "num_tokens") > told.metric(1, "num_tokens"));
    assert_eq!(told.schedules.len(), 4);
}

/// Equal rewards within a prompt teach leave-one-out nothing; the share of such prompts is watched.
#[test]
fn groups_of_equal_rewards_are_counted() {
    let mut setup = Setup::new();
    setup.training.steps = 1;
    let mut calls = 0;
    let mut judge = Judge(|prompt, _: &Answer, _: &Answer| {
        calls += 1;
        Ok(if prompt == 0 { 0.4 } else { 0.1 * f64::from(calls) })
    });
    let told = setup.train(&mut Tabular::new(TWO_TOKENS, 2, 0.5), &mut judge);
    assert_eq!(told.metric(1, "frac_reward_zero_std"), 0.5);

    setup.training.num_generations = 1;
    let told = setup.train(&mut Tabular::new(TWO_TOKENS, 2, 0.5), &mut self::judge());
    assert!(told.metric(1, "frac_reward_zero_std").is_nan());
}

fn evaluated() -> Setup {
    let mut setup = Setup::new();
    setup.held_out = 5;
    setup.evaluation_every = 2;
    setup
}

/// A judge that always prefers the first place prefers nobody; one that prefers shorter answers does, in either place.
#[test]
fn win_rates_do_not_depend_on_the_place() {
    let model = || Tabular::new(TWO_TOKENS, 7, 0.5);
    let told = evaluated().train(&mut model(), &mut Judge(|_, _: &Answer, _: &Answer| Ok(0.9)));
    for row in told.evaluations.iter().filter(|row| row.name == "win_rate") {
        assert!((row.value - 0.5).abs() < 1e-12);
    }
    let bias: Vec<f64> = told.evaluations.iter().filter(|row| row.name == "order_bias").map(|row| row.value).collect();
    assert!(!bias.is_empty() && bias.iter().all(|bias| (bias - 0.8).abs() < 1e-12));
}

#[test]
fn an_evaluation_says_who_wins_how_long_answers_are_and_on_how_many_prompts() {
    let told = evaluated().train(&mut Tabular::new(TWO_TOKENS, 7, 0.5), &mut judge());
    let steps = |name: &str, subject: &str| {
        let rows = told.evaluations.iter().filter(|row| row.name == name && row.subject == subject);
        rows.map(|row| (row.step, row.n)).collect::<Vec<_>>()
    };
    // On two prompts at steps 0 and 2, on all five at the end.
    for subject in ["leader/reference", "follower(reference)/reference", "follower(leader)/leader"] {
        for name in ["win_rate", "order_bias", "attribute/table"] {
            assert_eq!(steps(name, subject), [(0, 2), (2, 2), (4, 5)], "{name} {subject}");
        }
    }
    for subject in ["leader", "reference", "follower(leader)", "follower(reference)"] {
        assert_eq!(steps("mean_length", subject), [(0, 2), (2, 2), (4, 5)]);
        assert_eq!(steps("eos_rate", subject), [(0, 2), (2, 2), (4, 5)]);
    }
    for row in &told.evaluations {
        let (low, high) = row.interval.unwrap();
        assert!(low <= row.value && row.value <= high, "{row:?}");
    }
    // The judge's only attribute is its verdict.
    let value =
        |name: &str| told.evaluations.iter().rfind(|r| r.name == name && r.subject == "leader/reference").unwrap();
    assert!((value("win_rate").value - value("attribute/table").value).abs() < 1e-12);
}

#[test]
fn completions_of_an_evaluation_carry_their_verdicts() {
    let told = evaluated().train(&mut Tabular::new(TWO_TOKENS, 7, 0.5), &mut judge());
    let last: Vec<_> = told.completions.iter().filter(|row| row.step == 4).collect();
    assert_eq!(last.len(), 4 * 5);
    let roles: Vec<String> = last[..4].iter().map(|row| row.role.to_string()).collect();
    assert_eq!(
        roles,
        ["held-out/leader", "held-out/reference", "held-out/follower(reference)", "held-out/follower(leader)"]
    );
    assert_eq!(last.iter().map(|row| row.position).collect::<Vec<_>>(), (0..20).collect::<Vec<_>>());
    assert_eq!(last[0].prompt, "question 2");
    let probability = |index: usize| last[index].probability.unwrap();
    assert!((probability(0) + probability(1) - 1.0).abs() < 1e-12);
    assert_eq!((last[0].round, last[2].round), (0, 1));
}

#[test]
fn verdicts_that_fail_in_an_evaluation_take_their_prompt_out() {
    let mut judge = Judge(|prompt, first: &Answer, second: &Answer| match prompt {
        3 => Err("no opinion".to_owned()),
        _ => Ok(hashed(prompt, first, second)),
    });
    let told = evaluated().train(&mut Tabular::new(TWO_TOKENS, 7, 0.5), &mut judge);
    let last = told.evaluations.iter().rfind(|row| row.name == "win_rate").unwrap();
    assert_eq!((last.step, last.n), (4, 4));
    assert!(told.notes.last().unwrap().starts_with("evaluation at step 4: 6 verdicts failed and are left out"));
}

#[test]
fn a_method_with_one_policy_says_nothing_of_a_follower() {
    let mut setup = evaluated();
    setup.rival = Some(rloo_on_rewards);
    setup.training.score_baseline = ControlVariate::LeaveOneOut;
    let told = setup.train(&mut Tabular::new(TWO_TOKENS, 7, 0.5), &mut judge());
    let keys: Vec<&str> = told.metrics[0].1.iter().map(|(key, _)| *key).collect();
    assert!(keys.contains(&"rewards/mean") && !keys.iter().any(|key| key.contains("follower")));
    assert_eq!(told.schedules[0].kappa, -1.0);
    let subjects: Vec<&str> =
        told.evaluations.iter().filter(|row| row.name == "win_rate").map(|row| row.subject.as_str()).collect();
    assert_eq!(subjects, ["leader/reference"; 3]);
}

/// They see the answers that the training judge sees, and change nothing of its own numbers.
#[test]
fn judges_that_nobody_is_trained_on_are_asked_in_every_evaluation() {
    let mut setup = evaluated();
    let alone = setup.train(&mut Tabular::new(TWO_TOKENS, 7, 0.5), &mut judge());
    setup.evaluation_judges = vec!["same", "undecided"];
    let undecided = Judge(|_, _: &Answer, _: &Answer| Ok(0.5));
    let judges: Vec<Box<dyn PairJudge>> = vec![Box::new(judge()), Box::new(undecided)];
    let evaluators = Evaluators { judges, measures: Vec::new() };
    let told = setup.train_evaluated_by(&mut Tabular::new(TWO_TOKENS, 7, 0.5), &mut judge(), evaluators);
    let of = |told: &Told, name: &str| {
        let rows = told.evaluations.iter().filter(|row| row.name == name);
        rows.map(|row| (row.step, row.subject.clone(), row.value)).collect::<Vec<_>>()
    };
    assert!(!of(&told, "win_rate").is_empty());
    assert_eq!(of(&alone, "win_rate"), of(&told, "win_rate"));
    assert_eq!(of(&told, "win_rate"), of(&told, "win_rate[same]"));
    assert_eq!(of(&told, "win_rate[undecided]").len(), of(&told, "win_rate").len());
    assert!(of(&told, "win_rate[undecided]").iter().all(|(_, _, value)| *value == 0.5));
}

/// Cells' policies answer independently of each other; the reference is one policy in all cells.
#[test]
fn a_cell_has_streams_of_its_own_but_for_the_reference() {
    let answers = |stream: Option<u32>, who: &str| {
        let mut setup = evaluated();
        setup.held_out = 40;
        setup.evaluation_stream = stream.map(|stream| NonZeroU32::new(stream).unwrap());
        let told = setup.train(&mut Tabular::new(TWO_TOKENS, 42, 0.5), &mut judge());
        let role = Role::held_out(Who::parse(who));
        let rows = told.completions.iter().filter(|row| row.role == role && row.step == 4);
        rows.map(|row| row.text.clone()).collect::<Vec<_>>()
    };
    for who in ["leader", "follower(leader)", "follower(reference)"] {
        let [shared, first, second] = [None, Some(1), Some(2)].map(|stream| answers(stream, who));
        assert_eq!(first, answers(Some(1), who), "{who}");
        assert!(shared != first && shared != second && first != second, "{who}");
    }
    assert_eq!(answers(None, "reference"), answers(Some(1), "reference"));
    assert_eq!(answers(Some(1), "reference"), answers(Some(2), "reference"));
}

/// Rounds go on from the round before; those after the first are played at the end alone, and change nothing of the others.
#[test]
fn further_rounds_of_refinement_are_evaluated_at_the_end() {
    let told = |rounds| {
        let mut setup = evaluated();
        setup.evaluation_rounds = rounds;
        setup.train(&mut Tabular::new(TWO_TOKENS, 7, 0.5), &mut judge())
    };
    let (one, three) = (told(1), told(3));
    let of = |told: &Told, subject: &str| {
        let rows = told.evaluations.iter().filter(|row| row.name == "win_rate" && row.subject == subject);
        rows.map(|row| (row.step, row.n, row.value)).collect::<Vec<_>>()
    };
    for subject in ["leader/reference", "follower(reference)/reference", "follower(leader)/leader"] {
        assert_eq!(of(&one, subject), of(&three, subject), "{subject}");
    }
    for subject in [
        "follower^2(reference)/reference",
        "follower^3(reference)/reference",
        "follower^2(leader)/leader",
        "follower^3(leader)/leader",
    ] {
        assert_eq!(of(&one, subject), []);
        let rows = of(&three, subject);
        assert_eq!((rows.len(), rows[0].1), (1, 5), "{subject}: {rows:?}");
    }
    for (role, round) in [("held-out/follower^3(reference)", 3), ("held-out/follower^2(leader)", 2)] {
        assert!(three.completions.iter().any(|row| row.role == role && row.round == round), "{role}");
    }
    // Every verdict is that of the answer's own contest.
    let last = |role: &str| three.completions.iter().rfind(|row| row.role == role).and_then(|row| row.probability);
    assert!(last("held-out/follower^2(leader)").is_some() && last("held-out/reference").is_some());
}

/// An attribute that an answer has twice counts twice; an answer that cannot be measured is left out, and that is said.
#[test]
fn measures_are_means_of_scores_and_of_every_occurrence_of_an_attribute() {
    let mut setup = evaluated();
    setup.measures = vec!["checks"];
    let checks = ByFunction(|prompt, _: &Answer| match prompt {
        2 => Ok(Measured { value: 0.0, attributes: vec![("followed".to_owned(), 1.0), ("followed".to_owned(), 0.0)] }),
        3 => Err("no instructions".to_owned()),
        _ => Ok(Measured { value: 1.0, attributes: vec![("followed".to_owned(), 1.0)] }),
    });
    let evaluators = Evaluators { judges: Vec::new(), measures: vec![Box::new(checks)] };
    let told = setup.train_evaluated_by(&mut Tabular::new(TWO_TOKENS, 7, 0.5), &mut judge(), evaluators);
    // Held out are the prompts 2 to 6.
    for subject in ["leader", "reference", "follower(leader)", "follower(reference)"] {
        let row = |name: &str| {
            let found = told.evaluations.iter().rfind(|row| row.name == name && row.subject == subject);
            found.map(|row| (row.step, row.value, row.n)).expect(name)
        };
        assert_eq!(row("measure[checks]"), (4, 0.75, 4));
        assert_eq!(row("measure[checks]/followed"), (4, 0.8, 4));
    }
    let note = told.notes.last().unwrap();
    assert!(note.ends_with("4 verdicts failed and are left out; the first: checks says no instructions"), "{note}");
}

/// Five answers of somebody else, of one token and the end.
fn others(name: &str) -> GivenAnswers {
    let answer = Answer { tokens: [1, 0].into(), finished: true, text: "b".into(), draws: [].into() };
    GivenAnswers { name: name.to_owned(), answers: vec![answer; 5] }
}

fn subjects(told: &Told, name: &str) -> Vec<String> {
    let rows = told.evaluations.iter().filter(|row| row.name == name && row.step == 4);
    rows.map(|row| row.subject.clone()).collect()
}

/// The Follower refines them round after round, the Leader stands against them, and nothing else changes by it.
#[test]
fn others_answers_are_refined_and_compared_at_the_end() {
    let mut setup = evaluated();
    setup.evaluation_rounds = 2;
    let alone = setup.train(&mut Tabular::new(TWO_TOKENS, 7, 0.5), &mut judge());
    setup.others = vec![others("gpt"), others("claude")];
    let told = setup.train(&mut Tabular::new(TWO_TOKENS, 7, 0.5), &mut judge());
    let own = subjects(&alone, "win_rate");
    let mut expected = own.clone();
    for name in ["gpt", "claude"] {
        expected.extend(["leader/N", "follower(N)/N", "follower^2(N)/N"].map(|subject| subject.replace('N', name)));
    }
    assert_eq!(subjects(&told, "win_rate"), expected);
    let without_others = |told: &Told| {
        let rows =
            told.evaluations.iter().filter(|row| !row.subject.contains("gpt") && !row.subject.contains("claude"));
        rows.cloned().collect::<Vec<_>>()
    };
    assert_eq!(without_others(&told), without_others(&alone));
    // Each of the others is refined in streams of its own.
    let texts = |role: &str| {
        let rows = told.completions.iter().filter(|row| row.step == 4 && row.role == role);
        rows.map(|row| row.text.clone()).collect::<Vec<_>>()
    };
    assert_eq!(texts("held-out/gpt"), vec!["b"; 5]);
    assert_eq!(texts("held-out/follower(gpt)").len(), 5);
    assert_ne!(texts("held-out/follower(gpt)"), texts("held-out/follower(claude)"));
    // The verdict of the others' answers is the Leader's contest, seen from their side.
    let of = |role: &str| told.completions.iter().rfind(|row| row.role == role).and_then(|row| row.probability);
    assert!(of("held-out/gpt").is_some() && of("held-out/follower^2(claude)").is_some());
}

/// Without training the reference is the one who improves them: the honest rival of a trained Follower.
#[test]
fn without_training_the_reference_refines_others_answers() {
    let mut setup = evaluated();
    setup.rival = Some(|training| {
        let instruction = "Improve the previous answer.".to_owned();
        LanguageMethod::SelfRefinement(SelfRefinement { training, rounds: 1, turn: Instruction { instruction } })
    });
    setup.training.steps = 0;
    setup.training.beta = 0.0;
    setup.others = vec![others("gpt")];
    let told = setup.train(&mut Tabular::new(TWO_TOKENS, 7, 0.5), &mut judge());
    let found: Vec<&str> =
        told.evaluations.iter().filter(|row| row.name == "win_rate").map(|row| row.subject.as_str()).collect();
    assert_eq!(found, ["leader/reference", "leader/gpt", "follower(gpt)/gpt"]);
}

#[test]
fn others_must_have_answered_every_held_out_prompt() {
    let mut setup = evaluated();
    let mut few = others("gpt");
    few.answers.pop();
    setup.others = vec![few];
    let expected = "run 10: evaluation.transfer: \"gpt\" has 4 responses to 5 held-out prompts";
    assert_eq!(setup.refusal(), expected);
}

/// Sampled again from where a run ended they are the answers that it recorded.
#[test]
fn answers_can_be_sampled_again() {
    let mut setup = evaluated();
    setup.evaluation_rounds = 2;
    setup.others = vec![others("gpt")];
    let mut model = Tabular::new(TWO_TOKENS, 7, 0.5);
    let mut told = Told::default();
    let mut trainer = setup.trainer();
    trainer.train(&mut model, &mut judge(), &mut Evaluators::default(), &mut told).unwrap();
    let (again, note) = trainer.answer_held_out(&mut model, &mut judge()).unwrap();
    let last = told.completions.iter().filter(|row| row.step == 4 && row.role.is_held_out);
    let place = |row: &slhf_plan::CompletionRow| (row.position, row.role.clone(), row.round, row.text.clone());
    assert_eq!(again.iter().map(place).collect::<Vec<_>>(), last.map(place).collect::<Vec<_>>());
    assert!(note.is_none() && again.iter().all(|row| row.probability.is_none() && row.step == 4));
}
