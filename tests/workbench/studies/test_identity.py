"""A folder holds one study: other settings are refused before training, with a folder that would do."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
from follows import follows
from hypothesis import given
from hypothesis import strategies as st
from small_study import small_study

from workbench.cli import main
from workbench.config import LINEARS, SCHEDULES, CellConfig, Quality
from workbench.errors import InputError
from workbench.studies import plan as planning
from workbench.studies import runner
from workbench.studies.disk.store import Store
from workbench.studies.grid import Place, Study
from workbench.studies.identity import NOT_COMPARED
from workbench.studies.settings import SHARED, differing, folder_suffix, grouped, settings_of

FEW, GROWS, STAYS = {"steps": 2, "batch_size": 4, "rank": 2}, "grows", "stays"
"""Settings of a small study, and what becomes of one whose field is changed, where it isn't refused."""


def of_settings(**changes):
    return lambda study: replace(study, settings={**study.settings, **changes})


def of_study(**changes):
    return lambda study: replace(study, **changes)


def other_records(study: Study) -> Study:
    path = Path(study.data).with_name("others.jsonl")
    lines = [{"prompt": f"{a}{b}", "response": a} for a in "abcdefgh" for b in "abcdefghijkl"]
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")
    return replace(study, data=str(path))


def heldout_file(study: Study) -> Study:
    path = Path(study.data).with_name("heldout.jsonl")
    path.write_text(json.dumps({"prompt": "kk", "response": "k"}) + "\n")
    return replace(study, heldout=None, heldout_file=str(path))


def evals(study: Study) -> Study:
    path = Path(study.data).with_name("references.jsonl")
    path.write_text(json.dumps({"prompt": "kk", "response": "k"}) + "\n")
    return replace(study, evals=(("references", str(path)),))


def further_file(study: Study) -> Study:
    return replace(study, others=(other_records(study).data,))


def pair_key(study: Study) -> Study:
    path = Path(study.data).parent / "keyed" / "letters.jsonl"
    path.parent.mkdir(exist_ok=True)
    lines = Path(study.data).read_text().splitlines()
    path.write_text("".join(json.dumps({**json.loads(line), "key": line[-9]}) + "\n" for line in lines))
    return replace(study, data=str(path), pair_key="key")


def moved(study: Study) -> Study:
    path = Path(study.data).parent / "moved" / "letters.jsonl"
    path.parent.mkdir(exist_ok=True)
    return replace(study, data=str(shutil.copy(study.data, path)))


