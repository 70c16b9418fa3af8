"""Try everything that only a GPU can show, and write it down: `make gpu-check`, under 7 minutes.

    python benchmarks/gpu_check.py                       all parts, on the GPU
    python benchmarks/gpu_check.py --only operators      some of them; the record keeps the others
    python benchmarks/gpu_check.py --rehearse            the same code on the CPU with tiny sizes; no times
    python benchmarks/gpu_check.py --page                write docs/gpu.md from the records, measure nothing

Each part runs in a process of its own with a limit of time. What it finds goes into one JSON a card,
benchmarks/records/gpu/CARD.json, which is written after every part, and docs/gpu.md is written from these.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from gpucheck.limits import LIMITS, SECONDS, missing_modules
from gpucheck.page import PAGE, page
from gpucheck.record import RECORDS, REHEARSAL, Record, merged, read_records, slug, write_json
from gpucheck.runner import run_part, run_parts
from gpucheck.targets import targets

START_SECONDS = 60.0
"""Limit of finding out what card this is."""


def parser() -> argparse.ArgumentParser:
    """Return the reader of the command line."""
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    reader.add_argument("--only", nargs="+", metavar="PART", help=f"some parts: {', '.join(LIMITS)}")
    reader.add_argument("--rehearse", action="store_true", help="run on the CPU with tiny sizes")
    reader.add_argument("--output", type=Path, help="the record; by default the card's own")
    reader.add_argument("--page", action="store_true", help="write the page from the records, and end")
    reader.add_argument("--part", help=argparse.SUPPRESS)
    reader.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    return reader


def refused(what: str) -> int:
    """Say why nothing is run; returns the exit status of bad input."""
    print(f"gpu_check: {what}", file=sys.stderr)
    return 2


def this_part(name: str, into: Path, rehearse: bool) -> None:
    """Run one part in this process; its result, and before that what it has so far, goes into a file."""
    from gpucheck.parts import PARTS
    from gpucheck.place import chosen_place, header

    place = chosen_place(rehearse)
    if name == "header":
        result = header(place)
    else:
        result = PARTS[name](place, lambda sofar: write_json(into, {"whole": False, "result": sofar}))
    write_json(into, {"whole": True, "result": result})


def tell(name: str, part: Record) -> None:
    """Print what came of a part."""
    print(f"{name:18} {part['status']:12} {part['seconds']:6.1f} s", flush=True)
    if part["error"]:
        print("    " + part["error"].replace("\n", "\n    "), flush=True)


def check(only: list[str] | None, rehearse: bool, output: Path | None) -> int:
    """Run parts and write the record and, for a real run, the page; returns 1 if one didn't end well."""
    command = [sys.executable, __file__, "--part", "NAME", "--into", "INTO", *["--rehearse"] * rehearse]
    with tempfile.TemporaryDirectory() as folder:
        found = run_part(command, "header", START_SECONDS, Path(folder))
    if found["status"] != "done":
        reason = found["error"].splitlines()[-1].removeprefix("RuntimeError: ")
        return refused(
            f"{reason}; run it on a machine with a GPU, or rehearse it on the CPU: "
            "python benchmarks/gpu_check.py --rehearse"
        )
    header = found["result"]
    path = output or (REHEARSAL if rehearse else RECORDS / f"{slug(header['card'])}.json")
    old = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    if old is not None and (old["card"], old["rehearsal"]) != (header["card"], rehearse):
        return refused(f"{path} is the record of another machine, {old['card']}; name another file: --output")
    parts: dict[str, Record] = {}

    def keep(name: str, part: Record) -> None:
        tell(name, part)
        parts[name] = part
        record = merged(old, header, parts)
        write_json(path, {**record, "targets": targets(record["parts"])})

    run_parts(command, {name: LIMITS[name] for name in only or LIMITS}, SECONDS, keep)
    print(f"{path}: {json.loads(path.read_text(encoding='utf-8'))['seconds']} seconds in all parts")
    if not rehearse and output is None:
        PAGE.write_text(page(read_records()), encoding="utf-8")
    return int(any(part["status"] != "done" for part in parts.values()))


def main(words: list[str] | None = None) -> int:
    """Run what the command line asks for; returns the exit status."""
    given = parser().parse_args(words)
    if given.page:
        PAGE.write_text(page(read_records()), encoding="utf-8")
        return 0
    if given.part:
        this_part(given.part, given.into, given.rehearse)
        return 0
    if unknown := [name for name in given.only or [] if name not in LIMITS]:
        return refused(f"there is no part {unknown[0]!r}; there are {', '.join(LIMITS)}")
    if missing := missing_modules():
        return refused(
            f"{', '.join(missing)}: not installed for {sys.executable}; install them, or collect the small "
            "ones where there is a network, with `make gpu-check-wheels`, and copy build/wheels here"
        )
    return check(given.only, given.rehearse, given.output)


if __name__ == "__main__":
    sys.exit(main())
