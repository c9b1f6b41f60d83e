#!/usr/bin/env bash
# peft 0.21.2 with transformers 5.24.0, a LoRA adapter with modules_to_save = ["embed_tokens", "lm_head"]:
#
# 1. On a model as it is, the file of the adapter has each of the two matrices once.
# 2. After resize_token_embeddings of a model that was loaded from a folder it has each of them three times: as `…weight`, as `…modules_to_save.weight` (the same numbers) and as
#    `…original_module.weight` (those before the training). With the vocabularies of today (151,936 × 2,048 in float32) that is 7.5 GB
#    for an adapter of a few megabytes, and a reader that takes every key for a trained weight reads the untrained ones, too.
# 3. Loaded again, the trained ones count.
#
# This script fails when any of that changes. It runs none of slhf-lab. (It installs torch, which is large.)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install torch==2.11.0 transformers==5.24.0 peft==0.21.2
cat > "$folder/look.py" <<'PYTHON'
import pathlib, sys, tempfile
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM


SAVED = tempfile.mkdtemp(dir=sys.argv[1])
torch.manual_seed(1)
LlamaForCausalLM(LlamaConfig(vocab_size=100, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2,
                             num_key_value_heads=2, tie_word_embeddings=False)).save_pretrained(SAVED)


def base(rows):
    torch.manual_seed(2)
    model = LlamaForCausalLM.from_pretrained(SAVED)
    if rows != 100:
        model.resize_token_embeddings(rows, mean_resizing=False)
    return model


def saved(rows, folder):
    settings = LoraConfig(r=2, target_modules=["q_proj"], modules_to_save=["embed_tokens", "lm_head"], task_type="CAUSAL_LM")
    model = get_peft_model(base(rows), settings)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                parameter.add_(0.1)
    model.save_pretrained(folder)
    return model, load_file(pathlib.Path(folder) / "adapter_model.safetensors")


seen = {}
with tempfile.TemporaryDirectory() as folder:
    _, tensors = saved(100, folder)
    of_vocabulary = sorted(name for name in tensors if "lm_head" in name or "embed_tokens" in name)
    seen[f"without resizing: {len(of_vocabulary)} matrices"] = len(of_vocabulary) == 2
with tempfile.TemporaryDirectory() as folder:
    model, tensors = saved(104, folder)
    of_vocabulary = sorted(name for name in tensors if "lm_head" in name or "embed_tokens" in name)
    seen[f"after resizing: {len(of_vocabulary)} matrices"] = len(of_vocabulary) == 6
    for module in ("lm_head", "model.embed_tokens"):
        whole, copy, original = (tensors.get(f"base_model.model.{module}.{end}")
                                 for end in ("weight", "modules_to_save.weight", "original_module.weight"))
        seen[f"{module}: two are the same, one is untrained"] = (
            copy is not None and torch.equal(whole, copy) and not torch.equal(whole, original))
    tokens = torch.arange(5)[None]
    with torch.no_grad():
        before, after = model(tokens).logits, PeftModel.from_pretrained(base(104), folder)(tokens).logits
    seen["loaded again, the trained ones count"] = torch.allclose(before, after, atol=1e-6)
for what, is_so in seen.items():
    print("as seen" if is_so else "CHANGED", "-", what)
sys.exit(not all(seen.values()))
PYTHON
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" "$folder/look.py" "$folder" 2>/dev/null
