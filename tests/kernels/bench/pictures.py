"""Draw what a trace saw: bytes read and written by each launch, beside the least that would do."""

from bench.trace import Trace
from matplotlib.figure import Figure

COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb", "#222255")


def bytes_moved(traces: dict[str, Trace], compulsory: int) -> Figure:
    """One bar for each way of doing it, stacked by tensor; the line is what any way has to move.

    Args:
        traces: A name for each way, and what was traced.
        compulsory: Bytes of the inputs and outputs, each once (see `bench.trace.compulsory_bytes`).
    """
    figure = Figure(figsize=(8, 0.8 + 0.7 * len(traces)), layout="constrained")
    axes = figure.subplots()
    colours: dict[str, str] = {}
    for label, trace in traces.items():
        left = 0.0
        for tensor, size in _by_tensor(trace).items():
            colour = colours.setdefault(tensor, COLOURS[len(colours) % len(COLOURS)])
            axes.barh(label, size / 1024, left=left, color=colour, edgecolor="white")
            left += size / 1024
        axes.text(left, label, f"  {trace.moved / compulsory:.2f} x the least", va="center")
    axes.axvline(compulsory / 1024, color="black", linestyle="--")
    axes.set_xlim(right=1.25 * max(trace.moved for trace in traces.values()) / 1024)
    axes.set_xlabel("kB read and written; dashed: every input and output once")
    axes.invert_yaxis()
    handles = [axes.barh(0, 0, color=colour) for colour in colours.values()]
    figure.legend(handles, colours, loc="outside lower center", ncols=len(colours), frameon=False)
    return figure


def _by_tensor(trace: Trace) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for launch in trace.launches:
        for region in launch.regions:
            sizes[region.name] = sizes.get(region.name, 0) + region.loaded + region.stored
    return sizes


def tiles_touched(trace: Trace, kernel: str, tensor: str, shape: tuple[int, int]) -> Figure:
    """Which program wrote each element of an output: the map of the work."""
    launch = trace[kernel]
    region = next(r for r in launch.regions if r.name == tensor)
    size = region.tensors[0].element_size()
    owner = region.writer[::size].reshape(shape)
    figure = Figure(figsize=(3.5, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.imshow(owner % 20, cmap="tab20", interpolation="nearest")
    axes.set_title(f"{tensor}: one colour a program ({owner.max() + 1} of them)", fontsize=10)
    return figure
