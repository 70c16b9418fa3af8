from dataclasses import replace

import pytest
import torch
from what_is_kept import kept_bytes

from qlora_kernels import linear_cross_entropy
from workbench.adapters.lora import LoraStack
from workbench.config import CellConfig
from workbench.data.batches import Pool
from workbench.data.records import Record
from workbench.data.templates import Example, render
from workbench.errors import InputError
from workbench.models.generation import generate
from workbench.models.loaders import load_base
from workbench.models.tokenizer import CharacterTokenizer
from workbench.studies.torch_threads import torch_threads
from workbench.training import loop
from workbench.training.evaluation import HeldOut, evaluate
from workbench.training.loop import TrainState, chunks, freeze, step_gradient, step_rows, train

CELLS = [
    CellConfig(data="d", base="b", size=12, seed=0, steps=30, rank=4, batch_size=4, learning_rate=0.01),
    CellConfig(data="d", base="b", size=12, seed=1, steps=30, rank=2, batch_size=4, learning_rate=0.003),
    CellConfig(data="d", base="b", size=3, seed=2, steps=30, rank=4, batch_size=4, gradient_clip=0.1),
]
DRAWS = [list(range(12)), list(range(5, 17)), [1, 30, 20]]
HELD_OUT = HeldOut(list(range(20, 40)))


@pytest.mark.parametrize("first", [0, 2])
def test_a_cell_does_not_depend_on_its_stack(tiny_decoder_float64, tiny_pool, first):
    """In float64 the stack and its cells alone agree to the rounding of sums.

    Thirty AdamW steps can amplify a rounding of 1e-16 by the ratio of a gradient to its own noise; 1e-9
    leaves that room and is still seven digits below anything a study reports.
    """
    frozen = freeze(tiny_decoder_float64, tiny_pool, first)
    cells = [cell.with_(first_layer=first) for cell in CELLS]
    stack, together = run_float64(frozen, cells, DRAWS)
    scores = evaluate(frozen, HELD_OUT, stack)
    for row, (cell, draw) in enumerate(zip(cells, DRAWS, strict=True)):
        single, alone = run_float64(frozen, [cell], [draw])
        torch.testing.assert_close(together.losses[:, row], alone.losses[:, 0], rtol=0, atol=1e-9)
        score = evaluate(frozen, HELD_OUT, single)
        torch.testing.assert_close(scores.losses[row], score.losses[0], rtol=0, atol=1e-9)
        assert torch.equal(scores.exact[row], score.exact[0])


def run_float64(frozen, cells, draws):
    stack = LoraStack(cells, frozen.decoder.config).to(torch.float64)
    return train(frozen, cells, draws, start=TrainState.fresh(stack))


def test_training_lowers_the_loss_and_repeats_to_the_bit(tiny_decoder, tiny_pool):
    frozen = freeze(tiny_decoder, tiny_pool, 0)
    (_, first), (_, second) = (train(frozen, CELLS, DRAWS) for _ in range(2))
    assert torch.equal(first.losses, second.losses)
    assert torch.equal(first.weights, second.weights)
    assert (first.losses[-3:].mean(0) < first.losses[:3].mean(0) - 0.3).all()
    assert first.failed.tolist() == [-1] * 3


def test_the_frozen_prefix_changes_nothing(tiny_decoder_float64, tiny_pool):
    cells = [cell.with_(first_layer=1) for cell in CELLS]
    _, cached = run_float64(freeze(tiny_decoder_float64, tiny_pool, 1), cells, DRAWS)
    _, whole = run_float64(freeze(tiny_decoder_float64, tiny_pool, 0), cells, DRAWS)
    torch.testing.assert_close(cached.losses, whole.losses, rtol=0, atol=1e-9)


def test_a_cell_that_diverges_is_named_and_hurts_nobody(tiny_decoder_float64, tiny_pool):
    frozen = freeze(tiny_decoder_float64, tiny_pool, 0)
    wild = CELLS[1].with_(learning_rate=1e200, warmup=0.0)
    _, mixed = run_float64(frozen, [CELLS[0], wild, CELLS[2]], DRAWS)
    _, calm = run_float64(frozen, CELLS, DRAWS)
    assert mixed.failed[0] == -1
    assert mixed.failed[2] == -1
    assert mixed.failed[1] in (1, 2, 3)
    assert not mixed.losses[mixed.failed[1], 1].isfinite() or not mixed.norms[mixed.failed[1], 1].isfinite()
    torch.testing.assert_close(mixed.losses[:, [0, 2]], calm.losses[:, [0, 2]], rtol=0, atol=1e-9)
    assert mixed.weights.isfinite().all()


