"""Watch every byte that interpreted kernels read and write.

    with traced() as trace:
        y = rms_norm(x, weight, backend="triton")
    trace.assert_clean()              # no races, no atomics, every output written
    assert trace.moved <= 1.1 * compulsory_bytes(x, weight, y)

A load or store outside the tensors that a kernel was given raises IndexError at once, with the program's
index; "outside" is judged by the view, so reading a neighbour in the same storage counts.

What the numbers mean. ``moved`` is the traffic to the L2 cache: an instruction's repeated addresses count
once, as a warp broadcasts them, and nothing is kept between instructions. ``fetched`` is the traffic to
memory: `SIDE_BY_SIDE` programs share through the L2 cache what they touch; nothing is kept
for those after them. Races are between programs of one launch; launches run one after the other, as on one
stream.
"""

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch

from qlora_kernels.lab.interpreter import Grid, Programs, every_program, interpreted

NOBODY, SEVERAL = -1, -2
SIDE_BY_SIDE = 108
"""Programs that run side by side: one for each multiprocessor of an A100."""
SECTOR = 32  # bytes: the least that a GPU's memory system moves


@dataclass
class Region:
    """One storage seen by a launch, and what happened to each of its bytes."""

    name: str
    start: int
    tensors: list[torch.Tensor]
    allowed: np.ndarray  # may this byte be touched?
    read: np.ndarray  # size of the element read here, 0 if none
    written: np.ndarray
    reader: np.ndarray  # which program
    writer: np.ndarray
    shared: np.ndarray  # has one of the programs running side by side touched it?
    loaded: int = 0
    stored: int = 0
    sectors: int = 0
    fetched: int = 0

    @classmethod
    def of(cls, name: str, tensor: torch.Tensor) -> "Region":
        """Make a region for the storage of ``tensor``, nothing of it allowed yet."""
        size = tensor.untyped_storage().nbytes()
        byte, owner = np.zeros(size, np.uint8), np.full(size, NOBODY, np.int32)
        start = tensor.untyped_storage().data_ptr()
        return cls(
            name, start, [], byte.astype(bool), byte, byte.copy(), owner, owner.copy(), byte.astype(bool)
        )

    def allow(self, tensor: torch.Tensor) -> None:
        """Let the elements of this view be touched."""
        self.tensors.append(tensor)
        size = tensor.element_size()
        whole = self.allowed[: self.allowed.size // size * size]
        _same_view(torch.from_numpy(whole).view(-1, size), tensor).fill_(True)

    def unwritten(self) -> int:
        """Elements that were left out of views that were written to."""
        left = 0
        for tensor in self.tensors:
            size = tensor.element_size()
            starts = torch.from_numpy(self.written[::size].copy()).view(-1, 1)
            seen = _same_view(starts, tensor) > 0
            left += int((~seen).sum()) if seen.any() else 0
        return left

    @property
    def compulsory(self) -> int:
        """Bytes if each element read were read once and each one written were written once."""
        return int(self.read.sum(dtype=np.int64) + self.written.sum(dtype=np.int64))


def _same_view(elements: torch.Tensor, tensor: torch.Tensor) -> torch.Tensor:
    """``elements`` has one row per element of the storage; pick the rows that ``tensor`` sees."""
    width = elements.shape[1]
    stride = tuple(s * width for s in tensor.stride())
    return elements.as_strided((*tensor.shape, width), (*stride, 1), tensor.storage_offset() * width)


@dataclass
class LaunchTrace:
    """One kernel launch as it was observed."""

    kernel: str
    grid: Grid
    regions: list[Region]
    program: Callable[[], Grid]
    wave: int = 0
    flops: int = 0
    """2 x multiply-adds in dots."""
    elementwise: int = 0
    """Floating-point operations elsewhere."""
    atomics: int = 0
    races: set[str] = field(default_factory=set)

    @property
    def moved(self) -> int:
        """Bytes read from and written to the L2 cache."""
        return sum(r.loaded + r.stored for r in self.regions)

    @property
    def fetched(self) -> int:
        """Bytes read from and written to memory, if `SIDE_BY_SIDE` programs share and no more is kept."""
        return sum(r.fetched for r in self.regions)

    @property
    def compulsory(self) -> int:
        """Bytes if nothing were read or written twice."""
        return sum(r.compulsory for r in self.regions)

    @property
    def ratio(self) -> float:
        """Bytes moved for each compulsory one."""
        return self.moved / self.compulsory

    @property
    def tensors_once(self) -> int:
        """Bytes of each tensor that was read plus each that was written.

        The same as `compulsory` when every program ran; known after the first program already.
        """
        return sum(int(r.allowed.sum()) * (bool(r.loaded) + bool(r.stored)) for r in self.regions)

    @property
    def programs(self) -> int:
        """Programs in the grid, whether all of them ran or not."""
        return math.prod(self.grid)

    def loaded(self, name: str) -> int:
        """Bytes read from the argument called ``name``."""
        return next(r.loaded for r in self.regions if name in r.name.split("+"))

    def rereads(self, name: str) -> float:
        """How often each byte of the argument called ``name`` was read."""
        region = next(r for r in self.regions if name in r.name.split("+"))
        return region.loaded / max(1, int(region.read.sum(dtype=np.int64)))

    def nearest(self, address: int) -> Region:
        """Return the region that holds an address, or the one whose end is nearest."""
        return min(
            self.regions, key=lambda r: max(r.start - address, address - r.start - r.allowed.size + 1, 0)
        )

    def program_number(self) -> int:
        """Return the running program as one number; a new wave forgets what the last one shared."""
        (x, y, z), (nx, ny, _) = self.program(), self.grid
        number = (z * ny + y) * nx + x
        if number // SIDE_BY_SIDE != self.wave:
            self.wave = number // SIDE_BY_SIDE
            for region in self.regions:
                region.shared[:] = False
        return number


class StrayError(IndexError):
    """A load or store outside of the tensors that a kernel was given."""

    def __init__(
        self,
        launch: LaunchTrace,
        what: str,
        region: Region,
        elements: np.ndarray,
        lanes: tuple[int, int],
    ) -> None:
        self.what, self.tensor, self.program = what, region.name, launch.program()
        self.outside = len(elements)
        self.active, self.lanes = lanes
        """Lanes that are not masked off, and all."""
        super().__init__(
            f"{launch.kernel}, program {self.program}: {what} outside {region.name!r}, {self.outside} of "
            f"{self.active} lanes, elements {elements.min()} to {elements.max()} of its storage"
        )


@dataclass
class Trace:
    """All launches of a ``traced`` block, in order."""

    launches: list[LaunchTrace] = field(default_factory=list)

    moved = property(
        lambda self: sum(launch.moved for launch in self.launches), doc="Bytes moved by all launches."
    )
    flops = property(
        lambda self: sum(launch.flops for launch in self.launches), doc="2 x multiply-adds in dots."
    )

    def __getitem__(self, kernel: str) -> LaunchTrace:
        """Return the only launch of this kernel."""
        found = [launch for launch in self.launches if launch.kernel == kernel]
        if len(found) != 1:
            raise KeyError(
                f"{len(found)} launches of {kernel!r}; launched: {[x.kernel for x in self.launches]}"
            )
        return found[0]

    def assert_clean(self) -> None:
        """No races, no atomics, and no output left partly unwritten."""
        assert self.launches, "no kernel was launched"
        for launch in self.launches:
            assert not launch.races, f"{launch.kernel}: {sorted(launch.races)}"
            assert not launch.atomics, (
                f"{launch.kernel}: {launch.atomics} atomic operations; results would vary"
            )
            for region in launch.regions:
                left = region.unwritten()
                assert not left, f"{launch.kernel}: {left} elements of {region.name!r} were never written"

    # the observer's side

    def launch(
        self, kernel: str, tensors: dict[str, torch.Tensor], grid: Grid, program: Callable[[], Grid]
    ) -> None:
        """Note the tensors of a launch."""
        regions: dict[int, Region] = {}
        for name, tensor in tensors.items():
            if tensor.numel() == 0:
                continue
            start = tensor.untyped_storage().data_ptr()
            if start in regions:
                regions[start].name += f"+{name}"
            else:
                regions[start] = Region.of(name, tensor)
            regions[start].allow(tensor)
        self.launches.append(LaunchTrace(kernel, grid, list(regions.values()), program))

    def load(self, address: np.ndarray, mask: np.ndarray, itemsize: int) -> None:
        """Count a load and look for a race."""
        if (place := self._locate("load", address, mask, itemsize)) is None:
            return
        region, byte, program = place
        region.loaded += self._distinct(region, byte, itemsize)
        region.read[byte] = itemsize
        owner = region.writer[byte]
        if ((owner != NOBODY) & (owner != program)).any():
            self.launches[-1].races.add(f"a program reads what another wrote in {region.name!r}")
        before = region.reader[byte]
        region.reader[byte] = np.where((before == NOBODY) | (before == program), program, SEVERAL)

    def store(self, address: np.ndarray, mask: np.ndarray, itemsize: int) -> None:
        """Count a store and look for a race."""
        if (place := self._locate("store", address, mask, itemsize)) is None:
            return
        region, byte, program = place
        region.stored += len(byte) * itemsize
        self._distinct(region, byte, itemsize)
        region.written[byte] = itemsize
        for owner, what in ((region.writer[byte], "wrote"), (region.reader[byte], "read")):
            if ((owner != NOBODY) & (owner != program)).any():
                self.launches[-1].races.add(f"a program writes what another {what} in {region.name!r}")
        region.writer[byte] = program

    def atomic(self, address: np.ndarray, mask: np.ndarray, itemsize: int) -> None:
        """Count atomic operations: there should be none."""
        if (place := self._locate("atomic", address, mask, itemsize)) is not None:
            self.launches[-1].atomics += len(place[1])

    def dot(self, multiply_adds: int) -> None:
        """Count a matrix product."""
        self.launches[-1].flops += 2 * multiply_adds

    def elementwise(self, operations: int) -> None:
        """Count floating-point operations outside dots."""
        self.launches[-1].elementwise += operations

    def _locate(
        self, what: str, address: np.ndarray, mask: np.ndarray, itemsize: int
    ) -> tuple[Region, np.ndarray, int] | None:
        """Return the region, the offsets in it and the program of the lanes that are not masked off."""
        address, mask = np.broadcast_arrays(address, mask)
        address = address[mask].astype(np.int64)
        if address.size == 0:
            return None
        launch = self.launches[-1]
        region = launch.nearest(int(address[0]))
        byte = address - region.start
        inside = (byte >= 0) & (byte + itemsize <= region.allowed.size)
        if inside.all():
            inside = region.allowed[byte] & region.allowed[byte + itemsize - 1]
        if not inside.all():
            raise StrayError(launch, what, region, byte[~inside] // itemsize, (byte.size, mask.size))
        return region, byte, launch.program_number()

    @staticmethod
    def _distinct(region: Region, byte: np.ndarray, itemsize: int) -> int:
        """Bytes of the distinct elements; the sectors that they lie in are added to the region's count."""
        distinct = np.unique(byte)
        region.fetched += int((~region.shared[distinct]).sum()) * itemsize
        region.shared[distinct] = True
        region.sectors += SECTOR * np.unique(distinct // SECTOR).size
        return distinct.size * itemsize


@contextlib.contextmanager
def traced(
    trace: Trace | None = None,
    *,
    overflow: bool = False,
    programs: Programs = every_program,
    apart: bool = False,
) -> Iterator[Trace]:
    """Interpret the block and yield what its kernels do to memory, written into ``trace`` if one is given."""
    trace = Trace() if trace is None else trace
    with interpreted(overflow=overflow, observer=trace, programs=programs, apart=apart):
        yield trace


def compulsory_bytes(*tensors: torch.Tensor) -> int:
    """Bytes of an operator that reads each input once and writes each output once."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
