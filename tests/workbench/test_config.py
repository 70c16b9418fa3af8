import pytest
from hypothesis import given
from hypothesis import strategies as st

from qlora_kernels import products
from workbench.config import PRECISIONS, CellConfig, Quality
from workbench.errors import InputError

CELL = CellConfig(data="verbs", base="classroom", size=32)


def test_pinned_keys():
    """Keys of committed studies: a change here orphans everybody's results."""
    assert CELL.key() == "e171e54a7894c65a"
    full = CELL.with_(data_fingerprint="ab", base_sha256="cd", seed=2, quality=Quality(raters=3))
    assert full.key() == full.with_(data="moved.jsonl", base="moved.gguf").key()


def test_a_field_at_its_default_does_not_name_a_cell():
    values = CELL.to_dict()
    del values["gradient_clip"], values["quality"]
    assert CellConfig.from_dict(values).key() == CELL.key()


@pytest.mark.parametrize(
    "change",
    [
        {"size": 33},
        {"seed": 1},
        {"rank": 4},
        {"quality": Quality(corruption="typo", share=0.5)},
        {"quality": Quality(raters=1)},
        {"targets": ("q_proj",)},
        {"steps": None, "epochs": 3.0},
    ],
    ids=str,
)
def test_every_field_names_a_cell(change):
    assert CELL.with_(**change).key() != CELL.key()


@given(
    share=st.floats(0, 0.999),
    raters=st.none() | st.integers(1, 50),
    seed=st.integers(0, 2**40),
    rank=st.integers(1, 64),
)
def test_round_trip(share, raters, seed, rank):
    cell = CELL.with_(
        quality=Quality(corruption="typo", share=share, raters=raters),
        seed=seed,
        rank=rank,
        targets=("v_proj",),
    )
    assert CellConfig.from_dict(cell.to_dict()) == cell
    assert CellConfig.from_dict(cell.to_dict()).key() == cell.key()


@pytest.mark.parametrize(
    ("text", "quality", "label"),
    [
        ("clean", Quality(), "clean"),
        ("typo:0.8", Quality(corruption="typo", share=0.8), "20% typo"),
        ("other_form:0", Quality(corruption="other_form", share=0.0), "100% other_form"),
        ("raters:1", Quality(raters=1), "1 rater"),
        ("raters:3", Quality(raters=3), "3 raters"),
    ],
)
def test_quality_reads_and_shows(text, quality, label):
    assert Quality.parse(text) == quality
    assert quality.label == label


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("typo:1.5", r"quality 1.5 is outside \[0, 1\]"),
        ("typo:-0.1", r"quality -0.1 is outside \[0, 1\]"),
        ("typo:nan", r"quality nan is outside \[0, 1\]"),
        ("typo", r"quality 'typo' can't be read; expected 'clean'"),
        ("raters:0", "at least 1 rater"),
        ("raters:two", "quality 'raters:two' can't be read"),
        ("typo:1", "two names for one thing"),
    ],
)
def test_quality_refuses(text, message):
    with pytest.raises(InputError, match=message):
        Quality.parse(text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 0}, "size is 0; it has to be at least 1"),
        ({"rank": 0}, "rank is 0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"warmup": 1.5}, "warmup is 1.5"),
        ({"steps": None}, "give exactly one of them"),
        ({"epochs": 2.0}, "give exactly one of them"),
        ({"steps": 0}, "a run needs more than none"),
        ({"schedule": "cosin"}, "unknown schedule 'cosin'. Did you mean 'cosine'"),
        ({"targets": ("q_projj",)}, "unknown target layer 'q_projj'. Did you mean 'q_proj'"),
        ({"targets": ()}, "targets is empty"),
    ],
    ids=str,
)
def test_cell_refuses(change, message):
    with pytest.raises(InputError, match=message):
        CELL.with_(**change)


def test_steps_and_passes():
    assert CELL.total_steps == 100
    assert CELL.passes == 100 * 16 / 32
    epochs = CELL.with_(steps=None, epochs=2.0, size=100)
    assert epochs.total_steps == round(200 / 16)
    assert CELL.with_(steps=None, epochs=0.01).total_steps == 1


def test_precisions_are_those_of_the_kernels():
    assert tuple(products.PRECISIONS) == PRECISIONS


def test_precision_is_part_of_a_cells_name_unless_it_is_the_default():
    cell = CellConfig(data="d", base="b", size=1)
    assert cell.with_(precision="float32").key() == cell.key()
    assert cell.with_(precision="int8").key() != cell.key()
    with pytest.raises(InputError, match="Known: bfloat16, float32, int8"):
        cell.with_(precision="fp8")
