"""Peak memory of training on large bases that are held packed, and how well it was predicted.

    python benchmarks/large_bases.py [1B-q4_0 1B-q4_k 8B-q4_0 ...] [--folder FOLDER] [--tokens N] [--steps N]

Writes a GGUF of random blocks in the shape of Llama 3.2 1B or Llama 3 8B (which takes 0.7 or 4.5 GB of the
disk), trains steps of so many tokens on it in a process of its own, whose peak (``ru_maxrss``, the mapped
pages of the file with it) is measured, and deletes it. ``--hold decoded`` measures the other way. The numbers
are kept in records/large_bases.json.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import gguf
import numpy as np
import psutil
import torch

from qlora_kernels import quantize
from qlora_kernels.quantize_k import quantize_k
from workbench.models.decoder_config import DecoderConfig
from workbench.models.gguf_layout import gguf_name

RECORD = Path(__file__).parent / "records" / "large_bases.json"
SHAPES = {
    "tiny": (DecoderConfig(vocabulary=2_000, width=256, layers=4, heads=8, kv_heads=2, head_size=32,
                           feed_forward=512, context=2048), True),
    "1B": (DecoderConfig(vocabulary=128_256, width=2048, layers=16, heads=32, kv_heads=8, head_size=64,
                         feed_forward=8192, rope_base=500_000.0, context=8192), True),
    "8B": (DecoderConfig(vocabulary=128_256, width=4096, layers=32, heads=32, kv_heads=8, head_size=128,
                         feed_forward=14_336, rope_base=500_000.0, context=8192), False),
}  # fmt: skip
"""Sizes of a base, and whether its head is its embedding: Llama 3.2 1B's and Llama 3 8B's."""
LIMITS = {"1B": 2.5e9, "8B": 9e9}
"""Most bytes that training is to take on a base that is held packed."""
SAME = ("base", "hold", "precision")
"""What a row of the record is known by."""
TILE = 512
"""Rows of random blocks that are made; a matrix is drawn from them."""
WORDS = "abcdefghijklmnopqrstuvwxyz"


def blocks(format: str, columns: int, rng: np.random.Generator) -> np.ndarray:
    """Return rows of random weights of the usual size, quantized."""
    values = torch.from_numpy(rng.normal(size=(TILE, columns)).astype(np.float32) / columns**0.5)
    packed = quantize_k(values, format) if format.endswith("_k") else quantize(values, format)
    return packed.to_gguf_bytes().numpy()


def vocabulary(size: int) -> tuple[list[str], list[str]]:
    """Return tokens, and merges that make each of two before it, as large as a real tokenizer's."""
    from tokenizers import pre_tokenizers

    rng = np.random.default_rng(1)
    tokens = sorted(pre_tokenizers.ByteLevel.alphabet())
    known, merges = set(tokens), []
    while len(tokens) < size - 1:
        first, second = (tokens[int(place)] for place in rng.integers(min(len(tokens), 4096), size=2))
        if (made := first + second) not in known and len(made) < 12:
            known.add(made)
            tokens.append(made)
            merges.append(f"{first} {second}")
    return [*tokens, "<|end|>"], merges


