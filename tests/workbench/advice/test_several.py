"""What a study of several bases and settings refuses, and that the advice in each sentence works."""

import re
import shutil
from dataclasses import replace

import pytest
from follows import follows

import workbench as wb
from workbench.cli import build_parser
from workbench.cli.run import chosen_study
from workbench.errors import InputError
from workbench.growing import growing
from workbench.laws.model_size import JOINT, size_exchange
from workbench.laws.table import Table, read_table
from workbench.lessons.talk import find_cell, speakers
from workbench.models.loaders import CLASSROOM
from workbench.studies.runner import run
from workbench.studies.variants import parse_vary
from workbench.views.variants import refuse_several


def several(**changes):
    few = {"qualities": ["clean"], "sizes": [8], "seeds": [0], "heldout": 20, "steps": 2, "batch_size": 4}
    return wb.study("verbs", **{**few, "vary": {"rank": [1, 2]}, **changes})


@follows("give two or more, such as --vary", "or one for all cells")
def test_one_value_is_no_axis_and_both_ways_out_work():
    with pytest.raises(InputError, match="rank varies over 1 value; give two or more") as told:
        several(vary={"rank": [4]})
    assert "such as --vary rank=A,B, or one for all cells: --rank" in str(told.value)
    assert several(vary={"rank": [4, 8]}).variants == 2
    assert several(vary=None, rank=4).variants == 1


@follows("names one value twice", "leave one of the two out")
def test_a_value_and_a_setting_are_named_once():
    with pytest.raises(InputError, match="--vary rank names one value twice: 4, 4"):
        several(vary={"rank": [4, 4]})
    with pytest.raises(
        InputError, match="rank is 4 for every cell, and varies as well; leave one of the two"
    ):
        several(rank=4)
    assert several().variants == 2


@follows("expected a setting and its values: rank=1,8,64", "give all of its values at once")
def test_a_text_that_cannot_be_read_and_the_one_offered():
    kinds = {"rank": int}
    for text in ("rank", "rank="):
        with pytest.raises(InputError, match="can't be read; expected a setting and its values: ") as told:
            parse_vary([text], kinds)
        assert parse_vary([str(told.value).rpartition(" ")[2]], kinds) == {"rank": (1, 8, 64)}
    with pytest.raises(
        InputError, match="names 'rank' twice; give all of its values at once: rank=A"
    ) as told:
        parse_vary(["rank=1", "rank=8"], kinds)
    assert parse_vary([str(told.value).rpartition(" ")[2].replace("A,B,C", "1,8")], kinds) == {"rank": (1, 8)}


@follows("{text!r} is no {kind}")
def test_a_value_of_another_kind_is_refused():
    with pytest.raises(InputError, match="--vary rank: 'x' is no whole number"):
        parse_vary(["rank=1,x"], {"rank": int})
    assert parse_vary(["rank=1,2"], {"rank": int}) == {"rank": (1, 2)}


@follows("name the data first, such as `workbench run verbs`")
def test_data_stand_before_bases_or_behind_the_last(refused):
    assert refused("run", "--base", "classroom") == (
        "name the data first, such as `workbench run verbs` or `workbench run mine.jsonl`"
    )
    parser = build_parser("run")
    texts = (
        "run --base classroom verbs",
        "run verbs --base classroom",
        "run --base classroom --steps 3 verbs",
    )
    studies = [chosen_study(parser.parse_args(text.split())) for text in texts]
    assert {(study.data, study.base, study.variants) for study in studies} == {("verbs", "classroom", 1)}
    both = chosen_study(parser.parse_args(["run", "--base", "classroom", "smollm2-135m", "verbs"]))
    assert (both.data, both.base, both.further_bases) == ("verbs", "classroom", ("smollm2-135m",))