def test_a_stack_whose_every_cell_diverged_stops(tiny_decoder, tiny_pool):
    wild = CELLS[0].with_(learning_rate=1e30, warmup=0.0)
    _, state = train(freeze(tiny_decoder, tiny_pool, 0), [wild], [DRAWS[0]])
    assert state.step < wild.total_steps
    assert state.failed[0] == state.step - 1
    assert state.losses[state.step :].isnan().all()


def test_cells_leave_the_stack_as_they_finish(tiny_decoder_float64, tiny_pool):
    """Cells that differ in length, size and batch are each what they are alone, and stop where they end."""
    cells = [
        CELLS[0].with_(steps=8),
        CELLS[1],
        CELLS[2].with_(steps=None, epochs=4.0),
        CELLS[0].with_(batch_size=2),
    ]
    draws = [*DRAWS, DRAWS[1]]
    frozen = freeze(tiny_decoder_float64, tiny_pool, 0)
    widths = []
    stack = LoraStack(cells, frozen.decoder.config).to(torch.float64)
    _, together = train(
        frozen,
        cells,
        draws,
        start=TrainState.fresh(stack),
        on_step=lambda state: widths.append(int(state.losses[state.step - 1].isfinite().sum())),
    )
    assert widths == [4] * 3 + [3] * 5 + [2] * 22
    for row, (cell, draw) in enumerate(zip(cells, draws, strict=True)):
        _, alone = run_float64(frozen, [cell], [draw])
        steps = cell.total_steps
        torch.testing.assert_close(together.losses[:steps, row], alone.losses[:, 0], rtol=0, atol=1e-9)
        assert together.losses[steps:, row].isnan().all()
        assert torch.allclose(together.weights[row].norm(), alone.weights[0].norm(), rtol=1e-9, atol=0)


@pytest.mark.parametrize("steps", [1, 7, 29])
def test_going_on_from_a_state_gives_the_same_bits(tiny_decoder, tiny_pool, steps):
    frozen = freeze(tiny_decoder, tiny_pool, 0)
    cells = [CELLS[0], CELLS[1].with_(steps=20)]
    kept = {}

    def keep(state):
        if state.step == steps:
            kept.update({name: tensor.clone() for name, tensor in state.tensors().items()})

    _, whole = train(frozen, cells, DRAWS[:2], on_step=keep)
    _, resumed = train(frozen, cells, DRAWS[:2], start=TrainState.from_tensors(kept))
    for name, tensor in whole.tensors().items():
        assert torch.equal(tensor.nan_to_num(-1), resumed.tensors()[name].nan_to_num(-1)), name


def test_a_state_of_other_cells_is_refused(tiny_decoder, tiny_pool):
    frozen = freeze(tiny_decoder, tiny_pool, 0)
    state = TrainState.fresh(LoraStack(CELLS[:1], tiny_decoder.config))
    with pytest.raises(InputError, match="these cells have"):
        train(frozen, CELLS, DRAWS, start=state)
    tensors = state.tensors()
    with pytest.raises(InputError, match="start the stack again"):
        TrainState.from_tensors({**tensors, "other": tensors["mean"]})
    with pytest.raises(InputError, match="don't fit each other"):
        TrainState.from_tensors({**tensors, "mean": tensors["mean"][:, 1:]})


