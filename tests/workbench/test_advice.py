"""Whatever a message advises is done in a test, to its end, and succeeds.

The tests that are marked with ``@follows`` provoke messages, take the advice out of them where they can (an
option, a command, a name, a number) and follow it; the mark names the messages by a fragment. This walk
over the source holds that every message that advises something is followed so, or stands in ``NOT_HERE``
with the reason why it can't be.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import workbench

SOURCE = Path(workbench.__file__).parent

NOT_HERE = {
    "wasn't read from a GGUF and can't be written into one": "is for who writes Python; there is no option",
    "{self.place} is damaged: it has no {part!r}": "copying a manifest back is followed above",
    "{manifest.place} is damaged: in sessions": "copying a manifest back is followed above",
    "copy its adapters back from a backup": "copying adapters back is followed above",
    "version of the base {cell.base}; take the version": "is another installation of this package",
    "Below is an instruction": "is what a template asks, no message",
    "or give each base a study of its own": "is what every test of one base does",
    "can't be compared; take bases of one tokenizer": "such bases are views/test_variants.py's",
    "hold {kinds} at once; quantize": "is for who writes Python; `export-model` packs joined matrices alike",
    "(precompiled_charsmap) points outside itself; get the base again": "is a download anew",
    "[\\p{P}\\$\\+<=>": "is a pattern of a pre-tokenizer, no message",
    "\\]^_`{|}~][A-Za-z]+|": "is a pattern of a pre-tokenizer, no message",
    "holds NaN or infinity; train or get the adapter again": "is a training anew; nothing else mends it",
    "```": "is how code is marked in a text, no message",
    "[.!?…:;": "is what ends a sentence, no message",
    "type `{INSTALL}": "needs a network; test_text.py holds that it names the release that is installed",
    "start the stack again": "is for who writes Python; the runner does it, see test_checkpoints.py",
    "weights in safetensors; give their folder with --base": "test_every_loader.py loads such a folder",
    "reads, and that isn't installed; type": "needs a network; test_containers.py reads the command",
    "is read by the library datasets, which isn't installed; type": "needs a network",
    "an Excel workbook; save its sheet as CSV": "needs a spreadsheet program; tables in CSV are followed",
    "`hf download {name}": "needs a network",
    "a 7z archive. Unpack it": "needs 7-Zip; the other archives are followed",
    "{_why(attempts)}": "needs a machine that runs out of memory; test_runner.py tries again as it says",
    "make the machines equal": "needs two machines",
    "put the same folder on every machine": "needs two machines",
    "put it at the same path on every machine": "needs two machines",
    "set RAY_AUTH_MODE=token in the environment": "needs a process that imported Ray first; test_cluster.py",
    "--executor processes needs no Ray": "needs a Ray that doesn't start; the option is followed above",
    "Install a newer workbench": "needs a release that isn't there yet",
    "there is no pip in": "would change the environment; its second half is followed above",
    "could not unpack {origin}": "needs a full disk; the kinds of error are followed above",
    "the adapter belongs to another cell": "says what is wrong; nothing to do from outside",
    "Compare them in two studies": "needs names that no corruption has",
    "draw it with contours()": "is for who writes Python; test_law_figures.py draws both",
    "name one besides size as 'across'": "is for who writes Python; test_law_figures.py draws both",
    "choose from 0 to 1": "is for who writes Python: the game's slider has no other value",
    "add a second to the study": "is for who writes Python; test_explore.py shows studies with two",
    "make at least 20: bootstrap(fit, 20)": "is for who writes Python; the widgets' tests draw more",
    "start one with wb.start(study, folder)": "is for who writes Python; test_live.py starts one",
    "Measure both with one model": "is for who writes Python; there is no option",
    "was measured for both qualities; choose one of": "is for who writes Python; test_exchange.py chooses",
    "REMEDIES SQLITE_READONLY": "needs a disk that can only be read; faults.py has one",
    "REMEDIES SQLITE_CANTOPEN": "needs a folder that can't be entered",
    "REMEDIES SQLITE_FULL": "needs a full disk; faults.py has one and runs the same command again",
    "REMEDIES SQLITE_IOERR": "needs a disk that fails",
    "REMEDIES SQLITE_BUSY": "needs a run that is at work for a minute",
    "`workbench mend {name}` sets one": "needs a study of an earlier version; test_mend.py mends two",
    "chmod a+r": "needs a user who is not root; there is nothing else to follow",
    "Give another copy of it": "needs a disk that fails",
    "Convert the adapter anew with --outtype f32": "needs llama.cpp's converter",
    "exists on Linux only. Read this notebook": "needs a machine that isn't Linux",
    "give it values, and one of them": "is for who writes Python; test_dial.py starts dials at their values",
    "ask its sender for what `workbench export` wrote": "is what the damaged archive above is told as well",
}
"""Fragments of messages whose advice can't be followed in a test, each with the reason."""

CHECKED = (
    "adapters/**/*.py",
    "chaining.py",
    "chatting/*.py",
    "cli/**/*.py",
    "config.py",
    "data/**/*.py",
    "devices.py",
    "errors.py",
    "exporting/*.py",
    "fetch.py",
    "files.py",
    "filtering/*.py",
    "foresight.py",
    "growing.py",
    "ladder/*.py",
    "laws/*.py",
    "lessons/**/*.py",
    "models/*.py",
    "own_files.py",
    "classmates.py",
    "scoring/*.py",
    "stack_report.py",
    "studies/**/*.py",
    "training/*.py",
    "views/**/*.py",
)
"""The files whose messages are walked."""
NOT_YET = (
    "studies/provenance.py",
    "studies/replay.py",
    "studies/disk/store.py",
)
"""Those whose messages are tested elsewhere."""

