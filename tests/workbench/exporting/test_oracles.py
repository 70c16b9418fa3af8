"""Exports as others read them: transformers with PEFT, and llama.cpp."""

import json
from pathlib import Path

import pytest
import torch
from ask_llamacpp import Llama
from safetensors.torch import save_file
from tiny_export import tiny_adapter

from workbench.adapters.formats import load_adapter
from workbench.adapters.formats.peft import CONFIG, WEIGHTS, peft_name
from workbench.exporting.exporter import export_model
from workbench.exporting.merging import beside
from workbench.exporting.parity import log_probabilities
from workbench.exporting.texts import PROMPTS, RUNNING_TEXTS, read_texts
from workbench.models.loaders import load_base
from workbench.models.writers import MODEL_FORMATS

ASKED = {"prompts": PROMPTS[:2], "heldout": RUNNING_TEXTS[:1]}
TEXTS = (
    "Is the parcel late? Answer yes or no.",
    "one word how many days 12345",
    "<|im_start|>user\nhi<|im_end|>\n",
)
GGUF = [name for name, format in MODEL_FORMATS.items() if not format.is_folder]
VICUNA = Path(__file__).resolve().parents[4] / "shared" / "real" / "vicuna_bench_questions.jsonl"


@pytest.fixture(scope="module")
def transformers():
    return pytest.importorskip("transformers", reason="the oracle isn't installed: pip install -e '.[test]'")


@pytest.fixture(scope="module")
def with_peft(base, adapter, transformers, tmp_path_factory):
    """The base with the adapter on it, as PEFT computes it: tokens -> logits."""
    peft = pytest.importorskip("peft", reason="the oracle isn't installed: pip install -e '.[test]'")
    folder = tmp_path_factory.mktemp("adapter")
    named = {peft_name(name): tensor.contiguous() for name, tensor in adapter.tensors.items()}
    save_file(named, folder / WEIGHTS)
    leaves = sorted({name.split(".")[2] for name in adapter.layers})
    config = {"peft_type": "LORA", "r": adapter.rank, "lora_alpha": adapter.alpha, "target_modules": leaves}
    (folder / CONFIG).write_text(json.dumps(config | {"base_model_name_or_path": str(base.path)}))
    assert load_adapter(folder).scale(adapter.layers[0]) == adapter.scale(adapter.layers[0])
    model = transformers.LlamaForCausalLM.from_pretrained(base.path, dtype=torch.float32)
    model = peft.PeftModel.from_pretrained(model, folder).eval()

    def run(tokens):
        with torch.no_grad():
            return model(torch.tensor([tokens])).logits[0]

    return run


def by_transformers(transformers, folder, tokens):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        return model(torch.tensor([tokens])).logits[0]


@pytest.mark.parametrize("format", ["safetensors-f32", "safetensors"])
def test_transformers_reads_the_folder_as_peft_reads_base_and_adapter(
    base, adapter, with_peft, transformers, tmp_path, format
):
    made = export_model(base, tmp_path / "m", format, adapter=adapter, largest_shard=400_000, **ASKED)
    tokens = base.tokenizer.encode(TEXTS[0])
    theirs = by_transformers(transformers, tmp_path / "m", tokens)
    expected = with_peft(tokens)
    if format == "safetensors-f32":
        torch.testing.assert_close(theirs, expected, rtol=1e-4, atol=1e-4)
    apart = (theirs.log_softmax(-1) - expected.log_softmax(-1)).abs().max()
    assert apart <= 2 * made.tolerance.largest
    ours = log_probabilities(load_base(tmp_path / "m").decoder, tokens, {})
    torch.testing.assert_close(theirs.log_softmax(-1), ours, rtol=1e-4, atol=1e-4)
    untouched = by_transformers(transformers, base.path, tokens)
    assert (untouched - expected).abs().max() > 1  # control: without the adapter


def test_transformers_reads_the_tokenizer_and_where_a_generation_ends(base, transformers, tmp_path):
    export_model(base, tmp_path / "m.gguf", "q8_0", **ASKED)
    # out of a folder into a GGUF and back into a folder: nothing but our own files
    export_model(load_base(tmp_path / "m.gguf"), tmp_path / "m", "safetensors", **ASKED)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "m")
    for text in (*TEXTS, "  two\n\nlines café 中文 😀"):
        assert theirs(text, add_special_tokens=False)["input_ids"] == base.tokenizer.encode(text)
        assert theirs(text)["input_ids"] == [0, *base.tokenizer.encode(text)]
    messages = [{"role": "user", "content": "hi"}]
    assert theirs.apply_chat_template(messages, tokenize=False) == base.tokenizer.render_chat(messages)
    generation = transformers.GenerationConfig.from_pretrained(tmp_path / "m")
    assert generation.eos_token_id == [1, 3]
    assert (theirs.eos_token, theirs.bos_token) == ("</s>", "<s>")


