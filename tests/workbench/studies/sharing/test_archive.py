"""A study travels as one file; a hostile file gets in nowhere and leaves nothing behind."""

import json
import os
import pickle
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from small_study import measured, small_study

from workbench.cli import main
from workbench.errors import InputError
from workbench.files import sha256_of
from workbench.studies.disk.store import Store
from workbench.studies.runner import run
from workbench.studies.sharing.archive import SUMS, export_study, import_study


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shared") / "study"
    few = small_study(sizes=(8,), seeds=(0,), settings={"steps": 2, "batch_size": 4, "rank": 2})
    run(few, folder, threads=1).close()
    return folder


@pytest.fixture(scope="module")
def archive(folder):
    return export_study(folder, folder.parent / "study.zip")


@pytest.fixture
def opened(archive, tmp_path):
    """The archive's files, to be changed and packed again by :func:`packed`."""
    with zipfile.ZipFile(archive) as file:
        file.extractall(tmp_path / "opened")
    return tmp_path / "opened"


def packed(opened: Path, extra: dict[str, bytes] | None = None) -> Path:
    """Pack the files with right hashes, as somebody who means harm would, and ``extra`` with them."""
    names = [str(path.relative_to(opened)) for path in opened.rglob("*") if path.is_file()]
    sums = "".join(f"{sha256_of(opened / name)}  {name}\n" for name in names if name != SUMS)
    (opened / SUMS).write_text(sums)
    target = opened.parent / "packed.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as file:
        for name in names:
            file.write(opened / name, name)
        for name, data in (extra or {}).items():
            file.writestr(name, data)
    return target


def refused(archive: Path, sentence: str) -> None:
    target = archive.parent / "here" / "imported"
    with pytest.raises(InputError, match=sentence):
        import_study(archive, target)
    assert list(target.parent.iterdir()) == [], "nothing is left behind"


def test_it_arrives_as_it_left(folder, archive, tmp_path, capsys):
    assert main(["import", str(archive), "--out", str(tmp_path / "there")]) == 0
    with Store.open(folder, read_only=True) as one, Store.open(tmp_path / "there") as two:
        assert measured(one) == measured(two)
        assert one.manifest == two.manifest
        keys = [row["key"] for row in one.rows()]
    for key in keys:
        for name in ("adapter_model.safetensors", "adapter_config.json"):
            place = Path("adapters") / key / name
            assert (folder / place).read_bytes() == (tmp_path / "there" / place).read_bytes()
    assert "| clean | 8 | 1 |" in (tmp_path / "there" / "CARD.md").read_text()
    assert {path.name for path in folder.parent.iterdir()} == {"study", "study.zip"}


def test_equal_studies_give_equal_archives(folder, archive, tmp_path):
    assert main(["export", str(folder), "--out", str(tmp_path / "again.zip")]) == 0
    assert (tmp_path / "again.zip").read_bytes() == archive.read_bytes()


def test_a_folder_that_holds_something_is_kept(archive, tmp_path):
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(InputError, match="is not empty"):
        import_study(archive, tmp_path)
    assert (tmp_path / "mine").read_text() == "precious"


HOSTILE_NAMES = (
    "../escaped",
    "/tmp/escaped",
    "adapters/../../escaped",
    "adapters/0123456789abcdef/adapter_model.bin",
    "adapters/0123456789abcdef/../../../escaped",
    "C:\\escaped",
    "adapters\\0123456789abcdef\\adapter_model.safetensors",
    "manifest.json\x00.pkl",
    "cells.sqlite-journal",
    "con",
    "<img src=x onerror=alert(1)>",
)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_no_other_file_is_let_in(opened, name):
    refused(packed(opened, {name: b"x"}), "holds .* which no study's archive has|two files of one name")
    assert not Path("/tmp/escaped").exists()


def test_a_link_is_refused(opened):
    (opened / "CARD.md").unlink()
    target = packed(opened)
    entry = zipfile.ZipInfo("CARD.md")
    entry.external_attr = 0o120777 << 16
    with zipfile.ZipFile(target, "a") as file:
        file.writestr(entry, "/etc/passwd")
    refused(target, "is no ordinary file")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_files_of_one_name_are_refused(opened):
    refused(packed(opened, {"manifest.json": b"{}"}), "two files of one name")


def test_a_bomb_is_refused(opened):
    (opened / "CARD.md").write_bytes(bytes(40 * 2**20))
    refused(packed(opened), "says that it unpacks to 40 MiB; at most")


@pytest.mark.parametrize("declared", [0, 7, 2**31])
def test_a_declared_size_that_is_a_lie_is_refused(opened, declared):
    target = packed(opened)
    data = bytearray(target.read_bytes())
    place = data.rindex(b"CARD.md") - 46  # the start of its entry in the directory at the end
    data[place + 24 : place + 28] = declared.to_bytes(4, "little")
    target.write_bytes(data)
    refused(target, "says that it unpacks to|unpacks to more|is shorter than|can't be unpacked")


