"""How one cell's held-out results become numbers; that they are those of a generation is in test_loop.py."""

import torch

from workbench.data.batches import Pool
from workbench.data.templates import Example
from workbench.models.generation import generate
from workbench.training.evaluation import Evaluation, HeldOut, evaluate
from workbench.training.loop import freeze


def test_what_one_cell_scored_is_summed_up():
    """Loss over all response tokens; exact match and accuracy over items, however long."""
    evaluation = Evaluation(
        losses=torch.tensor([[1.0, 3.0], [2.0, 2.0]], dtype=torch.float64),
        tokens=torch.tensor([3.0, 1.0], dtype=torch.float64),
        exact=torch.tensor([[True, False], [False, False]]),
        chosen=torch.tensor([[False, True], [True, True]]),
    )
    assert evaluation.metrics(0) == {"loss": 1.5, "exact_match": 0.5, "choice_accuracy": 0.5}
    assert evaluation.metrics(1) == {"loss": 2.0, "exact_match": 0.0, "choice_accuracy": 1.0}


def test_a_long_choice_is_scored_by_its_sum_and_the_first_of_equal_ones_wins(tiny_decoder):
    """By its mean, the long choice of the first item would win; the two choices of the second are equal."""
    zero = {name: torch.zeros(shape) for name, shape in tiny_decoder.config.shapes().items()}
    even = type(tiny_decoder)(tiny_decoder.config, zero)  # every token is as likely as any other
    pool = Pool(
        [Example((1, 3, 2), 1), Example((1, 4, 5, 2), 1), Example((1, 5, 2), 1), Example((1, 6, 2), 1)]
    )
    frozen = freeze(even, pool, 0)
    chosen = [
        evaluate(frozen, HeldOut([0, 2], [row, [2, 3]], right), None).chosen.tolist()
        for row, right in (([0, 1], [0, 0]), ([1, 0], [1, 0]))
    ]
    assert chosen == [[[True, True]]] * 2
    one = HeldOut([0, 2], right=[0, 1], tokens=[[3, 4], [6, 5]])
    assert evaluate(frozen, one, None).chosen.tolist() == [[True, False]]


def test_a_response_is_right_if_it_is_what_is_written_and_then_it_ends(tiny_decoder):
    prompt = [1, 2, 3]
    said = generate(tiny_decoder, [[prompt]], stops=(), limit=4)[0][0]
    *answer, end = said
    other = next(token for token in range(29) if token not in said)

    def exact(response: list[int], end: int, stops: tuple[int, ...] = ()) -> bool:
        frozen = freeze(tiny_decoder, Pool([Example((*prompt, *response, end), 3)]), 0)
        return bool(evaluate(frozen, HeldOut([0], stops=list(stops)), None).exact)

    assert exact(answer, end)
    assert not exact(answer, other), "all is right, but it goes on"
    assert exact(answer, other, (end,)), "it ends, by another token at which a generation stops"
    assert not exact(answer[:-1], end) or answer[-1] == end, "it goes on where it should end"
    for place in range(3):
        assert not exact([*answer[:place], other, *answer[place + 1 :]], end), "one token is wrong"
