"""A study that earlier versions filled with cells of several settings: refused by its readers, and mended."""

import os
import shutil
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from follows import follows

from workbench.cli import main
from workbench.config import Quality
from workbench.errors import InputError
from workbench.studies import runner
from workbench.studies.disk.lock import locked
from workbench.studies.disk.store import ZERO_SHOT, Store
from workbench.studies.mend import mend
from workbench.studies.replay import replay
from workbench.studies.sharing.archive import import_study

REAL = Path(__file__).parent / "old" / "two-settings"
"""Trained by a version that refused nothing: the verbs study, 4 cells at a learning rate and 4 at another."""


class NothingRefused:
    """What the runner of an earlier version knew about a folder's study: nothing."""

    @staticmethod
    def read(folder):
        return None

    @staticmethod
    def of(store):
        return NothingRefused()

    def check(self, *args):
        pass


@pytest.fixture
def several(study, tmp_path, monkeypatch):
    """Three studies of two cells each, and a folder into which all of them were run."""
    few = {"steps": 2, "batch_size": 4, "rank": 2}
    first = replace(
        study,
        qualities=(Quality(), Quality(corruption="other_record", share=0.5)),
        sizes=(4,),
        seeds=(0,),
        settings=few,
        precision="float32",
    )
    studies = [
        first,
        replace(first, settings={**few, "learning_rate": 1e-3}),
        replace(first, template="verbatim", adapted_layers=1, sizes=(8,)),
    ]
    folder = tmp_path / "runs" / "letters-coffee"
    with monkeypatch.context() as patch:
        patch.setattr(runner, "Begun", NothingRefused)
        for one in studies:
            runner.run(one, folder)
    return studies, folder


def contents(folder: Path) -> dict[str, object]:
    """Everything that is known about each cell of a study, by its key."""
    with Store.open(folder, read_only=True) as store:
        configurations, made = store.configurations(), store.made()
        return {
            key: (
                status,
                metrics,
                store.curves(key),
                configurations[key],
                made.get(key),
                [path.read_bytes() for path in sorted((folder / "adapters" / key).glob("*"))],
            )
            for key, status, metrics in store.measurements()
            if key != ZERO_SHOT
        }


def studies_in(runs: Path) -> list[Path]:
    return sorted(path for path in runs.iterdir() if Store.exists(path))


COMMANDS = ("report", "paper", "costs", "replay", "export", "diff {0}", "run {1}")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_study_of_several_settings_is_refused_with_their_names(command, tmp_path, capsys):
    folder = shutil.copytree(REAL, tmp_path / "study")
    words = command.format(folder, "verbs --sizes 4 8 --seeds 0 --out").split()
    assert main([*words, str(folder)]) == 2
    told = capsys.readouterr().err
    assert "4 with learning_rate 0.002; 4 with learning_rate 0.001;" in told
    assert told.count("\n") == 1
    assert f"`workbench mend {folder}`" in told


def test_a_list_names_what_is_to_be_mended(tmp_path, capsys):
    shutil.copytree(REAL, tmp_path / "study")
    assert main(["list", str(tmp_path)]) == 0
    assert "4 with learning_rate 0.002; 4 with learning_rate 0.001;" in capsys.readouterr().out


@follows("`workbench mend {quoted(folder)}` gives each settings a study of its own")
def test_a_study_that_an_earlier_version_made_is_mended(tmp_path, capsys):
    folder = shutil.copytree(REAL, tmp_path / "study")
    before = contents(folder)
    with Store.open(folder) as store:
        zero_shot = store.zero_shot()
    assert main(["mend", str(folder)]) == 0
    other = tmp_path / "study-learning-rate-0.001"
    told = capsys.readouterr().out
    assert f"1. learning_rate 0.002: 4 cells stay in {folder}" in told
    assert f"2. learning_rate 0.001: 4 cells moved to {other}" in told
    assert contents(folder) | contents(other) == before
    for place, rate in ((folder, 2e-3), (other, 1e-3)):
        with Store.open(place) as store:
            assert {row["learning_rate"] for row in store.rows()} == {rate}
            assert store.zero_shot() == zero_shot, "the rate plays no part in it"
            assert len(store.manifest.sessions) == 1, "each run trained one of them"
            study = store.manifest.study.parsed()
        done = runner.run(study, place)
        assert done.counts() == {"done": 4}
        assert len(done.manifest.sessions) == 1, "nothing was left to train"
    assert main(["mend", str(folder)]) == 0
    assert "all 4 cells have the same settings; nothing to mend" in capsys.readouterr().out


def test_every_cell_is_kept_with_its_settings(several):
    studies, folder = several
    before = contents(folder)
    found = mend(folder)
    places = [part.folder for part in found.parts]
    assert [place.name.removeprefix("letters-coffee") for place in places] == [
        "",
        "-learning-rate-0.001",
        "-template-verbatim-adapted-layers-1",
    ]
    assert [part.cells for part in found.parts] == [2, 2, 2]
    after = [contents(place) for place in places]
    assert [len(one) for one in after] == [2, 2, 2]
    assert after[0] | after[1] | after[2] == before
    for study, place in zip(studies, places, strict=True):
        assert replay(place).different == []
        with runner.run(study, place) as store:
            assert store.counts() == {"done": 2}, "its own command finds its cells"
            assert store.zero_shot(), "measured again where it was another template's"


def test_the_zero_shot_line_goes_where_it_was_measured(several):
    _, folder = several
    parts = mend(folder, keep=3).parts
    lines = []
    for part in parts:
        with Store.open(part.folder) as store:
            lines.append(store.zero_shot())
    assert lines[0] == lines[1] != {}
    assert lines[2] == {}
    assert parts[2].folder == folder
    assert parts[0].folder.name == "letters-coffee-template-plain-adapted-layers-3"


