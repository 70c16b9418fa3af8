"""Run a small study and print which functions of ours were called, in the order of their first calls.

A program of its own: what the tests have called before would hide the order.
"""

import sys
from pathlib import Path

import qlora_kernels
import workbench
from workbench.cli import main

OURS = (str(Path(workbench.__file__).parent), str(Path(qlora_kernels.__file__).parents[1]))
STUDY = "run verbs --quality clean other_form:0.5 --sizes 8 16 --seeds 1 --steps 4 --heldout 40"


def walked(arguments: list[str]) -> list[tuple[str, str]]:
    """Return (file, function) of each call of ours, once, in order."""
    seen: dict[tuple[str, str], None] = {}

    def on_call(frame, event, _):
        if event == "call":
            for root in OURS:
                if frame.f_code.co_filename.startswith(root):
                    path = Path(frame.f_code.co_filename).relative_to(root).as_posix()
                    seen.setdefault((path, frame.f_code.co_qualname))

    sys.setprofile(on_call)
    try:
        assert main(arguments) == 0
    finally:
        sys.setprofile(None)
    return list(seen)


if __name__ == "__main__":
    for place in walked([*STUDY.split(), "--out", sys.argv[1]]):
        print(*place, file=sys.stderr)
