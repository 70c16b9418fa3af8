"""The shelf says of each adapter what its file and its study say, and a card passes it on."""

import json
import shutil
from dataclasses import replace

import pytest
from follows import follows
from random_adapters import random_adapter
from small_study import small_study

from workbench.adapters.formats import load_adapter, save_adapter
from workbench.cli import main
from workbench.errors import InputError
from workbench.models.loaders import load_base
from workbench.studies.disk.store import Store
from workbench.studies.runner import run
from workbench.studies.shelf import OnShelf, find_adapters, model_card, on_shelf


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """A study, a PEFT folder below a folder, a GGUF adapter, a GGUF that is a base, and a broken one."""
    folder = tmp_path_factory.mktemp("shelf")
    run(small_study(), folder / "study").close()
    base = load_base("classroom")
    adapter = random_adapter(base.decoder.config, rank=3)
    save_adapter(adapter, folder / "others" / "mine", base=base)
    save_adapter(adapter, folder / "others" / "mine.gguf", base=base)
    shutil.copy(base.path, folder / "others" / "base.gguf")
    shutil.copytree(folder / "others" / "mine", folder / "broken")
    (folder / "broken" / "adapter_model.safetensors").write_bytes(b"no tensors")
    return folder


def test_every_adapter_is_found_once_with_what_is_known(shelf):
    found = find_adapters(shelf)
    with Store.open(shelf / "study", read_only=True) as store:
        rows = {row["key"]: row for row in store.rows()}
        bare = store.zero_shot()
    places = {one.path.relative_to(shelf).as_posix(): one for one in found}
    assert set(places) == {
        *(f"study/adapters/{key}" for key in rows),
        *("others/mine", "others/mine.gguf", "broken"),
    }
    assert len(places) == len(found)
    for key, row in rows.items():
        one = places[f"study/adapters/{key}"]
        assert (one.quality, one.size, one.seed) == (row["quality"], row["size"], row["seed"])
        assert (one.base_sha256, one.seconds) == (row["base_sha256"], row["seconds"])
        assert one.parameters == load_adapter(one.path).parameters
        assert one.scores["loss"] == row["loss"]
        assert one.bare["loss"] == bare["loss"]
    for name in ("others/mine", "others/mine.gguf"):
        one = places[name]
        assert (one.rank, one.kind, one.trained_on, one.seconds) == ("3", "LoRA", None, None)
        assert one.base_sha256 == load_base("classroom").sha256
    assert "adapter_model.safetensors" in places["broken"].problem


def test_one_of_a_study_is_known_by_its_path_alone(shelf):
    for one in find_adapters(shelf / "study"):
        assert on_shelf(one.path) == one
    assert on_shelf(shelf / "others" / "mine").trained_on is None
    with pytest.raises(InputError, match="nowhere"):
        on_shelf(shelf / "nowhere")


def test_trained_tokens_are_on_the_shelf_too_and_are_no_lora(tmp_path):
    small = small_study()
    settings = {name: value for name, value in small.settings.items() if name not in ("targets", "alpha")}
    asked = replace(small, settings={**settings, "adapter": "llama-adapter"})
    run(asked, tmp_path / "study").close()
    found = find_adapters(tmp_path / "study")
    decoder = load_base("classroom").decoder.config
    rank = asked.cells()[0].rank
    assert found
    for one in found:
        assert (one.kind, one.rank, one.problem) == ("llama-adapter", f"{rank} tokens", None)
        assert one.parameters % (rank * decoder.width + decoder.heads) == 0
        with pytest.raises(InputError, match="ADAPTION_PROMPT"):
            load_adapter(one.path)


@follows("name one that holds studies or adapters")
def test_the_command_lists_them_and_says_what_is_broken(shelf, capsys):
    assert main(["adapters", str(shelf)]) == 1
    out = capsys.readouterr().out
    assert out.count("study/adapters/") == len(find_adapters(shelf / "study"))
    assert "can't be read: " in out
    assert main(["adapters", str(shelf / "others")]) == 0
    assert "not stated" in capsys.readouterr().out
    assert main(["adapters", str(shelf / "nowhere")]) == 2


def test_a_card_is_read_by_the_hub_and_says_no_more_than_is_known(shelf):
    one = find_adapters(shelf / "study")[0]
    card = model_card(one)
    head = dict(line.split(": ", 1) for line in card.split("---")[1].strip().splitlines() if ": " in line)
    assert json.loads(head["base_model"]) == one.base
    assert head["library_name"] == "peft"
    assert f"| loss | {one.scores['loss']:.4g} | {one.bare['loss']:.4g} |" in card
    assert f"quality {one.quality}, size {one.size:,}, seed {one.seed}" in card
    assert f"| licence of the data | {one.data_licence or 'not stated'} |" in card
    bare = model_card(OnShelf(path=shelf / "x"))
    assert "Trained on" not in bare
    assert "license:" not in bare
    assert "None" not in bare
    elsewhere = model_card(OnShelf(path=shelf / "x", base=str(shelf / "base")))
    assert str(shelf) not in elsewhere, "no path of this machine leaves"
    assert "base_model" not in elsewhere


@pytest.mark.parametrize(
    ("base", "data", "licence"),
    [
        ("MIT", "mit", "mit"),
        ("Apache-2.0", "MIT", "other"),
        ("MIT", None, None),
        ("my own", "my own", "other"),
    ],
)
def test_a_licence_is_stated_only_where_base_and_data_have_the_same(shelf, base, data, licence):
    card = model_card(OnShelf(path=shelf / "x", base_licence=base, data_licence=data))
    assert (f"license: {licence}\n" in card) == (licence is not None)
    assert ("license:" in card) == (licence is not None)


def test_what_is_converted_carries_its_card(shelf, tmp_path, capsys):
    one = find_adapters(shelf / "study")[0]
    assert main(["adapter", "convert", str(one.path), str(tmp_path / "mine")]) == 0
    card = (tmp_path / "mine" / "README.md").read_text()
    assert card.startswith('---\nbase_model: "classroom"')
    assert f"quality {one.quality}, size {one.size:,}" in card
    other = str(shelf / "others" / "mine")
    assert main(["adapter", "convert", str(one.path), f"{other}:0.5", str(tmp_path / "both")]) == 0
    card = (tmp_path / "both" / "README.md").read_text()
    assert "Trained on" not in card
    assert str(tmp_path.parent) not in card
    capsys.readouterr()
