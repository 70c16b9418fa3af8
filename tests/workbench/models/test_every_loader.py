"""What every loader of bases gives: the tests run over the dict."""

import pytest
import tiny_chat
import torch

from workbench.errors import InputError
from workbench.models.generation import generate
from workbench.models.loaders import CLASSROOM, LOADERS, load_base


@pytest.fixture(scope="session")
def bases(tmp_path_factory):
    """One base for each form; a new form needs one here."""
    folder = tmp_path_factory.mktemp("base") / "folder"
    return {
        "gguf": CLASSROOM,
        "safetensors": tiny_chat.make_folder(folder, "zephyr", "sentencepiece"),
    }


@pytest.mark.parametrize("name", LOADERS)
def test_a_loader_gives_a_frozen_base_that_reads_and_writes(name, bases):
    base = load_base(bases[name])
    again = LOADERS[name](bases[name], "another name", "float32")
    assert again.sha256 == base.sha256
    assert len(base.sha256) == 64
    assert not any(
        isinstance(weight, torch.Tensor) and weight.requires_grad for weight in base.decoder.weights.values()
    )
    ids = base.tokenizer.encode("walk")
    assert base.tokenizer.decode(ids) == "walk"
    assert max(ids) < base.decoder.config.vocabulary
    ((written,),) = generate(base.decoder, [[ids]], stops=base.tokenizer.stops, limit=3)
    assert all(0 <= token < base.decoder.config.vocabulary for token in written)
    assert str(base).startswith(f"{bases[name]}: ")


@pytest.mark.parametrize("name", LOADERS)
def test_a_loader_refuses_what_is_no_base(name, tmp_path):
    path = tmp_path / "base"
    path.write_text("no base")
    with pytest.raises(InputError, match="base"):
        LOADERS[name](path, "base", "float32")
