//! Games of thousands of actions with an honest judge: what the record does not keep counts against no limit, and verdicts
//! travel in messages of bounded size.

use slhf_tests::{Lab, plugins_folder};

/// One step under `brevity`, which gives each verdict an attribute with a reason.
fn judged(actions: usize, limits: &str) -> Lab {
    let names: Vec<String> = (0..actions).map(|number| format!("\"{}{number}\"", "x".repeat(number % 7))).collect();
    let lab = Lab::new();
    lab.write(
        "game.toml",
        format!(
            "kind = \"game\"\n[game]\nactions = [{}]\n[judge]\nplugin = \"brevity\"\n{limits}[method]\nname = \"stackelberg-gda\"\n\
             steps = 1\n[device]\nname = \"cpu\"\nthreads = 2\n",
            names.join(", ")
        ),
    );
    let mut run = lab.command(["run", "game.toml", "--quiet"]);
    let outcome = lab.outcome(run.env("SLHF_LAB_PLUGINS", plugins_folder()));
    assert_eq!(outcome.code, Some(0), "{outcome}");
    lab
}

/// What the judge was asked, and how many attributes are in the record.
fn kept(lab: &Lab) -> (u64, u64) {
    let count = |sql: &str| lab.run(&["query", sql, "--format", "json"]).json()[0]["n"].as_u64().expect(sql);
    (count("SELECT items AS n FROM plugin_use"), count("SELECT count(*) AS n FROM verdict_attribute"))
}

#[test]
fn attributes_that_nobody_keeps_count_against_no_limit() {
    // 160,000 attributes of more than sixteen bytes each.
    let lab = judged(400, "limits = { run_output_mib = 1 }\n");
    assert_eq!(kept(&lab), (160_000, 0));
}

#[test]
fn a_game_of_two_thousand_actions_is_judged_and_played() {
    let lab = judged(2000, "");
    assert_eq!(kept(&lab), (4_000_000, 0));
}
