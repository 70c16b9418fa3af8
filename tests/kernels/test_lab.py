"""The kernel lab: each common mistake gets its hint, what is right is right, and what is touched is drawn."""

import importlib.util
import re
from pathlib import Path

import jupytext
import numpy as np
import pytest
import torch

from workbench.lessons import exercises
from workbench.lessons.kernel_lab import check_kernel, solved
from workbench.lessons.kernel_lab.kernel_list import KERNEL_EXERCISES
from workbench.lessons.kernel_lab.touched import DrawnTensor, drawing, rectangles
from workbench.lessons.widgets.touches import Touches

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "03k_kernel_lab.py"
SOLVED = Path(solved.__file__).read_text(encoding="utf-8")
CELLS = [cell for cell in jupytext.read(NOTEBOOK).cells if cell.cell_type == "code"]
HEAD = "import torch\nimport triton\nimport triton.language as tl\n\n"


def written(path, text):
    """Import a module of this text."""
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def launches(tmp_path_factory):
    """The notebook's own launches, by the exercise."""
    functions = [
        source
        for cell in CELLS
        for source in re.findall(
            r"^(?:@triton\.jit\n)?def \w+\(.*?\):\n(?:(?: .*)?\n)+", cell.source + "\n", re.M
        )
    ]
    wanted = [
        one for one in functions if re.search(rf"^def ({'|'.join(KERNEL_EXERCISES)}|expand)\(", one, re.M)
    ]
    text = f"{HEAD}BLOCK = 64\n\n" + "\n\n".join(wanted)
    return written(tmp_path_factory.mktemp("launches") / "launches.py", text)


@pytest.fixture(autouse=True)
def fresh():
    exercises.VERDICTS.clear()


@pytest.mark.parametrize("name", KERNEL_EXERCISES)
def test_a_solution_is_correct_and_its_text_that_of_the_package(launches, name):
    found = [cell.source for cell in CELLS if f"def {name}_solved(" in cell.source]
    assert len(found) == 1
    assert found[0].replace(f"{name}_solved", f"{name}_kernel") in SOLVED
    assert check_kernel(name, getattr(launches, name), getattr(solved, f"{name}_kernel")).words == "correct"


@pytest.mark.parametrize("name", KERNEL_EXERCISES)
def test_a_hole_is_nothing_filled_in(launches, tmp_path, name):
    hole = next(cell.source for cell in CELLS if f"def {name}_mine(" in cell.source)
    kernel = getattr(written(tmp_path / "hole.py", f"{HEAD}{hole}"), f"{name}_mine")
    verdict = check_kernel(name, getattr(launches, name), kernel)
    assert not verdict.correct
    assert verdict.words.startswith("not yet: nothing is filled in")


