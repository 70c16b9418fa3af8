"""Small vocabularies as GGUF files, written by the `gguf` package and not by our own writer."""

from pathlib import Path

import gguf
import numpy as np

from workbench.models.gguf_container import GgufFile
from workbench.models.gguf_tokenizer import read_tokenizer

WIDTH = 32
FIELDS = {
    "context_length": 512,
    "embedding_length": WIDTH,
    "block_count": 1,
    "feed_forward_length": WIDTH,
    "attention.head_count": 1,
    "attention.head_count_kv": 1,
    "rope.dimension_count": WIDTH,
}


def write_vocabulary(path: Path, metadata: dict, name: str = "toy") -> Path:
    """Write a model of zeros with this vocabulary, for llama.cpp to read."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(name)
    writer.add_layer_norm_rms_eps(1e-5)
    for key, value in FIELDS.items():
        writer.add_uint32(f"llama.{key}", value)
    for key, value in metadata.items():
        kind = gguf.GGUFValueType.get_type(value)
        kind = gguf.GGUFValueType.UINT32 if kind == gguf.GGUFValueType.INT32 else kind
        if not isinstance(value, bytes):
            writer.add_key_value(key, value, kind)
        else:
            writer.add_key_value(key, value, gguf.GGUFValueType.ARRAY, gguf.GGUFValueType.UINT8)
    matrices = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
    shapes = {f"blk.0.{name}.weight": (WIDTH, WIDTH) for name in matrices}
    shapes |= dict.fromkeys(("output_norm.weight", "blk.0.attn_norm.weight"), (WIDTH,))
    shapes |= {
        "blk.0.ffn_norm.weight": (WIDTH,),
        "token_embd.weight": (len(metadata["tokenizer.ggml.tokens"]), WIDTH),
    }
    for tensor, shape in shapes.items():
        writer.add_tensor(tensor, np.zeros(shape, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def read_vocabulary(path: Path, metadata: dict, name: str = "toy"):
    """Return our tokenizer of such a file."""
    return read_tokenizer(GgufFile(path, {"general.name": name, **metadata}, {}))


def byte_texts() -> dict[int, str]:
    """For each byte the character that byte-level BPE writes it as; worked out from GPT-2's rule."""
    seen = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in seen]
    return {byte: chr(byte) for byte in seen} | {byte: chr(256 + n) for n, byte in enumerate(others)}


CHARACTERS = [*"aSs1'! \n\r_/éÉ中٣", "\u0301"]


def byte_level(pre: str) -> dict:
    """A vocabulary that joins whatever stands in one word, so that every cut between words shows."""
    texts = byte_texts()
    spelled = ["".join(texts[byte] for byte in character.encode()) for character in CHARACTERS]
    pairs = [(text[:cut], text[cut]) for text in spelled for cut in range(1, len(text))]
    pairs += [(left, right) for left in spelled for right in spelled]
    pairs += [(a + b, c) for a in spelled for b in spelled for c in spelled]
    merges = list({left + right: f"{left} {right}" for left, right in reversed(pairs)}.values())[::-1]
    # no merge leads to these: only a pre-tokenizer that takes whole words finds them
    whole = ["aaaaa", "Ġaaaa", "SSSSS"]
    tokens = [*texts.values(), *(merge.replace(" ", "") for merge in merges), *whole, "<|end|>"]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [1] * (len(tokens) - 1) + [3],
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": len(tokens) - 1,
        "tokenizer.ggml.eos_token_id": len(tokens) - 1,
    }


AWKWARD = [
    "",
    " ",
    "   two  and   three   spaces   ",
    "trailing tab\t",
    "1234567890 3.14159 ١٢٣ ½ ² 12345678901234567890",
    "tab\tand\n\nlines\r\nand \u00a0hard\u3000spaces\u200b\n\n\n",
    "naïve café, Ångström, e\u0301 ñ ß a\u0308\u0323",
    "我们在学习。日本語 한국어 ไทย हिन्दी",
    "שלום עולם، مرحبا بالعالم \u202eabc\u202c",
    "😀👩‍👩‍👧🏳️‍🌈👍🏽 𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
    "I'm, you're, we'll; DON'T 'S 'twas I'LL WE'VE don’t DON’T ’s",
    "camelCaseWords HTTPServer écoleÉcole",
    "<|im_start|>user\nHello<|im_end|>\n<|endoftext|>",
    "a<|end|>b <|end|> <|end|>\n<|e nd|>",
    "def f(x):\n    return x_1 ** 2  # why?\n",
    "\x00\x04\x1c\x7f\x85\u2028\ufeff\U0010ffff",
    "a\x00b",
    "a" * 3000,
    " " * 700 + "x",
    "\n" * 300,
]
"""Texts on which tokenizers differ most easily."""
