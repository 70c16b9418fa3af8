"""A Ray cluster whose machine sees none of the runner's files, as far as one machine can play two."""

import os
import shutil
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from small_study import measured, three_stacks

from workbench.config import CellConfig
from workbench.data.batches import Pool
from workbench.data.templates import Example
from workbench.errors import InputError
from workbench.files import sha256_of
from workbench.models.loaders import CLASSROOM
from workbench.studies.disk.store import Store
from workbench.studies.executors import shipping
from workbench.studies.executors.shipping import POOL, pack_prepared, unpack_prepared
from workbench.studies.executors.wire import unpack
from workbench.studies.plan import plan
from workbench.studies.runner import run
from workbench.training.evaluation import HeldOut
from workbench.training.loop import Frozen
from workbench.training.prepare import Prepared

HEAD = (
    'mount -t tmpfs tmpfs "$0" && exec "$1" -m ray.scripts.scripts start --head --block --num-cpus=2 '
    '--include-dashboard=false --disable-usage-stats --node-ip-address=127.0.0.1 --port="$2"'
)
"""Starts a head in a mount namespace of its own, in which the folder $0 is an empty one."""
RUNNER = """
import sys
from dataclasses import replace
from pathlib import Path
from small_study import three_stacks
from workbench.studies.runner import run
folder = Path(sys.argv[1])
run(replace(three_stacks(), base=str(folder / "base.gguf")), folder / "study", executor="ray", threads=1)
"""


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


@pytest.fixture
def head(tmp_path):
    """The environment of a runner, beside a head that sees nothing in the runner's folder."""
    hidden = tmp_path / "runner"
    hidden.mkdir()
    allowed = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs "$0"', str(hidden)]
    if not shutil.which("unshare") or subprocess.run(allowed, capture_output=True).returncode:
        pytest.skip("this user may not give a process its own view of the disk")
    paths = [str(Path(__file__).parent), *filter(None, sys.path)]
    common = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4, "OMP_NUM_THREADS": "1"}
    environment = {**os.environ, **common, "PYTHONPATH": os.pathsep.join(paths)}
    port = free_port()
    program = ["unshare", "--mount", "sh", "-c", HEAD, str(hidden), sys.executable, str(port)]
    there = {**environment, "WORKBENCH_CACHE": str(tmp_path / "cache")}
    process = subprocess.Popen(program, env=there, stdout=subprocess.PIPE, text=True, start_new_session=True)
    for line in process.stdout:
        if "--block" in line:
            break
    time.sleep(5)
    yield {**environment, "RAY_ADDRESS": f"127.0.0.1:{port}"}
    process.terminate()
    process.communicate(timeout=60)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="ray isn't installed")
def test_a_machine_that_sees_no_file_gets_their_bytes(head, tmp_path):
    folder = tmp_path / "runner"
    shutil.copyfile(CLASSROOM, folder / "base.gguf")
    runner = subprocess.run([sys.executable, "-c", RUNNER, folder], env=head, capture_output=True, text=True)
    assert runner.returncode == 0, runner.stderr
    with Store.open(folder / "study", read_only=True) as store:
        assert store.attempts() == []
        found = measured(store)
        study = store.manifest.study.written
    (shipped,) = (tmp_path / "cache" / "shipped").iterdir()
    assert shipped.name == f"{sha256_of(CLASSROOM)}.gguf", "the base lies there under its hash"
    here = run(three_stacks().from_dict(study), tmp_path / "here", threads=1)
    assert found == measured(here)


def test_what_a_worker_reads_is_what_the_runner_prepared():
    concrete = plan(three_stacks())
    decoder = concrete.base.decoder
    data = pack_prepared(concrete.stacks, concrete.prepared)
    stacks, again = unpack_prepared(*unpack(data), decoder)
    assert stacks == concrete.stacks
    assert again.draws == concrete.prepared.draws
    assert again.heldout == concrete.prepared.heldout
    assert pack_prepared(stacks, again) == data


def test_choices_and_states_arrive(tiny_decoder, tiny_pool):
    cell = CellConfig(data="d", base="b", size=2, first_layer=1)
    states = tiny_decoder.weight("embedding")[tiny_pool.tokens]
    heldout = HeldOut([1, 2], choices=[[3, 4], [5, 6]], right=[0, 1])
    frozen = Frozen(tiny_decoder, tiny_pool, 1, states)
    prepared = Prepared(tiny_pool, 1, lambda: frozen, {cell.key(): [7, 8]}, heldout)
    stacks, again = unpack_prepared(*unpack(pack_prepared([[cell]], prepared)), tiny_decoder)
    assert (stacks, again.draws, again.heldout) == ([[cell]], {cell.key(): [7, 8]}, heldout)
    assert again.frozen.states.equal(states)
    assert (again.frozen.first, again.frozen.pool.shared) == (1, tiny_pool.shared)
    assert (again.first, again.pool) == (1, again.frozen.pool)


def test_a_study_that_adapts_every_block_has_no_states(tiny_decoder):
    pool = Pool([Example((1, 2, 3), 2), Example((1, 4), 1)])
    cell = CellConfig(data="d", base="b", size=1)
    frozen = Frozen(tiny_decoder, pool, 0, None)
    prepared = Prepared(pool, 0, lambda: frozen, {cell.key(): [0]}, HeldOut([1]))
    _, again = unpack_prepared(*unpack(pack_prepared([[cell]], prepared)), tiny_decoder)
    assert again.frozen.states is None
    assert again.frozen.pool.prompts.tolist() == [2, 1]


def test_the_labels_of_earlier_answers_arrive(tiny_decoder):
    pool = Pool([Example((1, 2, 3, 4), 3, 1, ((1, 7), (2, 3))), Example((1, 4), 1)])
    cell = CellConfig(data="d", base="b", size=1)
    frozen = Frozen(tiny_decoder, pool, 0, None)
    prepared = Prepared(pool, 0, lambda: frozen, {cell.key(): [0]}, HeldOut([1]))
    _, again = unpack_prepared(*unpack(pack_prepared([[cell]], prepared)), tiny_decoder)
    for name in POOL:
        assert getattr(again.frozen.pool, name).equal(getattr(pool, name)), name


@pytest.mark.parametrize("sent", [None, b"", b"something else"], ids=["nothing", "empty", "other"])
def test_bytes_that_are_not_the_file_are_refused(tmp_path, monkeypatch, sent):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    with pytest.raises(InputError, match=r"a worker can't read .* as the runner did"):
        shipping._found(tmp_path / "base.gguf", "0" * 64, lambda sha256: sent)
    assert not (tmp_path / "cache").exists()


def test_a_file_that_was_changed_is_fetched_and_kept_under_its_hash(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "base.gguf").write_bytes(b"changed since")
    right = CLASSROOM.read_bytes()
    found = shipping._found(tmp_path / "base.gguf", sha256_of(CLASSROOM), lambda sha256: right)
    assert found.read_bytes() == right
    assert found == shipping._found(tmp_path / "base.gguf", sha256_of(CLASSROOM), shipping.fetch_nothing)
