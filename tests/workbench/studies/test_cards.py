"""Several cards: one worker on each, that sees no other, computes as the run does, and gives it back."""

import os
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from follows import follows

from workbench import devices
from workbench.config import CellConfig
from workbench.data.batches import Pool
from workbench.data.templates import Example
from workbench.errors import InputError
from workbench.studies import engine
from workbench.studies.executors import make_executor, processes, shipping
from workbench.studies.executors.processes import Processes, available_cores
from workbench.studies.executors.protocol import Task
from workbench.studies.executors.ray_cluster import RayCluster
from workbench.training.evaluation import HeldOut
from workbench.training.loop import Frozen
from workbench.training.prepare import Prepared

WORKER = """
import json, os, struct, sys, time

def receive():
    head = sys.stdin.buffer.read(8)
    if len(head) < 8:
        return None
    data = sys.stdin.buffer.read(struct.unpack("<Q", head)[0])
    length = struct.unpack("<Q", data[:8])[0]
    return json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["value"])

def send(value):
    header = json.dumps({"__metadata__": {"value": json.dumps(value)}}).encode()
    data = struct.pack("<Q", len(header)) + header
    sys.stdout.buffer.write(struct.pack("<Q", len(data)) + data)
    sys.stdout.buffer.flush()

def log(*words):
    with open(os.environ["LOG"], "a") as file:
        print(time.monotonic(), os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES"), *words, file=file)

receive()
while (task := receive()) is not None:
    log("begins", task["stack"])
    time.sleep(0.05)
    log("ends", task["stack"])
    if task["stack"] == int(os.environ["DEADLY"]):
        os._exit(3)
    said = {"kind": "error", "task": task, "step": 0, "losses": [], "detail": ""}
    send({**said, "results": {}, "seconds": 0.0})
"""
"""Speaks as a worker does, but imports nothing and trains nothing."""


@pytest.fixture(autouse=True)
def unchecked(monkeypatch):
    """What stands for a job or a decoder here is none."""
    monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)


@pytest.fixture
def trained(monkeypatch, tmp_path):
    """Return a function that gives tasks to an executor of made-up workers, and returns what these wrote."""

    @contextmanager
    def shipped(job):
        yield {}

    monkeypatch.setattr(processes, "PROGRAM", WORKER)
    monkeypatch.setattr(processes, "shipped", shipped)
    monkeypatch.setattr(processes, "leave_card", lambda job: None)
    monkeypatch.setattr(processes, "affordable_workers", lambda: 100)
    log = tmp_path / "log"
    monkeypatch.setenv("LOG", str(log))

    def train(executor: Processes, tasks: int, deadly: int = -1) -> tuple[list[list[str]], list[str]]:
        monkeypatch.setenv("DEADLY", str(deadly))
        told = []
        everything = [Task(number) for number in range(tasks)]
        executor.execute(SimpleNamespace(threads=1), everything, told.append, lambda: False)
        return [line.split() for line in log.read_text().splitlines()], sorted(event.kind for event in told)

    return train


def spans(lines: list[list[str]]) -> dict[str, list[tuple[float, float]]]:
    """Return when each card was at work, by what its workers saw."""
    found: dict[str, list[tuple[float, float]]] = {}
    begun: dict[tuple[str, str], float] = {}
    for moment, process, card, what, stack in lines:
        if what == "begins":
            begun[process, stack] = float(moment)
        else:
            found.setdefault(card, []).append((begun[process, stack], float(moment)))
    return found


