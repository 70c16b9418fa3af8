"""Write the README's tables from the code, or check that they are what the code says.

    python docs/tables.py            writes them
    python docs/tables.py --check    fails on a difference

A table stands between two comments: ``<!-- table: NAME -->`` and ``<!-- end -->``. A page that is written
from records of measurements is compared as a whole.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from additions import ADDITIONS
from hosted import CITATION, hosted, repository

from workbench.adapters.formats import ADAPTER_FORMATS
from workbench.adapters.kinds.known import ADAPTER_KINDS
from workbench.adapters.sums import SUMS
from workbench.cli import COMMANDS
from workbench.data import pools
from workbench.data.audit import CHECKS
from workbench.data.corruptions import CORRUPTIONS
from workbench.data.sources.layouts import LAYOUTS
from workbench.data.templates import TEMPLATES
from workbench.fetch import FETCHABLE
from workbench.laws.library import LAWS
from workbench.lessons.library import LESSONS
from workbench.models.families import FAMILIES
from workbench.models.writers import MODEL_FORMATS
from workbench.scoring import scorers
from workbench.studies.disk.schema import FORMAT as STUDY_FORMAT
from workbench.studies.grid import BUDGETS, STUDIES
from workbench.training.text_metrics import BUILT_IN, TEXT_METRICS
from workbench.views.manuscript.folder import PAPER_FORMAT

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "benchmarks"))

from gpucheck.page import page as gpu_page  # noqa: E402 - lies with the benchmarks
from gpucheck.record import read_records  # noqa: E402

PLACE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", flags=re.DOTALL)


def commands() -> Iterable[tuple[str, ...]]:
    """Return each command with its line of help."""
    yield "command", "what it does"
    yield from ((f"`workbench {name}`", about) for name, about in COMMANDS.items())


def studies() -> Iterable[tuple[str, ...]]:
    """Return each built-in study with its grid at each budget."""
    yield "study", "base", "budget", "qualities", "sizes", "seeds", "cells"
    for name, make in STUDIES.items():
        for budget in BUDGETS:
            study = make(budget)
            labels = ", ".join(quality.label.replace("_", " ") for quality in study.qualities)
            sizes = f"{min(study.sizes)} to {max(study.sizes)} ({len(study.sizes)})"
            yield name, study.base, budget, labels, sizes, str(len(study.seeds)), str(len(study.cells()))


def corruptions() -> Iterable[tuple[str, ...]]:
    """Return each corruption with what it does to an example."""
    yield "corruption", "an example becomes"
    yield from ((f"`{name}`", corruption.about) for name, corruption in CORRUPTIONS.items())


def kinds() -> Iterable[tuple[str, ...]]:
    """Return each kind of adapter with what it does and where it was published."""
    yield "`--adapter`", "what it is", "source"
    yield from ((f"`{name}`", kind.about, kind.source) for name, kind in ADAPTER_KINDS.items())


def templates() -> Iterable[tuple[str, ...]]:
    """Return each template."""
    yield "template", "how a record is asked"
    yield from ((f"`{name}`", template.about) for name, template in TEMPLATES.items())


def choices() -> Iterable[tuple[str, ...]]:
    """Return each way to choose records."""
    yield "`--quality`", "draws from"
    told = (kind.about.rpartition(": ") for kind in pools.POOLS.values())
    yield from ((f"`{example}`", about) for about, _, example in told)


def scores() -> Iterable[tuple[str, ...]]:
    """Return each scorer."""
    yield "scorer", "what its number is", "unit", "good end", "source"
    yield from (
        (f"`{name}`", scorer.about, scorer.unit, scorer.good, scorer.source)
        for name, scorer in scorers.SCORERS.items()
    )


def metrics() -> Iterable[tuple[str, ...]]:
    """Return each metric of what cells write."""
    yield "`--metrics`", "its number, from 0 to 1", "source"
    yield from ((f"`{name}`", TEXT_METRICS[name].about, TEXT_METRICS[name].source) for name in BUILT_IN)


def checks() -> Iterable[tuple[str, ...]]:
    """Return each check of an audit."""
    yield "check", "what it looks for"
    yield from ((f"`{name}`", check.about) for name, check in CHECKS.items())


def adapter_formats() -> Iterable[tuple[str, ...]]:
    """Return each format of adapter files."""
    yield "`--format`", "what it is"
    yield from ((f"`{name}`", format.about) for name, format in ADAPTER_FORMATS.items())


def sums() -> Iterable[tuple[str, ...]]:
    """Return each way to make one adapter of several."""
    yield "`--how`", "what comes out", "ranks"
    for name, way in SUMS.items():
        yield f"`{name}`", way.about, "the same for all" if way.equal_ranks else "any"


def fetchable() -> Iterable[tuple[str, ...]]:
    """Return what ``workbench fetch`` knows."""
    yield "name", "what it is", "size", "licence"
    for name, item in FETCHABLE.items():
        yield f"`{name}`", item.about, f"{item.size / 1e6:.0f} MB", item.licence


def curves() -> Iterable[tuple[str, ...]]:
    """Return each law that can be the curve of one quality."""
    yield "curve", "formula", "for", "source"
    for name, law in LAWS.items():
        if law.inputs != ("size",) or law.model_free:
            continue
        floor = "; floor: the zero-shot score; without one, 0 or fitted" if law.metric == "accuracy" else ""
        yield f"`{name}`", f"`{law.formula}`", law.metric, law.source + floor


def formats() -> Iterable[tuple[str, ...]]:
    """Return each numbered format of files with its number."""
    yield "format", "number", "where it is said"
    yield (
        "a study: `manifest.json` and `cells.sqlite`",
        str(STUDY_FORMAT),
        "`FORMAT` in `src/workbench/studies/disk/schema.py`",
    )
    yield (
        "the files of `workbench paper`",
        str(PAPER_FORMAT),
        "`PAPER_FORMAT` in `src/workbench/views/manuscript/folder.py`",
    )


def model_formats() -> Iterable[tuple[str, ...]]:
    """Return each format in which a whole model is written."""
    yield "`--format`", "what it is", "matrices", "embedding and head"
    for name, format in MODEL_FORMATS.items():
        yield f"`{name}`", format.about, format.matrices, format.vocabulary


def families() -> Iterable[tuple[str, ...]]:
    """Return each family of bases."""
    yield "`model_type`", "in a GGUF", "such as", "in what it differs"
    for name, family in FAMILIES.items():
        yield f"`{name}`", f"`{family.gguf}`", family.examples, family.about


def large_bases() -> Iterable[tuple[str, ...]]:
    """Return what training on each large base took, as recorded, and what was predicted."""
    yield "base", "file", "held", "products in", "peak", "predicted", "processor seconds a step"
    record = json.loads((ROOT / "benchmarks" / "records" / "large_bases.json").read_text(encoding="utf-8"))
    for row in record["rows"]:
        off = row["predicted_bytes"] / row["peak_bytes"] - 1
        sizes = (f"{row[name] / 1e9:.2f} GB" for name in ("file_bytes", "peak_bytes", "predicted_bytes"))
        file, peak, predicted = sizes
        shape, _, format = row["base"].partition("-")
        yield (
            f"{shape}, {format.upper()}",
            file,
            row["hold"],
            row["precision"],
            peak,
            f"{predicted} ({off:+.0%})",
            f"{row['step_processor_seconds']:.0f}" if "step_processor_seconds" in row else "not recorded",
        )


def layouts() -> Iterable[tuple[str, ...]]:
    """Return each layout of records with what it is read as."""
    yield "`--read-as`", "read as", "defined by", "keys", "template"
    for name, layout in LAYOUTS.items():
        own = [
            key
            for field, key in layout.keys.items()
            if field in ("prompt", "context", "response", "messages")
        ]
        yield (
            f"`{name}`",
            re.sub(r" \(every path: .*\)", "", layout.title) or "prompts and responses",
            layout.origin,
            layout.known_by or ", ".join(f"`{key}`" for key in own),
            f"`{layout.template}`",
        )


def additions() -> Iterable[tuple[str, ...]]:
    """Return each kind of thing that can be added with the places that it touches."""
    yield "to add a", "write", "and a line in", "the tests that run over it"
    yield from (addition.row() for addition in ADDITIONS)


def lessons() -> Iterable[tuple[str, ...]]:
    """Return each notebook with what it asks."""
    yield "notebook", "question", "minutes on 2 cores"
    yield from ((f"[{name}]({name}.ipynb)", one.question, one.time) for name, one in LESSONS.items())


TABLES: dict[str, Callable[[], Iterable[tuple[str, ...]]]] = {
    "commands": commands,
    "studies": studies,
    "corruptions": corruptions,
    "templates": templates,
    "pools": choices,
    "scorers": scores,
    "metrics": metrics,
    "checks": checks,
    "adapters": adapter_formats,
    "sums": sums,
    "fetchable": fetchable,
    "curves": curves,
    "formats": formats,
    "additions": additions,
    "layouts": layouts,
    "kinds": kinds,
    "model_formats": model_formats,
    "families": families,
    "lessons": lessons,
    "hosted": lambda: hosted(repository(CITATION.read_text(encoding="utf-8"))),
    "large_bases": large_bases,
}
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/adapter-kinds.md",
    "docs/adapters.md",
    "docs/audit.md",
    "docs/bases.md",
    "docs/release.md",
    "docs/data.md",
    "docs/export.md",
    "docs/gpu.md",
    "docs/hosted.md",
    "notebooks/README.md",
    "docs/memory.md",
)
"""Documents with such tables, or written whole."""
WRITTEN: dict[Path, Callable[[], str]] = {ROOT / "docs" / "gpu.md": lambda: gpu_page(read_records())}
"""Those that are written whole."""


def markdown(rows: Iterable[tuple[str, ...]]) -> str:
    """Return rows, the headings first, as a Markdown table."""
    heading, *lines = rows
    return "".join(f"| {' | '.join(line)} |\n" for line in (heading, ("---",) * len(heading), *lines))


def filled(text: str) -> str:
    """Return a document with every table written anew."""
    return PLACE.sub(lambda place: place[1] + markdown(TABLES[place[2]]()) + place[3], text)


def as_it_should_be(document: Path) -> str:
    """Return a document's text as code and records have it; one that is written whole may be missing."""
    if write := WRITTEN.get(document.resolve()):
        return write()
    return filled(document.read_text(encoding="utf-8"))


def main() -> int:
    """Write or check the documents named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("documents", nargs="*", type=Path, default=[ROOT / name for name in DOCUMENTS])
    parser.add_argument("--check", action="store_true", help="change nothing, fail on a difference")
    arguments = parser.parse_args()
    stale = []
    for document in arguments.documents:
        wanted = as_it_should_be(document)
        if not document.exists() or document.read_text(encoding="utf-8") != wanted:
            stale.append(document)
            if not arguments.check:
                document.write_text(wanted, encoding="utf-8")
    if stale and arguments.check:
        print(f"the tables of {', '.join(map(str, stale))} are not what the code says: run make docs")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
