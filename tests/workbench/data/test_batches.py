import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.data.batches import Pool, order
from workbench.data.templates import Example


@st.composite
def example(draw):
    """One with labels of earlier answers, which may say something else than the tokens at their places."""
    prompt = draw(st.integers(1, 5))
    tokens = draw(st.lists(st.integers(0, 99), min_size=prompt + 1, max_size=prompt + 9))
    places = draw(st.lists(st.integers(1, prompt), max_size=3).map(sorted))
    return Example(tuple(tokens), prompt, earlier=tuple((place, draw(TOKEN)) for place in places))


TOKEN = st.integers(0, 99)
EXAMPLES = st.lists(example(), min_size=1, max_size=8)


@given(examples=EXAMPLES, opening=st.lists(st.integers(0, 99), max_size=3), data=st.data())
def test_batch_is_the_examples_end_to_end(examples, opening, data):
    """Every example can be read back, and what all begin with stands once in each row."""
    examples = [
        Example(
            (*opening, *example.token_ids),
            len(opening) + example.prompt_length,
            earlier=tuple((len(opening) + place, token) for place, token in example.earlier),
        )
        for example in examples
    ]
    index = st.integers(0, len(examples) - 1)
    rows = data.draw(st.lists(st.lists(index, min_size=1, max_size=5), min_size=1, max_size=4))
    pool = Pool(examples)
    batch = pool.batch(rows)

    assert len(opening) <= pool.shared <= min(example.prompt_length for example in examples)
    width = batch.tokens.shape[1]
    assert width == pool.shared + max(
        sum(len(examples[i].token_ids) - pool.shared for i in row) for row in rows
    )
    flat = [(cell, examples[i]) for cell, row in enumerate(rows) for i in row]
    labels = []
    for number, (cell, example) in enumerate(flat):
        length = len(example.token_ids)
        slots = batch.gather[number, :length]
        assert batch.tokens.flatten()[slots].tolist() == list(example.token_ids)
        assert batch.positions.flatten()[slots].tolist() == list(range(length))
        assert pool.tokens[batch.source.flatten()[slots]].tolist() == list(example.token_ids)
        assert (slots // width == cell).all()
        assert (batch.gather[number, length:] == slots[-1]).all()
        # a slot's result is read where its token was asked, by this example or by one that begins alike
        asked = torch.cat([block.flatten() for block in batch.blocks])[batch.scatter.flatten()[slots]]
        assert torch.equal(asked, slots)
        responses = enumerate(example.token_ids[example.prompt_length :], example.prompt_length)
        told = [*example.earlier, *responses]
        assert told == example.labels
        labels += [(cell, number, int(slots[place - 1]), token) for place, token in told]
    # a slot of a row, empty ones too, reads from that row alone
    read = torch.cat([block.flatten() for block in batch.blocks])[batch.scatter]
    assert (read // width == torch.arange(len(rows))[:, None]).all()
    # attention works on little more than the examples, and on each example once
    used = sum(block.numel() for block in batch.blocks)
    assert used < 2 * sum(len(example.token_ids) for _, example in flat) or len(flat) == 1
    assert sum(len(block) for block in batch.blocks) == len(flat)
    found = (batch.label_cells, batch.label_examples, batch.label_slots, batch.labels)
    assert list(zip(*(values.tolist() for values in found), strict=True)) == labels


def test_label_is_the_token_after_its_slot():
    batch = Pool([Example((7, 8, 9, 2), 2)]).batch([[0]])
    assert batch.label_slots.tolist() == [1, 2]
    assert batch.labels.tolist() == [9, 2]


def test_only_what_all_prompts_begin_with_is_shared():
    assert Pool([Example((7, 8, 9, 1), 3), Example((7, 8, 5, 1), 3)]).shared == 2
    assert Pool([Example((7, 8, 9), 1), Example((7, 8, 5), 1)]).shared == 1, "an answer is nobody else's"
    assert Pool([Example((7, 8, 9), 2), Example((7, 8, 9), 1)]).shared == 1


def test_equal_prompts_share_all_their_slots():
    batch = Pool([Example((7, 8, 9), 2), Example((7, 8, 5, 6), 2)]).batch([[0, 1]])
    assert batch.tokens.tolist() == [[7, 8, 9, 5, 6]]
    assert batch.positions.tolist() == [[0, 1, 2, 2, 3]]
    assert batch.label_slots.tolist() == [1, 1, 3]
    assert batch.labels.tolist() == [9, 5, 6]


@given(
    size=st.integers(1, 50), batch_size=st.integers(1, 20), passes=st.integers(1, 3), seed=st.integers(0, 9)
)
def test_every_pass_sees_every_example_once(size, batch_size, passes, seed):
    steps = -(-size * passes // batch_size)
    dealt = [place for step in range(steps) for place in order(size, batch_size, step, seed)]
    for number in range(passes):
        assert sorted(dealt[number * size : (number + 1) * size]) == list(range(size))


def test_a_step_goes_on_where_the_last_one_ended():
    assert [order(5, 3, step, 0, shuffled=False) for step in range(3)] == [[0, 1, 2], [3, 4, 0], [1, 2, 3]]
    passes = order(5, 10, 0, 4)
    assert [place for step in range(4) for place in order(5, 3, step, 4)][:10] == passes


def test_order_depends_on_seed_and_pass():
    first, second = order(64, 64, 0, 0), order(64, 64, 1, 0)
    assert first != second
    assert first != order(64, 64, 0, 1)
    assert first == order(64, 64, 0, 0)


def test_pool_keeps_examples_apart():
    pool = Pool([Example((1, 2, 3), 1), Example((4, 5), 1)])
    assert pool.tokens.tolist() == [1, 2, 3, 4, 5]
    assert pool.starts.tolist() == [0, 3]
    assert torch.equal(pool.lengths - pool.prompts, torch.tensor([2, 1]))