def test_each_card_has_one_worker_at_a_time(trained, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    executor = Processes(None, [0, 1, 3])
    lines, kinds = trained(executor, 9)
    assert kinds == ["error"] * 9
    used = spans(lines)
    assert used.keys() == {"0", "1", "3"}, "a worker sees one card, and every card is used"
    for times in used.values():
        ordered = sorted(times)
        assert all(end <= begin for (_, end), (begin, _) in pairwise(ordered))
    assert sorted(executor.free_cards) == [0, 1, 3]
    assert len({process for _, process, *_ in lines}) == 3


def test_a_worker_that_dies_gives_its_card_back(trained, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-5e2a")
    executor = Processes(None, [0])
    lines, kinds = trained(executor, 3, deadly=0)
    assert kinds == ["error", "error", "lost"]
    assert spans(lines).keys() == {"GPU-5e2a"}
    assert len({process for _, process, *_ in lines}) == 2, "another process took its place on the card"
    assert list(executor.free_cards) == [0]


def test_a_run_that_is_stopped_gives_the_cards_back(trained, monkeypatch):
    executor = Processes(None, [0, 1])
    executor.execute(SimpleNamespace(threads=1), [Task(0), Task(1)], lambda event: None, lambda: True)
    assert sorted(executor.free_cards) == [0, 1]


def test_workers_on_the_processor_see_what_the_run_sees(trained, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    lines, _ = trained(Processes(2), 4)
    assert spans(lines).keys() == {"None"}
    assert Processes().workers == available_cores()


@pytest.mark.parametrize(
    ("seen", "card", "expected"),
    [(None, 2, "2"), ("3,5", 1, "5"), (" GPU-a , GPU-b ", 0, "GPU-a"), ("", 1, "1")],
)
def test_a_card_is_named_as_the_run_s_own_environment_names_it(monkeypatch, seen, card, expected):
    environment = {} if seen is None else {"CUDA_VISIBLE_DEVICES": seen}
    assert devices.alone(card, environment) == {"CUDA_VISIBLE_DEVICES": expected}
    monkeypatch.setattr(torch.version, "hip", "7.0")
    assert devices.alone(card, {"HIP_VISIBLE_DEVICES": seen or ""}) == {"HIP_VISIBLE_DEVICES": expected}


@pytest.fixture
def cards(monkeypatch):
    """Return a function that says which cards torch finds, by name; it can't compute on any."""

    def of(*names: str) -> None:
        kinds = [SimpleNamespace(name=name, total_memory=80 * 2**30) for name in names]

        def number(device) -> int:
            return device if isinstance(device, int) else device.index

        monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(names))
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(names))
        monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda one: kinds[number(one)])
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda one: kinds[number(one)].name)
        monkeypatch.setattr(devices, "why_no_triton", lambda: None)

    yield of
    torch.use_deterministic_algorithms(False)


def test_only_cards_of_one_kind_work_on_one_study(cards):
    cards("H100", "A10", "H100")
    assert devices.equal_cards(torch.device("cuda", 0)) == [0, 2]
    assert devices.equal_cards(torch.device("cpu")) == []


def test_there_are_as_many_workers_as_cards_of_that_kind(cards):
    cards("H100", "A10", "H100")
    executor = engine.trainer_of("processes", None, "cuda")
    assert executor.workers == 2
    assert list(executor.free_cards) == [0, 2]
    assert engine.trainer_of("processes", None, "auto").workers == 2
    assert engine.trainer_of("in-process", None, "cuda").workers == 1
    assert engine.trainer_of("processes", None, "cpu").workers == available_cores()


@follows("a card trains one stack at a time, which may fill it")
def test_two_workers_never_share_a_card():
    with pytest.raises(InputError, match="workers is 3, but a card") as refused:
        make_executor("processes", 3, [0, 1])
    workers = int(str(refused.value).rpartition("--workers ")[2])
    assert make_executor("processes", workers, [0, 1]).workers == workers == 2


def test_a_worker_settles_its_card_as_the_run_does(cards, monkeypatch):
    """Equal bits on equal cards need it in every process."""
    cards("H100")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(
        shipping, "load_base", lambda path, precision, device, hold: SimpleNamespace(sha256="s", on=device)
    )
    torch.use_deterministic_algorithms(False)
    description = {"base": {"path": str(os.curdir), "sha256": "s"}, "device": "cuda", "precision": "bfloat16"}
    description["hold"] = "decoded"
    base = shipping._base(description, shipping.fetch_nothing)
    assert base.on == torch.device("cuda", 0), "the first that the worker sees is its own"
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cuda.matmul.allow_tf32
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == devices.REPEATABLE_CUBLAS


