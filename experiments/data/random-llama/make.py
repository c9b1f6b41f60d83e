"""Makes this folder's model: Llama's architecture, 98,816 random weights, one token a byte. Python's standard library is enough:

    python make.py
"""

import json
import pathlib
import random
import struct

HERE = pathlib.Path(__file__).parent
HIDDEN, INTERMEDIATE, LAYERS, HEADS, HEAD = 64, 128, 2, 4, 16
SPECIAL = ["<|start|>", "<|end|>", "<|pad|>"]
# Without names of roles: a turn is its text between two tokens.
TEMPLATE = (
    "{% for message in messages %}{{ '<|start|>' + message['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start|>' }}{% endif %}"
)


def alphabet():
    """The printable characters that stand for bytes in byte-level tokenizers, by byte."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = (byte for byte in range(256) if byte not in printable)
    shifted = {byte: 256 + index for index, byte in enumerate(others)}
    return [chr(shifted.get(byte, byte)) for byte in range(256)]


def tensors():
    yield "model.embed_tokens.weight", (256 + len(SPECIAL), HIDDEN)
    for layer in range(LAYERS):
        name = f"model.layers.{layer}."
        yield name + "input_layernorm.weight", (HIDDEN,)
        for part in ("q_proj", "k_proj", "v_proj"):
            yield f"{name}self_attn.{part}.weight", (HEADS * HEAD, HIDDEN)
        yield name + "self_attn.o_proj.weight", (HIDDEN, HEADS * HEAD)
        yield name + "post_attention_layernorm.weight", (HIDDEN,)
        for part in ("gate_proj", "up_proj"):
            yield f"{name}mlp.{part}.weight", (INTERMEDIATE, HIDDEN)
        yield name + "mlp.down_proj.weight", (HIDDEN, INTERMEDIATE)
    yield "model.norm.weight", (HIDDEN,)


def numbers(shape, generator):
    """Norms are 1; matrices keep the size of what they are applied to; the embedding, which is the output matrix too, is small."""
    if len(shape) == 1:
        return [1.0] * shape[0]
    deviation = 0.05 if shape[0] == 256 + len(SPECIAL) else shape[1] ** -0.5
    return [generator.gauss(0.0, deviation) for _ in range(shape[0] * shape[1])]


def bf16(number):
    (bits,) = struct.unpack("<I", struct.pack("<f", number))
    return struct.pack("<H", (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16)


def write_json(name, content):
    (HERE / name).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main():
    generator, header, data = random.Random(1), {"__metadata__": {"format": "pt"}}, bytearray()
    for name, shape in tensors():
        start = len(data)
        data += b"".join(bf16(number) for number in numbers(shape, generator))
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [start, len(data)]}
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    (HERE / "model.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + bytes(data))

    end, pad = 257, 258
    write_json("config.json", {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "dtype": "bfloat16", "hidden_act": "silu",
        "hidden_size": HIDDEN, "intermediate_size": INTERMEDIATE, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS, "head_dim": HEAD, "vocab_size": 256 + len(SPECIAL), "max_position_embeddings": 256,
        "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "tie_word_embeddings": True, "attention_bias": False, "mlp_bias": False,
        "bos_token_id": 256, "eos_token_id": end, "pad_token_id": pad,
    })
    write_json("generation_config.json", {"bos_token_id": 256, "eos_token_id": end, "pad_token_id": pad})
    added = [{"id": 256 + index, "content": token, "single_word": False, "lstrip": False, "rstrip": False,
              "normalized": False, "special": True} for index, token in enumerate(SPECIAL)]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    vocabulary = {character: byte for byte, character in enumerate(alphabet())}
    vocabulary.update({token: 256 + index for index, token in enumerate(SPECIAL)})
    write_json("tokenizer.json", {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
        "pre_tokenizer": level, "post_processor": None, "decoder": level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": vocabulary, "merges": []},
    })
    write_json("tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": SPECIAL[0], "eos_token": SPECIAL[1], "pad_token": SPECIAL[2],
        "clean_up_tokenization_spaces": False,
    })
    (HERE / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")


main()
