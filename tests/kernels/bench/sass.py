"""Read the machine code of a kernel: its instructions, and those of its hot loop."""

import re
from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class Instruction:
    """One line of a listing."""

    name: str
    """Without modifiers on NVIDIA: ``LDG``, not ``LDG.E.128``."""
    target: int | None
    """Index of the instruction that it jumps to, when it jumps backwards."""


def instructions(listing: str) -> list[Instruction]:
    """The instructions of an ``nvdisasm -c`` listing, in order."""
    labels: dict[str, int] = {}
    found: list[Instruction] = []
    for line in listing.splitlines():
        if label := re.match(r"\s*(\.L_x_\d+):", line):
            labels[label[1]] = len(found)
        elif text := re.match(r"\s*/\*[0-9a-f]{4,}\*/\s+(.*?);", line):
            words = re.sub(r"^@!?U?P\d+\s+", "", text[1]).split()
            jump = re.search(r"`\((\.L_x_\d+)\)", text[1]) if words[0].startswith("BRA") else None
            found.append(Instruction(words[0].split(".")[0], labels.get(jump[1]) if jump else None))
    return found


def amd_instructions(assembly: str) -> list[Instruction]:
    """The same for AMD's assembly."""
    labels: dict[str, int] = {}
    found: list[Instruction] = []
    for line in assembly.splitlines():
        if label := re.match(r"(\.LBB\w+):", line):
            labels[label[1]] = len(found)
        elif text := re.match(r"\s+([vs]_\w+|ds_\w+|buffer_\w+|global_\w+|flat_\w+)\b(.*)", line):
            jump = re.search(r"(\.LBB\w+)", text[2]) if "branch" in text[1] else None
            found.append(Instruction(text[1], labels.get(jump[1]) if jump else None))
    return found


def hot_loop(lines: list[Instruction]) -> Counter:
    """Instructions of the longest loop by name; empty when there is none."""
    loops = [(line.target, end + 1) for end, line in enumerate(lines) if line.target is not None]
    # the listing ends with a jump to itself, which keeps the instruction fetch busy and is never reached
    start, end = max(loops, key=lambda loop: loop[1] - loop[0], default=(0, 0))
    return Counter(line.name for line in lines[start:end]) if end - start > 1 else Counter()
