"""Pictures of what kernels do to memory: bytes moved by each way of doing it, and the cells of a launch."""

from collections.abc import Mapping
from typing import Any

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle as Patch

from qlora_kernels.lab.trace import Trace
from workbench.lessons.kernel_lab.touched import DrawnLaunch, DrawnTensor
from workbench.views.board_figures import empty
from workbench.views.palette import FAINT, INK, ON_DARK
from workbench.views.rendering import LABEL_POINTS, STYLE
from workbench.views.style import PAGE_INCHES, SMALL_POINTS, PaperFigure

DARK = ("#006CA8", "#AA4B00", "#007556", "#A8457D", "#855C00", "#2F6C8C", "#852153")
"""Our colours, dark enough for white letters (4.5 to 1); they stay as they are on a dark page."""
LETTER = 0.016
"""Of the longest bar, what a letter of a tensor's name takes."""


def bytes_moved(traces: Mapping[str, Trace], compulsory: int) -> PaperFigure:
    """Draw a bar for each way of doing it, stacked by tensor; the line is what any way has to move.

    Args:
        traces: A name for each way, and what was traced.
        compulsory: Bytes of the inputs and outputs, each once.
    """
    with style.context(["default", STYLE]):
        figure = PaperFigure(figsize=(PAGE_INCHES, 0.75 + 0.3 * len(traces)), layout="constrained")
        axes = figure.subplots()
        largest = max(trace.moved for trace in traces.values())
        looks: dict[str, int] = {}
        for label, trace in traces.items():
            left = 0.0
            for tensor, size in _by_tensor(trace).items():
                look = looks.setdefault(tensor, len(looks)) % len(DARK)
                axes.barh(label, size / 1024, left=left, color=DARK[look], edgecolor="white", label=tensor)
                if size > LETTER * (len(tensor) + 1) * largest:
                    place = (left + size / 2048, label)
                    axes.annotate(tensor, place, color=ON_DARK, ha="center", va="center")
                left += size / 1024
            times = f"{trace.moved / compulsory:.2f} times the least"
            axes.annotate(times, (left, label), (6, 0), textcoords="offset points", va="center")
        axes.axvline(compulsory / 1024, color=INK, linestyle="--", linewidth=1)
        axes.set_xlim(right=1.3 * largest / 1024)
        axes.set_xlabel("kB read and written; dashed: every input and output once")
        axes.invert_yaxis()
        found = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
        figure.legend(
            found.values(), found, loc="outside lower center", ncols=min(4, len(found)), frameon=False
        )
    return figure


def _by_tensor(trace: Trace) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for launch in trace.launches:
        for region in launch.regions:
            sizes[region.name] = sizes.get(region.name, 0) + region.loaded + region.stored
    return sizes


def touches_figure(drawn: DrawnLaunch, program: int) -> PaperFigure:
    """Draw what one program loads and stores, a panel for each tensor, over what the others store."""
    if not drawn.tensors:
        return empty(drawn.problem)
    columns = min(3, len(drawn.tensors))
    rows = -(-len(drawn.tensors) // columns)
    with style.context(["default", STYLE]):
        figure = PaperFigure(figsize=(PAGE_INCHES, 0.35 + 1.45 * rows), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        for place, axes in enumerate(grid.flat):
            axes.set_axis_off()
            if place < len(drawn.tensors):
                _panel(axes, drawn, place, program)
        name = drawn.programs[program].name
        figure.suptitle(
            f"{drawn.kernel}, program {name}: its number marks what it touches", fontsize=LABEL_POINTS
        )
    return figure


def _panel(axes: Axes, drawn: DrawnLaunch, place: int, program: int) -> None:
    tensor = drawn.tensors[place]
    axes.set_xlim(0, tensor.columns)
    axes.set_ylim(tensor.rows + tensor.behind, -tensor.before)
    axes.set_title(panel_words(tensor), fontsize=SMALL_POINTS, loc="left")
    axes.add_patch(Patch((0, 0), tensor.columns, tensor.rows, fill=False, edgecolor=INK, linewidth=0.8))
    for number, one in enumerate(drawn.programs):
        for where, kind, cells in one.cells:
            if where != place or (number != program and kind != "store"):
                continue
            for top, left, height, width in cells:
                look = _look(kind, program if number == program else None)
                axes.add_patch(Patch((left, top), width, height, **look))
            if kind in ("load", "store") and cells:
                top, left, height, width = max(cells, key=lambda cell: cell[2] * cell[3])
                if width < 0.1 * tensor.columns or height < 0.06 * tensor.rows:
                    continue  # no room for its number
                axes.text(
                    left + width / 2,
                    top + height / 2,
                    one.name,
                    ha="center",
                    va="center",
                    fontsize=SMALL_POINTS,
                    color=ON_DARK if number == program else FAINT,
                    weight="bold" if number == program else "normal",
                )


def _look(kind: str, program: int | None) -> dict[str, Any]:
    """Return how cells are drawn; those of another program are an outline."""
    if program is None:
        return {"fill": False, "edgecolor": FAINT, "linewidth": 0.4}
    if kind == "masked":
        return {"fill": False, "edgecolor": INK, "linewidth": 0.3, "hatch": "//////"}
    if kind == "outside":
        return {"facecolor": "#ffd7c2", "edgecolor": "#9a3412", "linewidth": 0.8, "hatch": "xxxx"}
    edge = INK if kind == "store" else "none"
    return {"facecolor": DARK[program % len(DARK)], "edgecolor": edge, "linewidth": 1.0}


def panel_words(tensor: DrawnTensor) -> str:
    """Say what a panel shows: the tensor, its shape, and how often all programs together load it."""
    size = tensor.rows * tensor.columns
    shape = f"{tensor.rows} x {tensor.columns}" if tensor.rows > 1 else f"{tensor.columns}"
    parts = []
    if tensor.loads:
        times = tensor.loads / size
        parts.append("loaded once" if times == 1 else f"loaded {times:.3g} times")
    if tensor.stored:
        parts.append("stored" if tensor.stored == size else f"{tensor.stored:,} of {size:,} stored")
    return f"{tensor.name} ({shape}): {', '.join(parts) or 'untouched'}"
