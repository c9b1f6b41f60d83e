"""Reads what `slhf-lab export` wrote with each format's own reader, and compares it with the record to the bit.

    python tests/python/read_exports.py RECORD PARQUET CSV JSONL TENSORBOARD MLFLOW
    python tests/python/read_exports.py --preferences JSONL PARQUET

RECORD is the SQLite file, PARQUET, CSV, JSONL and TENSORBOARD the folders that `export` made of one and the same runs, MLFLOW its store.
The readers are pyarrow, pandas, json, TensorBoard's EventAccumulator, MLflow's client (after `mlflow db upgrade`) and Hugging Face's
datasets (preferences). One that is not installed is named and left out. Prints how many values each reader found;
exit status 1 at the first difference.
"""

import csv
import importlib.util
import json
import math
import pathlib
import sqlite3
import struct
import subprocess
import sys

WORDS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
NAMES = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def bits(value):
    return "nan" if math.isnan(value) else struct.pack("<d", value).hex()


def expect(found, expected, what):
    if found != expected:
        sys.exit(f"{what}: {len(found)} rows, expected {len(expected)}; the first difference: "
                 f"{sorted(found ^ expected)[:2] if isinstance(found, set) else (found, expected)}")
    print(f"{what}: {len(found)} values")


def has(module):
    if importlib.util.find_spec(module) is None:
        print(f"{module} is not installed: left out")
        return False
    return True


def recorded(record, runs):
    rows = sqlite3.connect(f"file:{record}?mode=ro", uri=True).execute(
        "SELECT run, step, key, value, non_finite FROM metrics")
    return {(run, step, key, bits(WORDS[word] if word else value)) for run, step, key, value, word in rows if run in runs}


def read_parquet(folder, expected):
    import pyarrow.parquet

    rows = pyarrow.parquet.read_table(f"{folder}/metrics.parquet").to_pylist()
    expect({(row["run"], row["step"], row["key"], bits(row["value"])) for row in rows}, expected, "pyarrow")
    for name in ["runs", "parameters", "schedules", "evaluations", "completions", "tags"]:
        pyarrow.parquet.read_table(f"{folder}/{name}.parquet").validate(full=True)


def read_pandas(folder, parquet, expected):
    import pandas

    for what, frame in [
        ("pandas, CSV", pandas.read_csv(f"{folder}/metrics.csv", float_precision="round_trip")),
        ("pandas, Parquet", pandas.read_parquet(f"{parquet}/metrics.parquet")),
    ]:
        rows = frame.itertuples(index=False)
        expect({(row.run, row.step, row.key, bits(row.value)) for row in rows}, expected, what)


def read_text(csv_folder, jsonl_folder, expected):
    number = lambda word: NAMES[word] if word in NAMES else float(word)
    with open(f"{csv_folder}/metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    expect({(int(row["run"]), int(row["step"]), row["key"], bits(number(row["value"]))) for row in rows}, expected, "csv")
    rows = [json.loads(line) for line in open(f"{jsonl_folder}/metrics.jsonl")]
    value = lambda one: NAMES[one] if isinstance(one, str) else float(one)
    expect({(row["run"], row["step"], row["key"], bits(value(row["value"]))) for row in rows}, expected, "json")


def read_tensorboard(folder, expected):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata
    from tensorboard.util import tensor_util

    found, sessions = set(), 0
    for file in pathlib.Path(folder).rglob("events.out.tfevents.*"):
        events = EventAccumulator(str(file.parent), size_guidance={"tensors": 0}).Reload()
        content = events.PluginTagToContent("hparams")
        start = metadata.parse_session_start_info_plugin_data(content[metadata.SESSION_START_INFO_TAG])
        assert start.hparams and start.group_name, "hyper-parameters"
        sessions += 1
        for tag in events.Tags()["tensors"]:
            if tag.startswith("evaluation/") or tag.startswith("_hparams_"):
                continue
            assert events.SummaryMetadata(tag).plugin_data.plugin_name == "scalars"
            for event in events.Tensors(tag):
                value = tensor_util.make_ndarray(event.tensor_proto).item()
                found.add((start.group_name, event.step, tag, bits(value)))
    expect(found, expected, f"TensorBoard, {sessions} runs with hyper-parameters")


def read_mlflow(store, expected):
    subprocess.run([sys.executable, "-m", "mlflow", "db", "upgrade", f"sqlite:///{store}"], check=True, capture_output=True)
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{store}")
    found = set()
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id]):
            assert run.data.params and run.data.tags["slhf.status"], "parameters and tags"
            for key in run.data.metrics:
                for point in client.get_metric_history(run.info.run_id, key):
                    found.add((int(run.data.tags["slhf.run"]), point.step, key, bits(point.value)))
    # MLflow has no infinities: its own client writes the largest number, too.
    largest = {bits(math.inf): bits(sys.float_info.max), bits(-math.inf): bits(-sys.float_info.max)}
    expect(found, {(*row[:3], largest.get(row[3], row[3])) for row in expected}, "MLflow")


def read_preferences(jsonl, parquet):
    import datasets

    rows = []
    for kind, file in [("json", jsonl), ("parquet", parquet)]:
        data = datasets.load_dataset(kind, data_files=file, split="train")
        assert {"prompt", "chosen", "rejected"} <= set(data.column_names)
        for row in data:
            assert row["chosen"][0]["role"] == "assistant" and row["prompt"][-1]["content"]
            assert row["chosen"] != row["rejected"] or row["probability"] > 0.5
        rows.append([(row["prompt"], row["chosen"], row["rejected"], row["probability"]) for row in data])
    assert rows[0] == rows[1] and rows[0], "both formats hold the same preferences"
    print(f"datasets: {len(rows[0])} preferences")


def main(record, parquet, csv_folder, jsonl, tensorboard, mlflow):
    lines = [json.loads(line) for line in open(f"{jsonl}/runs.jsonl")]
    names = {row["run"]: f"{row['experiment']}/{row['cell']}/{row['seed']}" for row in lines}
    expected = recorded(record, set(names))
    read_text(csv_folder, jsonl, expected)
    if has("pyarrow"):
        read_parquet(parquet, expected)
    if has("pandas") and has("pyarrow"):
        read_pandas(csv_folder, parquet, expected)
    if has("tensorboard"):
        read_tensorboard(tensorboard, {(names[row[0]], *row[1:]) for row in expected})
    if has("mlflow"):
        read_mlflow(mlflow, expected)

if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] == "--preferences":
        if has("datasets"):
            read_preferences(*sys.argv[2:])
    elif len(sys.argv) == 7:
        main(*sys.argv[1:])
    else:
        sys.exit(__doc__)
