"""Which elements each program of a launch loads and stores, lane by lane, and which a mask switches off."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from qlora_kernels.lab.interpreter import Grid
from qlora_kernels.lab.trace import StrayError, Trace, traced


@dataclass(frozen=True, slots=True)
class Access:
    """One load or store of one program."""

    launch: int
    program: int
    what: str
    """"load" or "store"."""
    tensor: str
    elements: np.ndarray
    """Of each lane, the place that it points to, counted in elements from the tensor's first."""
    active: np.ndarray
    """Of each lane, whether the mask lets it through."""


class Recording(Trace):
    """A trace that keeps every load and store, for launches small enough to draw."""

    def __init__(self) -> None:
        super().__init__()
        self.accesses: list[Access] = []

    def load(self, address: np.ndarray, mask: np.ndarray, itemsize: int) -> None:
        """Keep a load, then count it."""
        self._keep("load", address, mask, itemsize)
        super().load(address, mask, itemsize)

    def store(self, address: np.ndarray, mask: np.ndarray, itemsize: int) -> None:
        """Keep a store, then count it."""
        self._keep("store", address, mask, itemsize)
        super().store(address, mask, itemsize)

    def _keep(self, what: str, address: np.ndarray, mask: np.ndarray, itemsize: int) -> None:
        address, mask = (one.ravel() for one in np.broadcast_arrays(address, mask))
        mask, address = mask.astype(bool), address.astype(np.int64)
        launch = self.launches[-1]
        region = launch.nearest(int(address[mask][0] if mask.any() else address[0]))
        elements = (address - region.tensors[0].data_ptr()) // itemsize
        number = launch.program_number()
        self.accesses.append(Access(len(self.launches) - 1, number, what, region.name, elements, mask))


@dataclass(frozen=True, slots=True)
class Watched:
    """What a launch returned and what it did to memory; where it raised, how far it came."""

    result: object
    trace: Recording
    error: Exception | None = None


def watched(launch: Callable[[], object], *, stop: bool = True) -> Watched:
    """Run a launch in the interpreter and watch its loads and stores.

    Args:
        launch: Launches kernels and returns their result.
        stop: Whether an error of the kernel is raised; otherwise it is in the result.
    """
    recording = Recording()
    try:
        with traced(recording, apart=True):
            return Watched(launch(), recording)
    except Exception as error:  # whatever a learner's kernel raises is an answer, not an accident
        if stop:
            raise
        return Watched(None, recording, error)


Rectangle = tuple[int, int, int, int]
"""First row, first column, rows, columns."""
KINDS = ("load", "store", "masked", "outside")
"""What happens to an element: it is loaded, stored, pointed to by a lane that the mask switches off, or
touched though it lies outside of the tensor."""
MARGIN = 2
"""Rows outside of a tensor that are drawn, before it and behind it."""
MOST_PROGRAMS = 64
"""Programs of a launch that are drawn."""


@dataclass(frozen=True, slots=True)
class DrawnTensor:
    """A tensor as a table of cells."""

    name: str
    rows: int
    columns: int
    before: int
    """Rows before the first that some lane points to; at most `MARGIN`."""
    behind: int
    """The same behind the last."""
    loads: int
    """Elements that all programs together load, each as often as it is loaded."""
    stored: int
    """Elements that some program stores."""


@dataclass(frozen=True, slots=True)
class DrawnProgram:
    """What one program touches."""

    name: str
    """Its numbers along the grid's axes: "1" or "1, 2"."""
    cells: list[tuple[int, str, list[Rectangle]]]
    """The tensor's place among the tensors, what happens (of `KINDS`), and the cells as rectangles."""
    words: str


@dataclass(frozen=True, slots=True)
class DrawnLaunch:
    """A launch as it is drawn."""

    kernel: str
    tensors: list[DrawnTensor]
    programs: list[DrawnProgram]
    strayed: int | None
    """The program that touched something outside."""
    problem: str


def drawing(launch: Callable[[], object]) -> DrawnLaunch:
    """Run a launch and return what each program of its last kernel touches; an error ends it early."""
    seen = watched(launch, stop=False)
    recording = seen.trace
    problem = "" if seen.error is None else str(seen.error).split("\n")[0]
    if not recording.launches:
        return DrawnLaunch("", [], [], None, problem or "no kernel was launched")
    last = len(recording.launches) - 1
    kept, one = [a for a in recording.accesses if a.launch == last], recording.launches[last]
    shapes = {region.name: _table(region.tensors[0]) for region in one.regions}
    tensors = [_tensor(name, *shape, kept) for name, shape in shapes.items()]
    shown = min(one.programs, MOST_PROGRAMS)
    programs = [_program(number, one.grid, tensors, kept) for number in range(shown)]
    strayed = kept[-1].program if isinstance(seen.error, StrayError) and kept else None
    return DrawnLaunch(one.kernel, tensors, programs, strayed, problem)


