"""The outside oracle for GGUF adapters: llama.cpp with one, or two, gives what we compute.

On SmolLM2's weights as float32, so that what differs isn't llama.cpp's rounding of activations; prompts are
Vicuna's questions in the base's own chat form. All of this takes about a minute.
"""

import json
import math
import urllib.request
from pathlib import Path

import pytest
import torch
from random_adapters import random_adapter

from workbench.adapters.formats import load_adapter, save_adapter
from workbench.adapters.sums import combine
from workbench.data.batches import Pool
from workbench.data.templates import Example
from workbench.models.base import Base
from workbench.models.decoder import Decoder
from workbench.models.gguf_writer import write_gguf

pytestmark = pytest.mark.slow
xllamacpp = pytest.importorskip("xllamacpp", reason="llama.cpp isn't installed: pip install -e '.[test]'")
QUESTIONS = Path(__file__).resolve().parents[4] / "shared" / "real" / "vicuna_bench_questions.jsonl"
CLOSE = 0.03
"""Nats between log-probabilities of one token; 16-bit keys and values in llama.cpp leave about a third."""
EVERY = 10


@pytest.fixture(scope="module")
def plain(smollm2: Base) -> Base:
    """The base with all weights as float32."""
    decoder = smollm2.decoder
    weights = {name: decoder.weight(name).clone() for name in decoder.weights}
    return Base(
        name="plain",
        path=smollm2.path,
        sha256=smollm2.sha256,
        licence=None,
        decoder=Decoder(decoder.config, weights),
        tokenizer=smollm2.tokenizer,
    )


@pytest.fixture(scope="module")
def folder(plain, tmp_path_factory):
    """The base and two adapters, as files; the adapters change queries and keys, too."""
    folder = tmp_path_factory.mktemp("llama")
    decoder = plain.decoder
    write_gguf(
        folder / "base.gguf", decoder.config, decoder.weights, plain.tokenizer, name="plain", licence=None
    )
    kinds = {"first": {"rslora": True}, "second": {"leaves": ("q_proj", "k_proj", "down_proj"), "rank": 8}}
    for seed, (name, fields) in enumerate(kinds.items()):
        adapter = random_adapter(decoder.config, seed=seed, size=0.05, alpha=4.0, **fields)
        save_adapter(adapter, folder / f"{name}.gguf", base=plain)
    yield folder
    (folder / "base.gguf").unlink()  # half a gigabyte


@pytest.fixture(scope="module")
def prompts(plain):
    if not QUESTIONS.exists():
        pytest.skip(
            f"{QUESTIONS.name} isn't beside the checkout, in shared/real; it may not be copied into it"
        )
    asked = [json.loads(line)["turns"][0] for line in QUESTIONS.read_text().splitlines()][::EVERY]
    forms = [f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n" for text in asked]
    return [plain.tokenizer.encode(form) for form in forms]


@torch.no_grad()
def ours(base, prompts, adapter=None):
    """Log-probabilities of the next token, shape (prompts, vocabulary)."""
    pool = Pool([Example(tuple(tokens), 1) for tokens in prompts])
    carried = adapter.for_decoder() if adapter else None
    last = [base.decoder(pool.batch([[k]]), carried)[0, len(one) - 1] for k, one in enumerate(prompts)]
    return base.decoder.head(torch.stack(last)).log_softmax(-1)


def theirs(folder, prompts, adapters=()):
    """The same from llama.cpp for its 50 likeliest tokens: (ids, log-probabilities), each (prompts, 50)."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(folder / "base.gguf")
    parameters.warmup = False
    parameters.n_ctx = 512
    parameters.n_parallel = 1
    parameters.cpuparams.n_threads = 1
    loaded = []
    for name, scale in adapters:
        loaded.append(xllamacpp.CommonAdapterLoraInfo())
        loaded[-1].path, loaded[-1].scale = str(folder / f"{name}.gguf"), scale
    parameters.lora_adapters = loaded
    server = xllamacpp.Server(parameters)
    found = []
    for tokens in prompts:
        body = {"prompt": tokens, "n_predict": 1, "n_probs": 50, "temperature": -1, "cache_prompt": False}
        request = urllib.request.Request(
            server.listening_address + "/completion",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            top = json.load(answer)["completion_probabilities"][0]["top_logprobs"]
        found.append([(entry["id"], entry["logprob"]) for entry in top])
    both = torch.tensor(found, dtype=torch.float64)
    assert both.shape == (len(prompts), 50, 2)
    assert math.isfinite(both.sum())
    return both[..., 0].long(), both[..., 1].float()


def largest_difference(mine, found):
    ids, logs = found
    return float((mine.gather(1, ids) - logs).abs().max())


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_an_adapter_means_the_same_to_llama_cpp(plain, folder, prompts, scale):
    adapter = load_adapter(folder / "first.gguf", plain)
    scaled = adapter if scale == 1 else combine([adapter], [scale])
    mine, found = ours(plain, prompts, scaled), theirs(folder, prompts, [("first", scale)])
    assert largest_difference(mine, found) <= CLOSE
    assert torch.equal(mine.argmax(1), found[0][:, 0])
    if scale == 1:  # the control: with the adapter there and not here they are far apart
        assert largest_difference(ours(plain, prompts), found) > 1


def test_two_adapters_loaded_there_are_our_sum(plain, folder, prompts):
    adapters = [load_adapter(folder / f"{name}.gguf") for name in ("first", "second")]
    whole = combine(adapters, [0.5, 1.0])
    found = theirs(folder, prompts, [("first", 0.5), ("second", 1.0)])
    assert largest_difference(ours(plain, prompts, whole), found) <= CLOSE
    alone = combine(adapters[:1], [0.5])
    assert largest_difference(ours(plain, prompts, alone), found) > 5 * CLOSE
