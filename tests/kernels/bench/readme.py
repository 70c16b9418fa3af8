"""The table of ``kernels/README.md``, made from the committed figures."""

from pathlib import Path

from qlora_kernels.lab.compiler import TARGETS

README = Path(__file__).parents[3] / "kernels" / "README.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"


def table(figures: dict) -> str:
    """Markdown: one row for each kernel, one column for each target."""
    head = ["operator", "kernel", "GFLOP", "least MB", "ratio", *TARGETS]
    lines = [_row(head), _row(["---"] * len(head))]
    for operator, kernels in figures["operators"].items():
        for kernel, measured in kernels.items():
            traffic = measured["traffic"]
            numbers = [
                f"{traffic['flops'] / 1e9:.3g}",
                f"{traffic['compulsory'] / 1e6:.3g}",
                f"{traffic['ratio']:.2f}",
            ]
            costs = [_cost(measured["targets"].get(target)) for target in TARGETS]
            lines.append(_row([operator, f"`{kernel}`", *numbers, *costs]))
    return "\n".join(lines)


def _cost(cost: dict | None) -> str:
    if cost is None:
        return ""
    weight = f" / **{cost['per_weight']:.1f}**" if cost["per_weight"] is not None else ""
    return f"{cost['registers']} / {cost['spills']} / {cost['instructions']}{weight}"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def write(figures: dict) -> None:
    """Replace the table in the README."""
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    README.write_text(f"{before}{BEGIN}\n\n{table(figures)}\n\n{END}{after}", encoding="utf-8")
