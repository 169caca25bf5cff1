"""Mutants of a Python file: each has one operator, constant or call changed.

Ours, as mutmut 3 leaves out properties and constants of modules and classes, and cosmic-ray starts
Python anew for each mutant, with one command of tests for all files.
"""

import ast
from collections.abc import Iterator
from copy import copy
from itertools import accumulate

from tests.mutation.mutant import Mutant

SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
PAIRS = (("min", "max"), ("any", "all"), ("floor", "ceil"), ("minimum", "maximum"))
PAIRS = (*PAIRS, ("argmin", "argmax"), ("zeros", "ones"), ("zeros_like", "ones_like"))
OTHER_CALL = {a: b for pair in PAIRS for a, b in (pair, pair[::-1])}
# Such a call is replaced by what it is applied to
UNDONE = ("abs", "sqrt", "exp", "log", "sorted", "reversed", "copy", "round", "clip", "cumsum")
NAMES_A_TYPE = ("Literal", "TypeVar", "NewType", "cast")


def mutants(file: str, source: str) -> Iterator[Mutant]:
    begins = [0, *accumulate(len(line.encode()) for line in source.splitlines(keepends=True))]
    data = source.encode()

    def offset(line: int, column: int) -> int:  # of characters; ast counts bytes
        return len(data[: begins[line - 1] + column].decode())

    for node in _nodes(ast.parse(source)):
        for changed in _changes(node):
            assert isinstance(node, ast.expr | ast.stmt)
            start = offset(node.lineno, node.col_offset)
            end = offset(node.end_lineno, node.end_col_offset)
            now = ast.unparse(changed)
            if isinstance(changed, ast.BinOp | ast.BoolOp | ast.Compare | ast.UnaryOp):
                now = f"({now})"
            yield Mutant.of(file, source, start, end, now)


def _nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Walk through what runs: neither annotations, decorators nor text for people."""
    match node:
        case ast.Expr(value=ast.Constant()) | ast.keyword(arg="strict"):  # a docstring, zip's check
            return
        case ast.Constant(value=str(text)) if " " in text:
            return
        case ast.JoinedStr(values=parts) if any(
            isinstance(part, ast.Constant) and " " in part.value for part in parts
        ):
            return
        case ast.Subscript(value=ast.Name(id=name)) | ast.Call(func=ast.Name(id=name)) if (
            name in NAMES_A_TYPE
        ):
            return
    yield node
    if isinstance(node, ast.JoinedStr):
        return  # before Python 3.12 its parts have no positions
    for field, value in ast.iter_fields(node):
        if field in {"annotation", "returns", "decorator_list"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _nodes(child)


def _changes(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.BinOp(op=op) | ast.AugAssign(op=op) | ast.BoolOp(op=op) if type(op) in SWAPPED:
            yield _with(node, op=SWAPPED[type(op)]())
        case ast.Compare(ops=ops):
            for i, op in enumerate(ops):
                yield _with(node, ops=[*ops[:i], SWAPPED[type(op)](), *ops[i + 1 :]])
        case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.Invert()):
            yield node.operand
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield ast.Constant(value + 1)
        case ast.Constant(value=str(value)):
            yield ast.Constant(value + "x")
        case ast.JoinedStr(values=values):
            yield ast.JoinedStr([*values, ast.Constant("x")])
        case ast.Expr(value=ast.Call() | ast.Await(value=ast.Call())):
            yield ast.Pass()
        case ast.Call(func=ast.Name(id=name)) if name in OTHER_CALL:
            yield _with(node, func=ast.Name(OTHER_CALL[name]))
        case ast.Call(func=ast.Attribute(attr=name)) if name in OTHER_CALL:
            yield _with(node, func=_with(node.func, attr=OTHER_CALL[name]))
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in UNDONE:
            if node.args and not isinstance(node.args[0], ast.Starred):
                yield node.args[0]
            elif isinstance(node.func, ast.Attribute):
                yield node.func.value


def _with(node: ast.AST, **fields: object) -> ast.AST:
    changed = copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed
