"""Decoding by llama.cpp on this machine, to hold against `cargo xtask bench lm -- --only decode`.

    pip install llama-cpp-python==0.3.36 gguf==0.19.0      # compiles llama.cpp for this processor: ten minutes on two cores
    python tests/bench/llama_decoding.py MODEL.gguf [--threads 2] [--batches 1 8 32] [--prompt-tokens 64] [--new-tokens 32]
                                    [--repeats 5] [--lora-r 16]

As many sequences as a batch has are decoded in parallel, one token each a step, through the library's C interface: the Python loop
costs a few calls a step. Each token is drawn by the library's own sampler at temperature 1 from the whole vocabulary; the second
figure leaves that out and takes the same token always. An adapter of random numbers, of rank --lora-r on every linear layer, is written to a
temporary file and loaded, not merged; 0 leaves it out. Prompts are random tokens of equal lengths. Prints one JSON object: medians.
"""

import argparse
import ctypes
import json
import statistics
import tempfile
import time
from pathlib import Path

import gguf
import llama_cpp
import numpy


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batches", type=int, nargs="*", default=[1, 8, 32])
    parser.add_argument("--prompt-tokens", type=int, default=64)
    parser.add_argument("--new-tokens", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--lora-r", type=int, default=16)
    return parser.parse_args()


options = arguments()
PROJECTIONS = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")


def write_adapter(path):
    reader = gguf.GGUFReader(options.model)
    architecture = bytes(reader.fields["general.architecture"].parts[-1]).decode()
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 2.0 * options.lora_r)
    generator = numpy.random.default_rng(1)
    for tensor in reader.tensors:
        if tensor.name.endswith(".weight") and tensor.name.split(".")[-2] in PROJECTIONS:
            inputs, outputs = (int(length) for length in tensor.shape)
            for part, shape in (("lora_a", (options.lora_r, inputs)), ("lora_b", (outputs, options.lora_r))):
                writer.add_tensor(f"{tensor.name}.{part}", generator.normal(0, 0.01, shape).astype(numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


class Decoding:
    """Sequences of one context, a token each a step."""

    def __init__(self, model, adapter, rows):
        settings = llama_cpp.llama_context_default_params()
        settings.n_ctx = rows * (options.prompt_tokens + options.new_tokens + 2)
        settings.n_batch = settings.n_ubatch = max(512, rows)
        settings.n_seq_max = rows
        settings.n_threads = settings.n_threads_batch = options.threads
        settings.kv_unified = True
        self.context = llama_cpp.llama_init_from_model(model, settings)
        if adapter:
            adapters = (type(adapter) * 1)(adapter)
            refused = llama_cpp.llama_set_adapters_lora(self.context, adapters, 1, (ctypes.c_float * 1)(1.0))
            assert not refused, "the adapter was refused"
        self.rows = rows
        self.vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
        self.batch = llama_cpp.llama_batch_init(max(512, rows), 0, 1)

    def feed(self, items):
        """Tokens as (token, place, row, whether logits are wanted)."""
        for start in range(0, len(items), 512):
            part = items[start:start + 512]
            self.batch.n_tokens = len(part)
            for index, (token, place, row, wanted) in enumerate(part):
                self.batch.token[index] = token
                self.batch.pos[index] = place
                self.batch.n_seq_id[index] = 1
                self.batch.seq_id[index][0] = row
                self.batch.logits[index] = wanted
            refused = llama_cpp.llama_decode(self.context, self.batch)
            assert refused == 0, f"llama_decode returned {refused}"

    def tokens_per_second(self, drawn):
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)
        sampler = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
        llama_cpp.llama_sampler_chain_add(sampler, llama_cpp.llama_sampler_init_temp(1.0))
        llama_cpp.llama_sampler_chain_add(sampler, llama_cpp.llama_sampler_init_dist(1))
        length = options.prompt_tokens
        for row in range(self.rows):
            prompt = [(100 + (row * 37 + at * 11) % (self.vocabulary - 200), at, row, 0) for at in range(length - 1)]
            self.feed(prompt)
        self.feed([(101 + row, length - 1, row, 1) for row in range(self.rows)])
        start = time.perf_counter()
        for step in range(options.new_tokens):
            tokens = [llama_cpp.llama_sampler_sample(sampler, self.context, row) if drawn else 1000 + row
                      for row in range(self.rows)]
            self.feed([(token, length + step, row, 1) for row, token in enumerate(tokens)])
        # Logits are read where they are computed on another device; here this changes nothing.
        llama_cpp.llama_synchronize(self.context)
        seconds = time.perf_counter() - start
        llama_cpp.llama_sampler_free(sampler)
        return self.rows * options.new_tokens / seconds

    def free(self):
        llama_cpp.llama_batch_free(self.batch)
        llama_cpp.llama_free(self.context)


def main():
    quiet = llama_cpp.llama_log_callback(lambda level, text, data: None)
    llama_cpp.llama_log_set(quiet, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    model = llama_cpp.llama_model_load_from_file(str(options.model).encode(), llama_cpp.llama_model_default_params())
    adapter = None
    if options.lora_r:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "adapter.gguf"
            write_adapter(path)
            adapter = llama_cpp.llama_adapter_lora_init(model, str(path).encode())
        assert adapter, "the adapter cannot be read"
    found = {}
    for rows in options.batches:
        decoding = Decoding(model, adapter, rows)
        decoding.tokens_per_second(True)
        rates = [(decoding.tokens_per_second(True), decoding.tokens_per_second(False)) for _ in range(options.repeats)]
        decoding.free()
        drawn, fixed = (statistics.median(column) for column in zip(*rates))
        found[str(rows)] = {"tokens_per_second": drawn, "without_drawing": fixed}
    versions = {"llama_cpp": llama_cpp.__version__, "gguf": getattr(gguf, "__version__", "0.19.0")}
    print(json.dumps({"decode": found, "lora_r": options.lora_r, "versions": versions}, indent=1))


main()
