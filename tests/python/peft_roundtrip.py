"""Proves an adapter and a merged model against PEFT and transformers.

    python tests/python/peft_roundtrip.py BASE ADAPTER MERGED SAVED [VALUES]

BASE is a Hugging Face folder, ADAPTER what slhf-lab saved for it, MERGED the plain folder that slhf-lab wrote of both,
VALUES a JSON object with `tokens` (a list of token ids) and `log_probabilities` (of tokens[1:], as slhf-lab computes
them with the adapter on). PEFT saves the adapter that it read into SAVED, so that slhf-lab can read it again.
Prints the largest differences as one JSON object; exit status 1 if one of them is larger than 1e-4 (values) or 1e-5
(merged), or if the adapter does nothing.
"""

import json
import sys

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM


def log_probabilities(model, tokens):
    with torch.no_grad():
        logits = model(torch.tensor([tokens])).logits[0, :-1].double()
    chosen = torch.tensor(tokens[1:])[:, None]
    return torch.log_softmax(logits, -1).gather(1, chosen)[:, 0]


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def main(base, adapter, merged, saved, values=None):
    given = json.load(open(values)) if values else {}
    tokens = given.get("tokens") or list(range(3, 40))
    plain = log_probabilities(load(base), tokens)
    model = PeftModel.from_pretrained(load(base), adapter).eval()
    adapted = log_probabilities(model, tokens)
    model.save_pretrained(saved)
    found = {
        "adapter_effect": (adapted - plain).abs().max().item(),
        "merged_difference": (log_probabilities(load(merged), tokens) - adapted).abs().max().item(),
    }
    good = found["adapter_effect"] > 1e-2 and found["merged_difference"] < 1e-5
    if "log_probabilities" in given:
        mine = torch.tensor(given["log_probabilities"], dtype=torch.float64)
        found["value_difference"] = (mine - adapted).abs().max().item()
        good = good and found["value_difference"] < 1e-4
    print(json.dumps(found))
    return 0 if good else 1


if __name__ == "__main__":
    if len(sys.argv) not in (5, 6):
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
