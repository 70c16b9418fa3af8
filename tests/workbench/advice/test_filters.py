"""What comparing filters refuses, each in a sentence, and that the advice in it works."""

import json
import re
import shlex
from pathlib import Path

import pytest
from following import between
from follows import follows

from workbench import filtering
from workbench.cli import main
from workbench.data.sources import load_dataset

ASKED = ("--base", "classroom", "--template", "verbs", "--heldout", "20", "--corruption", "typo")
GRID = ("--epochs", "1", "--without-controls", "--without-whole")


class Begun(Exception):
    """Raised where the training would begin."""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """Write a file of 80 verbs; what would be trained isn't."""

    def begin(study, folder, **choices):
        raise Begun

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(filtering, "run", begin)
    write([{"id": one.id, "prompt": one.prompt, "response": one.response} for one in verbs()])
    return "mine.jsonl"


def verbs():
    return load_dataset("verbs").train[:80]


def write(rows, name="mine.jsonl"):
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))


def rows():
    return [json.loads(line) for line in Path("mine.jsonl").read_text().splitlines()]


def refused(capsys, *command):
    assert main(["filters", *command, *ASKED, *GRID]) == 2
    return capsys.readouterr().err


def begins(*command):
    with pytest.raises(Begun):
        main(["filters", *command, *ASKED, *GRID])


@follows("name at least one scorer, such as workbench filters {arguments.file} --scorer ifd", "no scorer is")
def test_no_scorer(mine, capsys):
    message = refused(capsys, mine)
    begins(*between(message, "workbench filters ", ";").split())


@follows("expected a share of the records in percent")
def test_a_share_that_is_none(mine, capsys):
    message = refused(capsys, mine, "--scorer", "ifd", "--keep", "0.3")
    begins(mine, "--scorer", "ifd", "--keep", between(message, "such as --keep ").strip())


@follows("compares with the records that judge; give them as a file with --heldout-file")
def test_overlap_without_records_that_judge(mine, capsys):
    refused(capsys, mine, "--scorer", "overlap", "--keep", "50%")
    held = [{"prompt": one.prompt * 4, "response": f"{one.response} x" * 4} for one in verbs()]
    long = [{**row, "response": "to be or not to be that is it"} for row in rows()]
    write(long)
    write([{**row, "prompt": row["prompt"] * 2} for row in held[:20]], "held.jsonl")
    asked = [one for one in ASKED if one not in ("--heldout", "20")]
    asked[asked.index("verbs")] = "plain"
    assert main(["filters", mine, "--scorer", "overlap", "--heldout-file", "held.jsonl", *asked, *GRID]) == 2
    assert "is 0 for every record" in capsys.readouterr().err, "it was compared"


@follows("for the largest numbers or {name}:bottom for the smallest")
def test_an_end_that_is_none(mine, capsys):
    message = refused(capsys, mine, "--scorer", "ifd:best")
    for scorer in re.findall(r"ifd:(?:top|bottom)", message):
        begins(mine, "--scorer", scorer)


@follows("{doubled[0]!r} is asked for twice; give each once")
def test_a_scorer_and_its_end_twice(mine, capsys):
    refused(capsys, mine, "--scorer", "ifd", "ifd:top")
    begins(mine, "--scorer", "ifd:top", "ifd:bottom")


@follows("holds a study of other records or scores; give another folder with --out")
def test_a_folder_with_another_study(mine, capsys):
    Path("runs/mine-filters-coffee").mkdir(parents=True)
    Path("runs/mine-filters-coffee/manifest.json").write_text("{}")
    message = refused(capsys, mine, "--scorer", "ifd")
    begins(mine, "--scorer", "ifd", *between(message, "such as ").split())


@follows("tokens that the base can read ({places}); leave them out with --on-long drop")
def test_records_that_are_too_long(mine, capsys):
    write([{**row, "response": "x" * 2000} if place == 3 else row for place, row in enumerate(rows())])
    refused(capsys, mine, "--scorer", "ifd")
    begins(mine, "--scorer", "ifd", "--on-long", "drop")


@follows("every record is too long for the base; choose another with --base")
def test_nothing_but_records_that_are_too_long(mine, capsys):
    write([{**row, "response": "x" * 2000} for row in rows()])
    refused(capsys, mine, "--scorer", "ifd", "--on-long", "drop")
    from workbench.models.loaders import load_base

    assert load_base("classroom").decoder.config.context < 2000


@follows("leave those records out of the file, or {column.name} out of --scorer")
def test_records_without_a_score(mine, capsys):
    refused(capsys, mine, "--scorer", "ifd", "agreement")
    begins(mine, "--scorer", "ifd")


@follows("so there is nothing to choose by; leave {column.name} out of --scorer")
def test_scores_that_are_all_the_same(mine, capsys):
    refused(capsys, mine, "--scorer", "ifd", "copies")
    begins(mine, "--scorer", "ifd")


def test_keys_that_are_offered(mine, capsys):
    write([{"my title": row["prompt"], "body": row["response"]} for row in rows()])
    message = refused(capsys, mine, "--scorer", "ifd")
    begins(mine, "--scorer", "ifd", *shlex.split(message.partition("such as ")[2]))


@follows("and --map and --read-as can't hold for them and for")
def test_rows_of_several_records_beside_a_file_that_judges(mine, capsys):
    both = [
        [{"input": one.prompt, "output": one.response + more} for more in ("", " too")] for one in verbs()
    ]
    write([{"instruction": "say it", "instances": instances} for instances in both])
    write([{"instruction": "say", "instances": both[0][:1]}], "held.jsonl")
    asked = [one for one in ASKED if one not in ("--heldout", "20")]
    command = ["filters", mine, "--scorer", "length:top", "--read-as", "self-instruct", *asked, *GRID]
    command[command.index("verbs")] = "plain"
    assert main([*command, "--heldout-file", "held.jsonl"]) == 2
    message = capsys.readouterr().err
    with pytest.raises(Begun):
        main([*command, *between(message, "records instead: ", "N").split(), "20"])


@follows("too few for the size {largest}")
def test_a_share_that_is_too_small_for_a_size(mine, capsys):
    message = refused(capsys, mine, "--scorer", "ifd", "--sizes", "4", "30")
    begins(mine, "--scorer", "ifd", "--sizes", "4", "30", "--keep", re.search(r"--keep (\d+%)", message)[1])
    begins(mine, "--scorer", "ifd", "--sizes", "4", between(message, "sizes of at most ").strip())


def test_a_study_about_something_else(mine, capsys):
    from workbench.lessons.shipped import VERBS

    assert main(["filters", str(VERBS)]) == 2
    message = capsys.readouterr().err
    begins(*between(message, "`workbench filters ", "`").replace("FILE", mine).split())
