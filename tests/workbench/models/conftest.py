"""Bases to test the loaders with: a tiny one made here, and SmolLM2 where it can be fetched."""

import json

import gguf
import numpy as np
import pytest
import tokenizers
import torch

from qlora_kernels import QuantizedTensor
from workbench.data.batches import Pool
from workbench.data.templates import Example
from workbench.models.decoder_config import DecoderConfig
from workbench.models.gguf_writer import write_gguf
from workbench.models.tokenizer import CharacterTokenizer

ALPHABET = "abcdefghijklmnopqrstuvwxyz '"


@pytest.fixture(scope="session")
def toy_config():
    """Two query heads for each key head, and a head size that isn't the width over the heads."""
    return DecoderConfig(
        vocabulary=3 + len(ALPHABET),
        width=64,
        layers=2,
        heads=4,
        kv_heads=2,
        head_size=32,
        feed_forward=96,
        rope_base=5000.0,
        norm_epsilon=1e-4,
        context=32,
    )


@pytest.fixture(scope="session")
def make_weights():
    """A function (config, format) -> weights: matrices in that block format, or plain."""

    def make(config, format="q4_0", tied=True):
        generator = np.random.default_rng(0)
        weights = {}
        for name, shape in config.shapes(tied=tied).items():
            values = (generator.normal(size=shape) / shape[-1] ** 0.5).astype(np.float32)
            if len(shape) == 1:
                weights[name] = torch.from_numpy(1 + values)
            elif format == "plain":
                weights[name] = torch.from_numpy(values)
            else:
                packed = gguf.quants.quantize(values, gguf.GGMLQuantizationType[format.upper()])
                weights[name] = QuantizedTensor.from_gguf_bytes(format, shape, packed.tobytes())
        return weights

    return make


@pytest.fixture
def toy_gguf(tmp_path, toy_config, make_weights):
    path = tmp_path / "toy.gguf"
    tokenizer = CharacterTokenizer(ALPHABET)
    write_gguf(path, toy_config, make_weights(toy_config), tokenizer, name="toy", licence="MIT")
    return path


VOCABULARY = 40
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{{ eos_token }}{% endfor %}"
)


@pytest.fixture(scope="session")
def transformers():
    return pytest.importorskip("transformers", reason="the oracle isn't installed: pip install -e '.[test]'")


def write_tokenizer(folder, template=TEMPLATE):
    vocabulary = {"<s>": 0, "</s>": 1, "<unk>": 2} | {chr(97 + i): 3 + i for i in range(26)}
    library = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, [], unk_token="<unk>"))
    library.add_special_tokens(["<s>", "</s>"])
    library.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    library.save(str(folder / "tokenizer.json"))
    names = {
        "bos_token": "<s>",
        "eos_token": {"content": "</s>"},
        "pad_token": None,
        "chat_template": template,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(names))


@pytest.fixture(scope="session")
def put_tokenizer():
    """A function (folder) that writes a tokenizer of letters and its template into it."""
    return write_tokenizer


@pytest.fixture(scope="session")
def make_folder(transformers, tmp_path_factory):
    """A function (settings) -> (folder, model): a small random model, saved by transformers."""

    def make(shards="5GB", dtype=torch.float32, **settings):
        sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "vocab_size": VOCABULARY}
        heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64}
        torch.manual_seed(0)
        config = transformers.LlamaConfig(**{**sizes, **heads, "rms_norm_eps": 1e-4, **settings})
        model = transformers.LlamaForCausalLM(config).to(dtype)
        with torch.no_grad():
            for name, weight in model.named_parameters():
                weight.copy_(torch.randn_like(weight) / weight.shape[-1] ** 0.5 + ("norm" in name))
        folder = tmp_path_factory.mktemp("folder")
        model.save_pretrained(folder, max_shard_size=shards)
        write_tokenizer(folder)
        return folder, transformers.LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)

    return make


@pytest.fixture(scope="session")
def logits():
    """A function (base, tokens) -> the base's logits at each of them."""

    def run(base, tokens):
        batch = Pool([Example(tuple(tokens), 1)]).batch([[0]])
        with torch.no_grad():
            return base.decoder.head(base.decoder(batch))[0]

    return run


@pytest.fixture(scope="session")
def edit_gguf():
    """A function (source, folder, tensors, fields) -> path of a changed copy; see :func:`edit`."""
    return edit


def edit(source, folder, tensors=None, fields=None):
    """Copy a GGUF with the `gguf` package, with some tensors and fields replaced, or left out when None."""
    tensors, fields = tensors or {}, fields or {}
    reader, path = gguf.GGUFReader(source), folder / "edited.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    types = {key: field.types for key, field in reader.fields.items() if not key.startswith("GGUF.")}
    values = {key: reader.fields[key].contents() for key in types} | fields
    values.pop("general.architecture") if "general.architecture" not in fields else None
    for key, value in values.items():
        if value is not None:
            kind = types.get(key, [gguf.GGUFValueType.get_type(value)])[0]
            kind = gguf.GGUFValueType.get_type(value) if key in fields else kind
            kind = gguf.GGUFValueType.UINT32 if kind == gguf.GGUFValueType.INT32 else kind
            writer.add_key_value(key, value, kind, types[key][1] if len(types.get(key, [])) > 1 else None)
    kept = {tensor.name: (tensor.data, tensor.tensor_type) for tensor in reader.tensors} | tensors
    for name, tensor in kept.items():
        if tensor is not None:
            writer.add_tensor(name, tensor[0], raw_dtype=tensor[1])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
