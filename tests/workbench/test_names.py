"""One name, one thing: what two modules call alike is the same idea, and said so here."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ALIKE = {
    "T": "a type variable, as everybody calls it",
    "main": "what a module does when it is run as a program",
    "add_parser": "each command has one",
    "run": "each command has one; a study's is `workbench.studies.runner.run`",
    "load": "each source of data has one",
    "WIDGETS": "each room of widgets has its registry",
    "Facts": "what is known of a thing: in a study's folder, and to read below a cell",
    "PRECISIONS": "those of processors; the configuration names all without loading torch",
    **dict.fromkeys(("read_config", "read_tokenizer", "read_weights"), "each reader of bases has it"),
    **dict.fromkeys(("ALLOWED_VALUES", "HARMLESS_KEYS", "READ_KEYS"), "each reader's knowledge of keys"),
    **dict.fromkeys(("launch", "launch_forward", "launch_backward"), "each Triton twin has one"),
    **dict.fromkeys(("output_gradients", "shrink", "shrink_gradient", "decode", "LEAST_MAXIMUM"), "twins"),
}
"""Names that several modules define on purpose, with the reason: one idea, once for each kind."""


def public_names(path: Path) -> list[str]:
    """Return the public names that a module defines at its top: classes, functions, constants."""
    names = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.append(node.name)
        elif isinstance(node, ast.Assign):
            names += [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.append(node.target.id)
    return [name for name in names if not name.startswith("_")]


def defined_twice(*folders: Path) -> dict[str, list[str]]:
    """Return the public names that several modules define, with the modules."""
    where = defaultdict(list)
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            for name in dict.fromkeys(public_names(path)):
                where[name].append(str(path.relative_to(folder)))
    return {name: paths for name, paths in where.items() if len(paths) > 1}


def test_a_name_means_one_thing():
    found = defined_twice(ROOT / "src" / "workbench", ROOT / "kernels" / "qlora_kernels")
    assert {name: paths for name, paths in found.items() if name not in ALIKE} == {}
    assert set(ALIKE) <= set(found), "a line here is no longer needed"


def test_a_second_meaning_is_found(tmp_path):
    (tmp_path / "one.py").write_text("class Study: ...\nLARGEST = 1\n_LARGEST = 2\ndef f(): ...\n")
    (tmp_path / "two.py").write_text("LARGEST: int = 3\nclass Study: ...\n_LARGEST = 4\n")
    assert defined_twice(tmp_path) == {"Study": ["one.py", "two.py"], "LARGEST": ["one.py", "two.py"]}
