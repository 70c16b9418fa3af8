"""A file of an experiment tracker: what finished is read, what failed or still runs is counted, not read."""

import pytest

from workbench.cli import main
from workbench.errors import InputError
from workbench.laws import read_table
from workbench.laws.statuses import MEANING, STATUSES, UNFINISHED

ROW = {"quality": "clean", "size": 32, "seed": 0, "loss": 1.5}
WANDB = """"Name","State","Notes","Runtime","mix","n_examples","seed","_step","summary.loss"
"brisk-sun-1","finished","-","61","clean","8","0","100","2.51"
"brisk-sun-2","finished","-","60","clean","16","0","100","2.02"
"brisk-sun-3","finished","-","62","clean","8","1","100","2.53"
"brisk-sun-4","finished","-","63","clean","16","1","100","2.01"
"brisk-sun-5","crashed","-","12","typo","8","0","14","NaN"
"brisk-sun-6","finished","-","61","typo","8","0","100","2.71"
"brisk-sun-7","finished","-","60","typo","16","0","100","2.32"
"brisk-sun-8","finished","-","64","typo","8","1","100","2.69"
"brisk-sun-9","running","-","31","typo","16","1","50","9.99"
"brisk-sun-10","failed","-","1","","","","",""
"""
NAMES = ["--columns", "quality=mix", "size=n_examples", "loss=summary.loss"]


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("finished", "done"),
        ("FINISHED", "done"),
        ("Succeeded", "done"),
        ("COMPLETE", "done"),
        ("TERMINATED", "done"),
        ("crashed", "failed"),
        ("KILLED", "failed"),
        ("ERROR", "failed"),
        ("Out of memory", "failed"),
        ("timed-out", "failed"),
        ("censored", "censored"),
        (" done ", "done"),
        ("", "done"),
        (None, "done"),
    ],
)
def test_a_word_is_understood(word, status):
    rows = [ROW | {"status": word}, ROW | {"size": 64, "status": "done"}]
    assert read_table(rows).rows[0].status == status


@pytest.mark.parametrize(
    "word", ["running", "RUNNING", "pending", "SCHEDULED", "queued", "In progress", "preempted"]
)
def test_a_run_that_is_not_finished_is_never_read_as_done(word):
    table = read_table([ROW | {"status": word}, ROW | {"size": 64, "status": "finished"}])
    assert [row.size for row in table.rows] == [64]
    assert f"1 {word!r} as {UNFINISHED} and left out" in table.notes[0]
    with pytest.raises(InputError, match=f"no row is finished.*1 {word!r} as not finished"):
        read_table([ROW | {"status": word}])


def test_every_word_means_one_thing():
    assert set(MEANING.values()) == {*STATUSES, UNFINISHED}
    assert all(word == word.lower().replace("-", "_") for word in MEANING)


@pytest.mark.parametrize("word", ["ok", "doen", "inactive", "finished?", 3, True])
def test_another_word_is_refused(word):
    with pytest.raises(InputError, match=r"line 3: status is .*; expected one of done, failed, censored, or"):
        read_table([ROW, ROW | {"size": 64, "status": word}])


def test_our_own_words_are_not_explained():
    assert not read_table([ROW | {"status": "done"}, ROW | {"size": 64}]).notes


def test_the_status_is_found_under_its_other_names():
    for name in ("State", "state", "Status"):
        table = read_table([ROW | {name: "running"}, ROW | {"size": 64, name: "finished"}])
        assert [row.size for row in table.rows] == [64]
    states = [ROW | {"State": "TX"}, ROW | {"size": 64, "State": "CA"}]
    assert [row.text["State"] for row in read_table(states).rows] == ["TX", "CA"]
    with pytest.raises(InputError, match="line 3: status is 'CA'"):
        read_table([ROW | {"State": "done"}, ROW | {"size": 64, "State": "CA"}])


def test_a_run_that_crashed_and_was_started_again_counts_once():
    again = [ROW | {"status": "crashed", "loss": float("nan")}, ROW | {"status": "finished"}]
    for rows in (again, again[::-1]):
        assert [row.values["loss"] for row in read_table(rows).measured("loss")] == [1.5]
    with pytest.raises(InputError, match="lines 2 and 3: the same cell twice"):
        read_table([ROW, ROW | {"status": "finished"}])


@pytest.mark.parametrize("status", [[], ["status=State"]])
def test_an_export_of_a_tracker_is_fitted(status, tmp_path, capsys):
    path = tmp_path / "export.csv"
    path.write_text(WANDB, encoding="utf-8")
    assert main(["fit", str(path), *NAMES, *status, "--bootstraps", "8"]) == 0
    out = capsys.readouterr().out
    assert "7 measurements of loss, qualities: clean, typo" in out
    assert "The status of 10 rows was read so: 7 'finished' as done; 1 'crashed', 1 'failed' as failed" in out
    assert "1 of 10 rows failed before their size was known" in out
    assert "1 'running' as not finished and left out" in out
    assert "Judged by loss" in out
    assert "9.99" not in out


def test_a_quality_whose_runs_all_failed_leaves_the_others_their_answer(tmp_path, capsys):
    path = tmp_path / "export.csv"
    state = {"a": "killed", "b": "finished", "c": "finished"}
    rows = [
        f"{quality},{size},{seed},{state[quality]},{3 / size + seed / 50 + (quality == 'c')}"
        for quality in "abc"
        for size in (4, 8, 16)
        for seed in (0, 1)
    ]
    path.write_text("quality,size,seed,status,loss\n" + "\n".join(rows) + "\n", encoding="utf-8")
    assert main(["fit", str(path), "--law", "power", "--bootstraps", "8"]) == 0
    out = capsys.readouterr().out
    assert "12 measurements of loss, qualities: b, c." in out
    assert "B: " in out or "Can't tell yet" in out
