"""An adapter by itself: plain LoRA in PEFT's layout is read, whatever asks for more is refused."""

import json
import re

import pytest
import torch

import workbench as wb
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
    assert (adapter.rank, adapter.scale) == (8, 0.5)
    torch.testing.assert_close(adapter.change("layers.1.down_proj"), 0.5 * (b.double() @ a.double()).float())
    assert adapter.shapes["layers.1.down_proj"] == (128, 352)
    assert adapter.parameters == sum(8 * (n + k) for n, k in adapter.shapes.values())
    assert adapter.layers[:2] == ("layers.0.q_proj", "layers.0.k_proj")
    with pytest.raises(wb.InputError, match=r"Did you mean 'layers\.1\.down_proj'"):
        adapter.change("layers.1.down_prj")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"use_dora": True}, "use_dora is 'True', and only plain LoRA can be read"),
        ({"use_rslora": True}, "use_rslora"),
        ({"rank_pattern": {"q_proj": 2}}, "rank_pattern"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"bias": "all"}, "bias is 'all'"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights is 'pissa'"),
        ({"peft_type": "IA3"}, "peft_type is 'IA3'"),
        ({"peft_type": ...}, "peft_type is 'None'"),
        ({"something_new": 3}, "something_new"),
        ({"r": 4}, "expected finite 32-bit numbers of rank 4"),
        ({"r": "8"}, "r, the rank, is 8"),
        ({"r": ...}, "r, the rank, is None"),
        ({"lora_alpha": 0}, "lora_alpha is 0; expected a number above 0"),
        ({"lora_alpha": ...}, "lora_alpha is None"),
    ],
)
def test_an_adapter_that_asks_for_more_is_refused(tmp_path, changes, said):
    with pytest.raises(wb.InputError, match=re.escape(said)):
        wb.load_adapter(copied(tmp_path, **changes))


def test_a_folder_without_an_adapter_is_refused(tmp_path):
    with pytest.raises(wb.InputError, match=r"holds no adapter: adapter_config\.json is missing"):
        wb.load_adapter(tmp_path)
    copied(tmp_path)
    (tmp_path / WEIGHTS).write_bytes(b"nothing")
    with pytest.raises(wb.InputError, match="damaged"):
        wb.load_adapter(tmp_path)
    (tmp_path / CONFIG).write_text("[]")
    with pytest.raises(wb.InputError, match="it holds no JSON object"):
        wb.load_adapter(tmp_path)


def test_peft_reads_what_we_take(tmp_path):
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj"]).to_dict()
    plain = {name: value for name, value in config.items() if name not in ("peft_type", "task_type")}
    wb.load_adapter(copied(tmp_path, **json.loads(json.dumps(plain, default=list))))