ERRORS = ("InputError", "NotReadyError")
"""What is raised with a sentence for people."""
IN_PIECES = ("data/**/*.py", "models/*.py", "training/prepare.py")
"""Those whose messages are put together of pieces, which are walked too: texts outside of docstrings."""
VERBS = (
    "hold judge keep measure plan rename "
    "add ask bring call check choose close compare convert copy delete draw fill fetch free get give go "
    "install leave let make mend move name open pack pip put quantize remove run save say set start stop "
    "take train try type unpack use wait write"
).replace(" ", "|")
ADVICE = re.compile(
    rf"(?:^|[;:.,] |\band |\bor )(?:{VERBS})\b|`|--[a-z]|can't be read; expected|unknown {{kind}}|"
    r"HOW_TO_RESTORE|ANOTHER_COPY|ASK|REMEDIES|remedy|WORKBENCH_CACHE|TMPDIR|ANOTHER_BASE|_why\(|what_helps|without_network|how_to_install",
    re.IGNORECASE,
)
PIECE = re.compile(rf"(?:[;:.,}}] (?:and |or )?|^ ?)(?:{VERBS}|split)\b.* |`|--[a-z]", re.IGNORECASE)
WORDED = (
    *("_conversion", "_other_kind", "_recoded", "_tables_of", "_which_counts", "which_measures"),
    *("same_everywhere", "second_row", "trained_twice", "unit_problem", "unreadable_table"),
    *("_no_replicates", "_ways_out", "alike", "or_leave_out", "other_way", "out_of_range", "said_of_copies"),
)
"""Functions of the laws that return a message or the end of one."""
VALUE = re.compile(
    r"\{(?!AGAIN|ANOTHER_BASE|ASK|remedy|REMEDIES|kind|wanted|_why|what_|without_|how_)[^}]*\}"
)
"""A value in a message, and no further piece of its text."""


def text_of(node: ast.expr) -> str:
    """Return a message's text, with what is put into it as it stands in the source."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(map(text_of, parts))
        case ast.FormattedValue(value=value, conversion=kind):
            return f"{{{ast.unparse(value)}{'!r' if kind == ord('r') else ''}}}"
        case ast.BinOp(left=left, right=right):
            return text_of(left) + text_of(right)
    return f"{{{ast.unparse(node)}}}"


def strings(function: ast.FunctionDef) -> Iterator[tuple[ast.expr, str]]:
    """Yield the whole strings of a function."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assign | ast.Return | ast.Yield) and node.value is not None:
            texts = [one for one in ast.walk(node.value) if isinstance(one, ast.JoinedStr | ast.Constant)]
            for one in texts[:1] if isinstance(node.value, ast.JoinedStr) else texts:
                if isinstance(text := text_of(one), str):
                    yield one, text


def messages() -> dict[str, str]:
    """Return each message of the checked files, by where it stands."""
    files, in_pieces = ({path for one in some for path in SOURCE.glob(one)} for some in (CHECKED, IN_PIECES))
    found = {}
    for path in sorted(files - {SOURCE / name for name in NOT_YET}):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            texts = {}
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ERRORS and node.args:
                texts[""] = text_of(node.args[0])
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "REMEDIES":
                assert isinstance(node.value, ast.Dict)
                for key, value in zip(node.value.keys, node.value.values, strict=True):
                    texts[f" {ast.literal_eval(key)}"] = f"REMEDIES {ast.literal_eval(key)}: {text_of(value)}"
            if isinstance(node, ast.FunctionDef) and node.name in WORDED and path.parent.name == "laws":
                texts |= {f", {at.lineno}": text for at, text in strings(node)}
            for name, text in texts.items():
                found[f"{path.relative_to(SOURCE)}:{node.lineno}{name}"] = text
        if path in in_pieces:
            found |= {f"{path.relative_to(SOURCE)}:{line}": text for line, text in pieces(path).items()}
    return found


def pieces(path: Path) -> dict[int, str]:
    """Return the texts of a file that advise something where a sentence goes on, by line."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {
        part
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        or (isinstance(node, ast.Call) and ast.unparse(node.func) in ERRORS)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for part in ast.walk(node)
        if part is not node
    }
    texts = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr | ast.Constant) and node not in inside
    ]
    return {node.lineno: text for node in texts if PIECE.search(text := text_of(node))}


def followed() -> list[str]:
    """Return the fragments that the tests are marked with."""
    decorators = [
        decorator
        for path in sorted(Path(__file__).parent.glob("**/test_*.py"))
        for test in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(test, ast.FunctionDef)
        for decorator in test.decorator_list
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "follows"
    ]
    return [ast.literal_eval(fragment) for decorator in decorators for fragment in decorator.args]


def test_every_advice_is_followed_or_says_why_not():
    known = [*followed(), *NOT_HERE]
    found = messages()
    advising = {place: text for place, text in found.items() if ADVICE.search(VALUE.sub("X", text))}
    unknown = {place: text for place, text in advising.items() if not any(one in text for one in known)}
    assert not unknown, "follow it in a test, or give the reason in NOT_HERE"
    gone = [one for one in known if not any(one in text for text in found.values())]
    assert not gone, "no message says this any more"
    assert len(advising) > 60, "the walk finds what there is"
