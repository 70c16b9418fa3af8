"""A study is drawn, cut and described once; whatever records, predicts, trains and replays takes the plan."""

import json
import re
import sys
from collections import Counter
from dataclasses import FrozenInstanceError, replace
from types import ModuleType

import pytest
from follows import follows
from small_study import small_study

from workbench.cli import main
from workbench.data.records import digest_of
from workbench.data.sources import files, load_dataset
from workbench.data.subsets import draw
from workbench.studies import arithmetic, provenance, runner
from workbench.studies import plan as planning
from workbench.studies.choices import study as describe
from workbench.studies.examples import changed_examples
from workbench.studies.plan import plan
from workbench.studies.replay import replay
from workbench.training.loop import branches


@pytest.fixture
def counted(monkeypatch):
    """Count the calls of a function, under whatever name a module of the workbench has it."""
    calls = Counter()

    def count(function, name_of=lambda *given: ()):
        def counting(*given, **named):
            calls[function.__name__, *name_of(*given)] += 1
            return function(*given, **named)

        for module in [one for name, one in sys.modules.items() if name.startswith("workbench.")]:
            assert isinstance(module, ModuleType)
            for name, value in list(vars(module).items()):
                if value is function:
                    monkeypatch.setattr(module, name, counting)

    calls.count = count
    return calls


def test_a_run_draws_every_cell_once(study, tmp_path, counted):
    cells = {("draw", cell.quality.label, cell.size, cell.seed) for cell in study.cells()}
    counted.count(draw, lambda dataset, quality, size, seed: (quality.label, size, seed))
    runner.run(study, tmp_path / "study").close()
    assert dict(counted) == dict.fromkeys(cells, 1)
    counted.clear()
    runner.run(study, tmp_path / "study").close()
    assert dict(counted) == dict.fromkeys(cells, 1)
    counted.clear()
    replay(tmp_path / "study")
    assert dict(counted) == dict.fromkeys(cells, 1)


def test_a_run_decides_branches_and_arithmetic_once(tmp_path, counted):
    trunk = {"schedule": "trunk", "steps": None, "epochs": 1.0, "warmup_steps": 1}
    study = small_study(seeds=(0,), settings={**trunk, "batch_size": 4, "rank": 2})
    stacks = len(plan(study).stacks)
    counted.count(branches)
    counted.count(planning.arithmetic_of)
    counted.count(planning.partition)
    runner.run(study, tmp_path / "study").close()
    assert counted == {("branches",): stacks, ("arithmetic_of",): 1, ("partition",): 1}


def test_an_own_file_is_parsed_once_from_the_command_to_the_table(tmp_path, counted, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = [{"prompt": f"{a}{b}", "response": a} for a in "abcdefgh" for b in "abcdefgh"]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, lines)))
    counted.count(files.read_items, lambda path: (path.name,))
    small = ["--base", "classroom", "--heldout", "20", "--sizes", "8", "--seeds", "0", "1", "--steps", "2"]
    assert main(["run", "mine.jsonl", *small]) == 0
    assert counted == {("read_items", "mine.jsonl"): 1}


def test_a_file_that_has_changed_is_parsed_again(tmp_path):
    path = tmp_path / "mine.jsonl"

    def written(answer):
        path.write_text("".join(json.dumps({"prompt": f"{n}", "response": answer}) + "\n" for n in range(9)))
        return load_dataset(path, heldout=3)

    first, again, other = written("a"), written("a"), written("b")
    assert first is again
    assert {record.response for record in other.train} == {"b"}
    assert load_dataset(path, heldout=4) != other


def test_what_a_plan_knows_is_what_its_parts_say(study):
    study = replace(study, seeds=(3, 1))
    made = plan(study)
    for cell in made.cells:
        drawn = draw(made.dataset, cell.quality, cell.size, cell.seed)
        assert made.subsets[cell.key()] == digest_of(drawn)
        assert len(made.prepared.draws[cell.key()]) == cell.size
    assert made.examples == changed_examples(made.study, made.dataset)
    assert made.examples
    for stack, branched in zip(made.stacks, made.branched, strict=True):
        assert branched == branches(stack, [made.prepared.draws[cell.key()] for cell in stack])
    with pytest.raises(FrozenInstanceError):
        made.stacks = []