def write(path: Path, shape: str, format: str) -> None:
    """Write a base of random blocks, one tensor at a time; of K formats embedding and head are in Q6_K."""
    config, tied = SHAPES[shape]
    rng, architecture = np.random.default_rng(0), "llama"
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name(f"random {shape}")
    writer.add_block_count(config.layers)
    writer.add_context_length(config.context)
    writer.add_embedding_length(config.width)
    writer.add_feed_forward_length(config.feed_forward)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.kv_heads)
    writer.add_rope_dimension_count(config.head_size)
    writer.add_rope_freq_base(config.rope_base)
    writer.add_layer_norm_rms_eps(1e-5)
    tokens, merges = vocabulary(config.vocabulary)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([1] * (len(tokens) - 1) + [3])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(len(tokens) - 1)
    writer.add_eos_token_id(len(tokens) - 1)
    kinds = {}
    for name, size in config.shapes(tied=tied).items():
        kind = "f32" if len(size) == 1 else format
        if format.endswith("_k") and name in ("embedding", "head"):
            kind = "q6_k"
        kinds[name] = kind
        quantized = gguf.GGMLQuantizationType[kind.upper()]
        block, block_bytes = gguf.GGML_QUANT_SIZES[quantized]
        nbytes = int(np.prod(size)) // block * block_bytes
        # of a type that is packed the writer takes the shape in bytes
        laid_out = size if kind == "f32" else (size[0], size[1] // block * block_bytes)
        dtype = np.dtype(np.float32 if kind == "f32" else np.uint8)
        raw = None if kind == "f32" else quantized
        writer.add_tensor_info(gguf_name(name), laid_out, dtype, nbytes, raw)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    tiles = {}
    for name, size in config.shapes(tied=tied).items():
        if len(size) == 1:
            writer.write_tensor_data(np.ones(size, np.float32))
            continue
        key = kinds[name], size[1]
        if key not in tiles:
            tiles[key] = blocks(*key, rng)
        writer.write_tensor_data(tiles[key][rng.integers(TILE, size=size[0])])
    writer.close()


def text(rng: np.random.Generator, tokens: int) -> str:
    """Return a text of about so many tokens: of single letters that no merge joins with a space."""
    return " ".join(WORDS[int(place)] for place in rng.integers(len(WORDS), size=max(1, tokens // 2)))


def train(path: Path, hold: str, precision: str, tokens: int, steps: int) -> None:
    """Plan a study of one cell, train it, and print what was predicted and measured, as JSON."""
    from workbench.memory import peak_bytes
    from workbench.studies.choices import study
    from workbench.studies.plan import plan
    from workbench.studies.stacks import step_tokens
    from workbench.training.loop import train as train_cells

    rng = np.random.default_rng(0)
    records = [
        {"prompt": text(rng, tokens // 16), "response": text(rng, tokens // 4 - tokens // 16)}
        for _ in range(12)
    ]
    lines = path.with_suffix(".jsonl")
    lines.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    asked = study(
        str(lines),
        base=str(path),
        qualities=["clean"],
        sizes=[8],
        seeds=[0],
        heldout=2,
        steps=steps,
        batch_size=4,
        rank=8,
        template="plain",
        hold=hold,
        precision=precision,
    )
    began = time.monotonic()
    made = plan(asked)
    planned = time.monotonic() - began
    assert made.room
    predicted = made.room.predicted(made.stacks, made.prepared)
    began, processor = time.monotonic(), time.process_time()
    cell = made.cells[0]
    _, state = train_cells(made.prepared.frozen, [cell], [made.prepared.draws[cell.key()]])
    told = {
        "hold": made.base.decoder.hold,
        "precision": made.base.decoder.precision,
        "parameters": made.base.parameters,
        "bits_per_weight": round(made.base.bits_per_weight, 3),
        "step_tokens": round(step_tokens(cell, made.prepared)),
        "program_bytes": made.room.program,
        "predicted_bytes": predicted,
        "peak_bytes": peak_bytes(),
        "plan_seconds": round(planned, 1),
        "step_seconds": round((time.monotonic() - began) / steps, 1),
        "step_processor_seconds": round((time.process_time() - processor) / steps, 1),
        "losses": [round(float(loss), 4) for loss in state.losses[:, 0]],
    }
    print(json.dumps(told))


def main() -> None:
    """Measure what is asked for and keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bases", nargs="*", default=["1B-q4_0", "1B-q4_k", "8B-q4_0"])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--hold", default="packed")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--once", type=Path)
    asked = parser.parse_args()
    if asked.once:
        train(asked.once, asked.hold, asked.precision, asked.tokens, asked.steps)
        return
    rows = json.loads(RECORD.read_text(encoding="utf-8"))["rows"] if RECORD.exists() else []
    for name in asked.bases:
        shape, _, format = name.partition("-")
        with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
            path = Path(folder) / f"{name}.gguf"
            write(path, shape, format)
            size = path.stat().st_size
            print(f"{name}: {size / 1e9:.2f} GB", flush=True)
            options = ["--hold", asked.hold, "--precision", asked.precision]
            options += ["--tokens", str(asked.tokens), "--steps", str(asked.steps)]
            found = subprocess.run(
                [sys.executable, __file__, "--once", str(path), *options], check=True, stdout=subprocess.PIPE
            )
        row = {"base": name, "file_bytes": size, **json.loads(found.stdout)}
        row["load"] = round(psutil.getloadavg()[0], 1)
        off = row["predicted_bytes"] / row["peak_bytes"] - 1
        bounded = shape in LIMITS and row["hold"] == "packed"
        limit = f", limit {LIMITS[shape] / 1e9:.1f} GB" if bounded else ""
        print(
            f"{name} held {row['hold']}: peak {row['peak_bytes'] / 1e9:.2f} GB{limit}; predicted "
            f"{row['predicted_bytes'] / 1e9:.2f} GB ({off:+.0%}); {row['step_seconds']} s a step of "
            f"{row['step_tokens']} tokens",
            flush=True,
        )
        if shape in LIMITS:
            rows = [old for old in rows if any(old[one] != row[one] for one in SAME)] + [row]
            RECORD.write_text(json.dumps({"rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
