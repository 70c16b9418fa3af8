"""An adapter cut to its largest directions: against a decomposition of the change, and what is asked."""

import base64

import numpy as np
import pytest
import torch
from follows import follows

from workbench.adapters.lora import LoraStack
from workbench.config import CellConfig
from workbench.data.sources import load_dataset
from workbench.errors import InputError
from workbench.lessons.figures import held, low_rank, thin_matrices
from workbench.lessons.ranks import RankAnswers, answers_by_rank, cut_to_ranks, packed_directions
from workbench.lessons.widgets import RankCut
from workbench.models.loaders import load_base
from workbench.training.evaluation import HeldOut, evaluate
from workbench.training.prepare import prepare
from workbench.views.style import to_bytes

CELL = CellConfig(data="verbs", base="classroom", template="verbs", size=32, steps=1, rank=8, alpha=24.0)


@pytest.fixture(scope="module")
def base():
    return load_base("classroom")


@pytest.fixture(scope="module")
def stack(base):
    """Return two cells' adapters of random numbers, the second of rank 8 with the scale 3."""
    made = LoraStack([CELL.with_(rank=16, alpha=16.0), CELL], base.decoder.config)
    drawn = torch.Generator().manual_seed(0)
    for row in (0, 1):
        small = {n: 0.3 * torch.randn(t.shape, generator=drawn) for n, t in made.tensors(row).items()}
        made.load(row, small)
    return made


def change(stack, row, name):
    tensors = stack.tensors(row)
    return float(stack.scale[row]) * tensors[f"{name}.lora_B"] @ tensors[f"{name}.lora_A"]


def test_a_cut_is_the_nearest_change_of_its_rank(base, stack):
    ranks = (1, 3, 8)
    cuts = cut_to_ranks(stack, 1, ranks, base.decoder.config)
    for name in stack.names[::12]:
        left, sizes, right = torch.linalg.svd(change(stack, 1, name).double(), full_matrices=False)
        for rank, cut in zip(ranks, cuts, strict=True):
            assert cut.cells[0].rank == rank
            nearest = (left[:, :rank] * sizes[:rank]) @ right[:rank]
            torch.testing.assert_close(change(cut, 0, name).double(), nearest, rtol=0, atol=1e-3)


def test_each_rank_is_asked_with_its_own_cut(base, stack):
    verbs = load_dataset("verbs")
    prepared = prepare(base, verbs, [CELL], "verbs")
    frozen, records = prepared.frozen, verbs.heldout[:3]
    heldout = HeldOut(prepared.heldout.references[:60], stops=prepared.heldout.stops)
    found = answers_by_rank(base, frozen, heldout, records, stack, 1, (0, 8))
    assert found.asked == tuple((one.prompt, one.response) for one in records)
    for rank, share, carried in zip((0, 8), found.right, (None, stack.select([1])), strict=True):
        judged = evaluate(frozen, heldout, carried)
        assert share == pytest.approx(judged.metrics(0)["exact_match"], abs=0.02), rank
        exact = judged.exact[0][:3].tolist()
        said = found.said[found.ranks.index(rank)]
        assert [one.response == word for one, word in zip(records, said, strict=True)] == exact
    assert found.said[0] != found.said[1]
    assert found.items == 60


def test_a_page_gets_directions_that_add_up_to_the_matrix():
    matrix = torch.randn(12, 20, generator=torch.Generator().manual_seed(1)).double()
    packed = packed_directions(matrix, 12)
    halves = []
    for name, rows in (("left", 12), ("right", 20)):
        codes = np.frombuffer(base64.b64decode(packed[name]), dtype=np.int8).reshape(rows, 12)
        halves.append(codes * np.array(packed[f"{name}_scales"]))
    np.testing.assert_allclose(halves[0] @ halves[1].T, matrix, atol=0.05)
    left, sizes, right = np.linalg.svd(matrix.numpy())
    first = sizes[0] * np.outer(left[:, 0], right[0])
    np.testing.assert_allclose(np.outer(halves[0][:, 0], halves[1][:, 0]), first, atol=0.05)


ANSWERS = RankAnswers((0, 1, 2), (("go", "went"),), (("go",), ("goed",), ("went",)), (0.0, 0.5, 0.9), 10)


def test_the_slider_begins_at_the_whole_and_says_what_is_kept(check_shown_view):
    matrix = np.diag([3.0, 2.0, 0.0])
    view = RankCut(matrix, ANSWERS)
    assert view.words() == "2 directions: 100% of the change, 90% of 10 right"
    view.place = 1
    assert view.words() == "1 directions: 69% of the change, 50% of 10 right"  # 9 of 13
    assert view.rank == 1
    check_shown_view(view)


@pytest.fixture
def check_shown_view():
    def check(view):
        data, _ = view._repr_mimebundle_()
        assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
        assert data["text/plain"] == view.words()

    return check


@follows("the narrower side of a matrix of")
def test_more_directions_than_a_matrix_has_are_refused():
    with pytest.raises(
        InputError, match=r"rank 2 is above 1, the narrower side of a matrix of 1 x 3; choose"
    ):
        RankCut(np.ones((1, 3)), ANSWERS)
    fewer = RankAnswers((0, 1), ANSWERS.asked, ANSWERS.said[:2], ANSWERS.right[:2], 10)
    assert RankCut(np.ones((1, 3)), fewer).rank == 1


def test_what_is_held_is_a_share_of_the_squares():
    np.testing.assert_allclose(held(np.diag([3.0, 2.0, 1.0])), [9 / 14, 13 / 14, 1.0])


def test_the_figures_say_shares_and_counts():
    figure = low_rank({"one": np.eye(3)}, {1: 0.8, 8: 0.9}, {1: 2304, 8: 18432}, 600)
    said = [text.get_text() for text in figure.axes[1].texts]
    assert said == ["80%\n2,304 numbers", "90%\n18,432 numbers"]
    low, high = figure.axes[1].get_ylim()
    assert high - low < 0.4, "the points differ visibly"
    thin = thin_matrices(np.ones((12, 20)), np.ones((2, 20)), np.ones((12, 2)))
    words = " ".join(text.get_text() for text in thin.axes[0].texts)
    assert "W, frozen: 240 numbers" in words
    assert "W: 12 × 20, B: 12 × 2\nB and A, trained:\n64 numbers, 27% of W" in words
    assert to_bytes(thin, "png", dots=40)
