"""A file of an experiment tracker: what finished is read, what failed or still runs is counted, not read."""

import pytest

from workbench.cli import main
from workbench.errors import InputError
from workbench.laws import analyse, read_table
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


NEPTUNE = """\
sys/id,sys/name,sys/owner,sys/state,sys/failed,sys/running_time,parameters/mix,parameters/n_train,metrics/val_loss,\
monitoring/a.1/cpu
CLS-1,x,ann,Inactive,False,61.2,clean,8,2.51,3
CLS-2,x,bob,Inactive,False,60.1,clean,16,2.02,4
CLS-3,x,ann,Inactive,False,60.1,clean,32,1.72,5
CLS-4,x,ann,Inactive,False,60.1,clean,64,1.53,5
CLS-5,x,bob,Inactive,True,2.5,clean,64,9.99,6
CLS-6,x,bob,Active,False,2.5,clean,128,8.88,6
CLS-7,x,bob,Active,True,2.5,clean,128,7.77,6
CLS-8,x,bob,Inactive,True,0.1,,,,
"""
OF_NEPTUNE = {"size": "parameters/n_train", "loss": "metrics/val_loss", "quality": "parameters/mix"}


def neptune(tmp_path, text=NEPTUNE, **columns):
    path = tmp_path / "runs.csv"
    path.write_text(text, encoding="utf-8")
    return read_table(path, columns=OF_NEPTUNE | columns)


def test_an_export_of_neptune_is_read_by_its_two_columns(tmp_path):
    table = neptune(tmp_path)
    assert [row.values["loss"] for row in table.measured("loss")] == [2.51, 2.02, 1.72, 1.53]
    (said, *others) = table.notes
    assert said == (
        "The status of 8 rows was read so: 4 'inactive, not failed' as done; 2 'inactive, failed', "
        "1 'active, failed' as failed; 1 'active, not failed' as not finished and left out."
    )
    assert others[0] == "1 of 8 rows failed before their size was known; they are left out."
    assert "may be either" not in " ".join(others)


@pytest.mark.parametrize("named", ["sys/state", "sys/failed"])
def test_naming_one_of_the_two_columns_reads_both(tmp_path, named):
    assert neptune(tmp_path, status=named).measured("loss") == neptune(tmp_path).measured("loss")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("sys/state,sys/failed", "State,Failed"),
        ("sys/state,sys/failed", "sys.state,sys.failed"),
        ("sys/state,sys/failed", "sys/state:string,sys/failed:bool"),
        ("False", "false"),
        ("Inactive", "idle"),
        ("Active,", "running,"),
    ],
    ids=str,
)
def test_other_spellings_of_neptune(tmp_path, old, new):
    read = neptune(tmp_path, NEPTUNE.replace(old, new)).measured("loss")
    assert [row.values["loss"] for row in read] == [2.51, 2.02, 1.72, 1.53]


def without(column):
    lines = [line.split(",") for line in NEPTUNE.splitlines()]
    at = lines[0].index(column)
    return "\n".join(",".join(line[:at] + line[at + 1 :]) for line in lines)


def test_what_one_column_of_neptune_leaves_open_is_said_with_its_count(tmp_path):
    state = neptune(tmp_path, without("sys/failed").replace(",,,,", ",clean,4,3.9,1"))
    assert "sys/state alone doesn't tell runs that ended well from those that failed: 6 may be" in " ".join(
        state.notes
    )
    assert max(row.size for row in state.rows) == 64
    failed = neptune(tmp_path, without("sys/state"))
    assert "sys/failed alone doesn't tell runs that ended from those that still run: 5 may be" in " ".join(
        failed.notes
    )
    assert [row.values["loss"] for row in failed.measured("loss")] == [2.51, 2.02, 1.72, 1.53, 8.88]


def test_another_mark_of_a_failure_is_refused(tmp_path):
    with pytest.raises(InputError, match="line 2: status is 'inactive, maybe'; expected one of done"):
        neptune(tmp_path, NEPTUNE.replace("False", "maybe"))


def test_what_neptune_keeps_beside_the_settings_makes_no_settings(tmp_path):
    head, *lines = NEPTUNE.splitlines()[:5]
    again = [line.replace("CLS", "XYZ").replace("ann", "eve")[:-4] + "9," + line[-1] for line in lines]
    table = neptune(tmp_path, "\n".join([head, *lines, *again]))
    assert analyse(table, "loss", bootstraps=40).curves["clean"].count.tolist() == [2, 2, 2, 2]


MLFLOW = """Start Time,Duration,Run ID,Name,Source Type,Source Name,User,Status,mix,n_train,seed,val_loss
2026-01-01,1min,a1,one,LOCAL,train.py,ann,FINISHED,clean,8,0,2.5
2026-01-01,1min,a2,two,LOCAL,train.py,ann,FINISHED,clean,16,0,2.0
2026-01-01,1min,a3,six,LOCAL,train.py,bob,FAILED,clean,32,0,9.9
2026-01-01,1min,a4,ten,LOCAL,train.py,bob,KILLED,clean,64,0,9.8
2026-01-01,1min,a5,odd,LOCAL,train.py,bob,RUNNING,clean,128,0,9.7
2026-01-01,1min,a6,new,LOCAL,train.py,bob,SCHEDULED,clean,256,0,
"""


def test_an_export_of_mlflow(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text(MLFLOW, encoding="utf-8")
    table = read_table(path, columns={"size": "n_train", "loss": "val_loss", "quality": "mix"})
    assert [row.values["loss"] for row in table.measured("loss")] == [2.5, 2.0]
    assert (
        "2 'FINISHED' as done; 1 'FAILED', 1 'KILLED' as failed; 1 'RUNNING', 1 'SCHEDULED' as not"
        in table.notes[0]
    )


@pytest.mark.parametrize(
    "text",
    [
        "Wall time,Step,Value\n1.0,1,2.5\n2.0,2,2.0\n",
        "Step,brave-sun-1 - loss,brave-sun-1 - loss__MIN,brave-sun-1 - loss__MAX\n1,2,2,2\n2,1,1,1\n",
    ],
    ids=["TensorBoard", "Weights & Biases"],
)
def test_an_export_of_learning_curves_is_named(tmp_path, text):
    path = tmp_path / "curve.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"no column 'size'.*a chart's export of learning curves"):
        read_table(path)
