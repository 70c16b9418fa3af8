import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.data.batches import Pool, order
from workbench.data.templates import Example

EXAMPLES = st.lists(
    st.integers(1, 5).flatmap(
        lambda prompt: st.lists(st.integers(0, 99), min_size=prompt + 1, max_size=prompt + 9).map(
            lambda tokens: Example(tuple(tokens), prompt)
        )
    ),
    min_size=1,
    max_size=8,
)


@given(examples=EXAMPLES, data=st.data())
def test_batch_is_the_examples_end_to_end(examples, data):
    index = st.integers(0, len(examples) - 1)
    rows = data.draw(st.lists(st.lists(index, min_size=1, max_size=5), min_size=1, max_size=4))
    batch = Pool(examples).batch(rows)

    flat = [(cell, examples[i]) for cell, row in enumerate(rows) for i in row]
    seen = []
    for cell, row in enumerate(rows):
        tokens = [token for i in row for token in examples[i].token_ids]
        positions = [place for i in row for place in range(len(examples[i].token_ids))]
        assert batch.tokens[cell, : len(tokens)].tolist() == tokens
        assert batch.positions[cell, : len(tokens)].tolist() == positions
    for number, (cell, example) in enumerate(flat):
        length = len(example.token_ids)
        assert batch.tokens.flatten()[batch.gather[number, :length]].tolist() == list(example.token_ids)
        slots = batch.gather[number, :length]
        assert (slots // batch.tokens.shape[1] == cell).all()
        assert batch.scatter.flatten()[slots].tolist() == [
            number * batch.gather.shape[1] + place for place in range(length)
        ]
        seen += [(cell, number, token) for token in example.token_ids[example.prompt_length :]]
    labels = zip(
        batch.label_cells.tolist(), batch.label_examples.tolist(), batch.labels.tolist(), strict=True
    )
    assert list(labels) == seen
    assert batch.tokens.shape[1] == max(sum(len(examples[i].token_ids) for i in row) for row in rows)


def test_label_is_the_token_after_its_slot():
    batch = Pool([Example((7, 8, 9, 2), 2)]).batch([[0]])
    assert batch.label_slots.tolist() == [1, 2]
    assert batch.labels.tolist() == [9, 2]


@given(
    size=st.integers(1, 50), batch_size=st.integers(1, 20), passes=st.integers(1, 3), seed=st.integers(0, 9)
)
def test_every_pass_sees_every_example_once(size, batch_size, passes, seed):
    steps = -(-size * passes // batch_size)
    dealt = [place for step in range(steps) for place in order(size, batch_size, step, seed)]
    for number in range(passes):
        assert sorted(dealt[number * size : (number + 1) * size]) == list(range(size))


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
