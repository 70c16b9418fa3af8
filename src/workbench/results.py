"""A study from the front door: run it, open it, and ask what it measured and what that says."""

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.adapters.adapter import LoraAdapter
from workbench.adapters.formats import load_adapter
from workbench.columns import Columns
from workbench.config import CellConfig, Quality
from workbench.errors import InputError, unknown_name
from workbench.growing import growing
from workbench.laws import Analysis, ExchangeRate, rate_of, read_table
from workbench.laws.in_words import readable
from workbench.laws.prices import Prices
from workbench.laws.problems import fit_table
from workbench.laws.units import SIZE_UNITS
from workbench.lessons.shipped import VERBS
from workbench.lessons.talk import find_cell
from workbench.showing import Shown
from workbench.studies import runner
from workbench.studies.defaults import CHECKPOINT_SECONDS, EXECUTOR
from workbench.studies.disk.adapters import adapter_folder
from workbench.studies.disk.manifest import Manifest, read_manifest
from workbench.studies.disk.store import DATABASE, Store
from workbench.studies.executors.protocol import Executor, ShouldStop
from workbench.studies.grid import Study
from workbench.studies.runner import OnProgress
from workbench.views.advice import MINUTES, Advice, advise
from workbench.views.answers import Answers, analysed, records_judging
from workbench.views.filters import Filters, filters_of
from workbench.views.variants import refuse_several, study_answers

if TYPE_CHECKING:
    from workbench.laws.fitting import Fit
    from workbench.laws.library import Law
    from workbench.views.report import Report
    from workbench.views.style import PaperFigure