def test_a_task_of_ray_asks_for_a_card_only_where_it_trains_on_one():
    def options(cards: int, own: bool) -> dict:
        cluster = RayCluster.__new__(RayCluster)
        cluster._cards, cluster.own = cards, own
        return cluster.options(4)

    assert options(0, True) == {"max_retries": 0, "num_cpus": 1}
    assert options(0, False) == {"max_retries": 0, "num_cpus": 4}
    assert options(2, True) == {"max_retries": 0, "num_cpus": 1, "num_gpus": 1, "max_calls": 1}
    assert options(2, False)["num_gpus"] == 1


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="ray isn't installed")
def test_ray_gives_every_task_a_card_of_its_own(monkeypatch):
    """Ray believes in two cards if it is told so; which of them a task has is in its environment."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    cluster = RayCluster(None, [0, 1])
    try:
        assert cluster.workers == 2
        assert cluster.ray.cluster_resources()["GPU"] == 2

        def seen() -> tuple[str, float, float]:
            import os
            import time

            begun = time.time()
            time.sleep(0.5)
            return os.environ["CUDA_VISIBLE_DEVICES"], begun, time.time()

        body = cluster.ray.remote(**cluster.options(1))(seen)
        found = cluster.ray.get([body.remote() for _ in range(4)])
    finally:
        cluster.close()
    assert {card for card, _, _ in found} == {"0", "1"}
    for card in ("0", "1"):
        times = sorted((begun, ended) for own, begun, ended in found if own == card)
        assert all(end <= begin for (_, end), (begin, _) in pairwise(times))


class Elsewhere:
    """A decoder that says where it lies, and keeps what is moved there."""

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)
        self.weights = {"norm": torch.ones(2)}
        self.prepared = {"norm": torch.ones(2)}


def test_frozen_states_reach_the_worker_s_device():
    pool = Pool([Example((1, 2, 3), 1), Example((1, 4, 5, 6), 2)])
    cell = CellConfig(data="d", base="b", size=1, batch_size=1, steps=1, rank=1)
    states = torch.arange(14.0).view(7, 2)
    frozen = Frozen(Elsewhere("cpu"), pool, 1, states)
    prepared = Prepared(pool, 1, lambda: frozen, {cell.key(): [0]}, HeldOut([1]))
    data = shipping.pack_prepared([[cell]], prepared)
    _, there = shipping.unpack_prepared(*shipping.unpack(data), Elsewhere("meta"))
    assert there.frozen.states.device.type == "meta"
    _, here = shipping.unpack_prepared(*shipping.unpack(data), Elsewhere("cpu"))
    assert torch.equal(here.frozen.states, states)


def test_a_run_leaves_its_card_to_the_worker():
    pool = Pool([Example((1, 2, 3), 1)])
    decoder = Elsewhere("meta")
    decoder.weights, moved = {"norm": SimpleNamespace(to=lambda device: moved.append(device) or "there")}, []
    states = SimpleNamespace(to=lambda device: torch.zeros(3, 2))
    prepared = Prepared(pool, 1, lambda: Frozen(decoder, pool, 1, states), {}, HeldOut([0]))
    job = SimpleNamespace(base=SimpleNamespace(decoder=decoder), prepared=prepared)
    shipping.leave_card(job)
    assert moved == ["cpu"]
    assert decoder.weights == {"norm": "there"}
    assert decoder.prepared == {}, "nothing is held twice"
    assert prepared.frozen.states.device.type == "cpu"
    on_processor = Elsewhere("cpu")
    shipping.leave_card(SimpleNamespace(base=SimpleNamespace(decoder=on_processor), prepared=prepared))
    assert on_processor.prepared, "a processor's memory is the run's own"
