"""Means over the seeds of a study's cells."""

import pytest

from workbench.errors import InputError
from workbench.lessons.of_cells import loss_at_end, percent_right
from workbench.results import shipped_study


def test_they_are_means_over_the_seeds():
    results = shipped_study()
    rows = [row for row in results.table().rows if (row["quality"], row["size"]) == ("50% other_form", 32)]
    assert len(rows) == len(results.study.seeds) == 4
    right = percent_right(results, "50% other_form", 32)
    assert right == pytest.approx(25 * sum(row["exact_match"] for row in rows))
    ends = [results.curves("50% other_form", 32, seed)["train_loss"][-10:] for seed in range(4)]
    assert loss_at_end(results, "50% other_form", 32) == pytest.approx(sum(map(sum, ends)) / 40)
    assert loss_at_end(results, "clean", 512) == pytest.approx(0.06, abs=0.001)


@pytest.mark.parametrize("mean", [percent_right, loss_at_end])
def test_no_such_cell(mean):
    with pytest.raises(InputError, match="no cell of quality"):
        mean(shipped_study(), "clean", 33)