@pytest.mark.parametrize("format", GGUF)
def test_llama_cpp_reads_every_format(base, adapter, tmp_path, format):
    """In float32 as base and adapter apart; else as our own reader, but that it rounds activations, too."""
    made = export_model(base, tmp_path / "m.gguf", format, adapter=adapter, **ASKED)
    llama = Llama(tmp_path / "m.gguf")
    again = load_base(tmp_path / "m.gguf")
    assert [llama.encode(text) for text in TEXTS] == [base.tokenizer.encode(text) for text in TEXTS]
    tokens = base.tokenizer.encode(TEXTS[0])
    theirs = llama.log_probabilities(tokens, base.decoder.config.vocabulary)
    ours = log_probabilities(again.decoder, tokens, {})[-1]
    apart = log_probabilities(base.decoder, tokens, beside(base, adapter))[-1]
    likeliest = apart.topk(50).indices
    furthest = {"f32": 0.03, "f16": 0.1, "bf16": 0.3}.get(format, 0.5)
    assert (theirs - ours)[likeliest].abs().max() < furthest
    if format == "f32":
        assert (theirs - apart)[likeliest].abs().max() < 0.03
        assert theirs.argmax() == apart.argmax()
        without = log_probabilities(base.decoder, tokens, {})[-1]
        assert (theirs - without)[likeliest].abs().max() > 1  # control
    assert (theirs - apart)[likeliest].abs().max() < made.tolerance.largest + furthest


@pytest.mark.slow
def test_smollm2_with_an_adapter_is_the_same_in_llama_cpp_on_80_questions(smollm2, tmp_path):
    if not VICUNA.is_file():
        pytest.skip("vicuna_bench_questions.jsonl isn't beside the checkout; it may not be copied into it")
    questions = read_texts(VICUNA)
    assert len(questions) == 80
    adapter = tiny_adapter(smollm2, rank=8, alpha=6.0)
    made = export_model(smollm2, tmp_path / "m.gguf", "f32", adapter=adapter, **ASKED)
    llama = Llama(tmp_path / "m.gguf")
    furthest = without = 0.0
    for question in questions:
        text = smollm2.tokenizer.render_chat(
            [{"role": "user", "content": question}], add_generation_prompt=True
        )
        tokens = smollm2.tokenizer.encode(text)
        assert llama.encode(text) == tokens
        theirs = llama.top(tokens, 50)
        apart = log_probabilities(smollm2.decoder, tokens, beside(smollm2, adapter))[-1]
        assert next(iter(theirs)) == int(apart.argmax()), question
        places = torch.tensor(list(theirs))
        furthest = max(furthest, float((apart[places] - torch.tensor(list(theirs.values()))).abs().max()))
        if question is questions[0]:
            alone = log_probabilities(smollm2.decoder, tokens, {})[-1]
            without = float((alone[places] - torch.tensor(list(theirs.values()))).abs().max())
    print(f"furthest log-probability {furthest:.4f}, without the adapter {without:.2f}, {made.written}")
    assert furthest < 0.03
    assert without > 1  # control


@pytest.mark.slow
@pytest.mark.parametrize("format", ["q8_0", "q4_k"])
def test_smollm2_in_few_bits_is_what_its_rounding_makes_of_it(smollm2, tmp_path, format):
    adapter = tiny_adapter(smollm2, rank=8, alpha=6.0)
    made = export_model(smollm2, tmp_path / "m.gguf", format, adapter=adapter, **ASKED)
    llama, again = Llama(tmp_path / "m.gguf"), load_base(tmp_path / "m.gguf")
    apart = []
    for prompt in PROMPTS[:4]:
        tokens = smollm2.tokenizer.encode(prompt)
        theirs = llama.top(tokens, 10)
        ours = log_probabilities(again.decoder, tokens, {})[-1]
        apart.append((ours[torch.tensor(list(theirs))] - torch.tensor(list(theirs.values()))).abs())
    # llama.cpp rounds activations to eight bits as well
    assert torch.cat(apart).max() < 0.6
    assert torch.cat(apart).mean() < 0.15
    assert made.written.kl < {"q8_0": 0.02, "q4_k": 0.5}[format]
