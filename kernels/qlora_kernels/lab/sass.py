"""Read the machine code of a kernel: its instructions, and those of its hot loop."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Instruction:
    """One line of a listing."""

    name: str
    """Without modifiers on NVIDIA: ``LDG``, not ``LDG.E.128``."""
    target: int | None = None
    """Index of the instruction that it jumps to."""
    goes_on: bool = True
    """Whether the instruction after it may come next: not after a return, or a jump without a condition."""


def instructions(listing: str) -> list[Instruction]:
    """Return the instructions of an ``nvdisasm -c`` listing, in order."""
    found: list[tuple[str, str | None, bool]] = []
    labels: dict[str, int] = {}
    for line in listing.splitlines():
        if label := re.match(r"\s*(\.L_x_\d+):", line):
            labels[label[1]] = len(found)
        elif text := re.match(r"\s*/\*[0-9a-f]{4,}\*/\s+(@!?U?P[T\d]+\s+)?(.*?);", line):
            name, _, operands = text[2].partition(" ")
            jump = re.search(r"`\((\.L_x_\d+)\)", operands) if name.startswith("BRA") else None
            # BRA.U UP0, `(...): a condition may also be an operand
            plain = not text[1] and (name.startswith(("EXIT", "RET")) or operands.strip().startswith("`("))
            ends = plain and name.startswith(("BRA", "EXIT", "RET"))
            found.append((name.split(".")[0], jump[1] if jump else None, not ends))
    return _resolved(found, labels)


def amd_instructions(assembly: str) -> list[Instruction]:
    """Return the same for AMD's assembly."""
    found: list[tuple[str, str | None, bool]] = []
    labels: dict[str, int] = {}
    for line in assembly.splitlines():
        if label := re.match(r"(\.LBB\w+):", line):
            labels[label[1]] = len(found)
        elif text := re.match(r"\s+([vs]_\w+|ds_\w+|buffer_\w+|global_\w+|flat_\w+)\b(.*)", line):
            jump = re.search(r"(\.LBB\w+)", text[2]) if "branch" in text[1] else None
            ends = text[1] in ("s_branch", "s_endpgm", "s_setpc_b64")
            found.append((text[1], jump[1] if jump else None, not ends))
    return _resolved(found, labels)


def _resolved(found: Iterable[tuple[str, str | None, bool]], labels: dict[str, int]) -> list[Instruction]:
    return [Instruction(name, labels.get(label) if label else None, goes) for name, label, goes in found]


def hot_loop(lines: list[Instruction]) -> Counter:
    """Instructions of the longest loop by name; empty when there is none.

    A loop is what compilers call a natural loop: a jump back to an instruction that every way to the jump
    leads through, and all from which that jump is reached without passing it again. The lines between the two
    are no measure of it: code for a rare case, such as a barrier that isn't ready, stands at the end of the
    listing and jumps back into the middle.
    """
    longest = max(_loops(lines), key=len, default=set())
    # the listing ends with a jump to itself, which keeps the instruction fetch busy and is never reached
    return Counter(lines[place].name for place in longest) if len(longest) > 1 else Counter()


def _loops(lines: list[Instruction]) -> list[set[int]]:
    """Return the places of each loop's instructions; one loop for all jumps back to the same instruction."""
    after = [
        [place + 1] * (line.goes_on and place + 1 < len(lines))
        + ([] if line.target is None else [line.target])
        for place, line in enumerate(lines)
    ]
    before: list[list[int]] = [[] for _ in lines]
    for place, following in enumerate(after):
        for next_place in following:
            before[next_place].append(place)
    bodies: dict[int, set[int]] = {}
    for end, line in enumerate(lines):
        head = line.target
        if head is None or head > end or end in _reached(after, avoiding=head):
            continue
        body, waiting = {head}, [end]
        while waiting:
            place = waiting.pop()
            if place not in body:
                body.add(place)
                waiting += before[place]
        bodies.setdefault(head, set()).update(body)
    return list(bodies.values())


def _reached(after: list[list[int]], avoiding: int) -> set[int]:
    """Places that are reached from the first instruction on a way that doesn't lead through ``avoiding``."""
    seen: set[int] = set()
    waiting = [0] if avoiding != 0 else []
    while waiting:
        place = waiting.pop()
        if place not in seen:
            seen.add(place)
            waiting += [following for following in after[place] if following != avoiding]
    return seen
