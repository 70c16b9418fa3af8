"""The notebooks: which there are, in which order, what each one asks, and where they lie.

A checkout has them in ``notebooks/``. A wheel carries the same files, with the glossary and the instructor's
page, so that a class needs neither a checkout nor a network.
"""

from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode
from nbformat import read as read_notebook
from nbformat.v4 import new_markdown_cell

from workbench.errors import InputError

INDEX = "README.md"
PAGES = {"GLOSSARY.md": "glossary.md", "INSTRUCTOR.md": "workshop.md"}
"""Pages that go with the notebooks: the name that a copy gives them, and that in the checkout's ``docs/``."""


@dataclass(frozen=True, slots=True)
class LessonFacts:
    """What is known of a notebook before it is opened."""

    question: str
    minutes: int = 1
    """How long it runs on two cores, from top to bottom."""
    exercise_minutes: int | None = None
    """Minutes to plan for its exercises, if it has some."""

    @property
    def time(self) -> str:
        """The minutes that it takes, in words."""
        exercises = f", or {self.exercise_minutes} with the exercises" if self.exercise_minutes else ""
        return f"{self.minutes}{exercises}"


LESSONS = {
    "00_five_minutes": LessonFacts("Is a clean example worth more than a spoiled one?"),
    "01_noisy_example": LessonFacts("What is a noisy example?"),
    "02_lora_by_hand": LessonFacts("Why may a fine-tune be of low rank?", exercise_minutes=30),
    "03_four_bits_by_hand": LessonFacts("What do four bits lose?", exercise_minutes=30),
    "03k_kernel_lab": LessonFacts(
        "What does a fused 4-bit kernel save, and can you write one?",
        exercise_minutes=40,
    ),
    "04_live_fine_tune": LessonFacts("What does a model learn from wrong examples?"),
    "05_grid": LessonFacts("What does a grid show that one run hides?"),
    "06_loss_surface": LessonFacts("Can one law stand for all qualities?", exercise_minutes=20),
    "07_exchange_rate": LessonFacts("How many spoiled examples replace a clean one?", exercise_minutes=20),
    "08_talk_to_them": LessonFacts("Do you notice which model learnt from spoiled data?"),
    "09_spend_the_budget": LessonFacts("Clean or collect?"),
    "10_paper": LessonFacts("What does one corrected result change in a paper?"),
    "11_next_hour": LessonFacts("What should the next hour train, and the next dollar buy?"),
    "12_is_a_filter_worth_its_cost": LessonFacts("Is a filter worth its cost?"),
    "13_evidence": LessonFacts("Do the data know the constant that a fit returns?"),
    "14_from_scratch": LessonFacts("Can you write the whole answer yourself, in 200 lines?"),
}
"""The notebooks by the names of their files, in the order in which they are read."""


def masters_folder() -> Path:
    """Return where the notebooks lie: the checkout's folder, or the one that the wheel brought."""
    checkout = _checkout() / "notebooks"
    return checkout if checkout.is_dir() else Path(__file__).parent / "notebooks"


def master(name: str, folder: Path) -> NotebookNode:
    """Read a notebook.

    Raises:
        InputError: If ``folder`` doesn't have it.
    """
    path = folder / f"{name}.ipynb"
    if not path.is_file():
        raise InputError(f"{path} is missing; name the checkout's folder of notebooks with --notebooks")
    return read_notebook(path, as_version=4)


def page(name: str) -> str:
    """Return the text of one of ``PAGES``."""
    checkout = _checkout() / "docs" / PAGES[name]
    path = checkout if checkout.is_file() else masters_folder() / PAGES[name]
    return path.read_text(encoding="utf-8")


def with_links(notebook: NotebookNode, name: str) -> NotebookNode:
    """Add a last cell to a notebook that leads to the next one, the index and the glossary."""
    order = list(LESSONS)
    place = order.index(name) + 1
    links = [f"[All notebooks]({INDEX})", "[Glossary](GLOSSARY.md)"]
    if place < len(order):
        links.insert(0, f"Next: [{LESSONS[order[place]].question}]({order[place]}.ipynb)")
    notebook.cells.append(new_markdown_cell(" · ".join(links), id="where-to-go"))
    return notebook


def index(heading: str, text: str) -> str:
    """Return the index of a copy: what each notebook asks, without the answers."""
    lines = [f"# {heading}", "", text, "", "| | the question | minutes |", "| --- | --- | --- |"]
    for name, one in LESSONS.items():
        number = name.split("_")[0].lstrip("0") or "0"
        lines.append(f"| {number} | [{one.question}]({name}.ipynb) | {one.time} |")
    lines += ["", "Words are explained in the [glossary](GLOSSARY.md)."]
    return "\n".join(lines) + "\n"


def _checkout() -> Path:
    """Return the folder that would be the checkout's."""
    return Path(__file__).resolve().parents[3]