@follows("is an empty list; name at least one, or leave it out")
def test_no_base_is_no_list_of_bases():
    with pytest.raises(InputError, match="base is an empty list; name at least one, or leave it out"):
        several(base=[])
    assert several(base=["classroom"]).base == several().base == "classroom"


@follows("grow a study of one base and without --vary, or leave --until and --for out")
def test_several_variants_do_not_grow(tmp_path):
    both = {"qualities": ["clean", "other_form:0.5"], "sizes": [8, 16, 32]}
    with pytest.raises(InputError, match="has 2 variants; grow a study of one base and without --vary"):
        growing(several(**both), tmp_path / "none", until="rate:1.3")
    grown, _ = growing(several(**both, vary=None), tmp_path / "none", until="rate:1.3")
    assert grown.variants == 1


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("several")
    copied = shutil.copyfile(CLASSROOM, folder / "copied.gguf")
    with run(several(), folder / "study", threads=1) as store:
        yield store, copied


@follows("are the same base, of one sha256; leave one of them out")
def test_one_base_by_two_names_is_refused(store, tmp_path):
    _, copied = store
    twice = several(vary=None, base=["classroom", str(copied)])
    with pytest.raises(InputError, match=r"classroom and .* are the same base, of one sha256; leave one of"):
        run(twice, tmp_path / "twice", threads=1)
    with run(several(vary=None), tmp_path / "once", threads=1) as once:
        assert len(once.rows()) == 1


@follows("run the one that you mean by itself, ")
def test_what_is_for_one_variant_is_refused_for_several(store, tmp_path):
    manifest = store[0].manifest
    with pytest.raises(
        InputError, match="has 2 variants; run the one that you mean by itself, without --vary"
    ):
        refuse_several(manifest, "planning the next cells")
    with run(several(vary=None, rank=2), tmp_path / "alone", threads=1) as alone:
        refuse_several(alone.manifest, "planning the next cells")


@follows("give one of its variants: ", "choose two cells of one base")
def test_a_cell_of_several_variants_is_asked_for_by_its_own(store):
    folder = store[0].folder
    with pytest.raises(InputError, match="has 2 such cells; give one of its variants") as told:
        find_cell(folder, "clean", 8)
    named = re.findall(r"vary='([^']+)'", str(told.value))
    cells = [find_cell(folder, "clean", 8, vary=one) for one in named]
    assert [cell.rank for cell in cells] == [1, 2]
    other = replace(cells[1], base="another", base_sha256="0" * 64)
    with pytest.raises(
        InputError, match=r"different bases, classroom and another, .* choose two cells of one"
    ):
        speakers(folder, cells[0], other)
    speakers(folder, *cells)


def joint(models=(1e5, 2e5, 4e5), shares=(1.0, 0.75, 0.5)) -> Table:
    """A table of a law of model size, quality and amount without noise to speak of."""
    rows = [
        {
            "quality": f"typo:{share}" if share < 1 else "clean",
            "corruption": "typo" if share < 1 else None,
            "share": share,
            "size": size,
            "seed": seed,
            "model": model,
            "loss": 0.5 + 20 * model**-0.3 + 3 * (size * share**2) ** -0.4 + 1e-4 * seed,
        }
        for model in models
        for share in shares
        for size in (16, 64, 256, 1024)
        for seed in (0, 1)
    ]
    return read_table(rows, name="made up")


@follows("judge by a loss", "Add bases: --base A B C", "Add some: --quality clean typo:0.75 typo:0.5")
def test_the_exchange_with_model_size_says_what_it_needs():
    with pytest.raises(InputError, match=r"2 sizes of base; .* at least 3. Add bases: --base A B C"):
        size_exchange(joint(models=(1e5, 2e5)), "loss")
    with pytest.raises(InputError, match=r"2 shares of clean data; .* at least 3 .* typo:0.75 typo:0.5"):
        size_exchange(joint(shares=(1.0, 0.5)), "loss")
    assert size_exchange(joint(), "loss", draws=20).law in JOINT