MORE = (Quality(), Quality(corruption="other_record", share=0.25))
OF_A_STUDY = {
    "name": (of_study(name="renamed"), STAYS),
    "data": (moved, STAYS),
    "base": (of_study(base="the same by another name"), STAYS),
    "qualities": (of_study(qualities=MORE), GROWS),
    "sizes": (of_study(sizes=(4, 8)), GROWS),
    "seeds": (of_study(seeds=(0, 1)), GROWS),
    "grown": (of_study(grown=((Place(quality=Quality(), size=8, seed=3),),)), GROWS),
    "heldout": (of_study(heldout=12), "heldout was 20 and is 12"),
    "heldout_file": (heldout_file, r"heldout_file was none and is .*heldout\.jsonl"),
    "evals": (evals, "evals was none and is references"),
    "metrics": (of_study(metrics=("token_f1",)), "metrics was none and is token_f1"),
    "others": (further_file, "data was letters and is letters and others"),
    "pair_key": (pair_key, "the sha256 of letters, in its training records, was"),
    "on_empty": (of_study(on_empty="drop"), STAYS),
    "on_bad": (of_study(on_bad="drop"), STAYS),
    "on_shared": (of_study(on_shared="drop"), STAYS),
    "mapping": (of_study(mapping={"prompt": "prompt"}), STAYS),
    "read_as": (of_study(read_as="prompt-response"), STAYS),
    "on_long": (of_study(on_long="drop"), "on_long was error and is drop"),
    # where a template writes it, another day is another study: test_dated_template.py
    "date": (of_study(date="2001-02-03"), STAYS),
    "template": (of_study(template="alpaca"), "template was plain and is alpaca"),
    "size_in": (of_study(size_in="tokens", sizes=(40,)), "size_in was examples and is tokens"),
    "loss_on": (of_study(loss_on="all"), "loss_on was last and is all"),
    "adapted_layers": (of_study(adapted_layers=1), "adapted_layers was 3 and is 1"),
    "precision": (of_study(precision="bfloat16"), "precision was float32 and is bfloat16"),
    "device": (of_study(device="cpu"), STAYS),
    "hold": (of_study(hold="packed"), "hold was decoded and is packed"),
    "settings": (of_settings(rank=3), "rank was 2 and is 3"),
    "further_bases": (of_study(further_bases=("another",)), GROWS),
    "vary": (of_study(settings={"steps": 2, "batch_size": 4}, vary={"rank": (2, 3)}), GROWS),
}
"""For each field of a study: another value, and what has to become of it."""
OF_A_CELL = {
    "data": (moved, STAYS),
    "data_fingerprint": (other_records, "data was letters and is others"),
    "base": OF_A_STUDY["base"],
    "base_sha256": (of_study(base="another"), "base was random and is another"),
    "template": OF_A_STUDY["template"],
    "loss_on": OF_A_STUDY["loss_on"],
    "quality": OF_A_STUDY["qualities"],
    "size": OF_A_STUDY["sizes"],
    "size_in": OF_A_STUDY["size_in"],
    "drawn": OF_A_STUDY["sizes"],
    "seed": OF_A_STUDY["seeds"],
    "adapter": (of_settings(adapter="rslora"), "adapter was lora and is rslora"),
    "rank": OF_A_STUDY["settings"],
    "alpha": (of_settings(alpha=8.0), "alpha was 16.0 and is 8.0"),
    "targets": (of_settings(targets=("q_proj", "v_proj")), "targets was q_proj, .* and is q_proj, v_proj"),
    "first_layer": OF_A_STUDY["adapted_layers"],
    "learning_rate": (of_settings(learning_rate=1e-3), "learning_rate was 0.002 and is 0.001"),
    "schedule": (of_settings(schedule="linear"), "schedule was cosine and is linear"),
    "warmup": (of_settings(warmup=0.5), "warmup was 0.1 and is 0.5"),
    "warmup_steps": (of_settings(warmup_steps=1), "warmup_steps was none and is 1"),
    "weight_decay": (of_settings(weight_decay=0.1), "weight_decay was 0.0 and is 0.1"),
    "gradient_clip": (of_settings(gradient_clip=2.0), "gradient_clip was 1.0 and is 2.0"),
    "batch_size": (of_settings(batch_size=2), "batch_size was 4 and is 2"),
    "steps": (of_settings(steps=3), "steps was 2 and is 3"),
    "epochs": (of_settings(steps=None, epochs=2.0), "steps was 2 and is none, epochs was none and is 2.0"),
    "precision": OF_A_STUDY["precision"],
}
"""The same for each field of a cell."""
TOLD = {f"Study.{name}": told for name, told in OF_A_STUDY.items()}
TOLD |= {f"CellConfig.{name}": told for name, told in OF_A_CELL.items() if told not in OF_A_STUDY.values()}
FOLLOWED = ("Study.heldout", "Study.adapted_layers", "CellConfig.base_sha256", "CellConfig.epochs")
"""Those of which the advice is followed to its end here; the others' is no other."""


@pytest.fixture
def small(study, monkeypatch):
    """One cell of two steps, on a base that may be asked for as ``another`` one."""
    load = planning.load_base

    def load_base(name, precision, device, hold):
        base = load(name, precision, device, hold)
        return replace(base, name="another", sha256="1" * 64) if name == "another" else base

    monkeypatch.setattr(planning, "load_base", load_base)
    return replace(study, qualities=(Quality(),), sizes=(4,), seeds=(0,), settings=FEW)


@pytest.mark.parametrize(("kind", "told"), [(Study, OF_A_STUDY), (CellConfig, OF_A_CELL)])
def test_it_is_said_of_every_field_what_another_value_does(kind, told):
    """A field that is new, or gone, has to be told about above."""
    assert {one.name for one in fields(kind)} == set(told)
    assert {name for name in NOT_COMPARED if told is OF_A_STUDY} <= set(told)
    assert set(SHARED) <= set(OF_A_CELL)


@pytest.mark.parametrize("name", TOLD)
def test_another_value_is_refused_or_an_axis_or_decides_nothing(name, small, tmp_path):
    change, expected = TOLD[name]
    folder = tmp_path / "study"
    with runner.run(small, folder) as store:
        before = store.done()
    manifest = (folder / "manifest.json").read_bytes()
    if expected in (GROWS, STAYS):
        assert NOT_COMPARED[name.partition(".")[2]]
        with runner.run(change(small), folder) as store:
            assert before <= store.done()
            assert (before < store.done()) == (expected == GROWS)
            assert store.table()
        return
    with pytest.raises(InputError, match=expected) as refusal:
        runner.run(change(small), folder)
    assert (folder / "manifest.json").read_bytes() == manifest
    with Store.open(folder) as store:
        assert store.done() == before
    place = Path(str(refusal.value).split("--out ")[1])
    assert place.parent == tmp_path
    assert not place.exists()
    if name in FOLLOWED:
        with runner.run(change(small), place) as store:
            assert store.counts() == {"done": 1}


