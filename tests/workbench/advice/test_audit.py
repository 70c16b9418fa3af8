"""Advice of `workbench audit`: what it says to do makes the fault go away."""

import json
import sys
from pathlib import Path

import ftfy
import pytest
from following import follows

from workbench.cli import main
from workbench.data.sources import load_dataset
from workbench.errors import how_to_install

sys.path.append(str(Path(__file__).parents[1] / "data" / "audit"))

from planting import PLACES, PLANS, clean, plant


def written(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def rows_of(records):
    return [{"prompt": record.prompt, "response": record.response} for record in records]


@pytest.fixture
def audited(capsys, tmp_path):
    """Audit a file and return its faults."""

    def audited(path, *options):
        capsys.readouterr()
        assert main(["audit", str(path), "--json", "--out", str(tmp_path / "p.html"), *options]) == 0
        return json.loads(capsys.readouterr().out)["faults"]

    return audited


def without(rows, places):
    """Return the rows that no place names, such as "mine.jsonl, line 4"."""
    gone = {
        int(part.rpartition(" ")[2]) for place in places for part in place.split(" and ") if "mine" in part
    }
    assert gone
    return [row for number, row in enumerate(rows, 1) if number not in gone]


@follows("Take them out of the file; --json names all their places.")
@follows("{advice} --json names all their places.", "Where they aren't meant as several good answers, keep")
@follows("Take them out where the base shouldn't learn to refuse; --json names all their places.")
@follows("Take them out or complete them: the base learns to stop there.")
@follows("Look whether they are cut off; if they are, take them out or complete them.")
@follows("They were cut at a limit and then marked as ended")
@pytest.mark.parametrize(
    "check", ["exact_duplicates", "near_duplicates", "disagreeing_prompts", "refusals", "cut_off"]
)
def test_what_is_taken_out_is_gone(check, audited, tmp_path):
    rows = rows_of(plant(PLANS[check]))
    path = written(tmp_path / "mine.jsonl", rows)
    (fault,) = audited(path, "--only", check)
    assert "out" in fault["advice"] or "keep" in fault["advice"]
    assert audited(written(path, without(rows, fault["places"])), "--only", check) == []
    load_dataset(path)


@follows("no evaluation file; give one with --against", "What was trained on can't judge. Take the places")
def test_an_evaluation_file_that_the_file_holds(audited, tmp_path, capsys):
    rows = rows_of(clean())
    path = written(tmp_path / "mine.jsonl", rows)
    assert main(["audit", str(path), "--out", str(tmp_path / "p.html")]) == 0
    assert "give one with --against" in capsys.readouterr().out
    judge = written(tmp_path / "eval.jsonl", [*rows_of(clean(1, 30)), *rows[:3]])
    (fault,) = audited(path, "--against", str(judge))
    assert "out of it" in fault["advice"]
    assert audited(written(path, without(rows, fault["places"])), "--against", str(judge)) == []
    assert len(load_dataset(path, heldout_file=judge).heldout) == 33


@follows("The split keeps equal prompts together, but not similar ones.")
def test_a_split_with_copies_on_both_sides(audited, tmp_path):
    own = clean()
    held = {record.prompt for record in load_dataset(written(tmp_path / "m.jsonl", rows_of(own))).heldout}
    judge = [record for record in own if record.prompt in held]
    train = [record for record in own if record.prompt not in held]
    rows = rows_of(own)
    for one, other in zip(train, judge[:5], strict=False):
        rows[own.index(one)]["response"] = other.response
    path = written(tmp_path / "mine.jsonl", rows)
    (fault,) = audited(path)
    assert "--heldout-file" in fault["advice"]
    elsewhere = written(tmp_path / "elsewhere.jsonl", rows_of(clean(1, 20)))
    assert audited(path, "--only", "contamination", "--against", str(elsewhere)) == []
    assert len(load_dataset(path, heldout_file=elsewhere).train) == len(rows)
    first = [place.split(" and ")[0] for place in fault["places"]]
    assert audited(written(path, without(rows, first))) == []


@follows("Leave them out with --on-empty drop of `workbench run`.")
@follows("Mend them, or leave them out with --on-bad drop of `workbench run`.")
def test_what_cannot_be_read_is_left_out(audited, tmp_path):
    path = written(
        tmp_path / "mine.jsonl", [*rows_of(clean()), {"prompt": "p", "response": ""}, {"prompt": "q"}]
    )
    advice = " ".join(fault["advice"] for fault in audited(path))
    assert "--on-empty drop" in advice
    assert "--on-bad drop" in advice
    dataset = load_dataset(path, on_empty="drop", on_bad="drop")
    assert len(dataset.train) + len(dataset.heldout) == 80


@follows("Take them out of the texts: the workbench puts the base's own end mark behind each answer.")
@follows("Take the padding out of the texts: the workbench pads nothing, and marks each end itself.")
@follows("Take the characters out of the texts; --json names all places.")
@pytest.mark.parametrize(
    ("check", "character"),
    [("end_marks", "</s>"), ("padding", "<|endoftext|>"), ("control_characters", "\x1b[31m")],
)
def test_what_is_taken_out_of_the_texts(check, character, audited, tmp_path):
    rows = rows_of(plant(PLANS[check]))
    path = written(tmp_path / "mine.jsonl", rows)
    (fault,) = audited(path, "--only", check)
    assert "out of the texts" in fault["advice"]
    for place in fault["places"]:
        row = rows[int(place.rpartition(" ")[2]) - 1]
        row["response"] = row["response"].replace(character, "")
    assert rows == rows_of(clean())
    assert audited(written(path, rows)) == []


@follows("Read the source again in its own encoding, or mend the texts in Python with ftfy.fix_encoding.")
@follows("Read the source again in its own encoding, or take them out.")
def test_a_wrong_encoding_is_mended(audited, tmp_path):
    rows = rows_of(plant(PLANS["mojibake"]))
    rows[0]["response"] += " A \ufffd here."
    path = written(tmp_path / "mine.jsonl", rows)
    broken, lost = audited(path)
    assert "ftfy.fix_encoding" in broken["advice"]
    assert "take them out" in lost["advice"]
    for at in PLACES:
        rows[at]["response"] = ftfy.fix_encoding(rows[at]["response"])
    assert rows[PLACES[0]]["response"].endswith("Un café déjà vu.")
    assert audited(written(path, rows[1:])) == []


@follows("Make a record of each answer, with what came before it as 'history'")
def test_turns_become_records(audited, tmp_path):
    rows = rows_of(clean())
    rows[4]["response"] = f"Hello.\n\nHuman: and then?\nAssistant: {rows[4]['response']}"
    path = written(tmp_path / "mine.jsonl", rows)
    (fault,) = audited(path)
    assert "'history'" in fault["advice"]
    own, answer = rows[4]["prompt"], rows[4]["response"].rpartition("Assistant: ")[2]
    rows[4] = {"prompt": own, "response": "Hello."}
    rows.append({"prompt": "and then?", "response": answer, "history": [[own, "Hello."]]})
    assert audited(written(path, rows)) == []


@follows(
    "no base to count tokens for; give one with --base",
    "Leave them out with --on-long drop of `workbench run`,",
)
@follows("The reason stands beside each; take them out, or choose another --base.")
def test_records_for_a_base(audited, tmp_path, capsys):
    rows = [{"prompt": "walk ", "response": "walked"}, {"prompt": "go ", "response": "went"}] * 3
    rows += [{"prompt": "walk" * 200, "response": "walked"}, {"prompt": "走る", "response": "走った"}]
    path = written(tmp_path / "mine.jsonl", rows)
    main(["audit", str(path), "--out", str(tmp_path / "p.html")])
    assert "give one with --base" in capsys.readouterr().out
    audit = (path, "--base", "classroom", "--only", "too_long")
    faults = audited(*audit)
    assert [fault["count"] for fault in faults] == [1, 1]
    assert "--on-long drop" in faults[0]["advice"]
    assert "take them out" in faults[1]["advice"]
    written(path, without(rows, [place for fault in faults for place in fault["places"]]))
    assert audited(*audit) == []


@follows("py3langid isn't installed", "Take them out unless they are meant; --json names all their places.")
def test_languages(audited, tmp_path, monkeypatch):
    from planting import ENGLISH, GERMAN

    from workbench.data.audit import Subject, audit, wording

    rows = rows_of(clean())
    for at, row in enumerate(rows):
        row["response"] = f"{GERMAN if at in PLACES else ENGLISH} {row['response']}"
    path = written(tmp_path / "mine.jsonl", rows)
    (fault,) = audited(path, "--only", "languages")
    assert audited(written(path, without(rows, fault["places"])), "--only", "languages") == []
    monkeypatch.setattr(wording, "find_spec", lambda name: None)
    said = audit(Subject(records=clean()), ["languages"]).skipped["languages"]
    assert f"install it with `{how_to_install('audit')}`" in said
