#!/usr/bin/env bash
# transformers 5.24.0, a folder with a tokenizer.json (byte-level BPE whose pre-tokenizer first cuts numbers into single digits) and a
# tokenizer_config.json:
#
# 1. tokenizer_class = "PreTrainedTokenizerFast": AutoTokenizer makes the tokens that tokenizer.json says, as the library tokenizers does.
# 2. tokenizer_class = "GPT2Tokenizer": the vocabulary and merges are kept, and the pre-tokenizer is replaced by GPT-2's own, without a
#    warning. Numbers are no longer cut into digits: the same text has other tokens than the model was trained with.
# 3. What is saved again from 2 has the replaced pre-tokenizer: the folder is changed for every other reader, too.
#
# So which tokens a folder means depends on the name of a class beside the file that is said to define them.
# This script fails when any of that changes. It needs no model, and runs none of slhf-lab.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install transformers==5.24.0
cat > "$folder/look.py" <<'PYTHON'
import json, pathlib, sys, tempfile
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer

made = Tokenizer(models.BPE())
made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                              pre_tokenizers.ByteLevel(add_prefix_space=False)])
made.decoder = decoders.ByteLevel()
plain = Tokenizer(models.BPE())
plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
plain.train_from_iterator(["in 2024 and in 2025"] * 9, trainer)
# Merges of digits exist; the pre-tokenizer keeps them from being made.
merged = json.loads(plain.to_str())
merged["pre_tokenizer"] = json.loads(made.to_str())["pre_tokenizer"]
TEXT = "in 2024"


def read(kind, again=None):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        (path / "tokenizer.json").write_text(json.dumps(merged))
        (path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": kind}))
        found = AutoTokenizer.from_pretrained(folder)
        saved = path / "saved"
        found.save_pretrained(saved)
        return found.encode(TEXT, add_special_tokens=False), json.loads((saved / "tokenizer.json").read_text())["pre_tokenizer"]


said = Tokenizer.from_str(json.dumps(merged)).encode(TEXT, add_special_tokens=False).ids
generic, kept = read("PreTrainedTokenizerFast")
rebuilt, saved = read("GPT2Tokenizer")
seen = {
    f"tokenizers: {len(said)} tokens, a digit each": len(said) > len(rebuilt),
    "PreTrainedTokenizerFast: the same": generic == said and "Digits" in json.dumps(kept),
    f"GPT2Tokenizer: {len(rebuilt)} tokens, others": rebuilt != said,
    "saved again, the digits are gone from the file": "Digits" not in json.dumps(saved),
}
for what, is_so in seen.items():
    print("as seen" if is_so else "CHANGED", "-", what)
sys.exit(not all(seen.values()))
PYTHON
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" "$folder/look.py" 2>/dev/null
