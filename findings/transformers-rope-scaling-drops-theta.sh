#!/usr/bin/env bash
# transformers 5.24.0, a config.json that transformers 5 itself saved (its theta lies in rope_parameters), to which `rope_scaling` is added by
# hand, as model cards tell users to do for longer contexts:
#
# 1. Of llama, qwen2 and qwen3, `rope_scaling` takes the place of `rope_parameters` as a whole: the model's theta of 1,000,000 becomes the
#    default of 10,000, without a warning. The model loads and answers, with other angles at every position.
# 2. Of gemma3_text, `rope_scaling` is merged into the entry of the full-attention layers instead, and the theta stays.
# 3. Of gemma3_text with "yarn" in an entry by kind of layer, `truncate` counts beside the entries and is ignored within them, where the
#    other settings of YaRN are: the frequencies are those of truncate = true. (Read from the function that computes them.)
#
# So what to write depends on the version that saved the folder: with theta within the added rope_scaling, 1. keeps it.
# This script fails when any of that changes. It needs no weights, and runs none of slhf-lab.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install transformers==5.24.0
cat > "$folder/look.py" <<'PYTHON'
import json, pathlib, sys, tempfile
from transformers import AutoConfig, Gemma3TextConfig, LlamaConfig, Qwen2Config, Qwen3Config
import transformers.modeling_rope_utils as rope
import inspect

YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}


def read_again(config, **added):
    with tempfile.TemporaryDirectory() as folder:
        config.save_pretrained(folder)
        path = pathlib.Path(folder) / "config.json"
        saved = json.loads(path.read_text())
        assert "rope_scaling" not in saved and "rope_theta" not in saved, saved
        path.write_text(json.dumps({**saved, **added}))
        return AutoConfig.from_pretrained(folder).rope_parameters


theta = {"rope_type": "default", "rope_theta": 1e6}
seen = {}
for kind in (LlamaConfig, Qwen2Config, Qwen3Config):
    name = kind.model_type
    found = read_again(kind(rope_parameters=dict(theta)))
    seen[f"{name}: as it was saved, theta is 1000000"] = found["rope_theta"] == 1e6
    found = read_again(kind(rope_parameters=dict(theta)), rope_scaling=YARN)
    seen[f"{name}: with rope_scaling added, theta is 10000"] = found["rope_theta"] == 1e4 and found["rope_type"] == "yarn"
    found = read_again(kind(rope_parameters=dict(theta)), rope_scaling={**YARN, "rope_theta": 1e6})
    seen[f"{name}: with theta within it, theta is 1000000"] = found["rope_theta"] == 1e6
kinds = {"full_attention": {"rope_type": "default", "rope_theta": 5e5}, "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}
found = read_again(Gemma3TextConfig(rope_parameters=kinds), rope_scaling=YARN)
seen["gemma3_text: rope_scaling is merged, and theta stays"] = (
    found["full_attention"]["rope_theta"] == 5e5 and found["full_attention"]["rope_type"] == "yarn")
source = inspect.getsource(rope._compute_yarn_parameters)
seen["yarn looks for truncate beside the entries by kind of layer only"] = (
    'config.rope_parameters.get("truncate"' in source and 'rope_parameters_dict.get("truncate"' not in source)
for what, is_so in seen.items():
    print("as seen" if is_so else "CHANGED", "-", what)
sys.exit(not all(seen.values()))
PYTHON
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" "$folder/look.py" 2>/dev/null