@pytest.mark.parametrize("pieces", [2, 3, 4, 9])
def test_a_step_in_pieces_is_the_same_step(tiny_decoder_float64, tiny_pool, monkeypatch, pieces):
    """Cells with batches of 4 and of 1: the short one must count once, whatever the number of pieces."""
    frozen = freeze(tiny_decoder_float64, tiny_pool, 0)
    cells = [CELLS[0], CELLS[1].with_(batch_size=1), CELLS[2]]
    _, whole = run_float64(frozen, cells, DRAWS)
    longest = 4 * int(tiny_pool.lengths.max()) * 3
    room = longest * loop.activation_bytes(frozen.decoder.config, 0) // pieces
    monkeypatch.setattr(loop, "ACTIVATION_BYTES", room // 4)
    seen = []
    batch = Pool.batch
    monkeypatch.setattr(Pool, "batch", lambda pool, rows: seen.append(rows) or batch(pool, rows))
    _, pieced = run_float64(frozen, cells, DRAWS)
    assert len(seen) > len(whole.losses)
    torch.testing.assert_close(pieced.losses, whole.losses, rtol=0, atol=1e-9)
    torch.testing.assert_close(pieced.norms, whole.norms, rtol=1e-9, atol=0)


def test_logits_in_pieces_are_the_same(tiny_decoder_float64, tiny_pool, monkeypatch):
    frozen = freeze(tiny_decoder_float64, tiny_pool, 0)
    _, whole = run_float64(frozen, CELLS, DRAWS)
    monkeypatch.setattr(linear_cross_entropy, "CHUNK_BYTES", 16 * 29 * 8)
    _, pieces = run_float64(frozen, CELLS, DRAWS)
    torch.testing.assert_close(pieces.losses, whole.losses, rtol=0, atol=1e-9)


def test_loss_is_the_mean_over_response_tokens(tiny_decoder, tiny_pool):
    frozen = freeze(tiny_decoder, tiny_pool, 0)
    index = 6
    evaluation = evaluate(frozen, HeldOut([index, 7]), None)
    start, length = int(tiny_pool.starts[index]), int(tiny_pool.lengths[index])
    tokens = tiny_pool.tokens[start : start + length]
    logits = tiny_decoder.head(tiny_decoder(tiny_pool.batch([[index]])))[0, : length - 1]
    losses = torch.nn.functional.cross_entropy(logits, tokens[1:], reduction="none")
    expected = losses[int(tiny_pool.prompts[index]) - 1 :].mean()
    # float32 sums of about ten terms
    torch.testing.assert_close(evaluation.losses[0, 0].float(), expected, rtol=1e-5, atol=0)
    sizes = (tiny_pool.lengths - tiny_pool.prompts)[[index, 7]].double()
    assert evaluation.metrics(0)["loss"] == pytest.approx(
        float((evaluation.losses[0] * sizes).sum() / sizes.sum())
    )


@pytest.mark.parametrize(
    ("closing", "others"),
    [((2,), ()), ((3, 2), ()), ((3, 4, 2), (4,)), ((2,), (3, 9))],
    ids=["an end token", "a space before it", "other stops before it", "several stops"],
)
def test_exact_match_is_what_greedy_decoding_writes(tiny_decoder, closing, others):
    """After training to memorize, some held-out responses are right and some are not.

    A template may write more behind a response than its end token; a generation may stop before all of it.
    """
    cells = [cell.with_(steps=120, learning_rate=0.02) for cell in CELLS[:2]]
    stops = {closing[-1], *others}
    asked = [(*range(5 + i % 7, 8 + i % 7), 4) for i in range(24)]
    said = [tuple(((i * 3 + j) % 19) + 10 for j in range(1 + i % 3)) for i in range(24)]
    parts = list(zip(asked, said, strict=True))
    examples = [Example((*before, *answer, *closing), 4, len(closing)) for before, answer in parts]
    # some are trained to stop at once, or at another token, and are right all the same
    trained = [
        Example((*before, *answer, *(closing if place % 3 else (2,)), 2)[:9], 4)
        for place, (before, answer) in enumerate(parts)
    ]
    pool = Pool([*examples, *trained])
    frozen = freeze(tiny_decoder, pool, 0)
    stack, _ = train(frozen, cells, [list(range(24, 36)), list(range(30, 42))])
    evaluation = evaluate(frozen, HeldOut(list(range(24)), stops=list(others)), stack)
    prompts = [[list(example.token_ids[:4]) for example in examples]] * 2
    written = generate(tiny_decoder, prompts, stops=stops, limit=8, adapters=stack.adapters())
    right = [
        [
            tokens in [[*answer, *closing[:place]] for place in range(len(closing))]
            for tokens, answer in zip(row, said, strict=True)
        ]
        for row in written
    ]
    assert evaluation.exact.tolist() == right
    assert 0.1 < evaluation.exact.double().mean() < 0.9


LETTERS = CharacterTokenizer("abcdefghijklmnopqrstuvwxy\n")
CONVERSATION = Record(id="a", prompt="is it", response="no", history=(("who", "me"), ("why", "so")))


def test_the_loss_on_all_answers_is_that_of_each_turn_as_the_last(tiny_decoder_float64):
    """Each turn as a record of its own: their losses and gradients summed, over all their tokens."""
    turns = [
        replace(CONVERSATION, history=(), prompt="who", response="me"),
        replace(CONVERSATION, history=CONVERSATION.history[:1], prompt="why", response="so"),
        CONVERSATION,
    ]
    turns = [replace(one, prompt=one.prompt.replace(" ", "")) for one in turns]
    whole = render("verbatim", turns[-1], LETTERS, "all")
    pool = Pool([whole, *(render("verbatim", one, LETTERS) for one in turns)])
    assert pool.labels.tolist() == [9, 3, 3, 3]
    frozen = freeze(tiny_decoder_float64, pool, 0)
    stack = LoraStack([CELLS[0]], tiny_decoder_float64.config).to(torch.float64)
    loss, gradient = step_gradient(frozen, stack, [[0]])
    apart = [step_gradient(frozen, stack, [[place]]) for place in (1, 2, 3)]
    torch.testing.assert_close(loss, sum(one for one, _ in apart) / 3)
    torch.testing.assert_close(gradient, sum(one for _, one in apart) / 3)
    # an evaluation counts the same tokens, and judges the last answer alone
    scores = evaluate(frozen, HeldOut([0, 1, 2, 3]), None)
    assert scores.tokens.tolist() == [9, 3, 3, 3]
    torch.testing.assert_close(scores.losses[0, 0], scores.losses[0, 1:].mean())


def test_an_answer_is_right_whatever_was_answered_before(tiny_decoder):
    """Exact match and choices are those of the last answer, though the loss counts every one."""
    asked = [1, 2, 3, 9, 4, 5]
    *said, end = generate(tiny_decoder, [[asked]], stops=(), limit=3)[0][0]
    other = next(token for token in range(29) if token not in (*said, end))
    wrong_before = ((3, other), (4, other))
    answers = [(*said, end), (other, *said, end), (said[0], end), (other, end)]
    pool = Pool([Example((*asked, *answer), len(asked), earlier=wrong_before) for answer in answers])
    frozen = freeze(tiny_decoder, pool, 0)
    assert evaluate(frozen, HeldOut([0, 1]), None).exact.tolist() == [[True, False]]
    plain = freeze(tiny_decoder, Pool([Example((*asked, *answer), len(asked)) for answer in answers]), 0)
    for heldout in (
        HeldOut([0, 1], choices=[[0, 1], [0, 1]], right=[0, 1]),
        HeldOut([2, 3], right=[0, 1], tokens=[[said[0], other]] * 2),
    ):
        one, two = evaluate(frozen, heldout, None), evaluate(plain, heldout, None)
        assert torch.equal(one.chosen, two.chosen)
        assert (one.tokens - two.tokens).tolist() == [2, 2]


def test_choice_is_the_likelier_whole_response(tiny_decoder, tiny_pool):
    pool = Pool([Example((1, 2, 3), 2), Example((1, 2, 4, 5), 2), Example((9, 3), 1), Example((9, 4), 1)])
    frozen = freeze(tiny_decoder, pool, 0)
    each = evaluate(frozen, HeldOut([0, 1, 2, 3]), None)
    sums = (each.losses[0] * each.tokens).tolist()
    chosen = evaluate(frozen, HeldOut([0, 3], [[0, 1], [2, 3]], [0, 1]), None).chosen
    assert chosen.tolist() == [[sums[0] < sums[1], sums[3] < sums[2]]]


def test_choices_of_one_token_are_scored_by_the_reference_alone(tiny_decoder):
    """The same choice as by summing whole responses, but for the end token behind them."""
    end = 2
    items = [(prompt, answer) for prompt in ((1, 5, 9), (1, 7), (1, 8, 8, 3)) for answer in (10, 11, 12)]
    pool = Pool([Example((*prompt, answer, end), len(prompt)) for prompt, answer in items])
    frozen = freeze(tiny_decoder, pool, 0)
    fast = evaluate(frozen, HeldOut([0, 4, 8], right=[0, 1, 2], tokens=[[10, 11, 12]] * 3), None).chosen
    logits = [tiny_decoder.head(tiny_decoder(pool.batch([[place]])))[0] for place in (0, 4, 8)]
    slots = [2, 1, 3]
    likeliest = [int(row[slot, [10, 11, 12]].argmax()) for row, slot in zip(logits, slots, strict=True)]
    assert fast.tolist() == [[likeliest[0] == 0, likeliest[1] == 1, likeliest[2] == 2]]


@pytest.mark.parametrize("first", [0, 2])
def test_sharing_the_beginning_changes_nothing(tiny_decoder_float64, first):
    """A common opening computed once a row gives what it gives once an example, gradients included."""
    generator = torch.Generator().manual_seed(1)
    examples = [
        Example((7, 3, 19, *torch.randint(29, (4 + i % 5,), generator=generator).tolist()), 4)
        for i in range(40)
    ]
    shared, apart = Pool(examples), Pool(examples)
    assert shared.shared == 3
    apart.shared = 0
    cells = [cell.with_(first_layer=first) for cell in CELLS]
    runs = []
    for pool in (shared, apart):
        frozen = freeze(tiny_decoder_float64, pool, first)
        stack, state = run_float64(frozen, cells, DRAWS)
        runs.append((state.losses, state.weights, evaluate(frozen, HELD_OUT, stack).losses))
    for one, other in zip(*runs, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-9)


def test_a_step_s_loss_is_the_mean_over_its_response_tokens(tiny_decoder_float64, tiny_pool):
    """Long answers weigh more than short ones, prompts and the number of examples nothing."""
    frozen = freeze(tiny_decoder_float64, tiny_pool, 0)
    rows = [[0, 5, 9, 5], [7, 2], [30]]
    stack = LoraStack(CELLS, frozen.decoder.config).to(torch.float64)
    losses, gradient = step_gradient(frozen, stack, rows)
    each = evaluate(frozen, HeldOut(list(range(40))), None)  # a fresh adapter changes nothing
    sums = each.losses[0] * each.tokens
    expected = [sums[row].sum() / each.tokens[row].sum() for row in rows]
    torch.testing.assert_close(losses, torch.stack(expected), rtol=1e-9, atol=0)
    # and the gradient is that of this mean: one step along it lowers the loss by its own length
    norm = torch.linalg.vector_norm(gradient, dim=1)
    small = 1e-5 / norm
    stack.weights = (stack.weights.detach() - small[:, None] * gradient).requires_grad_()
    after, _ = step_gradient(frozen, stack, rows)
    torch.testing.assert_close((losses - after) / small, norm.square(), rtol=1e-3, atol=0)


def test_each_cell_s_examples_come_in_the_order_of_its_own_seed():
    draws = [list(range(100, 112)), list(range(200, 212))]
    rows = step_rows(CELLS[:2], draws, 1)
    assert rows == [step_rows([cell], [draw], 1)[0] for cell, draw in zip(CELLS[:2], draws, strict=True)]
    assert [place - 100 for place in rows[0]] != [place - 200 for place in rows[1]]


@pytest.mark.parametrize(("first", "change"), [(0, {}), (2, {}), (0, {"feed_forward": 256})], ids=str)
def test_the_memory_of_a_step_is_about_what_autograd_keeps(
    tiny_config, make_decoder, tiny_pool, first, change
):
    """The estimate decides into how many pieces a step is cut; here it is compared with what is saved."""
    config = replace(tiny_config, **change)
    frozen = freeze(make_decoder(config), tiny_pool, first)
    stack = LoraStack([CELLS[0].with_(first_layer=first, rank=1)], config)
    batch, decoder = tiny_pool.batch([range(40)]), frozen.decoder
    hidden = decoder.embed(batch.tokens) if first == 0 else frozen.hidden(batch)
    saved = kept_bytes(
        lambda: decoder.blocks(hidden, batch, stack.adapters(), first, config.layers),
        [stack.weights, *decoder.weights.values()],
    )
    estimated = batch.tokens.numel() * loop.activation_bytes(config, first)
    made_anew = batch.tokens.numel() * (config.layers - first) * 2 * 4 * config.width  # both norms of a block
    assert 0.97 < saved / (estimated - made_anew) < 1.05


def test_chunks_hold_every_index_once(tiny_pool):
    pieces = chunks(tiny_pool, range(40), 30)
    assert sorted(index for piece in pieces for index in piece) == list(range(40))
    for piece in pieces:
        assert len(piece) == 1 or int(tiny_pool.lengths[piece].sum()) <= 30


def test_two_threads_give_the_same_bits_every_time():
    """What all examples begin with gets a gradient from each; they have to be summed in one order."""
    decoder = load_base("classroom").decoder
    chance = torch.Generator().manual_seed(0)
    texts = torch.randint(3, decoder.config.vocabulary, (64, 40), generator=chance)
    texts[:, :20] = texts[0, :20]
    pool = Pool([Example(tuple(text.tolist()), 24) for text in texts])
    frozen = freeze(decoder, pool, 0)
    cell = CellConfig(data="d", base="b", size=64, batch_size=64, rank=4)
    stack = LoraStack([cell], decoder.config)
    stack.weights.data.normal_(0, 0.02, generator=chance)
    with torch_threads(2):
        _, first = step_gradient(frozen, stack, [range(64)])
        for _ in range(10):
            assert torch.equal(step_gradient(frozen, stack, [range(64)])[1], first)
