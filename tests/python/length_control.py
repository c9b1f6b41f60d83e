"""Expected length-controlled win rates, by AlpacaEval's own function (PyPI: alpaca-eval 0.6.6, Apache-2.0).

    pip install alpaca-eval==0.6.6 scikit-learn pandas patsy
    python tests/python/length_control.py tests/fixtures/length-control

writes annotations and auxiliary tables that are made here by a formula, and what the package makes of them. With
--real FOLDER it prints, for every CSV of real annotations in that folder, what the package makes of it with a stand-in for
the auxiliary tables that it also writes there (the real ones are not distributed with the package).
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
from alpaca_eval.metrics import glm_winrate


def logistic(value):
    return 1 / (1 + np.exp(-value))


def tables(instructions, seed):
    """A stand-in for df_gamed.csv: two gamed baselines, verbose and concise."""
    generator = np.random.default_rng(seed)
    difficulty = generator.normal(0, 1, instructions)
    parts = []
    for model, shift in (("verbose", -1.0), ("concise", 1.0)):
        length = shift + generator.normal(0, 0.8, instructions)
        preference = logistic(-1.0 * np.tanh(length) + 0.3 * difficulty + generator.normal(0, 0.7, instructions))
        parts.append(
            pd.DataFrame(
                {
                    "index": np.arange(instructions),
                    "model": model,
                    "preference": preference.round(6),
                    "std_delta_len": length.round(6),
                    "instruction_difficulty": difficulty.round(6),
                    "not_gamed_baseline": False,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def annotations(gamed, rows, seed):
    """A model that is shorter than the baseline and somewhat worse."""
    generator = np.random.default_rng(seed)
    difficulty = gamed["instruction_difficulty"].to_numpy()[:rows]
    first = generator.integers(200, 3000, rows)
    second = (first * generator.uniform(0.2, 1.3, rows)).astype(int)
    length = np.tanh((first - second) / (first - second).std(ddof=1))
    clean = -0.6 - 1.4 * length - 0.5 * difficulty + generator.normal(0, 1.5, rows)
    preference = (1 + logistic(clean)).round(6)
    table = pd.DataFrame(
        {"instruction": np.arange(rows), "length_1": first, "length_2": second, "preference": preference}
    )
    table.loc[table.index % 37 == 5, "preference"] = np.nan
    return table


def by_the_package(table, gamed_file):
    """AlpacaEval's number: its function wants texts, so it gets texts of the right length."""
    glm_winrate.hf_hub_download = lambda **_: str(gamed_file)
    frame = pd.DataFrame(
        {
            "index": table["instruction"],
            "output_1": ["x" * int(length) for length in table["length_1"]],
            "output_2": ["x" * int(length) for length in table["length_2"]],
            "preference": table["preference"],
            "generator_1": "baseline",
            "generator_2": "model",
            "annotator": "annotator",
        }
    )
    frame = frame.set_index("index")
    metrics = glm_winrate.get_length_controlled_winrate(
        frame, save_weights_dir=None, is_add_glm_preference_inplace=False
    )
    return {key: float(metrics[key]) for key in ("win_rate", "standard_error", "discrete_win_rate", "n_total")} | {
        "length_controlled_win_rate": float(metrics["length_controlled_winrate"])
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--real", type=Path)
    arguments = parser.parse_args()
    auxiliary = arguments.folder / "auxiliary"
    auxiliary.mkdir(parents=True, exist_ok=True)
    if arguments.real:
        gamed = tables(805, 7)
        gamed.to_csv(auxiliary / "df_gamed.csv", index=False)
        found = {}
        for file in sorted(arguments.real.glob("*.csv")):
            table = pd.read_csv(file)
            if "preference" in table:
                found[file.stem] = by_the_package(table, auxiliary / "df_gamed.csv")
        print(json.dumps(found, indent=2))
        return
    gamed = tables(120, 1)
    gamed.to_csv(auxiliary / "df_gamed.csv", index=False)
    expected = {}
    for name, seed in (("first", 2), ("second", 3)):
        table = annotations(gamed, 120, seed)
        table.to_csv(arguments.folder / f"{name}.csv", index=False)
        expected[name] = by_the_package(table, auxiliary / "df_gamed.csv")
    assert all(math.isfinite(value) for one in expected.values() for value in one.values())
    (arguments.folder / "expected.json").write_text(json.dumps(expected, indent=2) + "\n")


if __name__ == "__main__":
    main()