SMALL_VERBS = (
    "run verbs --quality clean other_form:0.5 --sizes 8 16 --seeds 0 1 2 --heldout 20 --steps 6 --rank 4 "
    "--batch-size 8 --learning-rate"
)


@follows("give this run a folder of its own: --out {quoted(place)}")
def test_the_folder_of_an_advice_has_its_own_report(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    runner.run(small_study(), Path("runs/verbs-coffee"), threads=1)
    command = [*SMALL_VERBS.split(), "1e-3"]
    assert main(command) == 2
    place = "runs/verbs-coffee-learning-rate-0.001"
    told = capsys.readouterr().err
    assert "holds a study with other settings (learning_rate was 0.002 and is 0.001), and" in told
    assert told.endswith(f"give this run a folder of its own: --out {place}\n")
    # in a process of its own, which is quicker: without the type checks of the tests
    program = [sys.executable, "-m", "workbench", *command, "--out", place]
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"report: {place}/report/index.html" in done.stdout
    assert main(command) == 2
    assert capsys.readouterr().err == told, "where these settings are, they go on"


def test_a_folder_that_other_settings_have_taken_would_not_do(small, tmp_path):
    runner.run(small, tmp_path / "study")
    other = of_settings(learning_rate=0.001)(small)
    runner.run(of_settings(learning_rate=0.001, rank=3)(small), tmp_path / "study-learning-rate-0.001")
    (tmp_path / "study-learning-rate-0.001-2").mkdir()
    with pytest.raises(InputError, match=r"--out .*study-learning-rate-0\.001-3$"):
        runner.run(other, tmp_path / "study")


@pytest.mark.parametrize(
    "same",
    [
        of_settings(learning_rate=2e-3, alpha=16.0, schedule="cosine", epochs=None, targets=LINEARS),
        of_study(template="plain", adapted_layers=3),
        of_study(adapted_layers=7, precision="float32"),
        of_study(heldout=20, date=None),
    ],
)
def test_what_is_the_same_goes_on(same, small, tmp_path):
    with runner.run(small, tmp_path / "study") as store:
        before = store.done()
    with runner.run(same(small), tmp_path / "study") as store:
        assert store.done() == before


def test_settings_are_compared_before_the_base_is_loaded(small, tmp_path, monkeypatch):
    runner.run(small, tmp_path / "study")
    monkeypatch.setattr(planning, "load_base", None)
    with pytest.raises(InputError, match="rank was 2 and is 3"):
        runner.run(of_settings(rank=3)(small), tmp_path / "study")
    with pytest.raises(InputError, match="adapted_layers was 3 and is 1"):
        runner.run(replace(small, adapted_layers=1), tmp_path / "study")


def test_everything_is_compared_before_the_long_work(small, tmp_path, monkeypatch):
    runner.run(small, tmp_path / "study")
    monkeypatch.setattr(planning, "prepare", None)
    for change in (of_study(heldout=12), of_study(base="another"), other_records):
        with pytest.raises(InputError, match="give this run a folder of its own"):
            runner.run(change(small), tmp_path / "study")


def test_no_other_run_can_begin_a_study_while_this_one_plans(small, tmp_path, monkeypatch):
    load, refused = planning.load_base, []

    def meanwhile(name, precision, device, hold):
        monkeypatch.setattr(planning, "load_base", load)
        with pytest.raises(InputError, match="another run is writing"):
            runner.run(of_settings(rank=3)(small), tmp_path / "study")
        refused.append(name)
        return load(name, precision, device, hold)

    monkeypatch.setattr(planning, "load_base", meanwhile)
    with runner.run(small, tmp_path / "study") as store:
        assert {row["rank"] for row in store.rows()} == {2}
    assert refused


def test_records_that_changed_are_named_by_their_part(small, tmp_path):
    runner.run(small, tmp_path / "study")
    path = Path(small.data)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    data = small.dataset()

    def spoil(part):
        prompts = {record.prompt for record in part[:1]}
        new = [{**line, "response": "a"} if line["prompt"] in prompts else line for line in lines]
        path.write_text("\n".join(map(json.dumps, new)) + "\n")

    for part, words in ((data.train, "training records"), (data.heldout, "held-out records")):
        spoil(part)
        with pytest.raises(InputError, match=f"the sha256 of letters, in its {words}, was"):
            runner.run(small, tmp_path / "study")


def test_a_study_of_which_no_cell_is_done_has_its_settings_too(small, tmp_path):
    runner.run(small, tmp_path / "study", should_stop=lambda: True)
    with pytest.raises(InputError, match="rank was 2 and is 3"):
        runner.run(of_settings(rank=3)(small), tmp_path / "study")
    assert runner.run(small, tmp_path / "study").counts() == {"done": 1}


def test_settings_that_a_study_has_a_field_for_are_refused(small):
    with pytest.raises(InputError, match="unknown setting 'template'"):
        of_settings(template="alpaca")(small)


WRITTEN_IN_TWO_WAYS = """
import sys
from dataclasses import replace
from pathlib import Path
from workbench.errors import InputError
from workbench.studies.identity import Begun
from workbench.studies.mend import mend
from workbench.studies.disk.store import Store
from workbench.training.results import CellResult
from small_study import small_study

folder = Path(sys.argv[1]) / "study"
study = small_study(settings={"alpha": 8})
manifest = {"study": study.to_dict() | {"precision": "float32"}, "data": {"sha256": "d", "name": "d"}}
manifest["base"] = {"sha256": "b", "name": "b", "layers": 4}
hashes = {"data_fingerprint": "d", "base_sha256": "b", "template": "verbs"}

def commit(store, study):
    cells = {cell.key(): cell for cell in study.cells(**hashes)}
    store.commit({key: CellResult(cell=cell, metrics={"loss": 1.0}) for key, cell in cells.items()})
    return set(cells)

with Store.create(folder, manifest) as store:
    keys = commit(store, study)
    same = replace(study, settings={"alpha": 8.0})
    begun = Begun.of(store)
    begun.check(begun.settled(same))
    assert {cell.key() for cell in begun.settled(same).cells(**hashes)} == keys
    assert not keys & commit(store, same), "an earlier version made other cells of them"
    try:
        store.rows()
    except InputError as error:
        assert "12 with alpha 8; 12 with alpha 8.0" in str(error), error
    else:
        sys.exit("mixed, and not refused")
assert [part.cells for part in mend(folder).parts] == [12, 12]
with Store.open(folder) as store:
    assert store.done() == keys and store.rows()
"""


def test_a_number_is_the_same_however_it_is_written(tmp_path):
    # in a process of its own, without the type checks of the tests: 8 is a float to Python, not to them
    program = [sys.executable, "-c", WRITTEN_IN_TWO_WAYS, tmp_path]
    done = subprocess.run(program, capture_output=True, text=True, cwd=Path(__file__).parent)
    assert done.returncode == 0, done.stderr


numbers = st.floats(0.001, 9.0)
settings = st.fixed_dictionaries(
    {
        "rank": st.integers(1, 64),
        "alpha": numbers,
        "learning_rate": numbers,
        "targets": st.lists(st.sampled_from(LINEARS), min_size=1, unique=True).map(tuple),
        "schedule": st.sampled_from([name for name in SCHEDULES if name != "trunk"]),
        "template": st.text(min_size=1, max_size=90),
    }
)


def cells_of(values, sizes=(1, 2)):
    return [CellConfig(data="d", base="b", size=size, **values) for size in sizes]


@given(settings, settings)
def test_the_name_of_a_folder_is_valid_for_any_settings(one, other):
    (then, _), (now, _) = cells_of(one), cells_of(other)
    found = differing(settings_of(then), settings_of(now))
    assert {each.name for each in found} == {name for name in one if one[name] != other[name]}
    if found:
        assert len(folder_suffix(found)) <= 60
        assert re.fullmatch(r"[A-Za-z0-9._-]*", folder_suffix(found))


@given(st.lists(settings, min_size=1, max_size=4))
def test_cells_are_grouped_by_all_settings_and_by_nothing_else(several):
    cells = {f"{at} {cell.size}": cell for at, one in enumerate(several) for cell in cells_of(one)}
    groups = grouped(cells)
    assert sorted(key for group in groups for key in group.keys) == sorted(cells)
    shared = [{tuple(getattr(cells[key], name) for name in SHARED) for key in group.keys} for group in groups]
    assert all(len(one) == 1 for one in shared)
    assert [group.keys[0] for group in groups] == sorted(group.keys[0] for group in groups)
    assert len(set.union(*shared)) == len(groups)


def test_a_study_of_the_oldest_format_goes_on(tmp_path):
    folder = shutil.copytree(Path(__file__).parent / "old" / "format-1", tmp_path / "study")
    with Store.open(folder, read_only=True) as store:
        study, before = store.manifest.study.parsed(), store.done()
    with pytest.raises(InputError, match=r"learning_rate was 0\.002 and is 0\.001"):
        runner.run(of_settings(learning_rate=0.001)(study), folder)
    with runner.run(replace(study, sizes=(4, 8, 16)), folder) as store:
        assert before < store.done()
        assert store.counts() == {"done": 6}
