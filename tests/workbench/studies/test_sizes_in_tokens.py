"""A study whose sizes count response tokens: what it draws, what its cells are called, what it says."""

import csv
import json
import re
from dataclasses import replace

import pytest
from follows import follows
from small_study import small_study

from workbench.cli import main
from workbench.config import CellConfig, Quality
from workbench.errors import InputError
from workbench.results import open_study
from workbench.studies import runner
from workbench.studies.choices import study as described
from workbench.studies.disk.store import Store
from workbench.studies.grid import Study
from workbench.studies.plan import plan
from workbench.studies.replay import replay
from workbench.views.report import write_report

LENGTHS = {"short": 3, "long": 12}
"""Letters of an answer by its source; the classroom base reads each as a token, and one ends an answer."""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def mine(tmp_path):
    """Write a file of 300 records whose answers are short or long."""
    path = tmp_path / "mine.jsonl"
    letters = "abcdefghijklmnopqrstuvwxyz"
    rows = [
        {
            "prompt": f"word {letters[place % 26]}{letters[place // 26]}",
            "response": letters[place % 20] * LENGTHS[source],
            "source": source,
        }
        for place in range(150)
        for source in LENGTHS
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def asked(file, **changes):
    chosen = {
        "base": "classroom",
        "qualities": ["source=long", "source=short"],
        "sizes": [52, 208, 416],
        "size_in": "tokens",
        "heldout": 60,
        "steps": 4,
        "batch_size": 4,
        "rank": 2,
    }
    return described(file, **{**chosen, **changes})


def test_cells_have_so_many_tokens_that_count_in_the_loss(mine):
    made = plan(asked(mine))
    pool = made.prepared.frozen.pool
    for cell in made.cells:
        draw = made.prepared.draws[cell.key()]
        tokens = int((pool.lengths - pool.prompts)[draw].sum())
        each = LENGTHS[cell.quality.pool.removeprefix("source=")] + 1
        assert abs(tokens - cell.size) <= each / 2
        assert cell.examples == len(draw) == round(cell.size / each)
        assert cell.passes == 4 * 4 / len(draw)
    longs = sum(record.extra["source"] == "long" for record in made.dataset.train)
    assert made.response_tokens == {"source=long": 13 * longs, "source=short": 4 * (240 - longs)}


def test_passes_over_the_examples_are_counted_by_what_was_drawn(mine):
    made = plan(asked(mine, epochs=2.0, steps=None))
    for cell in made.cells:
        assert cell.total_steps == max(1, round(2.0 * len(made.prepared.draws[cell.key()]) / 4))


def test_a_run_goes_on_and_says_it_in_tokens(mine, tmp_path):
    study, folder = asked(mine), tmp_path / "study"
    runner.run(study, folder).close()
    results = open_study(folder)
    assert set(results.manifest.planned()) == {cell.key() for cell in plan(study).cells}
    assert Study.from_dict(json.loads(json.dumps(study.to_dict()))) == study
    rows = [row for row in results.table().rows if row["size"]]
    assert {row["size_in"] for row in rows} == {"tokens"}
    short = next(row for row in rows if (row["quality"], row["size"]) == ("source=short", 416))
    assert (short["examples"], short["epochs"]) == (104, 16 / 104)
    runner.run(study, folder).close()  # finds every cell done
    assert len(open_study(folder).table().rows) == len(rows) + 1
    replay(folder)
    report = write_report(folder)
    assert re.search(r"response tokens?\b", report.sentence)
    page = report.page.read_text()
    shown = re.sub(r"<script.*?</script>|<style.*?</style>|<svg.*?</svg>", "", page, flags=re.DOTALL)
    told = [line for line in shown.splitlines() if re.search(r"\bexamples?\b", line)]
    # what remains speaks of single records
    assert all("records" in line or "example.txt" in line or "What was" in line for line in told), told
    assert '<th class="number">response tokens</th>' in page
    assert "response tokens" in report.figure.with_suffix(".svg").read_text()


@follows("some sizes count examples and some tokens")
def test_an_exported_table_says_the_same(mine, tmp_path, capsys):
    folder = tmp_path / "study"
    runner.run(asked(mine), folder).close()
    table = write_report(folder).table
    sentence = open_study(folder).exchange_rate("loss").headline()
    assert "response token" in sentence
    assert main(["fit", str(table), "--metric", "loss"]) == 0
    said = capsys.readouterr().out
    assert "response token" in said
    assert "settings" not in said, "what follows from a draw is no setting"
    rows = list(csv.DictReader(table.open()))
    trained = [row for row in rows if float(row["size"])]
    trained[0]["size_in"] = "examples"
    mixed = tmp_path / "mixed.csv"
    with mixed.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(trained)
    assert main(["fit", str(mixed), "--metric", "loss"]) == 2
    assert "some sizes count examples and some tokens" in capsys.readouterr().err
    assert main(["fit", str(mixed), "--metric", "loss", "--where", "size_in=tokens"]) == 0


@follows("in response tokens is larger than the data", "sizes in tokens have no default")
def test_sizes_that_nobody_can_have(mine, tmp_path, capsys):
    run = [
        "run",
        str(mine),
        "--base",
        "classroom",
        "--quality",
        "source=long",
        "source=short",
        "--steps",
        "2",
    ]
    run += ["--size-in", "tokens", "--heldout", "60", "--out", str(tmp_path / "study"), "--seeds", "0", "1"]
    assert main(run) == 2
    said = capsys.readouterr().err
    assert "sizes in tokens have no default" in said
    assert main([*run, *re.search(r"(--sizes [\d ]+\d)", said)[1].split()]) == 2
    said = capsys.readouterr().err
    found = re.search(r"'source=short' has ([\d,]+) in (\d+) records; .* (--sizes \d+)", said)
    assert int(found[1].replace(",", "")) == 4 * int(found[2])
    assert main([*run, *found[3].split()]) == 0


@follows("with sizes in tokens: cells of a trunk")
def test_a_trunk_counts_examples(mine):
    with pytest.raises(InputError, match=r"cells of a trunk end after whole steps.* --size-in examples"):
        asked(mine, schedule="trunk", steps=None)
    asked(mine, schedule="trunk", steps=None, size_in="examples")
    asked(mine)


def test_another_unit_is_another_study(mine, tmp_path):
    folder = tmp_path / "study"
    runner.run(asked(mine, sizes=[52], seeds=[0]), folder).close()
    with pytest.raises(InputError, match="size_in was tokens and is examples"):
        runner.run(asked(mine, sizes=[52], seeds=[0], size_in="examples"), folder)


def test_growth_knows_how_many_tokens_there_are(mine, tmp_path):
    folder = tmp_path / "study"
    runner.run(asked(mine), folder).close()
    with Store.open(folder, read_only=True) as store:
        manifest = store.manifest
    short = 4 * sum(record.extra["source"] == "short" for record in asked(mine).dataset().train)
    assert manifest.limits()["source=short"] == short
    assert manifest.largest_size() == manifest.limits()["source=long"] > short


def test_names_of_cells():
    old = CellConfig(data="d", data_fingerprint="f", base="b", base_sha256="s", size=64)
    tokens = old.with_(size_in="tokens")
    assert old.key() == "e1533edbdb039b87", "as it was before sizes could count tokens"
    assert tokens.key() != old.key()
    assert tokens.with_(drawn=7).key() == tokens.key(), "what follows names nothing"
    assert CellConfig.from_dict(tokens.with_(drawn=7).to_dict()) == tokens.with_(drawn=7)


def test_a_built_in_study_counts_tokens_too(tmp_path):
    study = replace(small_study(sizes=(120,), seeds=(0,)), size_in="tokens")
    made = plan(study)
    pool = made.prepared.frozen.pool
    for cell in made.cells:
        draw = made.prepared.draws[cell.key()]
        lengths = (pool.lengths - pool.prompts)[draw]
        assert abs(int(lengths.sum()) - 120) <= int(lengths.max())
    assert {cell.quality for cell in made.cells} == {Quality(), study.qualities[1]}
