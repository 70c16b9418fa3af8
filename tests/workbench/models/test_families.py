"""Every family against transformers, PEFT and llama.cpp, by small random models."""

import copy
import re

import pytest
import torch
from ask_llamacpp import Llama
from follows import follows
from made_families import MODELS, bytes_tokenizer, make

from workbench.adapters.lora import LoraStack
from workbench.chatting.in_torch import OneSequence
from workbench.config import LINEARS, CellConfig
from workbench.data.batches import Pool
from workbench.data.templates import Example
from workbench.errors import InputError
from workbench.models.families import FAMILIES
from workbench.models.families.family import ATTENTION
from workbench.models.folder_config import read_config
from workbench.models.folder_tokenizer import read_json
from workbench.models.generation import generate
from workbench.models.gguf_reader import load_gguf
from workbench.models.gguf_writer import write_gguf
from workbench.models.loaders import load_base
from workbench.models.safetensors_folder import _shards, huggingface_name, read_weights
from workbench.models.writers.folder import write_folder
from workbench.models.writers.model import WholeModel
from workbench.training.losses import label_losses

TOKENS = [0, 5, 17, 3, 28, 9, 9, 1, 30, 4, 22, 11, 7, 7, 2]


@pytest.fixture(scope="module")
def saved(transformers, tmp_path_factory, put_tokenizer):
    """A function (name of a model, sizes) -> its folder and transformers' model; each made once."""
    kept = {}

    def give(name, **sizes):
        key = (name, *sorted(sizes.items()))
        if key not in kept:
            folder = tmp_path_factory.mktemp("family")
            kept[key] = folder, make(transformers, *MODELS[name], folder, **sizes)
            put_tokenizer(folder)
        return kept[key]

    return give


def test_each_family_has_a_model():
    assert {kind for kind, _ in MODELS.values()} == set(FAMILIES)


@pytest.mark.parametrize("name", MODELS)
def test_logits_are_those_of_transformers(saved, logits, name):
    folder, model = saved(name)
    with torch.no_grad():
        theirs = model(torch.tensor([TOKENS])).logits[0]
    assert theirs.std() > 0.2
    torch.testing.assert_close(logits(load_base(folder), TOKENS), theirs, rtol=0, atol=1e-5)


UNSAID = {
    "qwen3, yarn, biases": "can't hold biases of k_proj, o_proj, q_proj, v_proj",
    "qwen2 with windows": "windows is (None, None, 5, 5)",
    "gemma2": "attention_scale is 0.2041",
    "gemma3_text": "attention_scale is 0.2041",
    "gemma3_text, long": "windows is (5, None, 5, None)",
    "smollm3 with windows": "unturned is frozenset({1, 3})",
}
"""What no GGUF can say, since llama.cpp takes one value for the whole family."""


@follows("Write a folder of safetensors instead.")
@pytest.mark.parametrize("name", UNSAID)
def test_what_a_gguf_cannot_say_is_refused_and_a_folder_says_it(saved, logits, tmp_path, name):
    tokenizer = bytes_tokenizer()
    folder, _ = saved(name, vocab_size=tokenizer.vocabulary)
    config, tied, _ = read_config(folder, read_json(folder / "config.json"))
    weights = read_weights(folder, _shards(folder), config, tied)
    with pytest.raises(InputError, match=re.escape(UNSAID[name])):
        write_gguf(tmp_path / "family.gguf", config, weights, tokenizer, name="toy", licence=None)
    assert not list(tmp_path.iterdir())
    whole = WholeModel(config=config, weights=weights, tokenizer=tokenizer, name="whole", source=folder)
    write_folder(tmp_path / "folder", whole, dict.fromkeys(weights, "f32"))
    assert torch.equal(logits(load_base(tmp_path / "folder"), TOKENS), logits(load_base(folder), TOKENS))


@pytest.mark.parametrize("name", [name for name in MODELS if name not in UNSAID])
def test_a_gguf_means_to_llama_cpp_what_the_folder_means(saved, logits, tmp_path, name):
    tokenizer = bytes_tokenizer()
    folder, _ = saved(name, vocab_size=tokenizer.vocabulary)
    config, tied, _ = read_config(folder, read_json(folder / "config.json"))
    weights = read_weights(folder, _shards(folder), config, tied)
    path = tmp_path / "family.gguf"
    write_gguf(path, config, weights, tokenizer, name="toy", licence=None)
    base = load_gguf(path, "toy")
    # llama.cpp tells no probabilities where the likeliest token is no whole letter; the first 94 are ASCII
    texts = ([(37 * place + shift) % 200 for place in range(24)] for shift in range(99))
    tokens = next(one for one in texts if logits(base, one)[-1].argmax() < 94)
    ours = logits(base, tokens)
    torch.testing.assert_close(ours, logits(load_base(folder), tokens), rtol=0, atol=1e-4)
    packed = logits(load_gguf(path, "toy", hold="packed"), tokens)
    torch.testing.assert_close(packed, ours, rtol=0, atol=2e-5)
    oracle = Llama(path).top(tokens, 50)
    expected = ours[-1].log_softmax(-1)
    worst = max(abs(float(expected[token]) - value) for token, value in oracle.items())
    assert worst < 0.03, f"{worst:.4f} nats"


