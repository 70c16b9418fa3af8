"""What the page says of each part: a title, a line about it, and the text made of its result."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from gpucheck.record import Record
from gpucheck.targets import GB, SHAPES


@dataclass(frozen=True, slots=True)
class Section:
    """One part on the page."""

    title: str
    about: str
    write: Callable[[Record], Iterator[str]]
    """The part's result -> pieces of text. It may be of a part that ended early."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def profile(result: Record) -> Iterator[str]:
    """Yield the profiler's table, where a target was missed."""
    if lines := result.get("profile"):
        yield "\nWhere the time goes, by PyTorch's profiler:\n\n```\n" + "\n".join(lines) + "\n```\n"


def tests(result: Record) -> Iterator[str]:
    """Write what the hardware tests gave."""
    yield (
        f"{result['passed']} passed, {result['failed']} failed, {result['errors']} errors, "
        f"{result['skipped']} skipped.\n"
    )
    if not result["whole"]:
        yield "\nThe tests were interrupted: time was over before all had run.\n"
    for name in result["names"]:
        yield f"\n- {name}"
    if result["names"]:
        yield "\n"


def operators(result: Record) -> Iterator[str]:
    """Write the operators' times, a table for each shape."""
    yield (
        f"Copying moves {result['copy_gbs']:.0f} GB/s, bytes read and written. The bound of a product is the dense "
        "one of the same shape in 16 bits from 512 rows on, and reading its packed weight up to 32 rows; the share "
        "is that of the better of the two routes, the fused kernel and decoding once before a dense product; taken "
        "is the one that the table of products names.\n"
    )
    for shape in SHAPES:
        rows = [row for row in result["rows"] if row["shape"] == shape]
        if rows:
            yield f"\n**{shape}**\n\n" + table(OPERATOR_HEAD, [_operator(row) for row in rows])
    yield from profile(result)


OPERATOR_HEAD = (
    *("operator", "format", "rows", "K", "N", "fused", "decoded", "dense", "taken"),
    *("TFLOP/s", "GB/s", "of its bound"),
)


def _operator(row: Record) -> tuple[str, ...]:
    def ms(name: str) -> str:
        return "" if row.get(name) is None else f"{row[name]:.3f} ms"

    share = "" if row["share_of_bound"] is None else f"{row['share_of_bound']:.0%} of {row['bound']}"
    return (
        *(row["operator"], row["format"] or "", str(row["rows"]), str(row["K"]), str(row["N"])),
        *(
            ms("fused_ms"),
            ms("decoded_ms"),
            ms("dense_ms"),
            row.get("taken", ""),
            f"{row['tflops']:.3g}",
            f"{row['gbs']:.3g}",
            share,
        ),
    )


def study(result: Record) -> Iterator[str]:
    """Write how far the two devices' losses are apart."""
    seconds = {device: f"{value:.1f} s" for device, value in result["seconds"].items()}
    yield (
        f"`verbs` at `{result['budget']}`, {result['cells']} cells, the same on both devices: CPU "
        f"{seconds.get('cpu', 'not run')} ({result['cpu_about']}), GPU {seconds.get('gpu', 'not run')}.\n"
    )
    if "median" not in result:
        return
    yield (
        "\n"
        f"Held-out losses of a cell differ by {result['median']:.2g} nats in the median and {result['largest']:.2g} at "
        f"most; over the seeds of one quality and size they spread by {result['spread']:.2g} (median of the "
        "standard deviations).\n"
    )


def throughput(result: Record) -> Iterator[str]:
    """Write the rates of stacks and of PEFT's loop."""
    yield f"{result['about']}\n\n"
    rows = [
        (row["who"], str(row["cells"]), row["skipped"], "", "")
        if "skipped" in row
        else (
            row["who"],
            str(row["cells"]),
            f"{row['rate']:.0f}",
            f"{1000 * row['seconds'] / row['steps']:.1f} ms",
            f"{row['ratio']:.1f}" if "ratio" in row else "1",
        )
        for row in result["rows"]
    ]
    yield table(("who", "cells at once", "labelled tokens/s", "a step", "times PEFT's loop"), rows)
    if result.get("largest_distance") is not None:
        yield f"\nThe losses of the first steps are within {result['largest_distance']:.2g} nats of PEFT's.\n"
    yield from profile(result)


def memory(result: Record) -> Iterator[str]:
    """Write the peaks."""
    rows = [
        (
            row["shape"],
            row["who"],
            f"{row['peak_bytes'] / GB:.2f} GB" if row.get("peak_bytes") is not None else row["skipped"],
            f"{row['weight_bytes'] / GB:.2f} GB" if row.get("weight_bytes") is not None else "",
            f"{row['step_seconds']:.2f} s" if row.get("step_seconds") is not None else "",
        )
        for row in result["rows"]
    ]
    yield f"{result['about']}\n\n" + table(("shape", "who", "peak", "of it, base", "a step"), rows)
    yield from profile(result)


def synchronizations(result: Record) -> Iterator[str]:
    """Write how often a step waits for the device."""
    yield f"{result['count']} in one training step of {result['about']}.\n"
    for place in result["places"]:
        yield f"\n- {place}"
    if result["places"]:
        yield "\n"


SECTIONS: dict[str, Section] = {
    "hardware_tests": Section(
        "Hardware tests", "`pytest tests/kernels -m gpu`: the kernels agree with their definitions", tests
    ),
    "throughput": Section(
        "Cells an hour",
        "labelled tokens/s of 1, 4, 16 and 64 cells in a stack, against transformers + PEFT",
        throughput,
    ),
    "operators": Section(
        "Operators", "each operator's time beside its bound and beside decoding first", operators
    ),
    "memory": Section("Memory", "peak memory of NF4 training at the 1B and 8B shapes, against PEFT", memory),
    "synchronizations": Section(
        "Waiting", "how often a training step waits for the device", synchronizations
    ),
    "study": Section("A whole study", "`verbs`, 36 cells, on CPU and GPU: losses compared", study),
}
"""By part."""
