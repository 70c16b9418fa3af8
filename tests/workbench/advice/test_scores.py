"""What scoring refuses, each in a sentence, and that the advice in it works."""

import json
import shlex
from pathlib import Path

import pytest
from following import between, told
from follows import follows

import workbench
from workbench.cli import main
from workbench.config import Quality
from workbench.data.records import Record
from workbench.data.sources import load_dataset
from workbench.models.loaders import load_base
from workbench.scoring.scored import score_columns
from workbench.scoring.scorers import Given
from workbench.views.widgets import Examples

RECORDS = tuple(Record(id=str(n), prompt=f"p{n}", response=f"r{n}") for n in range(12))


@pytest.fixture
def mine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    rows = [json.dumps({"prompt": f"q{n}", "response": f"a {n}"}) for n in range(12)]
    (tmp_path / "mine.jsonl").write_text("\n".join(rows) + "\n")
    return "mine.jsonl"


def refused(capsys, *command):
    assert main([*command]) == 2
    return capsys.readouterr().err


@follows("give the file to score first: workbench score FILE --scorer length")
def test_a_score_without_a_file(mine, capsys):
    message = refused(capsys, "score", "--scorer", "length")
    _, *command = shlex.split(between(message, "first: ").replace("FILE", mine))
    assert main(command) == 0
    assert "written: mine.scored.jsonl" in capsys.readouterr().out


@follows("{target} is there already, and nothing is replaced; give another name with --out")
def test_a_scored_file_that_is_there_from_python(mine):
    workbench.score_file(mine, ["length"], out="one.jsonl")
    before = Path("one.jsonl").read_text()
    told(workbench.score_file, mine, ["copies"], out="one.jsonl")
    assert Path("one.jsonl").read_text() == before
    workbench.score_file(mine, ["copies"], out="two.jsonl")
    assert Path("two.jsonl").is_file()


@follows(
    "scorers is {scorers!r}; give a list of them, such as", "only is {only!r}; give a list of checks, such as"
)
def test_one_name_where_several_are_taken(mine):
    message = told(workbench.score_file, mine, "length")
    several = eval(between(message, "such as scorers="))
    assert "length" in several
    assert set(several[:1]) < set(workbench.score_file(mine, several[:1]))
    told(workbench.score_file, mine, [])
    several = eval(between(told(workbench.audit_file, mine, only="empty"), "such as only="))
    assert workbench.audit_file(mine, only=several).audit.looked == ("empty",)


@follows("{out} is there already, and nothing is replaced; give another name with --out")
def test_a_scored_file_that_is_there(mine, capsys):
    assert main(["score", mine, "--scorer", "length"]) == 0
    before = (capsys.readouterr().out, Path("mine.scored.jsonl").read_text())
    refused(capsys, "score", mine, "--scorer", "copies")
    assert Path("mine.scored.jsonl").read_text() == before[1]
    assert main(["score", mine, "--scorer", "copies", "--out", "other.jsonl"]) == 0


@follows("already, which scoring would replace; rename it, or leave that scorer out")
def test_a_column_that_is_there(mine, capsys):
    assert main(["score", mine, "--scorer", "length"]) == 0
    refused(capsys, "score", "mine.scored.jsonl", "--scorer", "length", "copies", "--out", "b.jsonl")
    assert main(["score", "mine.scored.jsonl", "--scorer", "copies", "--out", "b.jsonl"]) == 0
    assert set(json.loads(Path("b.jsonl").read_text().splitlines()[0])) == {
        "prompt",
        "response",
        "length",
        "copies",
    }


@follows(
    "needs a base; give one with --base", "compares with the records that judge; give them as a file with"
)
def test_what_a_scorer_needs(mine, capsys):
    told(score_columns, Given(records=RECORDS), ["loss"])
    score_columns(Given(records=RECORDS, base=load_base("classroom")), ["loss"])
    refused(capsys, "score", mine, "--scorer", "overlap")
    assert main(["score", mine, "--scorer", "overlap", "--against", mine]) == 0


@follows("is asked for twice; give each once")
def test_a_scorer_twice(mine, capsys):
    refused(capsys, "score", mine, "--scorer", "length", "length")
    assert main(["score", mine, "--scorer", "length"]) == 0


@follows("none of these chooses records: {labels}; give a quality with a pool, such as")
def test_qualities_that_choose_nothing_on_screen(tmp_path):
    rows = [{"prompt": f"q{n}", "response": "a b", "source": ("wiki", "forum")[n % 2]} for n in range(20)]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data, typo = load_dataset(tmp_path / "mine.jsonl"), Quality(corruption="typo", share=0.5)
    message = told(Examples.chosen, data, [typo])
    quality = eval(between(message, "such as wb.", ", or"), {"Quality": Quality})
    assert {row["kind"] for row in Examples.chosen(data, [quality]).rows} == {"in", "out"}
    assert len(Examples.drawn(data, typo, 8).rows) == 8


def test_a_study_chooses_by_a_score(mine, capsys):
    asked = ["--base", "classroom", "--template", "verbatim"]
    assert main(["score", mine, "--scorer", "loss", "ifd", *asked]) == 0
    assert "12 of 12" in capsys.readouterr().out
    command = ["run", "mine.scored.jsonl", "--quality", "clean", "top:50%@ifd", "--dry-run"]
    assert main([*command, *asked]) == 0
    assert "qualities: clean, top:50%@ifd" in capsys.readouterr().out
