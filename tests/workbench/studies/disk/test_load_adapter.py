"""An adapter by itself: plain LoRA in PEFT's layout is read, whatever asks for more is refused."""

import json
import re

import pytest
import torch
from follows import follows

import workbench as wb
from workbench.config import LINEARS
from workbench.lessons.shipped import VERBS
from workbench.studies.disk.adapters import CONFIG, WEIGHTS, adapter_folder


def copied(tmp_path, **changes):
    """Copy a shipped adapter's folder with other settings; a setting of ... is taken out."""
    source = adapter_folder(VERBS, wb.shipped_study().cell("clean", 128).key())
    config = {**json.loads((source / CONFIG).read_bytes()), **changes}
    config = {name: value for name, value in config.items() if value is not ...}
    (tmp_path / CONFIG).write_text(json.dumps(config))
    (tmp_path / WEIGHTS).write_bytes((source / WEIGHTS).read_bytes())
    return tmp_path


def test_an_adapter_is_what_it_adds(tmp_path):
    adapter = wb.load_adapter(copied(tmp_path, lora_alpha=4))
    a, b = adapter.matrices("layers.1.down_proj")
    assert (adapter.rank, adapter.scale("layers.1.down_proj")) == (8, 0.5)
    torch.testing.assert_close(adapter.change("layers.1.down_proj"), 0.5 * (b.double() @ a.double()).float())
    assert adapter.shapes["layers.1.down_proj"] == (128, 352)
    assert adapter.parameters == sum(8 * (n + k) for n, k in adapter.shapes.values())
    assert adapter.layers[:2] == ("layers.0.q_proj", "layers.0.k_proj")
    with pytest.raises(wb.InputError, match=r"Did you mean 'layers\.1\.down_proj'"):
        adapter.change("layers.1.down_prj")


@follows(
    "holds {layer}, which target_modules and the other settings",
    "{settings} {which} {MAGNITUDE} of {layer}",
    "which can't be used as a pattern",
)
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"use_dora": True}, "says DoRA and the file has no lora_magnitude_vector of layers.0.down_proj"),
        ({"rank_pattern": {"q_proj": 2}}, "expected a matrix of rank 2"),
        ({"rank_pattern": ["q_proj"]}, "rank_pattern is \"['q_proj']\"; expected a dict"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save is \"['lm_head']\", which changes more"),
        ({"lora_bias": True}, "lora_bias is 'True'"),
        ({"trainable_token_indices": [1]}, "trainable_token_indices"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights is 'pissa'"),
        ({"peft_type": "IA3"}, "peft_type is 'IA3'"),
        ({"peft_type": ...}, "peft_type is 'None'"),
        (
            {"target_modules": ["q_proj"]},
            "holds layers.0.down_proj, which target_modules and the other",
        ),
        ({"target_modules": "(a+)+"}, "a repeat within a repeat"),
        ({"target_modules": "("}, "can't be used as a pattern: missing ), unterminated subpattern"),
        ({"target_modules": ...}, "target_modules is None; expected names of layers"),
        ({"layers_to_transform": [0]}, "holds layers.1.down_proj, which target_modules"),
        ({"r": 4}, "expected a matrix of rank 4"),
        ({"r": 10**12}, "expected a matrix of rank 1000000000000"),
        ({"r": "8"}, "r, the rank, is 8"),
        ({"r": ...}, "r, the rank, is None"),
        ({"lora_alpha": 0}, "lora_alpha is 0; expected a number above 0"),
        ({"lora_alpha": ...}, "lora_alpha is None"),
        ({"alpha_pattern": {"q_proj": -1}}, "lora_alpha is -1"),
    ],
)
def test_an_adapter_that_asks_for_more_is_refused(tmp_path, changes, said):
    with pytest.raises(wb.InputError, match=re.escape(said)):
        wb.load_adapter(copied(tmp_path, **changes))
    wb.load_adapter(copied(tmp_path))


@follows("holds no adapter: {name} is missing. Give a folder", "train an adapter without it")
def test_a_folder_without_an_adapter_is_refused(tmp_path):
    with pytest.raises(wb.InputError, match=r"holds no adapter: adapter_config\.json is missing"):
        wb.load_adapter(tmp_path)
    with pytest.raises(wb.InputError, match="train an adapter without it"):
        wb.load_adapter(copied(tmp_path, lora_bias=True))
    wb.load_adapter(copied(tmp_path, lora_bias=False))
    (tmp_path / WEIGHTS).write_bytes(b"nothing")
    with pytest.raises(wb.InputError, match="damaged"):
        wb.load_adapter(tmp_path)
    (tmp_path / CONFIG).write_text("[]")
    with pytest.raises(wb.InputError, match="it holds no JSON object"):
        wb.load_adapter(tmp_path)


def test_a_setting_that_peft_does_not_know_is_named_and_changes_nothing(tmp_path):
    plain = wb.load_adapter(copied(tmp_path))
    adapter = wb.load_adapter(copied(tmp_path, something_new=3))
    assert adapter.notes == ("settings that PEFT doesn't know, ignored: something_new",)
    assert (plain.notes, adapter.scale("layers.0.q_proj")) == ((), plain.scale("layers.0.q_proj"))


@pytest.mark.slow
def test_what_peft_writes_is_taken(tmp_path):
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=8, lora_alpha=16, target_modules=[*LINEARS]).to_dict()
    wb.load_adapter(copied(tmp_path, **json.loads(json.dumps({**config, "peft_type": "LORA"}, default=list))))