class Results(Shown):
    """What a study has measured so far, and what that says; see :func:`open_study`.

    It reads the study's folder whenever it is asked, so it may be kept while the study trains, and writes
    nothing but the report.

    Attributes:
        folder: The study's folder.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self._answered: tuple[tuple[int, int], Answers] | None = None

    @property
    def study(self) -> Study:
        """The study's description, as :func:`workbench.study` makes it."""
        return self.manifest.study.parsed()

    @property
    def manifest(self) -> Manifest:
        """How the results were made: settings, hashes, versions, machine, predicted and actual time."""
        return read_manifest(self.folder)

    def table(self) -> Columns:
        """Return one row a cell, and before them the base without training, as a row of size 0.

        ``pandas.DataFrame(results.table())`` and ``polars.DataFrame(results.table())`` take it as it is. The
        loss is in nats a token, the other metrics are shares; a number that doesn't exist is None.

        Raises:
            InputError: If the cells are of several settings, which one table can't compare.
        """
        with Store.open(self.folder, read_only=True) as store:
            return Columns(store.table(), measured_here=True)

    def answers(self) -> Answers:
        """Return what the study says: sentences, exchange rates, curves, and what to know about them.

        Raises:
            InputError: If the cells are of several settings, which one table can't compare.
        """
        stat = (self.folder / DATABASE).stat()
        seen = (stat.st_mtime_ns, stat.st_size)
        if self._answered is None or self._answered[0] != seen:
            with Store.open(self.folder, read_only=True) as store:
                self._answered = seen, study_answers(store, store.table())
        return self._answered[1]

    def analysis(self, metric: str | None = None, vary: str | None = None) -> Analysis:
        """Return the curve of every quality, with what could as well have been measured.

        Args:
            metric: A column of the table; by default the one that tells most.
            vary: A variant, as in the table's column ``vary``, where the study has several.

        Raises:
            InputError: If the metric was not measured, no curve can be fitted, or the variant isn't known.
        """
        answers = self.answers()
        if answers.variants:
            if vary is None:
                known = ", ".join(f"vary={label!r}" for label in answers.variants)
                raise InputError(f"{self.folder} has {len(answers.variants)} variants; say which: {known}")
            if vary not in answers.variants:
                raise unknown_name("variant", vary, answers.variants, "the study's bases and settings")
            answers = answers.variants[vary]
            if metric and metric not in answers.studies:
                raise unknown_name("metric", metric, answers.studies, str(self.folder))
        found = answers.studies
        chosen = metric or next(iter(found), "loss")
        if chosen in found:
            return found[chosen]
        judging = records_judging(self.manifest.data, chosen)
        return analysed(self.table().rows, chosen, str(self.folder), judging, None)

    def exchange_rate(
        self,
        metric: str | None = None,
        *,
        reference: str | None = None,
        other: str | None = None,
        sizes: Sequence[float | int] | None = None,
        vary: str | None = None,
    ) -> ExchangeRate:
        """Return how many examples of one quality do the work of one of another.

        Args:
            metric: A column of the table; by default the one that tells most.
            reference: Label of the quality whose examples are replaced; by default the study's first.
            other: Label of the quality whose examples replace them; by default the study's last.
            sizes: Numbers of reference examples; by default those that were measured.
            vary: A variant, as in the table's column ``vary``, where the study has several.

        Raises:
            InputError: If the metric or a quality was not measured, or there is one quality only.
        """
        analysis = self.analysis(metric, vary)
        measured = list(analysis.curves)
        if len(measured) < 2 and other is None:
            raise InputError(
                f"{self.folder} has measured {measured[0]!r} only, so there is nothing to exchange; run it "
                "with a second quality"
            )
        return rate_of(analysis, reference=reference or measured[0], other=other or measured[-1], sizes=sizes)

    def plan(
        self,
        *,
        reference: str | None = None,
        other: str | None = None,
        size: int | None = None,
        minutes: float | int = MINUTES,
        prices: Prices | None = None,
    ) -> Advice:
        """Return what to do next: which cells narrow the rate most in so many minutes, and what to buy.

        Args:
            reference: Label of the quality whose examples are replaced; by default the study's first.
            other: Label of the quality whose examples replace them; by default the study's last.
            size: Reference examples at which the rate counts; by default those of the study's answer.
            minutes: Of training.
            prices: What is at hand, what may be spent and what things cost, such as
                ``wb.Prices(have=("50% typo", 2000), budget=100, new={"50% typo": 0.05}, clean=0.4)``; by
                default nothing is bought.

        Raises:
            InputError: If cells or seeds are missing, so that nothing can be planned, or a choice can't be
                used.
        """
        refuse_several(self.manifest, "planning the next cells")
        with Store.open(self.folder, read_only=True) as store:
            return advise(
                store,
                self.answers().studies,
                reference=reference,
                other=other,
                size=size,
                minutes=minutes,
                prices=prices,
            )

    def fit(self, metric: str, law: "str | Law") -> "Fit":
        """Fit one law to all cells, as :func:`workbench.fit_table` does to a table made elsewhere.

        Args:
            metric: A column of the table.
            law: A name such as "noise_floor" or "power", or a law.

        Raises:
            InputError: If the law doesn't suit the metric, or there are too few cells.
        """
        return fit_table(read_table(self.table(), name=str(self.folder)), metric, law)

    def figure(
        self, metric: str | None = None, *, qualities: Iterable[str | Quality] | None = None
    ) -> "PaperFigure":
        """Draw how a metric changes with size, a line a quality, with its interval.

        Args:
            metric: A column of the table; None draws the loss and the accuracy side by side.
            qualities: Which ones are drawn; by default all.

        Raises:
            InputError: If nothing was measured, or there is no such metric or quality.
        """
        from workbench.views.figures import quality_by_size

        rows = self.table().rows
        if qualities is not None:
            known = dict.fromkeys(row["quality"] for row in rows if row["size"] > 0)
            wanted = [one.label if isinstance(one, Quality) else one for one in qualities]
            for label in wanted:
                if label not in known:
                    raise unknown_name("quality", label, known, "the study's grid")
            rows = [row for row in rows if row["size"] == 0 or row["quality"] in wanted]
        answers = self.answers()
        facets = {label: one.fits for label, one in answers.variants.items()}
        return quality_by_size(rows, metric, fits=answers.fits, facets=facets)

    def filters(self) -> Filters:
        """Return what the study says about filters: what each is worth against chance, and with its cost.

        Raises:
            InputError: If the study doesn't compare filters, or has no answer yet.
        """
        with Store.open(self.folder, read_only=True) as store:
            found = filters_of(store, store.table(), self.answers().studies)
        if found is None:
            raise InputError(
                f"{self.folder} has no answer about filters; `workbench filters FILE --scorer ifd` runs a "
                "study that has one"
            )
        return found

    def report(self) -> "Report":
        """Write the report into the study's folder, a page, a figure and a table, and return where they are.

        Raises:
            InputError: If no cell is finished yet, or the folder can't be written.
        """
        from workbench.views.report import write_report

        return write_report(self.folder)

    def cell(self, quality: str, size: int, seed: int = 0, vary: str | None = None) -> CellConfig:
        """Return what one cell is: all that decides its numbers.

        Args:
            quality: Its quality's label.
            size: Its size.
            seed: Its seed.
            vary: Its variant, as in the table's column ``vary``, such as "rank 8", where it has several.

        Raises:
            InputError: If the study has no such cell, or several.
        """
        return find_cell(self.folder, quality, size, seed, vary)

    def curves(
        self, quality: str, size: int, seed: int = 0, vary: str | None = None
    ) -> dict[str, list[float]]:
        """Return the curves of one cell by name: "train_loss" has one value a step, "item_loss" one a record.

        The arguments, and what is raised, are those of :meth:`cell`.
        """
        with Store.open(self.folder, read_only=True) as store:
            return store.curves(self.cell(quality, size, seed, vary).key())

    def adapter(self, quality: str, size: int, seed: int = 0, vary: str | None = None) -> LoraAdapter:
        """Return the trained adapter of one cell, which knows its base by name and hash.

        The arguments are those of :meth:`cell`.

        Raises:
            InputError: If the study has no such cell, several, or doesn't keep its adapter.
        """
        cell = self.cell(quality, size, seed, vary)
        name = f"{readable(quality)}, {size:,} {SIZE_UNITS[cell.size_in].many}, seed {seed}"
        folder = adapter_folder(self.folder, cell.key())
        if not folder.exists():
            raise InputError(f"{self.folder} keeps no adapter of {name}: {folder} is missing")
        return replace(load_adapter(folder), name=name, base=cell.base, base_sha256=cell.base_sha256 or None)

    def _shown(self) -> tuple[str, dict[str, str]]:
        title = f"Results of {self.folder}"
        try:
            with Store.open(self.folder, read_only=True) as store:
                counts, manifest = store.counts(), store.manifest
            study = manifest.study.parsed()
            grid = f"{len(study.qualities)} qualities x {len(study.sizes)} sizes x {len(study.seeds)} seeds"
            grid = f"{study.variants} variants x {grid}" if study.variants > 1 else grid
            grown = sum(len(batch) for batch in study.grown)
            more = f" and {grown} cells that it chose" if grown else ""
            done = f"{counts.pop('done', 0)} of {manifest.study.cells} done"
            failed = "".join(f", {count} {status}" for status, count in counts.items())
            return title, {
                "study": f"{study.name}: {grid}{more} on base {', '.join(study.bases)}",
                "cells": f"{done}{failed}",
                "answer": self.answers().sentences[0],
            }
        except InputError as error:
            return title, {"can't be read": str(error)}


