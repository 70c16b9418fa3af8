"""A study of several bases or settings: what its table, its answers, its report and its figure show."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_rgba

import workbench as wb
from workbench.config import CellConfig
from workbench.errors import InputError
from workbench.studies.disk.manifest import read_manifest
from workbench.studies.disk.store import Store
from workbench.studies.disk.variant_rows import zero_shot_key
from workbench.studies.grid import Study, verbs
from workbench.studies.sharing.card import card
from workbench.training.results import CellResult
from workbench.views.figures import quality_by_size
from workbench.views.report import write_report
from workbench.views.variants import refuse_several

BASES = {"tiny.gguf": 5e4, "small.gguf": 1e5, "large.gguf": 3e5}


def planted(cell: CellConfig) -> float:
    """A loss by a law of model size, quality and amount, with noise that hangs on the cell alone."""
    model = BASES.get(cell.base, 1e5)
    noise = np.random.default_rng(
        [cell.size, cell.seed, round(100 * cell.quality.share), int(model), cell.rank]
    )
    rate = 0.9 if cell.rank < 64 else 0.3  # damage costs less at a large rank
    exact = 0.6 + 80 * model**-0.35 + 3 * cell.size**-0.4 * cell.quality.share**-rate
    return exact + 0.004 * float(noise.standard_normal())


def write(folder, study: Study, tokens=None, **facts):
    """Write a study as a run would have left it."""
    bases = [
        {"name": name, "asked": name, "sha256": name, "layers": 4, "label": name.removesuffix(".gguf")}
        | {"parameters": int(BASES.get(name, 1e5)), "licence": f"licence of {name}"}
        for name in study.bases
    ]
    manifest = {
        "study": study.to_dict() | {"template": "verbs"},
        "data": {"sha256": "d", "heldout_records": 600},
        "base": {
            name: value for name, value in bases[0].items() if name not in ("asked", "label", "parameters")
        },
        "arithmetic": {"precision": "float32"},
        **({"bases": bases} if len(bases) > 1 else {}),
    }
    with Store.create(folder, manifest | facts) as store:
        results = {
            key: CellResult(cell=cell, metrics={"loss": planted(cell)}, seconds=1.0)
            for key, cell in store.manifest.planned().items()
        }
        for one in bases:
            key = zero_shot_key(store.manifest, one["sha256"], "float32")
            cut = {"item_tokens": (tokens or {}).get(one["sha256"], [3.0, 4.0])}
            results[key] = CellResult(cell=None, metrics={"loss": 4.0 + len(results) / 1e4}, curves=cut)
        store.commit(results, None, {"stack": list(results), "threads": 1})
    return folder


def study(**changes) -> Study:
    few = {"sizes": (32, 64, 128, 256), "precision": "float32", "base": "tiny.gguf"}
    return replace(verbs("coffee"), **{**few, **changes})


@pytest.fixture(scope="module")
def of_bases(tmp_path_factory):
    several = study(further_bases=("small.gguf", "large.gguf"))
    return write(tmp_path_factory.mktemp("runs") / "bases", several)


@pytest.fixture(scope="module")
def of_ranks(tmp_path_factory):
    return write(tmp_path_factory.mktemp("runs") / "ranks", study(base="small.gguf", vary={"rank": (1, 64)}))


@pytest.fixture(scope="module")
def answered(of_bases, of_ranks):
    return {folder: wb.open_study(folder).answers() for folder in (of_bases, of_ranks)}


def test_the_table_says_the_variant_and_the_model(of_bases):
    rows = wb.open_study(of_bases).table().rows
    assert len(rows) == 3 * (1 + 36)
    assert list(dict.fromkeys(row["vary"] for row in rows)) == ["tiny", "small", "large"]
    assert {(row["vary"], row["model"]) for row in rows} == {
        ("tiny", 50_000),
        ("small", 100_000),
        ("large", 300_000),
    }
    assert len({row["loss"] for row in rows if row["size"] == 0}) == 3


def test_laws_read_the_table_as_it_is(of_bases):
    """The joint laws, and anybody else, get model, share and size as numbers."""
    table = wb.read_table(wb.open_study(of_bases).table())
    rows = table.measured("loss")
    assert sorted(set(table.column("model", rows))) == sorted(BASES.values())


def test_a_table_that_varies_nothing_has_no_such_column(tmp_path):
    folder = write(tmp_path / "study", study())
    assert not {"vary", "model"} & set(wb.open_study(folder).table())


def test_each_variant_has_its_own_answer(of_ranks, answered):
    found = answered[of_ranks]
    assert list(found.variants) == ["rank 1", "rank 64"]
    assert "Judged by loss on 600 held-out records, with rank 64; intervals of 95%." in " ".join(
        found.sentences
    )
    few, many = (wb.open_study(of_ranks).exchange_rate(vary=label) for label in found.variants)
    assert few.rates.median[-2] > many.rates.median[-2]
    apart = next(sentence for sentence in found.leads if "by variant" in sentence)
    assert "It is larger for rank 1 than rank 64" in apart


def test_a_variant_has_to_be_named(of_ranks):
    with pytest.raises(InputError, match=r"has 2 variants; say which: vary='rank 1', vary='rank 64'"):
        wb.open_study(of_ranks).exchange_rate()
    with pytest.raises(InputError, match=r"unknown variant 'rank 2'"):
        wb.open_study(of_ranks).analysis(vary="rank 2")
    with pytest.raises(InputError, match=r"planning the next cells is for a study of one base"):
        wb.open_study(of_ranks).plan()


def test_a_larger_base_is_exchanged_for_cleaner_data(of_bases, answered):
    found = answered[of_bases]
    said = next(sentence for sentence in found.leads if "a base twice as large" in sentence)
    assert "(50,000 to 100,000 parameters) is worth as much as cleaning" in said
    assert "on the base large (300,000 parameters)" in " ".join(found.sentences)


def test_bases_and_settings_together_have_no_joint_law(tmp_path):
    several = study(further_bases=("small.gguf", "large.gguf"), vary={"rank": (1, 64)})
    found = wb.open_study(write(tmp_path / "study", several)).answers()
    assert any("one law can't tell them from bases" in why for why in found.silences)
    assert len(found.variants) == 6


def test_losses_of_other_tokens_are_not_compared(tmp_path):
    several = study(further_bases=("small.gguf", "large.gguf"))
    folder = write(tmp_path / "study", several, tokens={"large.gguf": [3.0, 5.0]})
    found = wb.open_study(folder).answers()
    assert any("cut the held-out records into different tokens" in why for why in found.silences)
    assert not any("twice as large" in sentence for sentence in found.sentences)


def test_the_report_lists_every_variant(of_bases, answered):
    report = write_report(of_bases)
    page = report.page.read_text(encoding="utf-8")
    assert report.sentence == answered[of_bases].leads[0]
    assert "3 variants × 3 qualities × 4 sizes × 3 seeds on tiny.gguf, small.gguf, large.gguf" in page
    for expected in ("large: clean", "small: 50% other form", "licence of large.gguf", "One row a variant."):
        assert expected in page, expected
    # what is pointed at has the charts of each variant
    for title in ("held-out loss (nats a token); large", "held-out loss (nats a token); tiny"):
        assert f'"title": "{title}"' in page
    assert "Planning the next cells is for a study of one base" in page
    table = list(csv.DictReader(report.table.open(encoding="utf-8")))
    assert len(table) == 3 * 37
    assert {row["vary"] for row in table} == {"tiny", "small", "large"}


def test_the_figure_has_a_row_for_each_variant(of_bases):
    results = wb.open_study(of_bases)
    axes = results.figure("loss").axes
    assert [one.get_title(loc="left") for one in axes] == ["tiny", "small", "large"]
    assert len({one.get_ylim() for one in axes}) == 1, "heights can be compared"
    assert all(len(one.collections) > 0 for one in axes)
    own = [row for row in results.table().rows if row["vary"] == "small"]
    alone = quality_by_size([{k: v for k, v in row.items() if k != "vary"} for row in own], "loss").axes[0]
    drawn = {to_rgba(line.get_color()): line.get_ydata().tolist() for line in marked(axes[1])}
    assert drawn == {to_rgba(line.get_color()): line.get_ydata().tolist() for line in marked(alone)}


def marked(axes):
    """The lines that have a point for each size."""
    return [line for line in axes.get_lines() if line.get_marker() not in ("None", None, "")]


def test_the_card_names_every_base(of_bases):
    with Store.open(of_bases, read_only=True) as store:
        told = card(store)
    for name in BASES:
        assert f"- base {name}: sha256 {name}, licence: licence of {name}" in told
    assert "| variant | quality |" in told


def test_who_needs_one_variant_is_told_how_to_have_it(of_bases, of_ranks):
    for shown, way in ((of_bases, "with one --base"), (of_ranks, "without --vary")):
        with pytest.raises(InputError, match=f"run the one that you mean by itself, {way}$"):
            refuse_several(read_manifest(shown), "planning the next cells")