@pytest.mark.parametrize("name", MODELS)
def test_four_steps_lose_what_they_lose_in_peft(saved, name):
    """From the same first weights, by the same optimizer: what an adapter's gradient is, each layer tells."""
    peft = pytest.importorskip("peft")
    folder, model = saved(name)
    base, fused = load_base(folder), FAMILIES[MODELS[name][0]].fused
    # transformers has one layer where ours are several: an adapter of the one is no adapter of the others
    targets = ("o_proj", "down_proj") if fused else ATTENTION if base.decoder.config.experts else LINEARS
    cell = CellConfig(data="d", base="b", size=8, seed=0, rank=3, alpha=6.0, targets=targets)
    stack = LoraStack([cell], base.decoder.config)
    settings = peft.LoraConfig(r=3, lora_alpha=6.0, target_modules=list(targets), lora_dropout=0.0)
    twin = peft.get_peft_model(copy.deepcopy(model), settings).train()
    theirs = dict(twin.named_parameters())
    with torch.no_grad():
        stack.weights += 0.1 * torch.randn(stack.weights.shape, generator=torch.Generator().manual_seed(1))
        for layer, (a, b) in stack.matrices().items():
            module = f"base_model.model.{huggingface_name(layer).removesuffix('.weight')}"
            theirs[f"{module}.lora_A.default.weight"].copy_(a[0])
            theirs[f"{module}.lora_B.default.weight"].copy_(b[0])
    batch = Pool([Example(tuple(TOKENS), 4)]).batch([[0]])
    optimizers = [
        torch.optim.AdamW(weights, lr=0.01)
        for weights in ([stack.weights], [one for one in theirs.values() if one.requires_grad])
    ]
    labels = torch.tensor([[-100] * 4 + TOKENS[4:]])
    losses = []
    for _ in range(4):
        ours = label_losses(
            base.decoder, base.decoder.at_labels(batch, stack.adapters()), batch.labels
        ).mean()
        peft_loss = twin(torch.tensor([TOKENS]), labels=labels).loss
        for optimizer, loss in zip(optimizers, (ours, peft_loss), strict=True):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        losses.append((float(ours), float(peft_loss)))
    assert losses[0][0] - losses[-1][0] > 0.05, "it learns"
    for ours, peft_loss in losses:
        assert ours == pytest.approx(peft_loss, abs=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_generation_with_its_cache_goes_on_as_transformers_does(saved, name):
    folder, model = saved(name)
    decoder = load_base(folder).decoder
    prompts = [TOKENS[:9], TOKENS[:4]]  # longer than the windows, and shorter
    written = generate(decoder, [prompts], stops=(), limit=6)[0]
    for prompt, ours in zip(prompts, written, strict=True):
        tokens = list(prompt)
        for _ in range(6):
            with torch.no_grad():
                tokens.append(int(model(torch.tensor([tokens])).logits[0, -1].argmax()))
        assert ours == tokens[len(prompt) :]
    sequence = OneSequence(decoder)
    sequence.add(TOKENS[:3], {})
    one_by_one = [sequence.add([token], {}) for token in TOKENS[3:]][-1]
    with torch.no_grad():
        torch.testing.assert_close(one_by_one, model(torch.tensor([TOKENS])).logits[0, -1], rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def tokenizer_of_bytes(saved, tmp_path_factory):
    """The tokenizer of bytes as it comes out of a GGUF, which can be written anywhere."""
    path = tmp_path_factory.mktemp("bytes") / "bytes.gguf"
    tokenizer = bytes_tokenizer()
    folder, _ = saved("llama", vocab_size=tokenizer.vocabulary)
    config, tied, _ = read_config(folder, read_json(folder / "config.json"))
    write_gguf(
        path, config, read_weights(folder, _shards(folder), config, tied), tokenizer, name="b", licence=None
    )
    return load_gguf(path, "bytes").tokenizer


@pytest.mark.parametrize("name", MODELS)
def test_a_folder_is_written_that_transformers_reads(saved, transformers, tmp_path, tokenizer_of_bytes, name):
    """Its config.json made from what the decoder computes, as after a GGUF, its norms and joined matrices."""
    folder, model = saved(name, vocab_size=tokenizer_of_bytes.vocabulary)
    base = load_base(folder)
    weights = {key: base.decoder.weight(key) for key in base.decoder.weights}
    whole = WholeModel(
        config=base.decoder.config, weights=weights, tokenizer=tokenizer_of_bytes, name="written"
    )
    write_folder(tmp_path / "written", whole, dict.fromkeys(weights, "f32"))
    again = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "written", dtype=torch.float32, attn_implementation="eager"
    ).eval()
    assert type(again).__name__ == FAMILIES[MODELS[name][0]].architecture
    with torch.no_grad():
        theirs, ours = (one(torch.tensor([TOKENS])).logits[0] for one in (model, again))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
