"""The table of products: it is complete, the operators obey it, and a measured one replaces a counted one."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch

from qlora_kernels import product_routes, quantize, tiles
from qlora_kernels.formats_layout import LEVELS
from qlora_kernels.lab.compiler import captured
from qlora_kernels.linear import lora_linear, quantized_linear
from qlora_kernels.product_routes import PRODUCTS, SizeBand, Target, choose_product, product_for, routes
from qlora_kernels.products import PreparedWeight

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "choose_routes.py"
CPU = torch.device("cpu")  # interprets as sm_80
SHAPES = [
    (m, k, n) for m in (1, 17, 300, 5000, 70_000) for k, n in ((576, 1536), (2048, 2048), (14336, 4096))
]


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("choose_routes", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def table(monkeypatch):
    """A table in which decoding once begins at 5 rows forward and 9 backward."""

    def bands(first):
        return {
            kind: [SizeBand(10**12, first - 1, "fused"), SizeBand(10**12, 10**12, "decoded")]
            for kind in ("pairs", "int8")
        }

    made = {
        "forward": {"sm_80": Target("made up", bands(5))},
        "input_gradient": {"sm_80": Target("made up", bands(9))},
    }
    monkeypatch.setattr(product_routes, "routes", lambda: made)


def test_every_chip_and_kind_has_bands_up_to_any_size():
    for kernel, targets in routes().items():
        assert kernel in tiles.table()
        for name, target in targets.items():
            assert target.made_from.startswith(("counted", "measured on")), name
            for kind in ("pairs", "int8"):
                last = target.bands[kind][-1]
                assert (last.weights, last.rows) == (float("inf"), float("inf"))
                assert {band.product for band in target.bands[kind]} <= set(PRODUCTS)


@pytest.mark.parametrize("target", sorted(tiles.table()["forward"]))
def test_every_chip_with_tiles_has_routes(target, monkeypatch):
    monkeypatch.setattr(tiles, "target_of", lambda _: target)
    for kernel in tiles.table():
        for levels in (*LEVELS, "int8"):
            for shape in SHAPES:
                chosen = product_for(kernel, levels, shape, torch.bfloat16, CPU, "auto")
                assert chosen.route in PRODUCTS
                assert f"on {target} for {shape[0]} rows" in chosen.reason


def launched(rows, weight, *, adapters=True, backend="triton"):
    x = torch.zeros(rows, 64, dtype=torch.bfloat16, requires_grad=True)
    a, b = torch.zeros(3, 64).bfloat16(), torch.zeros(8, 3).bfloat16()

    def run():
        y = (
            lora_linear(x, weight, a, b, 1.0, backend=backend)
            if adapters
            else quantized_linear(x, weight, backend=backend)
        )
        y.backward(torch.zeros_like(y))

    return {launch.name for launch in captured(run)}


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("adapters", [True, False])
@pytest.mark.parametrize("format", ["nf4", "q8_0"])
def test_the_operators_take_what_the_table_says(format, adapters):
    weight = quantize(torch.randn(8, 64), format)
    for rows, forward, backward in (
        (4, "fused", "fused"),
        (5, "decoded", "fused"),
        (9, "decoded", "decoded"),
    ):
        names = launched(rows, weight, adapters=adapters)
        assert ("linear_forward" in names) == (forward == "fused")
        assert ("linear_input_gradient" in names) == (backward == "fused")
        assert ("decode_part" in names) == ("decoded" in (forward, backward))
        for kernel, taken, given in (
            ("forward", forward, (rows, 64)),
            ("input_gradient", backward, (rows, 8)),
        ):
            chosen = choose_product(torch.zeros(given).bfloat16(), weight, "triton", kernel)
            assert chosen.route == taken
            assert chosen.reason == f"the cheaper one on sm_80 for {rows} rows and 8 x 64 weights, made up"


@pytest.mark.usefixtures("table")
def test_naming_a_product_forces_it():
    weight = quantize(torch.randn(8, 64), "nf4")
    assert "decode_part" not in launched(20, weight, backend="fused")
    assert "linear_forward" not in launched(1, weight, backend="decoded")
    assert choose_product(torch.zeros(20, 64).bfloat16(), weight, "fused").reason == "asked for by name"


@pytest.mark.usefixtures("table")
def test_where_there_is_nothing_to_choose():
    x, dense = torch.zeros(20, 64).bfloat16(), torch.zeros(8, 64).bfloat16()
    assert "nothing is decoded" in choose_product(x[:1], dense, "triton").reason
    assert "nothing is decoded" in choose_product(x, PreparedWeight((dense,)), "triton").reason
    assert "float32 exactly" in choose_product(x.float(), quantize(dense.float(), "nf4"), "triton").reason
    assert choose_product(x, dense).route == "torch"
    assert choose_product(x, dense, "reference").reason == "asked for by name"


def test_a_chip_that_the_table_does_not_know_is_named(monkeypatch):
    monkeypatch.setattr(tiles, "target_of", lambda _: "sm_70")
    chosen = product_for("forward", "nf4", (5000, 64, 64), torch.bfloat16, CPU, "auto")
    assert (chosen.route, chosen.reason) == ("fused", "the table of products says nothing about sm_70")


# ------------------------------------------------------------------------------------------ making it


def timed(rows, fused, decoded, *, operator="forward", format="nf4", N=2048, K=2048):
    return {
        "operator": operator, "format": format, "rows": rows, "K": K, "N": N, "target": "sm_90",
        "card": "H100", "fused_ms": fused, "decoded_ms": decoded,
    }  # fmt: skip


def test_measured_times_make_bands(script):
    times = [
        timed(16, 1, 2), timed(64, 1, 2), timed(512, 3, 2.5), timed(4096, 9, 5),
        timed(512, 1, 2, format="q8_0"), timed(512, 9, 1, operator="input_gradient"),
        timed(512, 1, 2, N=14336), timed(512, 2, 9, N=14336, K=4096),
    ]  # fmt: skip
    bands = script.measured("forward", times)
    assert bands["pairs"] == [(2**23, 64, "fused"), (2**23, None, "decoded"), (None, None, "fused")]
    # one slip does not cut a band in two: what is lost in all is the least
    assert script.steps(None, [(16, 1, 2), (64, 2.1, 2), (512, 1, 2), (4096, 9, 5)])[0] == (
        None,
        512,
        "fused",
    )
    assert script.steps(None, [(16, 2, 1), (64, 2, 1)]) == [(None, None, "decoded")]
    assert bands["int8"] == [(2**23, None, "fused")]
    assert script.measured("input_gradient", times)["pairs"] == [(2**23, None, "decoded")]


@pytest.mark.parametrize("record", [False, True])
def test_a_measured_target_replaces_a_counted_one(script, tmp_path, monkeypatch, record):
    counted = {kernel: {"sm_80": {"made_from": "counted for an A100, not measured", "bands": {}},
                        "sm_90": {"made_from": "counted for an H100, not measured", "bands": {}}}
               for kernel in script.KERNELS}  # fmt: skip
    path, times = tmp_path / "routes.json", tmp_path / "times.json"
    path.write_text(json.dumps(counted))
    rows = [timed(512, 3, 2), timed(512, 2, 3, operator="input gradient")]
    if record:  # as `make gpu-check` writes it, with rows of other operators
        rows = [{name: value for name, value in row.items() if name != "card"} for row in rows]
        other = {"operator": "rms_norm", "format": None, "rows": 8, "fused_ms": 1.0, "decoded_ms": None}
        rows = {"card": "H100", "parts": {"operators": {"result": {"rows": [*rows, other]}}}}
    times.write_text(json.dumps(rows))
    monkeypatch.setattr(script, "ROUTES", path)
    monkeypatch.setattr("sys.argv", ["choose_routes.py", "--measured", str(times)])
    script.main()
    written = json.loads(path.read_text())
    assert written["forward"]["sm_80"] == counted["forward"]["sm_80"]
    assert written["forward"]["sm_90"]["made_from"] == "measured on H100"
    assert written["forward"]["sm_90"]["bands"]["pairs"] == [[2**23, None, "decoded"]]
    assert written["input_gradient"]["sm_90"]["bands"]["pairs"] == [[2**23, None, "fused"]]


def test_the_count_ranks_as_it_should(script):
    """Few rows don't pay for a scratch; many do, the more so the more instructions a weight costs."""
    card, tiles_of = script.CARDS["sm_80"], tiles.table()["forward"]["sm_80"]

    def gain(rows, instructions):
        tile = tiles_of["few" if rows <= tiles.FEW_ROWS else "many"]
        fused = script.fused_seconds(card, tile, instructions, 5.0, rows, 4096, 4096)
        return fused / script.decoded_seconds(card, 5.0, rows, 4096, 4096)

    assert gain(16, 8) < 1 < gain(8192, 8) < gain(8192, 16) < gain(8192, 32)
