"""Bases and settings as axes: which cells there are, and that each is what a study of its own trains."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

import workbench as wb
from workbench.cli import main
from workbench.errors import InputError
from workbench.models.base import Base
from workbench.models.decoder_config import DecoderConfig
from workbench.models.tokenizer import CharacterTokenizer
from workbench.studies import plan as planning
from workbench.studies.choices import NUMBERS
from workbench.studies.choices import study as described
from workbench.studies.disk.store import Store
from workbench.studies.grid import Study, verbs
from workbench.studies.replay import replay
from workbench.studies.runner import run
from workbench.studies.shelf import find_adapters
from workbench.studies.stacks import partition
from workbench.studies.variants import base_labels, parse_vary

TIMES = ("seconds", "predicted_seconds", "flops")


@pytest.fixture
def bases(study, monkeypatch, make_decoder, tmp_path):
    """Three random bases of different sizes, by their names."""

    def base(name: str, width: int, layers: int) -> Base:
        tokenizer = CharacterTokenizer("abcdefghijkl\n")
        config = DecoderConfig(
            vocabulary=tokenizer.vocabulary,
            width=width,
            layers=layers,
            heads=4,
            kv_heads=2,
            head_size=8,
            feed_forward=2 * width,
        )
        return Base(
            name=name,
            path=tmp_path,
            sha256=f"{width:064d}",
            licence=f"licence of {name}",
            decoder=make_decoder(config),
            tokenizer=tokenizer,
        )

    made = {"random": base("random", 32, 3), "wide": base("wide", 48, 2), "wider": base("wider", 64, 4)}
    monkeypatch.setattr(planning, "load_base", lambda name, precision, *_: loaded(made[name], precision))
    return made


def loaded(base: Base, precision: str) -> Base:
    if precision != "auto":
        base.decoder.set_precision(precision)
    return base


@pytest.fixture
def few(study):
    return replace(study, sizes=(4,), seeds=(0, 1))


def numbers(store: Store) -> dict[str, tuple]:
    """What each cell is and measured, bit for bit, by its key."""
    return {
        row["key"]: (
            {name: value for name, value in row.items() if name not in (*TIMES, "vary", "model")},
            store.curves(row["key"]),
        )
        for row in store.rows()
    }


def test_a_study_that_varies_nothing_says_nothing_of_variants():
    plain = verbs("coffee")
    assert not {"further_bases", "vary"} & plain.to_dict().keys()
    assert plain.parts() == [plain]


def test_every_variant_has_the_whole_grid(study):
    several = replace(
        study,
        settings={"steps": 8},
        further_bases=("wide",),
        vary={"rank": (1, 2), "precision": ("float32", "int8")},
    )
    cells = several.cells()
    assert len(cells) == len({cell.key() for cell in cells}) == 8 * 12 == several.variants * 12
    assert len(several.parts()) == 4, "a base and a precision each"
    assert Study.from_dict(json.loads(json.dumps(several.to_dict()))) == several


def test_each_cell_is_what_a_study_of_its_own_trains(few, bases, tmp_path):
    """Neither the other ranks in its stack nor the other bases change a bit of a cell."""
    settings = {"steps": 8, "batch_size": 4}
    several = replace(few, settings=settings, further_bases=("wide",), vary={"rank": (1, 2)})
    with run(several, tmp_path / "several") as store:
        together = numbers(store)
        zeros = store.zero_shots()
        table = store.table()
    apart, alone = {}, {}
    for base in ("random", "wide"):
        for rank in (1, 2):
            own = replace(few, base=base, settings={**settings, "rank": rank})
            with run(own, tmp_path / f"{base}-{rank}") as store:
                apart |= numbers(store)
                alone[base] = store.zero_shot()
    assert together.keys() == apart.keys()
    assert len(together) == 16
    for key, (row, curves) in apart.items():
        for name, value in row.items():
            same = pytest.approx(value, rel=1e-4, abs=1e-5) if isinstance(value, float) else value
            assert together[key][0][name] == same, name
        assert together[key][1]["train_loss"] == pytest.approx(curves["train_loss"], rel=1e-4)
    assert zeros["zero-shot"] == alone["random"]
    (other,) = zeros.keys() - {"zero-shot"}
    assert zeros[other] == alone["wide"]
    bare = {row["vary"]: (row["model"], row["loss"]) for row in table if row["size"] == 0}
    assert list(bare) == ["random, rank 1", "random, rank 2", "wide, rank 1", "wide, rank 2"]
    assert bare["wide, rank 2"] == (bases["wide"].parameters, alone["wide"]["loss"])
    assert {row["vary"]: row["model"] for row in table if row["size"]} == {
        label: model for label, (model, _) in bare.items()
    }


def test_ranks_share_stacks_and_bases_do_not(few, bases):
    made = planning.plan(replace(few, settings={"steps": 8}, vary={"rank": (1, 2)}))
    assert {cell.rank for cell in made.stacks[0]} == {1, 2}
    again = partition(made.cells, made.prepared, made.base.decoder.config)
    assert sorted(map(len, again)) == sorted(map(len, made.stacks))


def test_the_manifest_has_every_base(few, bases, tmp_path):
    with run(replace(few, further_bases=("wide", "wider")), tmp_path / "study") as store:
        manifest = store.manifest
    assert manifest.outcome == "finished"
    assert [(one.label, one.sha256, one.parameters) for one in manifest.bases] == [
        (name, base.sha256, base.parameters) for name, base in bases.items()
    ]
    assert manifest.base.sha256 == bases["random"].sha256
    assert manifest.study.cells == len(manifest.planned()) == 12
    assert manifest.planned().keys() == manifest.subsets.keys()
    assert [one.base for one in manifest.sessions] == [base.sha256 for base in bases.values()]
    sessions = [one.actual.seconds for one in manifest.sessions]
    assert manifest.actual.seconds == pytest.approx(sum(sessions)), "the cost is that of all parts"
    shelf = find_adapters(tmp_path / "study")
    assert {(one.base, one.base_sha256, one.base_licence) for one in shelf} == {
        (name, base.sha256, f"licence of {name}") for name, base in bases.items()
    }
    assert {one.bare["loss"] for one in shelf} == {zero["loss"] for zero in store_zeros(tmp_path / "study")}


def store_zeros(folder):
    with Store.open(folder, read_only=True) as store:
        return list(store.zero_shots().values())


def test_a_stopped_study_goes_on_in_its_next_part(few, bases, tmp_path):
    several = replace(few, further_bases=("wide",))
    seen = []

    def stop():
        return len(seen) > 0

    def tell(at):
        if at.cells_done >= 4:
            seen.append(at)

    with run(several, tmp_path / "study", tell, stop) as store:
        assert store.manifest.outcome in ("stopped", "running")
        assert 4 <= len(store.rows()) < 8
        before = numbers(store)
    with run(several, tmp_path / "study") as store:
        assert store.manifest.outcome == "finished"
        after = numbers(store)
    assert len(after) == 8
    assert {key: after[key] for key in before} == before


def test_axes_grow_and_are_not_dropped(few, bases, tmp_path):
    """A base and a value are added to what a folder has; what it has is trained once."""
    folder = tmp_path / "study"
    with run(few, folder) as store:
        before = numbers(store)
    with run(replace(few, further_bases=("wide",)), folder) as store:
        assert len(store.rows()) == 8
        assert {key: numbers(store)[key][1] for key in before} == {key: before[key][1] for key in before}
        assert next(iter(store.zero_shots())) == "zero-shot"
    with pytest.raises(InputError, match=r"base was random, wide and is random"):
        run(few, folder)
    settings = {"steps": 8, "batch_size": 4}
    both = replace(few, settings=settings, further_bases=("wide",), vary={"rank": (2, 3)})
    with run(both, folder) as store:
        assert len(store.rows()) == 16
        assert {row["vary"] for row in store.rows()} == {
            f"{b}, rank {r}" for b in bases if b != "wider" for r in (2, 3)
        }
    with pytest.raises(InputError, match=r"varied rank was 2, 3 and is 2"):
        run(replace(few, further_bases=("wide",)), folder)


def test_a_study_of_parts_is_made_again_to_the_bit(few, bases, tmp_path):
    run(replace(few, further_bases=("wide",)), tmp_path / "study", threads=1).close()
    found = replay(tmp_path / "study")
    assert (len(found.identical), found.different) == (10, [])
    assert found.same_arithmetic
    only = replay(tmp_path / "study", "zero-shot 0")
    assert only.identical == [key for key in found.identical if key.startswith("zero-shot 0")]


def test_a_cell_is_found_by_its_variant(few, bases, tmp_path):
    results = wb.run(replace(few, further_bases=("wide",)), tmp_path / "study", on_progress=lambda at: None)
    with pytest.raises(InputError, match=r"2 such cells; .* vary='random', vary='wide'"):
        results.cell("clean", 4, 0)
    assert results.cell("clean", 4, 0, vary="wide").base == "wide"
    assert results.adapter("clean", 4, 0, vary="wide").base_sha256 == bases["wide"].sha256


def test_one_base_twice_is_refused(few, bases, tmp_path):
    bases["wide"] = replace(bases["random"], name="wide")
    with pytest.raises(InputError, match=r"random and wide are the same base"):
        run(replace(few, further_bases=("wide",)), tmp_path / "study")
    assert not (tmp_path / "study" / "manifest.json").exists()


def test_bases_that_read_different_records_are_refused(few, bases, tmp_path):
    """The second base reads so little that some records would be left out for it alone."""
    long = json.dumps({"prompt": "ab" * 8, "response": "ba"})
    data = tmp_path / "long.jsonl"
    data.write_text(f"{Path(few.data).read_text()}{long}\n")
    base = bases["wide"]
    base.decoder.config = replace(base.decoder.config, context=8)
    both = replace(
        few, data=str(tmp_path / "long.jsonl"), on_long="drop", further_bases=("wide",), heldout=10
    )
    with pytest.raises(
        InputError, match=r"random and wide can't read the same records \(2,048 and 8 tokens\)"
    ):
        run(both, tmp_path / "study")


@pytest.mark.parametrize(
    ("vary", "message"),
    [
        ({"size": (1, 2)}, "sizes are an axis of their own: --sizes"),
        ({"base": ("a", "b")}, "--base A B"),
        ({"schedule": ("linear", "cosine")}, "a study of its own"),
        ({"template": ("plain", "chat")}, "a study of its own"),
        ({"rang": (1, 2)}, "Did you mean 'rank'|rank"),
        ({"rank": (1,)}, "give two or more"),
        ({"rank": (2, 2)}, "one value twice"),
        ({"steps": (2, 3), "epochs": (1.0, 2.0)}, "vary one"),
        ({"precision": ("float32", "int9")}, "int9"),
        ({"adapted_layers": (0, 1)}, "at least 1 block"),
    ],
)
def test_what_cannot_vary_is_refused(study, vary, message):
    with pytest.raises(InputError, match=message):
        replace(study, settings={}, vary=vary)


def test_a_setting_is_given_once(tmp_path):
    with pytest.raises(InputError, match=r"rank is 4 for every cell, and varies as well"):
        described("verbs", rank=4, vary={"rank": [1, 8]})


def test_the_command_line_and_python_agree():
    by_text = described(
        "verbs",
        vary=parse_vary(["rank=1,8", "learning-rate=0.001,1e-2", "targets=q_proj+v_proj,o_proj"], NUMBERS),
    )
    vary = {"rank": [1, 8], "learning_rate": [0.001, 0.01], "targets": [["q_proj", "v_proj"], ["o_proj"]]}
    assert by_text == described("verbs", vary=vary)
    with pytest.raises(InputError, match=r"'x' is no whole number"):
        parse_vary(["rank=1,x"], NUMBERS)
    with pytest.raises(InputError, match=r"rank=1,8,64"):
        parse_vary(["rank"], NUMBERS)


def test_epochs_vary_instead_of_steps():
    cells = described("verbs", vary={"epochs": [1, 2]}).cells()
    assert {(cell.epochs, cell.steps) for cell in cells} == {(1.0, None), (2.0, None)}


def test_labels_of_bases_are_short_and_different():
    assert base_labels(["classroom", "/a/tiny.gguf", "/b/tiny.gguf", "/c/folder"]) == {
        "classroom": "classroom",
        "/a/tiny.gguf": "/a/tiny.gguf",
        "/b/tiny.gguf": "/b/tiny.gguf",
        "/c/folder": "folder",
    }


def test_a_growing_study_has_one_variant(capsys, tmp_path):
    command = ["run", "verbs", "--vary", "rank=1,2", "--for", "1m", "--out", str(tmp_path / "study")]
    assert main(command) == 2
    assert "2 variants" in capsys.readouterr().err


def test_the_plan_is_shown_without_training(capsys):
    assert main(["run", "verbs", "--vary", "rank=1,2", "--dry-run"]) == 0
    assert "2 variants x 3 qualities x 4 sizes x 3 seeds = 72 cells" in capsys.readouterr().out
