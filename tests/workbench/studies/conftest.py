"""Lets the tests import what they share with the processes that they start, and a study on a random base."""

import json
import string
import sys
from pathlib import Path

import pytest
import torch
from torch.utils import flop_counter

from workbench.config import Quality
from workbench.models.base import Base
from workbench.models.decoder_config import DecoderConfig
from workbench.models.tokenizer import CharacterTokenizer
from workbench.studies import plan as planning
from workbench.studies.grid import Study

sys.path.append(str(Path(__file__).parent))


@pytest.fixture
def study(tmp_path, monkeypatch, tiny_config, make_decoder):
    """Copy a letter: twelve cells, of which four are damaged."""
    path = tmp_path / "letters.jsonl"
    letters = string.ascii_lowercase
    lines = [{"prompt": f"{a}{b}", "response": f"{b}{a}"} for a in letters[:8] for b in letters[:12]]
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")
    tokenizer = CharacterTokenizer(letters[:12] + "\n")
    config = DecoderConfig(
        vocabulary=tokenizer.vocabulary, width=32, layers=3, heads=4, kv_heads=2, head_size=8, feed_forward=64
    )
    base = Base(
        name="random",
        path=tmp_path,
        sha256="0" * 64,
        licence=None,
        decoder=make_decoder(config),
        tokenizer=tokenizer,
    )
    monkeypatch.setattr(planning, "load_base", lambda *_: base)
    return Study(
        name="letters",
        data=str(path),
        base="random",
        qualities=(Quality(), Quality(corruption="other_record", share=0.5)),
        sizes=(4, 16),
        seeds=(0, 1, 2),
        heldout=20,
        settings={"steps": 8, "batch_size": 4, "rank": 2},
    )


@pytest.fixture
def counted(monkeypatch):
    """A function that returns the operations of a call, as torch counts them."""
    known, aten = flop_counter.flop_registry, torch.ops.aten
    # torch's own formulas, for the same products in place and on a CPU
    for ours, theirs in {
        aten.addmm_: aten.addmm,
        aten.baddbmm_: aten.baddbmm,
        aten._scaled_dot_product_flash_attention_for_cpu: aten._scaled_dot_product_flash_attention,
        aten._scaled_dot_product_flash_attention_for_cpu_backward: (
            aten._scaled_dot_product_flash_attention_backward
        ),
    }.items():
        monkeypatch.setitem(known, ours, known[theirs])

    def count(call) -> int:
        with flop_counter.FlopCounterMode(display=False) as counter:
            call()
        return counter.get_total_flops()

    return count
