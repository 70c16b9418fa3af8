"""The gate: what is the same passes in every format, what isn't is refused, and nothing is half written."""

import json
import os
import resource
from dataclasses import replace

import pytest
import torch
from follows import follows
from tiny_export import tiny_adapter, tiny_base, tiny_model

from qlora_kernels import quantize
from workbench.cli import main
from workbench.errors import InputError
from workbench.exporting import exporter
from workbench.exporting.exporter import export_model
from workbench.exporting.merging import beside, merged_weights
from workbench.exporting.parity import FLOAT32, Difference, NotTheSame, Text, difference, log_probabilities
from workbench.exporting.texts import PROMPTS, RUNNING_TEXTS, read_texts
from workbench.models.loaders import load_base
from workbench.models.writers import MODEL_FORMATS, gguf_file, gguf_vocabulary
from workbench.models.writers.model import WholeModel

ASKED = {"prompts": PROMPTS[:3], "heldout": RUNNING_TEXTS[:1]}


def left(folder):
    """What lies in a folder besides the base."""
    return {path.name: path.read_bytes() if path.is_file() else None for path in folder.iterdir()}


@pytest.mark.parametrize("format", MODEL_FORMATS)
def test_an_export_says_what_base_and_adapter_say(base, adapter, tmp_path, format):
    out = tmp_path / ("m" if MODEL_FORMATS[format].is_folder else "m.gguf")
    made = export_model(base, out, format, adapter=adapter, **ASKED)
    again, merged = load_base(out).decoder, merged_weights(base, adapter)
    a, b = adapter.matrices("layers.1.q_proj")
    expected = base.decoder.weight("layers.1.q_proj").double() + 3 * b.double() @ a.double()
    torch.testing.assert_close(merged["layers.1.q_proj"], expected.float(), rtol=1e-5, atol=1e-6)
    bits = {"f32": 1e-6, "safetensors-f32": 1e-6, "f16": 1e-3, "bf16": 1e-2, "safetensors": 1e-2}
    error = (again.weight("layers.1.q_proj") - expected).norm() / expected.norm()
    assert error < bits.get(format, 0.2)
    assert made.merged.kl < 1e-9
    assert made.effect.kl > 100 * made.merged.kl + 0.01
    assert made.written.kl <= made.tolerance.kl
    assert made.rounding.kl * 1.1 == pytest.approx(made.tolerance.kl - FLOAT32.kl)
    assert (made.apart is not None) == (format in ("q4_0", "q4_1", "q4_k", "q6_k"))
    assert made.bytes == sum(file.stat().st_size for file in ([out] if out.is_file() else out.iterdir()))
    assert list(tmp_path.iterdir()) == [out]


def test_more_bits_are_nearer(base, adapter, tmp_path):
    """The order of formats on weights that were never in four bits."""
    order = ("f32", "f16", "q8_0", "q6_k", "q4_k", "q4_1")
    found = {name: export_model(base, tmp_path / "m.gguf", name, adapter=adapter, **ASKED) for name in order}
    kls = [found[name].written.kl for name in order]
    assert kls == sorted(kls)
    assert kls[2] > 10 * kls[0]


def test_four_bits_say_what_merging_costs(tmp_path):
    """A base in four bits loses nothing with the adapter apart; rounding again what was merged does."""
    model = tiny_model()
    weights = {
        name: quantize(weight, "q4_0") if name.endswith("_proj") else weight
        for name, weight in model.weights.items()
    }
    kind = MODEL_FORMATS["q4_0"]
    kind.write(
        tmp_path / "four.gguf",
        replace(model, weights=weights),
        {**kind.kinds(model.shapes), "embedding": "f32"},
    )
    four = load_base(tmp_path / "four.gguf")
    made = export_model(four, tmp_path / "m.gguf", "q4_0", adapter=tiny_adapter(four), **ASKED)
    assert made.apart.kl < made.written.kl / 10
    assert made.merging_costs_more
    assert export_model(four, tmp_path / "m.gguf", "q4_0", **ASKED).merging_costs_more is None


