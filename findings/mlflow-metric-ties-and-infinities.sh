#!/usr/bin/env bash
# MLflow 3.17.2, a store in SQLite, metrics of a run through its own client:
#
# 1. Infinity comes back as the largest finite number (1.797e308), minus infinity as the smallest: a loss that overflowed passes
#    a check for finite numbers, and sorts and filters as a number. NaN comes back as NaN.
# 2. Of two values of one step with one time in milliseconds, the larger one is the latest, whichever was logged last; so what a fast
#    loop, or a batch with one time for all, logs again at a step counts only where it is higher. The history has them by value, too.
# 3. With a later time the value that was logged last is the latest, whichever is larger.
#
# This script fails when any of that changes. It runs none of slhf-lab. It needs Python 3.10 or later with venv.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check mlflow==3.17.2
cat > look.py <<'PY'
import math
import sys

from mlflow import MlflowClient
from mlflow.entities import Metric

client = MlflowClient("sqlite:///store.db")
experiment = client.create_experiment("metrics")


def logged(*values):
    """One call for each (value, time in milliseconds), all at step 3: the latest value, and the history."""
    run = client.create_run(experiment).info.run_id
    for value, time in values:
        client.log_batch(run, metrics=[Metric("loss", value, time, 3)])
    history = [point.value for point in client.get_metric_history(run, "loss")]
    return client.get_run(run).data.metrics["loss"], history


largest = sys.float_info.max
seen = {
    "infinity": logged((math.inf, 1)),
    "minus infinity": logged((-math.inf, 1)),
    "2, then 1 in the same millisecond": logged((2.0, 7), (1.0, 7)),
    "1, then 2 in the same millisecond": logged((1.0, 7), (2.0, 7)),
    "2, then 1 a millisecond later": logged((2.0, 7), (1.0, 8)),
}
expected = {
    "infinity": (largest, [largest]),
    "minus infinity": (-largest, [-largest]),
    "2, then 1 in the same millisecond": (2.0, [1.0, 2.0]),
    "1, then 2 in the same millisecond": (2.0, [1.0, 2.0]),
    "2, then 1 a millisecond later": (1.0, [2.0, 1.0]),
}
for name, (latest, history) in seen.items():
    print(f"{name}: the latest is {latest}, the history {history}")
latest, _ = logged((math.nan, 1))
print(f"NaN: the latest is {latest}")
sys.exit(0 if seen == expected and math.isnan(latest) else 1)
PY
venv/bin/python look.py 2> log || { tail -5 log; exit 1; }
