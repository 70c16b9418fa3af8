"""What a study that grows refuses, and that the advice in each sentence works."""

import math
import re
from dataclasses import replace

import pytest
from follows import follows

import workbench as wb
from workbench.cli import main
from workbench.config import Quality
from workbench.errors import InputError
from workbench.foresight import smallest_differences
from workbench.growing import factor_of, growing, minutes_of
from workbench.lessons.shipped import VERBS
from workbench.studies.disk.store import Store
from workbench.studies.grid import verbs


def tiny(**changes):
    few = {"qualities": ["clean", "other_form:0.5"], "sizes": [8, 32], "heldout": 40, "steps": 2, "rank": 2}
    return wb.study("verbs", **{**few, "batch_size": 4, **changes})


@follows("expected rate: and a factor above 1")
def test_another_goal_is_refused_and_the_one_offered_works():
    for text in ("1.3", "rate:1", "rate:0.5", "rate:", "rate:1.3x", "loss:1.3", "rate:nan", "rate:-2", ""):
        with pytest.raises(InputError, match=r"--until is '.*'; expected rate: and a factor above 1") as told:
            factor_of(text)
        offered = re.search(r"such as --until (\S+):", str(told.value))
        assert factor_of(offered[1]) == 1.3


@follows("expected a number with s, m or h")
def test_another_time_is_refused_and_the_one_offered_works():
    for text in ("30", "m", "0m", "-3m", "30 min", "1h30m", ""):
        with pytest.raises(InputError, match=r"--for is '.*'; expected a number with s, m or h") as told:
            minutes_of(text)
        assert minutes_of(re.search(r"such as --for (\S+)$", str(told.value))[1]) == 30.0


@follows("lies outside the sizes that may be trained")
def test_a_size_outside_the_range_is_refused_and_both_ways_out_work(tmp_path):
    study = replace(verbs("coffee"), sizes=(32, 512))
    for at in (16, 1024):
        with pytest.raises(InputError, match=f"--at {at} lies outside .* 32 to 512") as told:
            growing(study, tmp_path / "none", until="rate:1.3", at=at)
        inside, low, high = map(
            int, re.search(r"--at (\d+), or .*--sizes (\d+) (\d+)", str(told.value)).groups()
        )
        growing(study, tmp_path / "none", until="rate:1.3", at=inside)
        growing(replace(study, sizes=(low, high)), tmp_path / "none", until="rate:1.3", at=at)


@follows("narrows the rate between two qualities")
def test_one_quality_is_refused_and_the_two_offered_work(tmp_path):
    with pytest.raises(InputError, match="this one has one") as told:
        growing(replace(verbs("coffee"), qualities=(Quality(),)), tmp_path / "none", until="rate:1.3")
    two = tuple(map(Quality.parse, re.search(r"--quality (.*)$", str(told.value))[1].split()))
    growing(replace(verbs("coffee"), qualities=two), tmp_path / "none", until="rate:1.3")


@follows("minutes is {minutes}; expected a number above 0")
@pytest.mark.parametrize("minutes", [0, -1, math.inf, math.nan])
def test_minutes_have_to_be_some(tmp_path, minutes):
    with pytest.raises(InputError, match="expected a number above 0, such as minutes=30"):
        growing(verbs("coffee"), tmp_path / "none", minutes=minutes)
    growing(verbs("coffee"), tmp_path / "none", minutes=30)


@follows("is for a study that grows; add")
def test_a_size_to_ask_at_is_for_studies_that_grow(tmp_path, capsys):
    assert main(["run", "verbs", "--at", "64", "--out", str(tmp_path / "none")]) == 2
    assert "--at 64 is for a study that grows; add --until rate:1.3 or --for 30m" in capsys.readouterr().err
    with pytest.raises(InputError, match="at is 64, but the study doesn't grow: give until or minutes"):
        wb.run(tiny(), tmp_path / "none", at=64)
    growing(tiny(sizes=[8, 128]), tmp_path / "none", until="rate:1.3", at=64)
    growing(tiny(sizes=[8, 128]), tmp_path / "none", minutes=30, at=64)


@follows("says whose noise to expect before a run; add --dry-run")
def test_noise_of_another_study_is_for_a_dry_run(tmp_path, capsys):
    command = ["run", "verbs", "--like", str(VERBS), "--out", str(tmp_path / "none")]
    assert main(command) == 2
    option = re.search(r"add (\S+)$", capsys.readouterr().err.strip())[1]
    assert main([*command, option]) == 0


@follows("shows no noise between seeds, so nothing can be said before the run")
def test_a_study_without_noise_is_refused_as_a_model(tmp_path):
    study = replace(verbs("coffee"), precision="float32")
    described = {
        "study": study.to_dict() | {"template": "verbs"},
        "data": {"sha256": "d"},
        "base": {"sha256": "b"},
    }
    Store.create(tmp_path / "study", described).close()
    with pytest.raises(InputError, match="leave --like out"):
        list(smallest_differences(study, tmp_path / "study"))
    assert list(smallest_differences(study))