def test_what_is_measured_is_what_the_words_say():
    """Two texts of two tokens, three tokens in the vocabulary; by hand."""
    p = torch.tensor([[0.5, 0.25, 0.25], [0.2, 0.7, 0.1]]).log()
    q = torch.tensor([[0.25, 0.5, 0.25], [0.2, 0.7, 0.1]]).log()
    texts = [Text("one", (0, 1), False), Text("two", (0, 1), True)]
    found = difference(texts, [p, p], [p, q])
    log2 = torch.tensor(2.0).log().item()
    assert found.kl == pytest.approx((0.5 * log2 - 0.25 * log2) / 4)
    assert found.largest == pytest.approx(log2)
    assert found.agreement == 3 / 4
    assert found.loss == pytest.approx(-log2)
    assert [text for _, text in found.worst] == ["two", "one"]
    assert difference(texts, [p, p], [p, q * torch.nan]).kl == torch.inf


def test_apart_is_what_peft_calls_an_adapter(base, adapter):
    """Every adapted layer adds scale times B A x: here by changing the weights of a plain decoder."""
    tokens = base.tokenizer.encode("Is the parcel late?")
    apart = log_probabilities(base.decoder, tokens, beside(base, adapter))
    plain = exporter.Decoder(base.decoder.config, dict(merged_weights(base, adapter)))
    torch.testing.assert_close(apart, log_probabilities(plain, tokens, {}), rtol=1e-4, atol=1e-4)


# ------------------------------------------------------------------------------ mistakes that are planted


def transposed(adapter):
    """Its square layers with B A read the other way round."""
    tensors = dict(adapter.tensors)
    for layer in adapter.layers:
        a, b = adapter.matrices(layer)
        if len(b) == a.shape[1]:
            tensors[f"{layer}.lora_A"], tensors[f"{layer}.lora_B"] = b.T, a.T
    return replace(adapter, tensors=tensors)


def a_transposed_b(monkeypatch, base):
    monkeypatch.setattr(
        exporter,
        "merged_weights",
        lambda base, adapter: merged_weights(base, adapter and transposed(adapter)),
    )


def a_forgotten_scale(monkeypatch, base):
    monkeypatch.setattr(
        exporter,
        "merged_weights",
        lambda base, adapter: merged_weights(base, adapter and replace(adapter, alpha=float(adapter.rank))),
    )


def an_unpermuted_q(monkeypatch, base):
    monkeypatch.setattr(gguf_file, "in_file_order", lambda name, data, config: data)


def changed_model(monkeypatch, change):
    """Let the writer be given another model than was asked for."""
    write = gguf_file.write_gguf_model

    def writes(path, model, kinds, *rest):
        write(path, *change(model, kinds), *rest)

    format = MODEL_FORMATS["q8_0"]
    for name in ("f32", "q8_0", "q4_0"):
        monkeypatch.setitem(MODEL_FORMATS, name, replace(MODEL_FORMATS[name], write=writes))
    assert format.write is write


def a_tied_head_untied(monkeypatch, base):
    def change(model: WholeModel, kinds):
        head = 0.9 * model.weights["embedding"]
        return replace(model, weights={**model.weights, "head": head}), {**kinds, "head": kinds["embedding"]}

    changed_model(monkeypatch, change)


def a_wrong_end_mark(monkeypatch, base):
    marks = gguf_vocabulary._marks

    def wrong(tokenizer, tokens, source):
        return marks(tokenizer, tokens, source) | {"tokenizer.ggml.eos_token_id": 2}

    monkeypatch.setattr(gguf_vocabulary, "_marks", wrong)


def another_template(monkeypatch, base):
    marks = gguf_vocabulary._marks

    def wrong(tokenizer, tokens, source):
        return marks(tokenizer, tokens, source) | {"tokenizer.chat_template": "{{ messages }}"}

    monkeypatch.setattr(gguf_vocabulary, "_marks", wrong)


PLANTED = {
    a_transposed_b: "the merged weights don't say what base and adapter say: KL .*It differs most on",
    a_forgotten_scale: "the merged weights don't say what base and adapter say: KL .* top-1 agreement",
    an_unpermuted_q: "what was written isn't what was to be written: KL .*at most",
    a_tied_head_untied: "what was written isn't what was to be written: ",
    a_wrong_end_mark: "reads and ends texts in another way: the set of tokens that end an answer is",
    another_template: "the chat template is another",
}


@pytest.mark.parametrize("format", ["f32", "q8_0", "q4_0"])
@pytest.mark.parametrize("mistake", PLANTED, ids=lambda mistake: mistake.__name__)
def test_the_gate_refuses(base, adapter, tmp_path, monkeypatch, mistake, format):
    out = tmp_path / "m.gguf"
    out.write_bytes(b"the old file")
    mistake(monkeypatch, base)
    with pytest.raises(NotTheSame, match=PLANTED[mistake]):
        export_model(base, out, format, adapter=adapter, **ASKED)
    assert left(tmp_path) == {"m.gguf": b"the old file"}


