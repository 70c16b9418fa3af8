"""A workbench for one question: clean the data, or collect more of it.

It trains many cheap LoRA cells over quality x size x seed on one frozen, quantized base model, fits a law
with intervals to each quality and answers with an exchange rate. This is the front door:

    import workbench as wb

    study = wb.study("verbs", budget="coffee")       what is to be trained: nothing is yet
    results = wb.run(study, "runs/verbs-coffee")     trains it here
    job = wb.start(study, "runs/verbs-coffee")       trains it beside you; wb.watch(job) shows it
    results = wb.open_study("runs/verbs-coffee")     one that was run before, or is running
    results = wb.shipped_study()                     the one that comes with the package

    results.table()                                  one row a cell; pandas and polars take it as it is
    results.exchange_rate("exact_match")             the answer, in a sentence
    results.analysis("loss")                         each quality's curve, with its constants
    results.plan()                                   what to train next; with wb.Prices, what to buy
    results.figure(), results.report()               a figure for a paper, a page to read and explore

    wb.audit_file("mine.jsonl")                      what is wrong with a file before anybody trains on it
    wb.score_file("mine.jsonl", ["ifd"])             a number for each record, to choose by

    wb.load_base, wb.load_dataset, wb.load_adapter   what a study is made of, each by itself
    wb.save_adapter, wb.export_model                 an adapter, or base and adapter, as others read them
    wb.chat("smollm2-135m", ["adapter:0.5"])         a conversation with a base and a stack of adapters
    wb.quantize                                      a weight in few bits
    wb.read_table, wb.fit_table, wb.analyse, wb.exchange_rate    tables that were made elsewhere
    wb.widgets, wb.lessons                           what moves in a notebook; exercises, games

Bad input raises ``InputError``, whose message says what was expected and what to do. Importing this package
loads nothing heavy: each name loads what it needs when it is first asked for.
"""

from typing import TYPE_CHECKING

from workbench.lazy import on_first_use

if TYPE_CHECKING:
    from qlora_kernels import quantize
    from workbench import lessons
    from workbench.adapters.formats import load_adapter, save_adapter
    from workbench.beside import start, watch
    from workbench.chatting.conversation import chat
    from workbench.config import Quality
    from workbench.data.sources import load_dataset
    from workbench.errors import InputError
    from workbench.exporting.exporter import export_model
    from workbench.laws import analyse, exchange_rate, read_table
    from workbench.laws.prices import Prices
    from workbench.laws.problems import fit_table
    from workbench.models.loaders import load_base
    from workbench.own_files import audit_file, score_file
    from workbench.results import Results, open_study, run, shipped_study
    from workbench.studies.choices import study
    from workbench.studies.grid import Study
    from workbench.views import widgets

__version__ = "0.1.0"

__all__ = [
    "InputError",
    "Prices",
    "Quality",
    "Results",
    "Study",
    "analyse",
    "audit_file",
    "chat",
    "exchange_rate",
    "export_model",
    "fit_table",
    "lessons",
    "load_adapter",
    "load_base",
    "load_dataset",
    "open_study",
    "quantize",
    "read_table",
    "run",
    "save_adapter",
    "score_file",
    "shipped_study",
    "start",
    "study",
    "watch",
    "widgets",
]

if not TYPE_CHECKING:  # a type checker reads the imports above, and finds a name that isn't there
    __getattr__ = on_first_use(
        __name__,
        {
            "InputError": "workbench.errors",
            "Prices": "workbench.laws.prices",
            "Quality": "workbench.config",
            "Results": "workbench.results",
            "Study": "workbench.studies.grid",
            "analyse": "workbench.laws",
            "audit_file": "workbench.own_files",
            "chat": "workbench.chatting.conversation",
            "exchange_rate": "workbench.laws",
            "export_model": "workbench.exporting.exporter",
            "fit_table": "workbench.laws.problems",
            "lessons": "workbench.lessons",
            "load_adapter": "workbench.adapters.formats",
            "load_base": "workbench.models.loaders",
            "load_dataset": "workbench.data.sources",
            "open_study": "workbench.results",
            "quantize": "qlora_kernels",
            "read_table": "workbench.laws",
            "run": "workbench.results",
            "save_adapter": "workbench.adapters.formats",
            "score_file": "workbench.own_files",
            "shipped_study": "workbench.results",
            "start": "workbench.beside",
            "study": "workbench.studies.choices",
            "watch": "workbench.beside",
            "widgets": "workbench.views.widgets",
        },
    )


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
