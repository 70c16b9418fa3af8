"""Filters compared from a file to an answer on the classroom base, and what is refused before."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench import filtering
from workbench.cli import main
from workbench.config import Quality
from workbench.data.sources import load_dataset
from workbench.data.subsets import draw
from workbench.errors import InputError
from workbench.filtering import SCORED, compare_filters, planned
from workbench.filtering.asked import Asked
from workbench.filtering.cells import BY_CHANCE
from workbench.scoring import scorers
from workbench.scoring.planted import area_under_curve
from workbench.scoring.scorers import SCORERS, RecordScorer
from workbench.studies.grid import Place

FEW = {"base": "classroom", "template": "verbs", "keep": "50%", "heldout": 20, "sizes": (4, 8), "epochs": 1.0}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def mine(tmp_path):
    """Write a file of 80 verbs, of which some stand twice."""
    records = load_dataset("verbs").train[:80]
    rows = [{"id": one.id, "prompt": one.prompt, "response": one.response} for one in records]
    rows += [{**row, "id": f"{row['id']} again"} for row in rows[:5]]
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def quiet(progress):
    assert progress is not None


def test_from_a_file_to_an_answer(mine, tmp_path):
    folder = tmp_path / "study"
    scorers_asked = ["ifd", "length:top"]
    results = compare_filters(mine, scorers_asked, folder, on_progress=quiet, corruption="typo", **FEW)
    study = results.study
    filters = ["top:50%@ifd", "top:50%@length"]
    assert [one.label for one in study.qualities] == [
        "chance",
        *(label for pool in filters for label in (pool, f"same-lengths:{pool}")),
    ]
    assert study.settings["epochs"] == 1.0
    assert study.settings["steps"] is None
    train = study.dataset().train
    whole = tuple(Place(quality=BY_CHANCE, size=len(train), seed=seed) for seed in study.seeds)
    assert study.grown == (whole,), "all records are trained on as well"
    held = results.manifest.filtering
    assert (held.file, held.records, held.keep) == ("mine.jsonl", 85, 50.0)
    assert [(one.pool, one.scorer, one.good) for one in held.filters] == [
        (filters[0], "ifd", "higher"),
        (filters[1], "length", "neither"),
    ]
    assert all(one.seconds > 0 and 0 <= one.auc <= 1 for one in held.filters)
    assert held.damaged + held.undamaged == len(train)
    # tokens are counted as the draws have them: a letter each, and the end
    told = {(one.quality, one.size): one.tokens for one in held.drawn}
    for label, size in ((filters[1], 8), ("chance", len(train))):
        quality = next(one for one in study.qualities if one.label == label)
        drawn = [draw(study.dataset(), quality, size, seed) for seed in study.seeds]
        by_hand = np.mean([sum(len(record.response) + 1 for record in records) for records in drawn])
        assert told[label, size] == pytest.approx(by_hand)
    assert len(results.table().rows) == 1 + 5 * 2 * 3 + 3
    # the same call goes on, and records the same; another file is refused
    scored = (folder / SCORED).read_bytes()
    again = compare_filters(mine, scorers_asked, folder, on_progress=quiet, corruption="typo", **FEW)
    assert again.manifest.filtering == held
    assert (folder / SCORED).read_bytes() == scored
    mine.write_text("".join(mine.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(InputError, match="holds a study of other records or scores; give another folder"):
        compare_filters(mine, scorers_asked, folder, on_progress=quiet, corruption="typo", **FEW)


def test_the_control_has_the_lengths_of_what_is_kept(mine, tmp_path):
    asked = Asked(file=mine, scorers=("length:top",), corruption="typo", **FEW)
    study, _ = planned(asked, tmp_path / "study", lambda name, share: None)
    data = study.dataset()
    _, kept, control = study.qualities
    for size in (4, 8):
        lengths = [
            sorted(len(one.response) for one in draw(data, quality, size, 1)) for quality in (kept, control)
        ]
        assert abs(np.mean(lengths[0]) - np.mean(lengths[1])) < 1
    assert min(len(one.response) for one in draw(data, kept, 8, 1)) >= np.median(
        [len(one.response) for one in data.train]
    )


def test_without_controls_and_whole(mine, tmp_path):
    asked = Asked(file=mine, scorers=("copies",), controls=False, whole=False, corruption="typo", **FEW)
    study, told = planned(asked, tmp_path / "study", lambda name, share: None)
    assert [one.label for one in study.qualities] == ["chance", "bottom:50%@copies"]
    assert study.grown == ()
    assert told["filters"][0]["control"] is None


def test_both_ends_where_none_is_known(mine):
    def ends(*names):
        return Asked(file=mine, scorers=names).ends()

    assert ends("loss") == [("loss", "top"), ("loss", "bottom")]
    assert ends("loss:bottom", "ifd", "copies") == [("loss", "bottom"), ("ifd", "top"), ("copies", "bottom")]
    assert ends("ifd:bottom") == [("ifd", "bottom")]


def test_a_scorer_that_sees_the_damage_finds_all_of_it(mine, tmp_path, monkeypatch):
    def seen(given):
        return [1.0 if record.spoiled else 0.001 * len(record.response) for record in given.records]

    for good, ends in (("higher", "top"), ("lower", "bottom")):
        told = RecordScorer(score=seen, about="a test", unit="none", good=good, source="a test")
        monkeypatch.setitem(scorers.SCORERS, f"seen_{good}", told)
        asked = Asked(file=mine, scorers=(f"seen_{good}",), corruption="other_record", **FEW)
        _, facts = planned(asked, tmp_path / good, lambda name, share: None)
        # kept is the side of the undamaged, or that of the damaged
        assert facts["filters"][0]["pool"].startswith(ends)
        assert facts["filters"][0]["auc"] == (0.0 if good == "higher" else 1.0)


@given(
    ones=st.lists(st.integers(0, 5), min_size=1, max_size=20),
    others=st.lists(st.integers(0, 5), min_size=1, max_size=20),
)
def test_the_area_is_the_share_of_pairs(ones, others):
    pairs = [1.0 if one > other else 0.5 if one == other else 0.0 for one in ones for other in others]
    assert area_under_curve(np.array(ones), np.array(others)) == pytest.approx(np.mean(pairs))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keep": "0.3"}, "--keep is '0.3'; expected a share of the records in percent"),
        ({"keep": "100%"}, "more than 0% and less than 100%"),
        ({"keep": "nan%"}, "--keep is 'nan%'"),
        ({"scorers": ()}, "no scorer is given"),
        ({"scorers": ("idf",)}, "unknown scorer 'idf'. Did you mean 'ifd'"),
        ({"scorers": ("ifd:best",)}, "names the end 'best'; give ifd:top"),
        ({"scorers": ("ifd", "ifd:top")}, "'ifd' is asked for twice"),
        ({"scorers": ("overlap",)}, "give them as a file with --heldout-file"),
        ({"scorers": ("agreement",)}, "85 of 85 records of .*mine.jsonl have no 'agreement'"),
        ({"corruption": "typos"}, "unknown corruption 'typos'"),
        (
            {"sizes": (4, 40)},
            r"'top:50%@ifd' keeps 32 of 65 records to train on, 8 too few for the size 40; keep more with "
            "--keep 62%, or choose sizes of at most 32",
        ),
        ({"sizes": (4, 66)}, r"34 too few for the size 66; choose sizes of at most 32$"),
    ],
)
def test_what_is_refused(mine, tmp_path, changes, message):
    asked = replace(Asked(file=mine, scorers=("ifd",), **FEW), **changes)
    with pytest.raises(InputError, match=message):
        planned(asked, tmp_path / "study", lambda name, share: None)


def test_scores_that_are_all_the_same_choose_nothing(mine, tmp_path):
    rows = [json.loads(line) for line in mine.read_text().splitlines()]
    mine.write_text("".join(json.dumps(row) + "\n" for row in rows[:80]))
    with pytest.raises(InputError, match=r"'copies' is 1 for every record of .* leave copies out"):
        planned(Asked(file=mine, scorers=("copies",), **FEW), tmp_path / "study", lambda name, share: None)
    assert not (tmp_path / "study" / SCORED).exists()


def test_long_records_are_refused_or_left_out(mine, tmp_path):
    rows = [json.loads(line) for line in mine.read_text().splitlines()]
    rows[3]["response"] = "long" * 200
    mine.write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = Asked(file=mine, scorers=("length:top",), corruption="typo", **FEW)
    with pytest.raises(InputError, match=r"1 of 85 records are longer .* line 4.* --on-long drop"):
        planned(asked, tmp_path / "study", lambda name, share: None)
    _, told = planned(replace(asked, on_long="drop"), tmp_path / "study", lambda name, share: None)
    assert told["records"] == 84
    assert len((tmp_path / "study" / SCORED).read_text().splitlines()) == 84


def test_a_file_of_other_keys_is_scored_and_trained_on_as_it_is_read(mine, tmp_path):
    """The scored file has the rows as they were, so the study reads it in the same way."""
    rows = [json.loads(line) for line in mine.read_text().splitlines()]
    records = [(row["prompt"], row["response"]) for row in rows]
    other = [{"prompt": "no", "response": "no", "q": asked, "a": answer} for asked, answer in records]
    mine.write_text("".join(json.dumps(row) + "\n" for row in other))
    asked = Asked(
        file=mine, scorers=("length:top",), corruption="typo", mapping={"prompt": "q", "response": "a"}, **FEW
    )
    study, told = planned(asked, tmp_path / "study", lambda name, share: None)
    data = study.dataset()
    assert told["records"] == 85
    read = [(one.prompt, one.response) for one in (*data.train, *data.heldout)]
    assert sorted(read) == sorted(records)
    assert all(one.extra["length"] == len(one.response) for one in data.train)


def test_what_stands_in_one_row_is_trained_on_as_it_was_scored(mine, tmp_path):
    rows = [json.loads(line) for line in mine.read_text().splitlines()]
    both = [{"input": row["prompt"], "output": row["response"]} for row in rows]
    tasks = [{"instruction": "to", "instances": both[n : n + 2]} for n in range(0, 80, 2)]
    mine.write_text("".join(json.dumps(row) + "\n" for row in tasks))
    asked = Asked(file=mine, scorers=("length:top",), read_as="self-instruct", **{**FEW, "template": "plain"})
    study, told = planned(replace(asked, corruption="typo"), tmp_path / "study", lambda name, share: None)
    data = study.dataset()
    assert told["records"] == len(data.train) + len(data.heldout) == 80
    assert {one.response for one in data.train} <= {row["response"] for row in rows}


def test_where_it_trains_is_passed_on(mine, tmp_path, monkeypatch):
    given = {}

    def begin(study, folder, **named):
        given.update(named)
        raise KeyboardInterrupt

    monkeypatch.setattr(filtering, "run", begin)
    command = ["filters", str(mine), "--scorer", "length:top", "--base", "classroom", "--template", "verbs"]
    command += ["--heldout", "20", "--corruption", "typo", "--out", str(tmp_path / "study")]
    command += ["--executor", "processes", "--workers", "2", "--threads", "1", "--checkpoint-every", "5"]
    main(command)
    asked = {"executor": "processes", "workers": 2, "threads": 1, "checkpoint_seconds": 5.0}
    assert {name: given[name] for name in asked} == asked


@pytest.mark.slow
def test_a_filter_that_is_pure_chance_is_worth_as_much_as_chance(tmp_path, monkeypatch):
    """A score that is a hash of the id: its rate's interval holds 1."""
    from workbench.data.chance import number

    pure = RecordScorer(
        score=lambda given: [number(7, "pure", record.id) for record in given.records],
        about="a hash of the id",
        unit="none",
        good="higher",
        source="a test",
    )
    monkeypatch.setitem(SCORERS, "pure", pure)
    data = load_dataset("verbs")
    path = tmp_path / "mine.jsonl"
    records = draw(data, Quality(corruption="other_form", share=0.7), 1500, 0)
    rows = ({"id": one.id, "prompt": one.prompt, "response": one.response} for one in records)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    results = compare_filters(
        path,
        ["pure"],
        tmp_path / "study",
        on_progress=quiet,
        base="classroom",
        template="verbs",
        keep="40%",
        sizes=(32, 64, 128, 256),
        seeds=tuple(range(4)),
        corruption="other_record",
        heldout=300,
        whole=False,
    )
    (one,) = results.filters().answers
    assert abs(one.facts.auc - 0.5) < 0.1
    for rate in (one.rate, one.by_tokens, one.same_lengths):
        assert rate.rates.low[one.at] <= 1 <= rate.rates.high[one.at]