TILES = "tl.program_id(0) counts the tiles along M and tl.program_id(1) those along N."
MASK = "a mask has to switch off the lanes behind the edge"
WALK = (
    "right = tl.load(w + n * K + k[:, None], (n < N) & (k[:, None] < K), other=0.0)\n"
    '        total = tl.dot(left, right, total, input_precision="ieee")'
)
MISTAKES = [
    (
        "scale",
        "value = tl.load(w + row * K + column, column < K, other=0.0)",
        "value = tl.load(w + row * K + column)",
        MASK,
    ),
    ("scale", "tl.load(factor + row), column < K)", "tl.load(factor + row))", MASK),
    ("scale", "value * tl.load(factor + row)", "value", "The factor is missing"),
    ("scale", "value * tl.load(factor + row)", "value * tl.load(factor)", "All rows get the first factor"),
    ("scale", "value * tl.load(factor + row)", "value * tl.load(factor + column)", "factor + row"),
    ("scale", "tl.load(w + row * K + column,", "tl.load(w + column,", "Every program reads the first row"),
    (
        "scale",
        "tl.load(w + row * K + column,",
        "tl.load(w + row * WIDTH + column,",
        "the step from row to row K",
    ),
    ("scale", "tl.store(y + row * K", "tl.store(y + row * WIDTH", "the step from row to row K"),
    ("scale", "tl.store(y + row * K + column", "tl.store(y + column", "tl.program_id(0)"),
    ("scale", "row, column = tl.program_id(0)", "row, column = tl.program_id(1)", "tl.program_id(0)"),
    (
        "scale",
        "\n    tl.store(y + row * K + column, value * tl.load(factor + row), column < K)",
        "",
        "stores nothing",
    ),
    ("product", "(m < M) & (k[None, :] < K), other=0.0", "m < M, other=0.0", MASK),
    ("product", "(m < M) & (k[None, :] < K), other=0.0", "k[None, :] < K, other=0.0", MASK),
    (
        "product",
        "(m < M) & (k[None, :] < K), other=0.0",
        "(m < M) & (k[None, :] < K)",
        "other=0.0 makes it zero",
    ),
    ("product", "x + m * K + k[None, :], (m", "x + m * N + k[None, :], (m", "x is (M, K)"),
    ("product", "w + n * K + k[:, None], (n", "w + k[:, None] * N + n, (n", "w is (N, K)"),
    ("product", "w + n * K + k[:, None], (n", "w + n * N + k[:, None], (n", "w is (N, K)"),
    ("product", "total, (m < M) & (n < N))", "total)", MASK),
    ("product", "n = tl.program_id(1) * TILE", "n = tl.program_id(0) * TILE", TILES),
    ("product", "m = tl.program_id(0) * TILE", "m = tl.program_id(1) * TILE", TILES),
    ("product", 'tl.dot(left, right, total, input_precision="ieee")', "tl.dot(left, right, total)", "tf32"),
    (
        "product",
        'tl.dot(left, right, total, input_precision="ieee")',
        'tl.dot(left, right, input_precision="ieee")',
        "Every step starts anew",
    ),
    ("product", "range(0, K, TILE)", "range(0, TILE, TILE)", "the first step along K alone"),
    (
        "product",
        'tl.dot(left, right, total, input_precision="ieee")',
        '(total + tl.dot(left, right, input_precision="ieee")).to(tl.float16).to(tl.float32)',
        "keep the total in float32",
    ),
    (
        "product",
        "tl.zeros((TILE, TILE), tl.float32)",
        "tl.zeros((TILE, TILE), tl.float16)",
        "keep the total in float32",
    ),
    ("lora", "total = scale * tl.dot", "total = tl.dot", "The scale is missing"),
    ("lora", "total = scale * tl.dot", "total = scale * scale * tl.dot", "twice"),
    ("lora", "b + n * R + r[:, None], n < N", "b + r[:, None] * N + n, n < N", "b is (N, R)"),
    ("lora", 'tl.dot(small, wide, input_precision="ieee")', "tl.dot(small, wide)", "tf32"),
    ("lora", "s + m * R + r[None, :], m < M", "s + m * R + r[None, :], m >= 0", MASK),
    ("quantize", "low | (high << 4)", "high | (low << 4)", "exchanged"),
    ("quantize", "low | (high << 4)", "low | high", "up by four bits"),
    ("quantize", "low | (high << 4)", "low", "odd weight's code is missing"),
    ("quantize", "(largest, 7.0)", "(largest, 8.0)", "divide it by 7"),
    (
        "quantize",
        "tl.max(tl.abs(even), 0), tl.max(tl.abs(odd), 0)",
        "tl.max(even, 0), tl.max(odd, 0)",
        "tl.abs",
    ),
    (
        "quantize",
        "tl.maximum(tl.max(tl.abs(even), 0), tl.max(tl.abs(odd), 0))",
        "tl.max(tl.abs(even), 0)",
        "over the odd",
    ),
    (
        "quantize",
        "(scales + block, scale)",
        "(scales + block, scale, block < 0)",
        "nothing is stored in scales",
    ),
    ("quantize", "packed + block * (B // 2)", "packed + block * B", "block i starts at packed"),
    ("quantize", "w + block * B + 2 * pair)", "w + block * B * 2 + 2 * pair)", "Block i starts at w"),
    ("decode", "tl.join(low, high)", "tl.join(high, low)", "exchanged"),
    ("decode", " * scale[:, None]", "", "The scale is missing"),
    (
        "decode",
        "low = (byte & 0xF).to(tl.float32) - 8.0\n    high = (byte >> 4).to(tl.float32) - 8.0",
        "low = (byte & 0xF).to(tl.float32)\n    high = (byte >> 4).to(tl.float32)",
        "take 8 away",
    ),
    (
        "decode",
        "low = (byte & 0xF).to(tl.float32) - 8.0\n    high = (byte >> 4).to(tl.float32) - 8.0",
        "low = ((byte & 0xF) - 8).to(tl.float32)\n    high = ((byte >> 4) - 8).to(tl.float32)",
        "no negative numbers",
    ),
    (
        "decode",
        "tl.reshape(tl.join(low, high), (byte.shape[0], B))",
        "tl.cat(tl.reshape(low, (B // 2,)), tl.reshape(high, (B // 2,)), can_reorder=True)[None, :]",
        "tl.join puts them side by side",
    ),
    ("fused", "scales + n * (K // B) + g", "scales + n * (K // B)", "its row's first one"),
    ("fused", "scales + n * (K // B) + g", "scales + n", "one scale a row"),
    ("fused", "scales + n * (K // B) + g", "scales + 0 * n + g", "the scales of the first"),
    (
        "fused",
        "n[:, None] * (K // 2) + g * (B // 2)",
        "n[:, None] * K + g * (B // 2)",
        "row n starts at packed",
    ),
    ("fused", "n[:, None] * (K // 2) + g * (B // 2)", "n[:, None] * (K // 2)", "the first block of its row"),
    ("scale", "value * tl.load(factor + row)", "value + tl.load(factor + row)", "That is the sum"),
    ("product", "tl.store(y + m * N + n,", "tl.store(y + n * M + m,", "y is (M, N)"),
    (
        "lora",
        "total = tl.dot(left, right, total",
        "tl.dot(left, right, total",
        "The base's product is missing",
    ),
    (
        "lora",
        ("total = scale * tl.dot", "tl.store(y + m * N + n, total,"),
        ("total = tl.dot", "tl.store(y + m * N + n, scale * total,"),
        "the adapter's part alone",
    ),
    (
        "quantize",
        ("div_rn(even, scale) + 0.5)", "div_rn(odd, scale) + 0.5)"),
        ("div_rn(even, scale))", "div_rn(odd, scale))"),
        "Rounding down loses half a step",
    ),
    (
        "quantize",
        ("(even, scale) + 0.5) + 8)", "(odd, scale) + 0.5) + 8)"),
        ("(even, scale) + 0.5))", "(odd, scale) + 0.5))"),
        "Codes go from 0 to 15",
    ),
    (
        "quantize",
        ("w + block * B + 2 * pair)", "w + block * B + 2 * pair + 1)"),
        ("w + block * B + pair)", "w + block * B + B // 2 + pair)"),
        "Neighbours share a byte",
    ),
    (
        "fused",
        "tl.load(scales + n * (K // B) + g, n < N, other=0.0)",
        "tl.full((B,), 1.0, tl.float32)",
        "The scale is missing",
    ),
]
"""Exercise, what stands in the solution, what a learner writes instead, and a part of the hint."""