@follows("--heldout-file gives another file to judge by")
def test_what_judges_a_choice_of_one_file_is_said(tmp_path):
    verbs = load_dataset("verbs").train
    rows = [
        {"prompt": one.prompt, "response": one.response, "source": ("wiki", "forum")[n % 3 == 0]}
        for n, one in enumerate(verbs[:120])
    ]
    for name, some in (("mine", rows[:60]), ("judge", rows[60:70]), ("other", rows[70:])):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, some)))

    def notes(**options):
        qualities = ["source=wiki", "source=forum"]
        options = {"qualities": qualities, "sizes": [4], "seeds": [0], "base": "classroom"} | options
        return plan(describe(str(tmp_path / "mine.jsonl"), **options)).notes

    held = load_dataset(tmp_path / "mine.jsonl").heldout
    counts = Counter(one.extra["source"] for one in held)
    told = (
        f"judged by {len(held)} records held out of all kinds: {counts['wiki']} source=wiki, "
        f"{counts['forum']} source=forum; --heldout-file gives another file to judge by"
    )
    assert told in notes()
    for other in (
        {"heldout_file": str(tmp_path / "judge.jsonl")},
        {"others": [str(tmp_path / "other.jsonl")]},
        {"qualities": ["clean", "typo:0.5"]},
    ):
        assert not any("held out of all kinds" in note for note in notes(**other))


def test_a_column_that_no_quality_read_before_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = [
        {"prompt": f"{a}{b}", "response": a, "source": "xy"[n % 2], "ifd": n / 10}
        for n, (a, b) in enumerate((a, b) for a in "abcdef" for b in "abcdef")
    ]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    few = ["--base", "classroom", "--sizes", "4", "--seeds", "0", "--steps", "1", "--rank", "2"]
    begun = ["run", "mine.jsonl", *few, "--out", "study", "--quality", "source=x", "source=y"]
    assert main(begun) == 0
    capsys.readouterr()
    assert main([*begun, "clean"]) == 0, "another quality that rests on the same columns is an axis"
    capsys.readouterr()
    assert main([*begun, "ifd>=0.5"]) == 2
    said = capsys.readouterr().err
    assert "(what its qualities read of a record was source and is ifd, source)" in said
    folder = re.search(r"--out (\S+)", said)[1]
    assert folder == "study-columns-ifd-source"
    assert main([*begun, "ifd>=0.5", "--out", folder]) == 0


def test_the_record_is_the_plan_s(study, tmp_path):
    made = plan(study, threads=1)
    with runner.run(study, tmp_path / "study", threads=1) as store:
        assert store.manifest.subsets == made.subsets
        assert list(store.manifest.examples) == made.examples
        assert store.manifest.arithmetic.written == {"name": made.arithmetic.name, **made.arithmetic.used}
        assert {values["arithmetic"] for values in store.made().values()} == {made.arithmetic.name}


def test_other_threads_are_another_arithmetic(study):
    one, two = plan(study, threads=1).arithmetic, plan(study, threads=2).arithmetic
    assert (one.threads, two.threads) == (1, 2)
    assert one.name != two.name


def test_the_version_of_triton_is_recorded_where_it_computes(study, monkeypatch):
    import triton

    from qlora_kernels.dispatch import Choice

    plain = plan(study, threads=1)
    assert "triton" not in provenance.first_manifest(plain)["versions"], "PyTorch computes on a CPU"
    names = {plain.arithmetic.name}
    monkeypatch.setattr(arithmetic, "choose", lambda tensor: Choice("triton", "a test says so"))
    for version in ("3.6.0", "3.9.0"):
        monkeypatch.setattr(triton, "__version__", version)
        made = plan(study, threads=1)
        assert provenance.first_manifest(made)["versions"]["triton"] == version
        names.add(made.arithmetic.name)
    assert len(names) == 3, "another compiler is another arithmetic"


@pytest.mark.parametrize(
    ("adapted", "layers", "first"), [(None, 4, 0), (1, 4, 3), (4, 4, 0), (9, 4, 0), (None, 0, 0), (3, 0, 0)]
)
def test_the_first_layer(study, adapted, layers, first):
    assert replace(study, adapted_layers=adapted).first_layer(layers) == first