def _table(tensor: Tensor) -> tuple[int, int]:
    columns = tensor.shape[-1] if tensor.dim() else 1
    return max(1, tensor.numel() // max(1, columns)), columns


def _tensor(name: str, rows: int, columns: int, kept: list[Access]) -> DrawnTensor:
    mine = [a for a in kept if a.tensor == name]
    size = rows * columns
    places = np.concatenate([np.zeros(1, np.int64), *(a.elements for a in mine)])
    inside = [a.elements[a.active & (a.elements >= 0) & (a.elements < size)] for a in mine]
    stores = [one for one, a in zip(inside, mine, strict=True) if a.what == "store"]
    return DrawnTensor(
        name,
        rows,
        columns,
        before=int(min(MARGIN, max(0, -(places.min() // columns)))),
        behind=int(min(MARGIN, max(0, places.max() // columns - rows + 1))),
        loads=sum(len(one) for one, a in zip(inside, mine, strict=True) if a.what == "load"),
        stored=len(np.unique(np.concatenate(stores))) if stores else 0,
    )


def _program(number: int, grid: Grid, tensors: list[DrawnTensor], kept: list[Access]) -> DrawnProgram:
    mine = [a for a in kept if a.program == number]
    axes = (number % grid[0], number // grid[0] % grid[1], number // math.prod(grid[:2]))
    used = max((axis + 1 for axis in range(3) if grid[axis] > 1), default=1)
    cells: list[tuple[int, str, list[Rectangle]]] = []
    said: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for place, tensor in enumerate(tensors):
        for kind in KINDS:
            found = _cells(kind, tensor, [a for a in mine if a.tensor == tensor.name])
            if found.size:
                cells.append((place, kind, rectangles(found, tensor)))
                of = "of" if kind in ("load", "store") else "at"
                said[kind].append(f"{len(found):,} {of} {tensor.name}")
    words = "; ".join(f"{_WORDS[kind]} {', '.join(parts)}" for kind, parts in said.items() if parts)
    return DrawnProgram(", ".join(map(str, axes[:used])), cells, words or "touches nothing")


_WORDS = {
    "load": "loads",
    "store": "stores",
    "masked": "switches off lanes:",
    "outside": "strays outside:",
}


def _cells(kind: str, tensor: DrawnTensor, accesses: list[Access]) -> np.ndarray:
    """Return the places of a kind, each once; a lane that is masked off everywhere counts as masked."""
    size = tensor.rows * tensor.columns

    def places(wanted: Callable[[Access], np.ndarray]) -> np.ndarray:
        return np.unique(np.concatenate([np.zeros(0, np.int64), *(a.elements[wanted(a)] for a in accesses)]))

    def inside(a: Access) -> np.ndarray:
        return (a.elements >= 0) & (a.elements < size)

    if kind == "outside":
        return places(lambda a: a.active & ~inside(a))
    if kind == "masked":
        return np.setdiff1d(places(lambda a: ~a.active), places(lambda a: a.active))
    return places(lambda a: a.active & inside(a) & (a.what == kind))


def rectangles(places: np.ndarray, tensor: DrawnTensor) -> list[Rectangle]:
    """Return cells as few rectangles; rows before the first are negative, what is far away is left out."""
    rows, columns = places // tensor.columns, places % tensor.columns
    near = (rows >= -tensor.before) & (rows < tensor.rows + tensor.behind)
    runs: dict[int, list[tuple[int, int]]] = {}
    for row, column in zip(rows[near].tolist(), columns[near].tolist(), strict=True):
        line = runs.setdefault(row, [])
        if line and line[-1][1] == column:
            line[-1] = (line[-1][0], column + 1)
        else:
            line.append((column, column + 1))
    done: list[Rectangle] = []
    open_: dict[tuple[int, int], int] = {}
    for row in range(-tensor.before, tensor.rows + tensor.behind + 1):
        line = runs.get(row, [])
        # a run that doesn't go on ends a rectangle; the edge of the tensor ends all
        edge = row in (0, tensor.rows)
        for run in [one for one in open_ if edge or one not in line]:
            done.append((open_[run], run[0], row - open_.pop(run), run[1] - run[0]))
        for run in line:
            open_.setdefault(run, row)
    return done