IDS = [re.sub(r"\W+", "-", f"{name} {hint}") for name, _, _, hint in MISTAKES]


@pytest.mark.parametrize(("name", "old", "new", "hint"), MISTAKES, ids=IDS)
def test_each_mistake_gets_its_hint(launches, tmp_path, name, old, new, hint):
    kernel = next(cell.source for cell in CELLS if f"def {name}_solved(" in cell.source)
    changes = zip(old, new, strict=True) if isinstance(old, tuple) else [(old, new)]
    for before, after in changes:
        assert kernel.count(before) == 1, "the text has changed"
        kernel = kernel.replace(before, after)
    head = HEAD + "from workbench.lessons.kernel_lab.solved import decode_kernel\n\n\n"
    module = written(tmp_path / "mine.py", f"{head}{kernel}\n")
    verdict = check_kernel(name, getattr(launches, name), getattr(module, f"{name}_solved"))
    assert not verdict.correct
    assert hint in verdict.words


def test_a_hint_for_each_kind_of_mistake():
    """Every hint that is written down is somebody's."""
    said = {hint for exercise in KERNEL_EXERCISES.values() for _, hint in exercise.mistakes}
    tried = [hint for *_, hint in MISTAKES]
    never = {one for one in said if not any(hint and hint in one for hint in tried) and "nothing" not in one}
    assert never == set()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("while True:\n        pass", "still running after"),
        ("raise KeyboardInterrupt", "it raises KeyboardInterrupt"),
        ("tl.load(w + no_such)", "no_such"),
    ],
)
def test_whatever_a_kernel_does_it_is_a_sentence(launches, tmp_path, body, words):
    text = f"{HEAD}\n@triton.jit\ndef mine(w, factor, y, K, WIDTH: tl.constexpr):\n    {body}\n"
    verdict = check_kernel("scale", launches.scale, written(tmp_path / "mine.py", text).mine, seconds=1)
    assert words in verdict.words
    assert not verdict.correct
    # the interpreter is left as it was found: the next check works
    assert check_kernel("scale", launches.scale, solved.scale_kernel).correct


def test_what_is_no_kernel_or_no_exercise_is_a_sentence(launches):
    assert "it raises" in check_kernel("scale", launches.scale, 5).words
    assert "this check could not be run (KeyError" in check_kernel("no such", launches.scale, 5).words
    returns_nothing = check_kernel(
        "scale", lambda kernel, w, f: launches.scale(kernel, w, f) and None, solved.scale_kernel
    )
    assert "the launch returns a NoneType" in returns_nothing.words or "raises" in returns_nothing.words


