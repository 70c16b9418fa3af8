"""What somebody may add to the workbench, each by one function or class and a line in a dict."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from qlora_kernels import formats as number_formats
from workbench import cli, fetch
from workbench.adapters import formats as of_adapters
from workbench.adapters import sums as of_sums
from workbench.adapters.kinds import known as of_kinds
from workbench.data import audit as of_audit
from workbench.data import corruptions as of_data
from workbench.data import pools, sources
from workbench.data import templates as of_text
from workbench.data.sources import containers as of_files
from workbench.data.sources import layouts as of_records
from workbench.laws import library
from workbench.models import folder_methods, loaders, writers
from workbench.scoring import scorers
from workbench.studies import executors, grid
from workbench.training import text_metrics as of_responses
from workbench.views import widgets

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Addition:
    """What somebody may add: one function or class, one line in a dict, and the tests that run over it."""

    what: str
    write: str
    registry: str
    """Name of the dict, in its module."""
    module: ModuleType
    test: str
    """Where the tests over the dict are."""

    def row(self) -> tuple[str, ...]:
        """Return the line of the table, after a look that what it names is there."""
        assert isinstance(getattr(self.module, self.registry), Mapping), self.registry
        assert self.registry in (ROOT / self.test).read_text(encoding="utf-8"), self.test
        place = Path(self.module.__file__ or "").resolve().relative_to(ROOT)
        return self.what, self.write, f"`{self.registry}` in `{place}`", f"`{self.test}`"


ADDITIONS = (
    Addition(
        "corruption",
        "`(record, pool, chance) -> record`",
        "CORRUPTIONS",
        of_data,
        "tests/workbench/data/test_corruptions.py",
    ),
    Addition(
        "source of data",
        "`(heldout) -> Dataset`",
        "SOURCES",
        sources,
        "tests/workbench/data/sources/test_every_source.py",
    ),
    Addition(
        "layout of records",
        "a `Layout`: what fits, and its rows",
        "LAYOUTS",
        of_records,
        "tests/workbench/data/sources/test_layouts.py",
    ),
    Addition(
        "kind of file",
        "`(path, data) -> Contents`",
        "CONTAINERS",
        of_files,
        "tests/workbench/data/sources/test_containers.py",
    ),
    Addition(
        "template",
        "`(record) -> text`",
        "TEMPLATES",
        of_text,
        "tests/workbench/data/test_templates.py",
    ),
    Addition(
        "check of an audit",
        "`(subject) -> list of faults`",
        "CHECKS",
        of_audit,
        "tests/workbench/data/audit/test_checks.py",
    ),
    Addition(
        "choice of records",
        "`(dataset, found, seed) -> records in order`",
        "POOLS",
        pools,
        "tests/workbench/data/test_pools.py",
    ),
    Addition(
        "kind of adapter",
        "an `AdapterKind`: scale, start, rates",
        "ADAPTER_KINDS",
        of_kinds,
        "tests/workbench/adapters/test_kinds.py",
    ),
    Addition(
        "scorer",
        "`(given) -> one number a record`",
        "SCORERS",
        scorers,
        "tests/workbench/scoring/test_scorers.py",
    ),
    Addition(
        "metric of what cells write",
        "`(response, reference, record) -> number`, a `TextMetric`",
        "TEXT_METRICS",
        of_responses,
        "tests/workbench/training/test_text_metrics.py",
    ),
    Addition(
        "form of a base",
        "`(path, name, precision) -> Base`",
        "LOADERS",
        loaders,
        "tests/workbench/models/test_every_loader.py",
    ),
    Addition(
        "way to quantize a folder",
        "a `Method`: its settings, its tensors, how they are read",
        "METHODS",
        folder_methods,
        "tests/workbench/models/test_folder_quantized.py",
    ),
    Addition(
        "format of adapter files",
        "a reader and a writer, an `AdapterFormat`",
        "ADAPTER_FORMATS",
        of_adapters,
        "tests/workbench/adapters/test_formats.py",
    ),
    Addition(
        "way to add adapters",
        "`(parts, options) -> A and B`, a `Sum`",
        "SUMS",
        of_sums,
        "tests/workbench/adapters/test_sums.py",
    ),
    Addition(
        "format of numbers",
        "`pack` and `unpack`, a `Format`",
        "FORMATS",
        number_formats,
        "tests/kernels/test_formats.py",
    ),
    Addition(
        "format of whole models",
        "`(path, model, kinds, progress, largest_shard)`, a `ModelFormat`",
        "MODEL_FORMATS",
        writers,
        "tests/workbench/models/writers/test_every_format.py",
    ),
    Addition("study", "`(budget) -> Study`", "STUDIES", grid, "tests/workbench/studies/test_runner.py"),
    Addition(
        "executor",
        "the protocol `Executor`",
        "EXECUTORS",
        executors,
        "tests/workbench/studies/test_executors.py",
    ),
    Addition(
        "law", "its formula, limits and starts", "LAWS", library, "tests/workbench/laws/test_library.py"
    ),
    Addition(
        "widget",
        "a `View` and its `.js`",
        "WIDGETS",
        widgets,
        "tests/workbench/views/widgets/test_widgets.py",
    ),
    Addition(
        "command", "a module with `add_parser` and `run`", "COMMANDS", cli, "tests/workbench/cli/test_cli.py"
    ),
    Addition("thing to fetch", "a `Fetchable`", "FETCHABLE", fetch, "tests/workbench/fetch/test_fetch.py"),
)
