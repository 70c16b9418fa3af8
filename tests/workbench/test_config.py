from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qlora_kernels import products
from workbench.config import PRECISIONS, CellConfig, Quality
from workbench.errors import InputError
from workbench.models.on_gpu import COMPUTED_IN

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


OTHERS = {
    "data": {"data": "mine.jsonl"},
    "data_fingerprint": {"data_fingerprint": "ab"},
    "base": {"base": "other"},
    "base_sha256": {"base_sha256": "cd"},
    "template": {"template": "chat"},
    "loss_on": {"loss_on": "all"},
    "quality": {"quality": Quality(corruption="typo", share=0.5)},
    "size": {"size": 33},
    "size_in": {"size_in": "tokens"},
    "seed": {"seed": 1},
    "adapter": {"adapter": "dora"},
    "rank": {"rank": 4},
    "alpha": {"alpha": 8.0},
    "targets": {"targets": ("q_proj",)},
    "first_layer": {"first_layer": 1},
    "learning_rate": {"learning_rate": 1e-3},
    "schedule": {"schedule": "linear"},
    "warmup": {"warmup": 0.2},
    "warmup_steps": {"warmup_steps": 3},
    "weight_decay": {"weight_decay": 0.1},
    "gradient_clip": {"gradient_clip": 0.5},
    "batch_size": {"batch_size": 8},
    "steps": {"steps": 60},
    "epochs": {"steps": None, "epochs": 3.0},
    "precision": {"precision": "bfloat16"},
}
"""Each field of a cell with another value, and what goes with it."""


NAMELESS = {"drawn"}
"""Fields that follow from the others; ``studies/test_sizes_in_tokens.py`` says that they name nothing."""


@pytest.mark.parametrize("name", [one.name for one in fields(CellConfig) if one.name not in NAMELESS])
def test_every_field_names_a_cell(name):
    changed = CELL.with_(**OTHERS[name])
    assert changed.key() != CELL.key()
    # and of two cells with other epochs it isn't the missing steps that tell them apart
    if name == "epochs":
        assert changed.key() != changed.with_(epochs=4.0).key()


def test_every_part_of_a_quality_names_a_cell():
    qualities = [
        Quality(),
        Quality(raters=1),
        Quality(raters=3),
        Quality(corruption="typo", share=0.5),
        Quality(corruption="typo", share=0.25),
        Quality(corruption="flip", share=0.5),
        Quality(corruption="flip", share=0.5, raters=3),
    ]
    assert len({CELL.with_(quality=quality).key() for quality in qualities}) == len(qualities)


def test_where_a_file_lies_names_a_cell_only_while_its_hash_is_unknown():
    hashes = {"data": "data_fingerprint", "base": "base_sha256"}
    for place, known in hashes.items():
        assert CELL.with_(**{place: "moved"}).key() != CELL.key()
        hashed = CELL.with_(**{known: "ab"})
        assert hashed.with_(**{place: "moved"}).key() == hashed.key()
        other = next(one for one in hashes if one != place)
        assert hashed.with_(**{other: "moved"}).key() != hashed.key()


def test_no_default_has_changed():
    """A field at its default isn't in the key: with another default, old keys would name other cells."""
    assert CellConfig(data="d", base="b", size=1).to_dict() == {
        "data": "d",
        "data_fingerprint": "",
        "base": "b",
        "base_sha256": "",
        "template": "plain",
        "loss_on": "last",
        "quality": {"corruption": "none", "share": 1.0, "raters": None},
        "size": 1,
        "size_in": "examples",
        "drawn": None,
        "seed": 0,
        "adapter": "lora",
        "rank": 8,
        "alpha": 16.0,
        "targets": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
        "first_layer": 0,
        "learning_rate": 2e-3,
        "schedule": "cosine",
        "warmup": 0.1,
        "warmup_steps": None,
        "weight_decay": 0.0,
        "gradient_clip": 1.0,
        "batch_size": 16,
        "steps": 100,
        "epochs": None,
        "precision": "float32",
    }


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
    assert epochs.total_steps == 12
    assert epochs.with_(size=110).total_steps == 14, "13.75, rounded to the nearest"
    assert epochs.with_(size=110).passes == 14 * 16 / 110
    assert CELL.with_(steps=None, epochs=0.01).total_steps == 1


def test_precisions_are_those_of_the_kernels():
    of_activations = ("float16", "bfloat16-activations")
    on_processors = [name for name in PRECISIONS if name not in of_activations]
    assert list(products.PRECISIONS) == on_processors
    assert COMPUTED_IN.keys() == {*PRECISIONS} - {"int8", "bfloat16-activations"}


def test_precision_is_part_of_a_cells_name_unless_it_is_the_default():
    cell = CellConfig(data="d", base="b", size=1)
    assert cell.with_(precision="float32").key() == cell.key()
    assert cell.with_(precision="int8").key() != cell.key()
    with pytest.raises(InputError, match="Known: bfloat16, bfloat16-activations, float16, float32, int8"):
        cell.with_(precision="fp8")