# ------------------------------------------------------------------------- what a launch touches


def cells(drawn, program, tensor, kind):
    place = [one.name for one in drawn.tensors].index(tensor)
    return [cells for where, what, cells in drawn.programs[program].cells if (where, what) == (place, kind)]


@pytest.fixture(scope="module")
def rows():
    return torch.arange(500.0).view(5, 100), torch.arange(5.0)


def test_a_row_a_program_and_what_the_mask_switches_off(launches, rows):
    drawn = drawing(lambda: launches.scale(solved.scale_kernel, *rows))
    assert (drawn.kernel, drawn.problem, drawn.strayed) == ("scale_kernel", "", None)
    assert [(one.name, one.rows, one.columns, one.loads, one.stored) for one in drawn.tensors] == [
        ("w", 5, 100, 500, 0),
        ("factor", 1, 5, 5, 0),
        ("y", 5, 100, 0, 500),
    ]
    for program in range(5):
        assert cells(drawn, program, "w", "load") == [[(program, 0, 1, 100)]]
        assert cells(drawn, program, "y", "store") == [[(program, 0, 1, 100)]]
        assert cells(drawn, program, "factor", "load") == [[(0, program, 1, 1)]]
        # lanes 100 to 127 point to the beginning of the next row; behind the last lies nothing
        assert cells(drawn, program, "w", "masked") == [[(program + 1, 0, 1, 28)]]
    assert drawn.tensors[0].behind == 1
    assert drawn.programs[2].words.startswith(
        "loads 100 of w, 1 of factor; stores 100 of y; switches off lanes: 28 at w, 28 at y"
    )


def test_what_lies_outside_is_marked_and_ends_it(launches, rows, tmp_path):
    text = HEAD + SOLVED.split("@triton.jit")[1].join(["@triton.jit", ""])
    careless = written(tmp_path / "careless.py", text.replace(", column < K, other=0.0", "")).scale_kernel
    shown = Touches(lambda: launches.scale(careless, *rows))
    assert cells(shown.drawing, 4, "w", "outside") == [[(5, 0, 1, 28)]]
    assert cells(shown.drawing, 4, "y", "store") == []
    assert cells(shown.drawing, 3, "w", "load") == [[(3, 0, 1, 100), (4, 0, 1, 28)]]
    assert shown.program == shown.drawing.strayed == 4
    assert "strays outside: 28 at w" in shown.words()
    assert "load outside 'w', 28 of 128 lanes" in shown.words()
    assert len(shown.picture().axes) == 3


def test_tiles_of_a_product(launches):
    x, w = torch.ones(72, 128), torch.ones(100, 128)
    drawn = drawing(lambda: launches.product(solved.product_kernel, x, w))
    assert len(drawn.programs) == 12
    # three programs along M run first: number 7 is (1, 2)
    assert drawn.programs[7].name == "1, 2"
    assert cells(drawn, 7, "x", "load") == [[(32, 0, 32, 128)]]
    assert cells(drawn, 7, "w", "load") == [[(64, 0, 32, 128)]]
    assert cells(drawn, 7, "y", "store") == [[(32, 64, 32, 32)]]
    assert cells(drawn, 11, "y", "store") == [[(64, 96, 8, 4)]]
    loads = {one.name: one.loads / (one.rows * one.columns) for one in drawn.tensors}
    assert loads == {"x": 4, "w": 3, "y": 0}


def test_a_launch_that_touches_nothing_or_is_none_is_drawn_too(launches, rows, tmp_path):
    text = (
        f"{HEAD}\n@triton.jit\ndef mine(w, factor, y, K, WIDTH: tl.constexpr):\n    row = tl.program_id(0)\n"
    )
    shown = Touches(lambda: launches.scale(written(tmp_path / "mine.py", text).mine, *rows))
    assert shown.words() == "program 4 touches nothing"
    assert len(shown.picture().axes) == 3
    nothing = Touches(lambda: torch.ones(2))
    assert nothing.words() == "no kernel was launched"
    assert nothing.picture()


def test_rectangles_hold_each_cell_once():
    tensor = DrawnTensor("w", 6, 10, before=1, behind=1, loads=0, stored=0)
    rng = np.random.default_rng(0)
    for density in (0.1, 0.5, 0.95):
        places = np.flatnonzero(rng.random(80) < density) - 10
        covered = [
            (top + row) * 10 + left + column
            for top, left, height, width in rectangles(places, tensor)
            for row in range(height)
            for column in range(width)
        ]
        assert sorted(covered) == places.tolist()
    assert rectangles(np.array([-40, 5, 99]), tensor) == [(0, 5, 1, 1)]  # what is far away is left out
