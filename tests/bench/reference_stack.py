"""The Python reference stack on this machine: transformers + PEFT, to hold against `cargo xtask bench lm`.

    python tests/bench/reference_stack.py MODEL [--threads 2] [--batch 8] [--prompt-tokens 64] [--new-tokens 32]
                                          [--steps 3] [--decode-batches 1 8 32 128] [--device cpu] [--json FILE]

MODEL is a Hugging Face folder or a GGUF file. Measured, as medians:

decode   tokens a second of Hugging Face's `generate` at each batch; the time of the prompt alone (one new token) is
         taken off, so that the number is of decoding. Exactly --new-tokens are drawn a row.
step     one whole step as the code of the StackelbergGDA paper does it: the Leader answers --batch prompts, the Follower
         answers the longer prompts that hold those answers, from scratch; then for each role on its own a forward pass
         of the frozen reference (adapter off) and a forward and backward pass of the policy, then AdamW. LoRA of rank 16
         on all linear layers. No judge: the scores are numbers.

Prompts are random token ids of equal lengths, so that no row is padded. Prints one JSON object, then a table on stderr.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import sys
import time
from pathlib import Path


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--prompt-tokens", type=int, default=64)
    parser.add_argument("--new-tokens", type=int, default=32)
    parser.add_argument("--instruction-tokens", type=int, default=24)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--decode-batches", type=int, nargs="*", default=[1, 8, 32, 128])
    parser.add_argument("--lora-r", type=int, default=16)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


options = arguments()
os.environ["OMP_NUM_THREADS"] = str(options.threads)
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import peft  # noqa: E402  (the number of threads is read when torch is imported)
import torch  # noqa: E402
import transformers  # noqa: E402

torch.set_num_threads(options.threads)


def load():
    kind = getattr(torch, options.precision)
    if options.model.is_file():
        where = {"pretrained_model_name_or_path": str(options.model.parent), "gguf_file": options.model.name}
    else:
        where = {"pretrained_model_name_or_path": str(options.model)}
    return transformers.AutoModelForCausalLM.from_pretrained(**where, dtype=kind).to(options.device).eval()


def synchronise():
    if options.device.startswith("cuda"):
        torch.cuda.synchronize()


def seconds(call):
    synchronise()
    start = time.perf_counter()
    result = call()
    synchronise()
    return time.perf_counter() - start, result


def random_tokens(model, rows, length, generator):
    # The first ids of a vocabulary are often special tokens.
    tokens = torch.randint(100, model.config.vocab_size, (rows, length), generator=generator)
    return tokens.to(options.device)


def generate(model, prompts, new_tokens):
    with torch.no_grad():
        answer = model.generate(
            prompts, attention_mask=torch.ones_like(prompts), do_sample=True, temperature=1.0, top_k=0, top_p=1.0,
            min_new_tokens=new_tokens, max_new_tokens=new_tokens, use_cache=True, pad_token_id=0)
    assert answer.shape[1] == prompts.shape[1] + new_tokens, "every row must have exactly the tokens asked for"
    return answer


def measure_decode(model, generator):
    rates = {}
    for batch in options.decode_batches:
        prompts = random_tokens(model, batch, options.prompt_tokens, generator)
        generate(model, prompts, 2)
        spans = []
        for _ in range(options.steps):
            first, _ = seconds(lambda: generate(model, prompts, 1))
            whole, _ = seconds(lambda: generate(model, prompts, options.new_tokens))
            spans.append(whole - first)
        rates[str(batch)] = batch * (options.new_tokens - 1) / statistics.median(spans)
    return rates


def log_probabilities(model, sequences, answer_from):
    logits = model(sequences).logits[:, answer_from - 1:-1].float()
    chosen = sequences[:, answer_from:, None]
    return torch.log_softmax(logits, -1).gather(-1, chosen)[..., 0]


def train_role(model, sequences, answer_from, scores):
    """Reference, policy, backward: of one role."""
    with torch.no_grad(), model.disable_adapter():
        reference = log_probabilities(model, sequences, answer_from)
    policy = log_probabilities(model, sequences, answer_from)
    penalty = 0.001 * (policy.detach() - reference)
    loss = -((scores[:, None] - penalty) * policy).sum(1).mean()
    loss.backward()
    return loss.item()


def step(model, optimizer, prompts, instruction, scores):
    model.eval()
    new = options.new_tokens

    def answers():
        leader = generate(model, prompts, new)
        context = torch.cat([leader, instruction.expand(len(leader), -1)], 1)
        return leader, generate(model, context, new)

    generating, (leader, follower) = seconds(answers)
    model.train()

    def train():
        train_role(model, leader, leader.shape[1] - new, scores)
        train_role(model, follower, follower.shape[1] - new, -scores)
        torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    training, _ = seconds(train)
    return generating, training


def measure_steps(model, generator):
    adapter = peft.LoraConfig(r=options.lora_r, lora_alpha=2 * options.lora_r, lora_dropout=0.0,
                              target_modules="all-linear", task_type="CAUSAL_LM")
    model = peft.get_peft_model(model, adapter)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5)
    prompts = random_tokens(model, options.batch, options.prompt_tokens, generator)
    instruction = random_tokens(model, 1, options.instruction_tokens, generator)
    scores = torch.linspace(-0.5, 0.5, options.batch).to(options.device)
    step(model, optimizer, prompts, instruction, scores)
    spans = [step(model, optimizer, prompts, instruction, scores) for _ in range(options.steps)]
    return {
        "generate_s": statistics.median(span[0] for span in spans),
        "train_s": statistics.median(span[1] for span in spans),
        "step_s": statistics.median(sum(span) for span in spans),
        "trained_parameters": sum(p.numel() for p in trained),
    }


def peak_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def device_name():
    if options.device.startswith("cuda"):
        return torch.cuda.get_device_name(options.device)
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def main():
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    transformers.logging.set_verbosity_error()
    model = load()
    loaded = peak_bytes()
    # The step comes first, so that its peak is its own and not that of a large decoding batch.
    found = {"step": measure_steps(model, generator), "peak_bytes_loading": loaded, "peak_bytes_step": peak_bytes()}
    if options.device.startswith("cuda"):
        found["peak_bytes_device_step"] = torch.cuda.max_memory_allocated()
    model = load()
    found["decode_tokens_per_second"] = measure_decode(model, generator)
    settings = {key: str(value) if isinstance(value, Path) else value for key, value in vars(options).items()}
    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__,
                "python": platform.python_version()}
    result = {"device": device_name(), "settings": settings, "versions": versions, **found}
    text = json.dumps(result, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")
    table(result)


def table(result):
    rows = [(f"decode, batch {batch}", f"{rate:.1f} tokens/s")
            for batch, rate in result["decode_tokens_per_second"].items()]
    spans = result["step"]
    rows += [("step: generate", f"{spans['generate_s']:.3f} s"), ("step: train", f"{spans['train_s']:.3f} s"),
             ("step", f"{spans['step_s']:.3f} s"), ("peak memory of a step", f"{result['peak_bytes_step'] / 2**20:.0f} MiB")]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {value:>16}", file=sys.stderr)


main()