def run(
    study: Study,
    folder: Path | str,
    *,
    on_progress: OnProgress | None = None,
    should_stop: ShouldStop | None = None,
    executor: str | Executor = EXECUTOR,
    workers: int | None = None,
    threads: int | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    until: str | None = None,
    minutes: float | int | None = None,
    at: int | None = None,
) -> Results:
    """Train what is missing of a study, here, and return its results; :func:`start` does it beside you.

    Args:
        study: What :func:`workbench.study` described.
        folder: Where the study lives; made when it doesn't exist, continued when it does.
        on_progress: Called as the run moves on; None shows a bar.
        should_stop: Asked after every step; once it says yes, the run ends in order, and the same call goes
            on from there.
        executor: "in-process", "processes" on this machine, or "ray".
        workers: How many stacks of cells train at once; None leaves it to the executor.
        threads: Threads of torch in each process that trains; None takes those that the study began with.
        checkpoint_seconds: Time between two checkpoints of a stack.
        until: Such as "rate:1.3": the study begins small and chooses its own cells, batch by batch, until the
            95% interval of the rate of its first quality against its last reaches, in two looks in a row, at
            most 1.3 times its middle (the square root of the product of its ends), and at least that middle
            divided by 1.3. The study's smallest and largest size are then the range of sizes.
        minutes: Such as 30: it chooses its own cells for so many minutes of training, from now on.
        at: Reference examples at which that rate is asked for; by default the middle of the range.

    Raises:
        InputError: If the input can't be used, the folder holds a study of other settings, other data or
            another base, or another run is writing it.
    """
    from workbench.views.progress import progress_bars

    folder, grower = Path(folder), None
    if until is not None or minutes is not None:
        study, grower = growing(study, folder, until=until, minutes=minutes, at=at)
    elif at is not None:
        raise InputError(f"at is {at}, but the study doesn't grow: give until or minutes as well")
    with progress_bars(study, folder) if on_progress is None else nullcontext(on_progress) as tell:
        store = runner.run(
            study,
            folder,
            tell,
            should_stop,
            executor=executor,
            workers=workers,
            threads=threads,
            checkpoint_seconds=checkpoint_seconds,
            grower=grower,
        )
    store.close()
    return Results(folder)


def open_study(folder: Path | str) -> Results:
    """Open a study that was run before, or that trains at this moment.

    Args:
        folder: The study's folder, as ``workbench list`` shows it.

    Raises:
        InputError: If there is no study, or it is damaged or of a newer version.
    """
    with Store.open(folder, read_only=True):
        return Results(folder)


def shipped_study() -> Results:
    """Open the study that comes with the package: 112 cells of ``verbs``, trained by the committed code.

    Of two of its cells the adapters are kept: "clean" and "50% other_form" at 128 examples, seed 0.
    """
    return open_study(VERBS)