def test_a_row_that_no_text_asks_for_is_compared_too(tmp_path, monkeypatch):
    """With a head of its own, the embedding of a byte that no text has changes no probability."""

    def change(model: WholeModel, kinds):
        embedding = model.weights["embedding"].clone()
        embedding[5] = 0
        return replace(model, weights={**model.weights, "embedding": embedding}), kinds

    changed_model(monkeypatch, change)
    with pytest.raises(NotTheSame, match="isn't what was to be written: embedding holds other numbers"):
        export_model(tiny_base(tmp_path, tied=False), tmp_path / "m.gguf", "q8_0", **ASKED)


def test_a_difference_within_the_rounding_of_four_bits_is_found_in_them(base, tmp_path, monkeypatch):
    """The file is compared with its own rounding, so that a coarse format excuses nothing."""

    def change(model: WholeModel, kinds):
        up = model.weights["layers.1.up_proj"] * 1.01
        return replace(model, weights={**model.weights, "layers.1.up_proj": up}), kinds

    changed_model(monkeypatch, change)
    with pytest.raises(NotTheSame, match="what was written isn't what was to be written"):
        export_model(base, tmp_path / "m.gguf", "q4_0", **ASKED)


# ----------------------------------------------------------------------------- full disks, hostile files


def limited(size, write):
    """Do something while no file may grow above a size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("share", [0, 1e-5, 1e-3, 0.003, 0.01, 0.02, 0.05, 0.2, 0.5, 0.9, 0.999, 0.999999])
def test_a_disk_that_is_full_at_any_byte_leaves_the_old_file(base, tmp_path, share):
    whole = tmp_path / "whole.gguf"
    MODEL_FORMATS["q4_0"].write(
        whole, kinds=MODEL_FORMATS["q4_0"].kinds((model := whole_of(base)).shapes), model=model
    )
    size = whole.stat().st_size
    whole.unlink()
    out = tmp_path / "m.gguf"
    out.write_bytes(b"the old file")
    full = min(size - 1, int(share * size))
    with pytest.raises(InputError, match=r"could not write .*m\.gguf: File too large. Nothing was changed"):
        limited(full, lambda: export_model(base, out, "q4_0", **ASKED))
    assert left(tmp_path) == {"m.gguf": b"the old file"}


def whole_of(base):
    return WholeModel(
        config=base.decoder.config,
        weights=base.decoder.weights,
        tokenizer=base.tokenizer,
        name="m",
        source=base.path,
    )


@pytest.mark.parametrize("size", [0, 5, 1000, 40_000, 250_000])
def test_a_full_disk_leaves_no_part_of_a_folder(base, tmp_path, size):
    with pytest.raises(InputError, match=r"File too large\. Nothing was changed"):
        limited(
            size, lambda: export_model(base, tmp_path / "m", "safetensors", largest_shard=400_000, **ASKED)
        )
    assert left(tmp_path) == {}


def test_an_adapter_of_another_base_is_refused(base, tmp_path):
    wide = tiny_base(tmp_path, width=128)
    with pytest.raises(
        InputError, match=r"changes a layers\.0\.q_proj of shape \(256, 128\), and that .* has \(256, 256\)"
    ):
        export_model(base, tmp_path / "m.gguf", "f32", adapter=tiny_adapter(wide))
    assert not (tmp_path / "m.gguf").exists()


def test_numbers_that_are_none_are_refused(base, adapter, tmp_path):
    tensors = {
        **adapter.tensors,
        "layers.0.k_proj.lora_A": adapter.tensors["layers.0.k_proj.lora_A"] * torch.nan,
    }
    with pytest.raises(InputError, match=r"adapter tuned: layers\.0\.k_proj holds NaN or infinity"):
        export_model(base, tmp_path / "m.gguf", "f32", adapter=replace(adapter, tensors=tensors))
    broken = tiny_model()
    broken.weights["norm"][0] = torch.inf
    bad = replace(base, decoder=exporter.Decoder(broken.config, broken.weights))
    with pytest.raises(InputError, match="weight 'norm' holds NaN or infinity"):
        export_model(bad, tmp_path / "m.gguf", "f32")
    assert left(tmp_path) == {}


@pytest.mark.parametrize("name", ["../base/model.safetensors", "/etc/passwd", "..", "a/b.safetensors", 7, ""])
def test_a_shard_outside_its_folder_is_not_opened(base, tmp_path, name):
    out = tmp_path / "m"
    export_model(base, out, "safetensors", largest_shard=400_000, **ASKED)
    index = out / "model.safetensors.index.json"
    said = json.loads(index.read_text())
    said["weight_map"]["model.norm.weight"] = name
    index.write_text(json.dumps(said))
    with pytest.raises(InputError, match=r"weight_map has to name a file of this folder|could not read"):
        load_base(out)


def test_a_shard_that_is_cut_off_is_named(base, tmp_path):
    out = tmp_path / "m"
    export_model(base, out, "safetensors", largest_shard=400_000, **ASKED)
    shard = sorted(out.glob("model-*.safetensors"))[1]
    os.truncate(shard, shard.stat().st_size - 3)
    with pytest.raises(InputError, match=rf"could not read .*{shard.name}"):
        load_base(out)


@pytest.mark.parametrize(
    ("format", "name", "message"),
    [
        ("q9", "m.gguf", "unknown format 'q9'"),
        ("q8_0", "m.bin", "give a name that ends in .gguf"),
        ("q8_0", "folder", "is a folder; give the name of a file"),
        ("safetensors", "folder", "is there already; give the name of a folder that isn't"),
    ],
)
def test_places_and_formats_are_refused_at_once(base, tmp_path, format, name, message):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match=message):
        export_model(base, tmp_path / name, format)
    assert (tmp_path / "folder" / "thesis.tex").read_text() == "mine"


# ------------------------------------------------------------------------------------------------ the command


def test_the_command_writes_and_says(base, tmp_path, capsys):
    asked = tmp_path / "asked.jsonl"
    asked.write_text('{"prompt": "Is the parcel late?"}\n{"turns": ["Is the refund paid?", "Why?"]}\n')
    out = tmp_path / "m.gguf"
    arguments = [str(base.path), str(out), "--format", "q4_k", "--prompts", str(asked)]
    assert main(["export-model", *arguments]) == 0
    said = capsys.readouterr().out
    assert "the same as the base on" in said
    assert "allowed, from the rounding of this format alone: KL" in said
    assert out.is_file()


def test_the_command_ends_with_1_where_they_are_not_the_same(base, tmp_path, capsys, monkeypatch):
    an_unpermuted_q(monkeypatch, base)
    assert main(["export-model", str(base.path), str(tmp_path / "m.gguf"), "--format", "q8_0"]) == 1
    said = capsys.readouterr().err
    assert "not the same: what was written isn't what was to be written: KL" in said
    assert said.endswith("Nothing was written.\n")
    assert left(tmp_path) == {}


@follows("--shard-size is {gigabytes}; expected a number of gigabytes above 0")
def test_the_command_ends_with_2_for_bad_input(base, tmp_path, capsys):
    command = ["export-model", str(base.path), str(tmp_path / "m"), "--format", "safetensors"]
    assert main([*command, "--shard-size", "0"]) == 2
    assert "--shard-size is 0; expected a number of gigabytes above 0" in capsys.readouterr().err
    assert main([*command, "--shard-size", "0.0004"]) == 0
    assert len(list((tmp_path / "m").glob("*.safetensors"))) > 3


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "\n \n", "holds no text"),
        ("a.jsonl", "{", "line 1: it isn't JSON"),
        ("a.jsonl", '{"prompt": ""}', "line 1: none of prompt, instruction"),
        ("b.txt", None, "could not read"),
    ],
)
def test_files_of_prompts_are_refused_by_line(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        read_texts(tmp_path / name)


def test_a_base_that_reads_few_characters_is_asked_with_those(tmp_path):
    classroom = load_base("classroom")
    made = export_model(classroom, tmp_path / "m.gguf", "f32", **ASKED)
    assert made.tokens > 50
    assert made.written == Difference(
        kl=made.written.kl, largest=0.0, agreement=1.0, loss=0.0, worst=made.written.worst
    )


def test_an_adapter_that_names_another_base_is_said(base, adapter):
    assert exporter._notes(base, adapter) == ()
    assert (
        "names the base 'elsewhere/other'"
        in exporter._notes(base, replace(adapter, base="elsewhere/other"))[0]
    )