@pytest.mark.parametrize(("seconds", "known"), [(1.5, True), (9.0, True), (60.0, False)])
def test_a_clock_that_was_set_back_right_after_the_start_is_forgiven(several, seconds, known):
    _, folder = several
    with Store.open(folder) as store:
        started = datetime.fromisoformat(store.manifest.sessions[0].started).timestamp()
        with store._transaction() as database:
            database.execute("UPDATE cell SET committed = ? WHERE key = ?", (started - seconds, ZERO_SHOT))
    with Store.open(mend(folder).parts[0].folder) as store:
        assert bool(store.zero_shot()) is known


def test_a_study_goes_on_in_the_folder_that_mending_made(several):
    studies, folder = several
    place = mend(folder).parts[1].folder
    with runner.run(replace(studies[1], seeds=(0, 1)), place) as store:
        assert store.counts() == {"done": 4}
    with pytest.raises(InputError, match=f"--out {place}$"):
        runner.run(studies[1], folder)


@follows("give 1 to {len(groups)}")
def test_settings_that_are_not_there_can_not_stay(several):
    _, folder = several
    before = contents(folder)
    for keep in (0, 4):
        with pytest.raises(InputError, match=f"keep is {keep}, but .* cells of 3 settings; give 1 to 3"):
            mend(folder, keep)
    assert contents(folder) == before
    assert len(mend(folder, 3).parts) == 3


def test_a_study_that_a_run_is_writing_is_left_alone(several):
    _, folder = several
    with locked(folder), pytest.raises(InputError, match="another run is writing"):
        mend(folder)
    assert studies_in(folder.parent) == [folder]


def test_a_folder_without_a_study_is_not_made(tmp_path):
    with pytest.raises(InputError, match="holds no study"):
        mend(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


def test_a_folder_that_is_taken_is_not_touched(several):
    studies, folder = several
    taken = folder.with_name("letters-coffee-learning-rate-0.001")
    runner.run(replace(studies[1], seeds=(7,)), taken)
    before = contents(taken)
    assert mend(folder).parts[1].folder.name == "letters-coffee-learning-rate-0.001-2"
    assert contents(taken) == before


def test_a_damaged_cell_is_taken_out_and_named(several):
    _, folder = several
    with Store.open(folder) as store:
        (key, *_) = store.configurations()
        with store._transaction() as database:
            database.execute("UPDATE cell SET config = replace(config, '2', '3') WHERE key = ?", (key,))
    assert mend(folder).damaged == [key]
    assert [len(contents(place)) for place in studies_in(folder.parent)] == [1, 2, 2]


def test_an_archive_of_such_a_study_opens_and_is_mended(several, tmp_path, monkeypatch):
    _, folder = several
    with monkeypatch.context() as patch:  # as an earlier version exported it
        patch.setattr(Store, "rows", lambda self, of_one=True, rows=Store.rows: rows(self, of_one=False))
        from workbench.studies.sharing.archive import export_study

        archive = export_study(folder, tmp_path / "letters.zip")
    opened = import_study(archive, tmp_path / "opened" / "letters")
    assert [part.cells for part in mend(opened).parts] == [2, 2, 2]


CHANGES = ("replace", "rename", "unlink", "rmdir", "mkdir", "open", "fsync", "execute", "executemany")
"""Calls of the operating system and of SQLite before which mending is killed."""
STEP = 4
"""Every so-many-th of them is tried; 1 tries all, in a minute."""


def die_at(event: int) -> None:
    """Let this process end without a word before the so-many-th call that may change a file."""
    seen = 0

    def count(frame, kind, called):
        nonlocal seen
        seen += kind == "c_call" and called.__name__ in CHANGES
        if seen == event:
            os._exit(9)

    sys.setprofile(count)


def mended_in_a_child(folder: Path, event: int) -> bool:
    """Mend a study in a child that dies at an event, and say whether it had ended before."""
    if not (child := os.fork()):
        die_at(event)
        mend(folder)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


@pytest.mark.slow
def test_whenever_it_dies_no_cell_is_lost(several, tmp_path):
    _, whole = several
    before = contents(whole)
    died = 0
    while True:
        event = 1 + died * STEP
        runs = tmp_path / f"killed at {event}"
        folder = Path(shutil.copytree(whole, runs / whole.name))
        if mended_in_a_child(folder, event):
            break
        died += 1
        found = [contents(place) for place in studies_in(runs)]
        for key, told in before.items():
            assert any(one.get(key) == told for one in found), f"lost {key}, killed at {event}"
        mend(folder)
        after = [contents(place) for place in studies_in(runs)]
        assert sum(map(len, after)) == len(before), f"doubled, killed at {event}"
        assert {key: value for one in after for key, value in one.items()} == before
        shutil.rmtree(runs)
    assert died > 15


def test_a_zero_shot_line_of_a_run_without_cells_is_measured_again(several):
    """That run may have had yet another template: nothing in the study says which."""
    _, folder = several
    with Store.open(folder) as store:
        stopped = {**store.manifest.to_json()["sessions"][0], "started": "2001-02-03T04:05:06+0000"}
        stopped["ended"] = "2001-02-03T04:05:07+0000"
        store.update_manifest(sessions=[stopped, *store.manifest.to_json()["sessions"]])
        moment = datetime.fromisoformat("2001-02-03T04:05:07+0000").timestamp()
        with store._transaction() as database:
            database.execute("UPDATE cell SET committed = ? WHERE key = ?", (moment, ZERO_SHOT))
    for part in mend(folder).parts:
        with Store.open(part.folder) as store:
            assert store.zero_shot() == {}
