"""What a study could see before it is run, and whose noise that takes."""

import re
from dataclasses import replace

import pytest

import workbench as wb
from workbench.cli import main
from workbench.foresight import smallest_differences
from workbench.laws.planner import smallest_difference
from workbench.lessons.shipped import VERBS
from workbench.studies.grid import verbs


def told(study, like=None) -> dict[str, float]:
    found = (
        re.match(r"(.*): two qualities that differ by (\S+), ", one)
        for one in smallest_differences(study, like)
    )
    return {one[1]: float(one[2]) for one in found}


def test_the_shipped_study_s_noise_is_taken_and_said_so():
    study = verbs("coffee")
    (first, *_) = smallest_differences(study)
    assert "averaged over its 4 sizes, would be told apart with a probability of 80%" in first
    assert first.endswith(
        "(noise of the study that comes with the package; --like STUDY takes that of your own)"
    )
    noise = wb.shipped_study().answers().studies["loss"].noise
    seed, quality, rest = noise.variances
    total = seed + quality + rest
    by_hand = smallest_difference(
        (sum(noise.spread**2) / len(noise.spread) * total) ** 0.5,
        seeds=3,
        sizes=4,
        qualities=3,
        seed_share=seed / total,
        quality_share=quality / total,
    )
    assert told(study)["loss"] == pytest.approx(by_hand, rel=0.03), "two digits are told"


def test_more_seeds_and_sizes_see_less():
    study = verbs("coffee")
    few = told(replace(study, seeds=(0, 1), sizes=(32,)))
    more = told(replace(study, seeds=tuple(range(8))))
    assert few.keys() == more.keys()
    assert all(more[metric] < few[metric] for metric in few)
    assert "at its one size" in next(smallest_differences(replace(study, sizes=(32,))))


def test_a_dry_run_says_it_and_writes_nothing(tmp_path, capsys):
    command = ["run", "verbs", "--out", str(tmp_path / "study"), "--dry-run"]
    assert main([*command, "--like", str(VERBS)]) == 0
    shown = capsys.readouterr().out
    assert "3 qualities x 4 sizes x 3 seeds = 36 cells" in shown
    assert f"(noise of {VERBS})" in shown
    assert main([*command, "--until", "rate:1.3"]) == 0
    assert "2 qualities x 3 sizes x 2 seeds = 12 cells" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
