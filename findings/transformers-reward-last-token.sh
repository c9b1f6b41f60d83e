#!/usr/bin/env bash
# transformers 5.24.0 and peft 0.21.2, …ForSequenceClassification as a reward model:
#
# 1. The logits are those at the last token whose id is not pad_token_id. The attention mask has no say: where the padding token is the
#    end-of-sequence token, as people set it, a text that ends with that token is scored at the token before it, with whatever mask.
# 2. Without a pad_token_id a text alone is scored at its last token, and a batch of two is refused.
# 3. So the same weights score the same text otherwise after `config.pad_token_id = …` alone. PEFT's adapter keeps the head, but neither
#    pad_token_id nor the labels: over its base loaded anew a text that ends with that token has another score.
# 4. modules_to_save = ["score"] is saved as ["score", "classifier", "score"], whether or not there is such a module.
# 5. Two labels are said nowhere in config.json.
#
# This script fails when any of that changes. It runs none of slhf-lab. (It installs torch, which is large.)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install torch==2.11.0 transformers==5.24.0 peft==0.21.2
cat > "$folder/look.py" <<'PYTHON'
import json, pathlib, sys
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import LlamaConfig, LlamaForSequenceClassification

FOLDER = pathlib.Path(sys.argv[1])
EOS = 2
SIZES = dict(vocab_size=50, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2, eos_token_id=EOS)
torch.manual_seed(1)
LlamaForSequenceClassification(LlamaConfig(**SIZES)).save_pretrained(FOLDER / "base")
seen = {"two labels are not in config.json": not {"id2label", "num_labels"} & set(json.loads((FOLDER / "base/config.json").read_text()))}


def base(pad):
    model = LlamaForSequenceClassification.from_pretrained(FOLDER / "base").eval()
    model.config.pad_token_id = pad
    return model


def logits(model, rows, mask=None):
    with torch.no_grad():
        return model(torch.tensor(rows), attention_mask=None if mask is None else torch.tensor(mask)).logits


def alike(one, other):
    return torch.allclose(one, other, atol=1e-6)


TEXT = [7, 8, 9]
padded, unpadded = base(EOS), base(None)
for name, mask in (("no mask", None), ("a mask that sees the end", [[1, 1, 1, 1]])):
    seen[f"the end is the padding token, {name}: the token before it"] = (
        alike(logits(padded, [TEXT + [EOS]], mask), logits(padded, [TEXT])))
seen["no padding token: the end itself"] = not alike(logits(unpadded, [TEXT + [EOS]]), logits(padded, [TEXT + [EOS]]))
try:
    logits(unpadded, [TEXT, TEXT])
    seen["no padding token: no batch"] = False
except ValueError:
    seen["no padding token: no batch"] = True

adapted = get_peft_model(base(EOS), LoraConfig(r=1, target_modules=["q_proj"], modules_to_save=["score"], task_type="SEQ_CLS"))
adapted.eval().save_pretrained(FOLDER / "adapter")
settings = json.loads((FOLDER / "adapter/adapter_config.json").read_text())
seen["modules_to_save names a classifier"] = settings["modules_to_save"] == ["score", "classifier", "score"]
seen["an adapter says neither padding nor labels"] = not {"pad_token_id", "num_labels", "id2label"} & set(settings)
again = PeftModel.from_pretrained(LlamaForSequenceClassification.from_pretrained(FOLDER / "base"), FOLDER / "adapter").eval()
seen["loaded anew, a text that does not end so has the same score"] = alike(logits(adapted, [TEXT]), logits(again, [TEXT]))
seen["loaded anew, a text that ends so has another"] = not alike(logits(adapted, [TEXT + [EOS]]), logits(again, [TEXT + [EOS]]))
for what, is_so in seen.items():
    print("as seen" if is_so else "CHANGED", "-", what)
sys.exit(not all(seen.values()))
PYTHON
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" "$folder/look.py" "$folder" 2>/dev/null
