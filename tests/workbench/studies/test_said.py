"""What models say while they train: it is what their evaluation finds, and it changes nothing."""

import json
from dataclasses import replace

import pytest
import torch
from small_study import measured, small_study

from workbench.config import CellConfig, Quality
from workbench.data.sources import load_dataset
from workbench.studies import said
from workbench.studies.answered import heldout_answers
from workbench.studies.background import BackgroundRun
from workbench.studies.disk.store import Store
from workbench.studies.executors.in_process import InProcess
from workbench.studies.runner import run
from workbench.studies.said import SaidRecorder, asked_rows, look_at, spread_evenly

ASKED = 7
STEPS = 6


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A file of texts with one of two labels each."""
    words = {" good": ("fine", "bright", "kind"), " bad": ("dull", "grim", "sour")}
    lines = [
        {
            "prompt": f"{noun} number {number} was {word}, so it is",
            "response": label,
            "choices": list(words),
            "id": f"{noun}-{number}-{word}",
        }
        for number in range(10)
        for label, own in words.items()
        for word in own
        for noun in ("film", "meal")
    ]
    path = tmp_path_factory.mktemp("labels") / "texts.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return small_study(
        data=str(path), base="classroom", qualities=(Quality(),), sizes=(16, 32), seeds=(0,), heldout=20
    )


def recorded(study, folder):
    """Run a study that is watched; return what was written, and whether nothing else changed."""
    lines, kept = [], []
    recorder = SaidRecorder(ASKED, lambda line: lines.append(json.loads(line)))

    def watcher(job, cells, state):
        before = torch.get_rng_state(), state.weights.clone()
        recorder(job, cells, state)
        kept.append(torch.equal(before[0], torch.get_rng_state()) and torch.equal(before[1], state.weights))

    run(study, folder, executor=InProcess(watcher=watcher)).close()
    assert kept
    return lines, all(kept)


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("said") / "study"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(said, "MOST_SHARE", 1e9)  # a look at a study of seconds takes long, compared to it
        return folder, *recorded(small_study(seeds=(0, 1)), folder)


def test_steps_are_dense_at_first_and_the_last_one_counts():
    assert [step for step in range(1, 101) if look_at(step, 100)] == [1, 2, 5, 10, 20, 40, 80, 100]
    assert not look_at(0, 100)


def test_the_first_of_the_largest_of_each_quality_is_asked():
    spoiled = Quality(corruption="other_form", share=0.5)
    cells = [
        CellConfig(data="verbs", base="classroom", size=size, quality=quality, seed=seed)
        for quality, size, seed in [
            (Quality(), 8, 0),
            (spoiled, 8, 0),
            (Quality(), 32, 1),
            (spoiled, 16, 0),
            (Quality(), 32, 0),
        ]
    ]
    assert asked_rows(cells) == [2, 3]


def test_records_are_spread_evenly():
    assert spread_evenly(3, 600) == [0, 200, 400]
    assert spread_evenly(10, 4) == [0, 1, 2, 3]


def test_results_are_the_same_to_the_bit_and_nothing_is_drawn(watched, tmp_path):
    folder, lines, kept = watched
    assert lines
    assert kept, "asking drew a random number or changed a weight"
    with (
        run(small_study(seeds=(0, 1)), tmp_path / "bare") as bare,
        Store.open(folder, read_only=True) as store,
    ):
        assert measured(store) == measured(bare)
        names = sorted(
            path.relative_to(tmp_path / "bare") for path in (tmp_path / "bare").glob("adapters/**/*")
        )
        assert names
        for name in names:
            if (path := tmp_path / "bare" / name).is_file():
                assert (folder / name).read_bytes() == path.read_bytes()


def test_words_are_right_where_the_evaluation_says_so(watched):
    folder, lines, _ = watched
    header, *looks = lines
    assert [look["step"] for look in looks] == [1, 2, 5, STEPS]
    heldout = load_dataset("verbs", heldout=20).heldout
    places = spread_evenly(ASKED, 20)
    assert header["prompts"] == [[heldout[place].prompt, heldout[place].response] for place in places]
    with Store.open(folder, read_only=True) as store:
        planned = store.manifest.planned()
        for key, said_last in zip(header["cells"], looks[-1]["said"], strict=True):
            assert (planned[key].size, planned[key].seed) == (16, 0)
            exact = store.curves(key)["item_exact"]
            told = [text == right for text, (_, right) in zip(said_last, header["prompts"], strict=True)]
            assert told == [bool(exact[place]) for place in places]
            # what its stored adapter writes
            stored = heldout_answers(load_dataset("verbs", heldout=20), folder, key)
            assert said_last == [stored[place] for place in places]
    assert looks[0]["said"] != looks[-1]["said"], "they learn"
    assert len(header["cells"]) == len({planned[key].quality for key in header["cells"]}) == 2


def test_verdicts_are_the_likeliest_labels(labelled, tmp_path):
    lines, kept = recorded(replace(labelled, settings={**labelled.settings, "steps": 30}), tmp_path / "study")
    assert kept
    header, *looks = lines
    assert {right for _, right in header["prompts"]} == {"good", "bad"}
    assert {text for look in looks for row in look["said"] for text in row} <= {"good", "bad"}
    with Store.open(tmp_path / "study", read_only=True) as store:
        (key,) = header["cells"]
        assert store.manifest.planned()[key].size == 32
        chosen = store.curves(key)["item_chosen"]
    told = [text == right for text, (_, right) in zip(looks[-1]["said"][0], header["prompts"], strict=True)]
    places = spread_evenly(ASKED, len(chosen))
    assert told == [bool(chosen[place]) for place in places]
    stored = heldout_answers(labelled.dataset(), tmp_path / "study", key)
    assert looks[-1]["said"][0] == [stored[place] for place in places]
    assert set(told) == {True, False} or all(told)


def test_what_takes_too_long_is_left_out_but_for_the_ends(monkeypatch, tmp_path):
    monkeypatch.setattr(said, "MOST_SHARE", 0.0)
    lines, _ = recorded(small_study(seeds=(0,), sizes=(8,)), tmp_path / "study")
    assert [look["step"] for look in lines[1:]] == [1, STEPS]


def test_a_job_asks_where_it_was_asked_to_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    study = small_study(seeds=(0,), sizes=(8,))
    job = BackgroundRun.start(study, tmp_path / "study", say=3)
    assert job.wait(120).name == "finished", job.state()
    assert json.loads((job.folder / "config.json").read_text())["say"] == 3
    assert job.configuration() == study.to_dict()
    lines, end = job.said()
    assert len(lines[0]["prompts"]) == 3
    assert {line["step"] for line in lines[1:]} >= {1, STEPS}
    assert BackgroundRun(job.study_folder).said(end) == ([], end)
    # with another wish it is the same study, and one that is done
    assert BackgroundRun.start(study, tmp_path / "study").state().name == "finished"


def test_nothing_is_asked_unless_somebody_wants_it(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    job = BackgroundRun.start(small_study(seeds=(0,), sizes=(8,)), tmp_path / "study")
    assert "say" not in json.loads((job.folder / "config.json").read_text())
    assert job.wait(120).name == "finished"
    assert job.said() == ([], 0)
