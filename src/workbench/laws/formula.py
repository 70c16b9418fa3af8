"""A law's formula as a tree, so that a page computes what the registry of laws says and not a copy of it.

The grammar is that of print: ``n^-beta`` is a power, and two factors side by side are multiplied.
"""

import ast
import re
from typing import Any

from workbench.errors import InputError

Tree = float | str | list[Any]
"""A number, a name, or an operator (+, -, *, / or ^) with the trees to its left and to its right."""
OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "^"}
BETWEEN_FACTORS = re.compile(r"(?<=[\w)]) +(?=[\w(])")


def tree_of(formula: str) -> Tree:
    """Return a formula as a tree: ``E + B n^-2`` is ``["+", "E", ["*", "B", ["^", "n", ["-", 0, 2]]]]``.

    Raises:
        InputError: If something stands in it that is no number, name, operator or bracket.
    """
    parsed: ast.AST
    try:
        parsed = ast.parse(BETWEEN_FACTORS.sub(" * ", formula).replace("^", "**"), mode="eval").body
    except SyntaxError:
        parsed = ast.Pass()
    return _tree(parsed, formula)


def _tree(node: ast.AST, formula: str) -> Tree:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return ["-", 0.0, _tree(node.operand, formula)]
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        return [OPERATORS[type(node.op)], _tree(node.left, formula), _tree(node.right, formula)]
    raise InputError(
        f"the formula {formula!r} can't be computed in a page: write it with numbers, names, brackets, "
        "+ - / ^ and a space where two factors are multiplied."
    )