def test_a_changed_file_is_refused(opened):
    target = packed(opened)
    with zipfile.ZipFile(target) as file:
        contents = {name: file.read(name) for name in file.namelist()}
    contents["manifest.json"] = contents["manifest.json"].replace(b"classroom", b"classr00m")
    with zipfile.ZipFile(target, "w") as file:
        for name, data in contents.items():
            file.writestr(name, data)
    refused(target, "manifest.json doesn't match its hash")


def sql(*statements):
    def change(opened: Path) -> None:
        with closing(sqlite3.connect(opened / "cells.sqlite")) as database:
            for statement in statements:
                database.execute(statement)
            database.commit()

    return change


class Boom:
    """What a pickle would do."""

    def __reduce__(self):
        return os.system, ("touch /tmp/escaped",)


def adapter(opened: Path) -> Path:
    return next(opened.glob("adapters/*/adapter_model.safetensors"))


def pickle_as_adapter(opened):
    adapter(opened).write_bytes(pickle.dumps(Boom()))


def adapter_with_nan(opened):
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
    save_file({name: torch.full((2, 96), torch.nan)}, adapter(opened))


def adapter_of_another_layer(opened):
    save_file({"../../escape.lora_A.weight": torch.zeros(2, 2)}, adapter(opened))


def nested_config(opened):
    (adapter(opened).parent / "adapter_config.json").write_text("[" * 100_000)


def manifest_of_lists(opened):
    (opened / "manifest.json").write_text('{"format": 2, "study": []}')


def manifest_from_the_future(opened):
    (opened / "manifest.json").write_text('{"format": 99}')


HARMS = {
    "trigger": (
        sql("CREATE TRIGGER t AFTER INSERT ON cell BEGIN DELETE FROM cell; END"),
        "the tables of format",
    ),
    "view": (sql("CREATE VIEW v AS SELECT 1"), "the tables of format"),
    "table": (sql("CREATE TABLE other(x)"), "the tables of format"),
    "metric": (sql("""UPDATE cell SET metrics = '{"loss": 0.0}'"""), "don't match their hashes"),
    "curve": (
        sql("UPDATE curve SET points = zeroblob(length(points)) WHERE id = 1"),
        "don't match their hashes",
    ),
    "no hash, other key": (
        sql("UPDATE cell SET sha256 = NULL, key = 'x' WHERE id = 2"),
        "is not what its name",
    ),
    "no hash, no number": (
        sql("UPDATE cell SET sha256 = NULL, metrics = '{\"loss\": [1]}'"),
        "can't be understood",
    ),
    "no hash, no cell": (sql("UPDATE cell SET sha256 = NULL, config = '[]'"), "can't be understood"),
    "costs": (sql('UPDATE cell SET costs = \'{"flops": "<b>"}\''), "can't be understood"),
    "made": (
        sql('UPDATE cell SET made = \'{"stack": 7, "threads": 1}\' WHERE id = 2'),
        "can't be understood",
    ),
    "newer": (sql("PRAGMA user_version=99"), "Install a newer workbench"),
    "pickle": (pickle_as_adapter, "adapter_model.safetensors is damaged"),
    "NaN": (adapter_with_nan, "expected finite 32-bit numbers"),
    "layer": (adapter_of_another_layer, "is no LoRA weight"),
    "nested": (nested_config, "adapter_config.json is damaged"),
    "lists": (manifest_of_lists, "study is no object"),
    "future": (manifest_from_the_future, "Install a newer workbench"),
}


@pytest.mark.parametrize("name", HARMS)
def test_what_is_not_as_it_should_be_is_refused(opened, name):
    harm, sentence = HARMS[name]
    harm(opened)
    refused(packed(opened), sentence)
    assert not Path("/tmp/escaped").exists()


def test_names_are_text_on_the_card(opened):
    manifest = json.loads((opened / "manifest.json").read_text())
    manifest["study"]["name"] = "<script>alert(1)</script>\n# Title [x](javascript:1)"
    (opened / "manifest.json").write_text(json.dumps(manifest))
    target = opened.parent / "again"
    import_study(packed(opened), target)
    export_study(target, opened.parent / "again.zip")
    with zipfile.ZipFile(opened.parent / "again.zip") as file:
        text = file.read("CARD.md").decode()
    assert "<script" not in text
    assert text.splitlines()[0].count("\\#") == 1
    assert "[x]" not in text


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_changed_archive_is_refused_in_a_sentence_or_means_the_same(
    archive, folder, tmp_path_factory, data
):
    content = bytearray(archive.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        match data.draw(st.sampled_from(["flip", "cut", "insert"])):
            case "flip":
                content[place] ^= data.draw(st.integers(1, 255))
            case "cut":
                del content[place : place + data.draw(st.integers(1, 4000))]
            case "insert":
                content[place:place] = data.draw(st.binary(max_size=50))
        if not content:
            break
    scratch = tmp_path_factory.mktemp("fuzz")
    (scratch / "x.zip").write_bytes(content)
    try:
        import_study(scratch / "x.zip", scratch / "here" / "x")
    except InputError:
        assert not (scratch / "here").exists() or list((scratch / "here").iterdir()) == []
    else:
        with Store.open(folder, read_only=True) as one, Store.open(scratch / "here" / "x") as two:
            assert measured(one) == measured(two)
