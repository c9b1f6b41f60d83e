"""The values of a record in MLflow and in trackio, by their own ways of writing, for `cargo xtask bench ui`.

    pip install mlflow==3.17.2 trackio==0.43.0
    python tests/bench/ui_peers.py big.db FOLDER [RUNS]

RUNS: how many of the record's runs each of them gets. Prints how long writing took, then the commands that serve them and what
`cargo xtask bench ui -- big.db` takes for each.
"""

import os
import sqlite3
import sys
import time

record, folder = sys.argv[1], os.path.abspath(sys.argv[2])
limit = int(sys.argv[3]) if len(sys.argv) > 3 else -1
os.makedirs(folder, exist_ok=True)
os.environ["TRACKIO_DIR"] = os.path.join(folder, "trackio")
store = "sqlite:///" + os.path.join(folder, "mlflow.db")

connection = sqlite3.connect(record)
runs = connection.execute("SELECT run, cell, seed FROM runs ORDER BY run LIMIT ?", (limit,)).fetchall()


def steps_of(run):
    """[(step, {key: value})]"""
    steps = {}
    for step, key, value in connection.execute("SELECT step, key, value FROM metrics WHERE run = ?", (run,)):
        steps.setdefault(step, {})[key] = value
    return sorted(steps.items())


def to_mlflow():
    import mlflow
    from mlflow.entities import Metric, Param

    client = mlflow.MlflowClient(store)
    experiment = client.create_experiment("filled")
    for run, cell, seed in runs:
        there = client.create_run(experiment, run_name=f"{cell}/{seed}")
        client.log_batch(there.info.run_id, params=[Param("cell", cell), Param("seed", str(seed))])
        batch = []
        for step, values in steps_of(run):
            batch.extend(Metric(key, value, 1_700_000_000_000 + step, step) for key, value in values.items())
            if len(batch) >= 980:
                client.log_batch(there.info.run_id, metrics=batch)
                batch = []
        if batch:
            client.log_batch(there.info.run_id, metrics=batch)
        client.set_terminated(there.info.run_id)


def to_trackio():
    from trackio.sqlite_storage import SQLiteStorage

    for run, cell, seed in runs:
        steps = steps_of(run)
        SQLiteStorage.bulk_log(
            "filled",
            f"{cell}/{seed}",
            [values for _, values in steps],
            steps=[step for step, _ in steps],
            config={"cell": cell, "seed": seed},
        )


for name, write in [("trackio", to_trackio), ("mlflow", to_mlflow)]:
    began = time.monotonic()
    write()
    print(f"{name}: {len(runs)} runs in {time.monotonic() - began:.0f} s", flush=True)

print(f"mlflow server --backend-store-uri {store} --port 5055")
print(f"TRACKIO_DIR={os.environ['TRACKIO_DIR']} trackio show --project filled   # prints its address")
