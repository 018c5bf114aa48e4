"""Mutants of the toolchain's Python and of the C templates: one small change each, as a mistake would make it."""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

#: Sources by folder: what is mutated, and the tests nearest to it.
FOLDERS = {
    "operators": ("toolchain/ggdq_mcu/operators", "tests/operators"),
    "kernels": ("toolchain/ggdq_mcu/kernels", "tests/kernels"),
    "quantization": ("toolchain/ggdq_mcu/quantization", "tests/quantization"),
    "planning": ("toolchain/ggdq_mcu/planning", "tests/planning"),
    "codegen": ("toolchain/ggdq_mcu/codegen", "tests/codegen"),
    "templates/operators": ("templates/operators", "tests/operators"),
    "templates/routines": ("templates/routines", "tests/kernels"),
}
_COMPARISONS = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}
_OPERATIONS = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%",
    ast.LShift: "<<", ast.RShift: ">>", ast.Pow: "**",
}  # fmt: skip
_OTHER = {
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "+": "-", "-": "+", "*": "/", "/": "*",
    "//": "*", "%": "//", "<<": ">>", ">>": "<<", "**": "*", "and": "or", "or": "and",
}  # fmt: skip
_CALLS = {
    "min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "floor": "ceil", "ceil": "floor",
    "any": "all", "all": "any", "repeat": "tile", "tile": "repeat", "argmin": "argmax", "argmax": "argmin",
}  # fmt: skip
_C_TOKEN = re.compile(r"<<|>>|<=|>=|==|!=|&&|\|\||\+\+|--|->|[+\-*/<>]=?|\bggdq_(?:min|max)\b|\b\d+\b|\w+|\S")
_C_OTHER = {
    "<<": ">>", ">>": "<<", "<=": "<", ">=": ">", "==": "!=", "!=": "==", "&&": "||", "||": "&&", "<": "<=", ">": ">=",
    "+=": "-=", "-=": "+=", "ggdq_min": "ggdq_max", "ggdq_max": "ggdq_min", "+": "-", "-": "+", "*": "+",
}  # fmt: skip


@dataclass(frozen=True, order=True)
class Mutant:
    """``old`` at an offset of a file (UTF-8 bytes), replaced by ``new``; ``line`` is 1-based."""

    folder: str
    path: str
    offset: int
    old: str
    new: str
    line: int
    text: str
    place: int

    @property
    def key(self) -> str:
        """Name that stays when lines above are added: path, the line's text, and which change of it this is."""
        return f"{self.path}: {self.text}  [{self.place}: {self.old} -> {self.new}]"

    def apply(self, source: bytes) -> bytes:
        """The mutated file."""
        old = self.old.encode()
        assert source[self.offset : self.offset + len(old)] == old
        return source[: self.offset] + self.new.encode() + source[self.offset + len(old) :]


def mutants_of(root: Path, folder: str, path: Path) -> list[Mutant]:
    """All mutants of one file."""
    source = path.read_bytes()
    changes = _python(source) if path.suffix == ".py" else _template(source)
    starts = [0, *(match.end() for match in re.finditer(rb"\n", source))]
    found = []
    for offset, old, new in sorted(set(changes)):
        line = max(i for i, start in enumerate(starts) if start <= offset)
        text = source[starts[line] :].split(b"\n", 1)[0].decode().strip()
        place = offset - starts[line]
        found.append(Mutant(folder, str(path.relative_to(root)), offset, old, new, line + 1, text, place))
    return found


def chosen(root: Path, count: int, seed: int, folders: Sequence[str] = tuple(FOLDERS)) -> list[Mutant]:
    """``count`` mutants of all folders that exist, by the seed: of each as many as its share of the mutants, 8 at least."""
    every: dict[str, list[Mutant]] = {}
    for folder, (sources, _) in FOLDERS.items():
        files = sorted(path for path in (root / sources).rglob("*") if path.suffix in (".py", ".j2"))
        found = [mutant for path in files for mutant in mutants_of(root, folder, path)]
        if found:
            every[folder] = found
    total = sum(map(len, every.values()))
    picked = []
    for folder, found in every.items():
        size = min(max(8, round(count * len(found) / total)), len(found))
        if folder in folders:
            picked += random.Random(f"{seed} {folder}").sample(found, size)
    return picked


def _python(source: bytes) -> Iterator[tuple[int, str, str]]:
    """Changes of operators, comparisons, integers, signs, conditions and similar functions, but not of annotations."""
    tree = ast.parse(source)
    starts = [0, *(match.end() for match in re.finditer(rb"\n", source))]
    skipped = {id(node) for part in _unmutated(tree) for node in ast.walk(part)}

    def at(node: ast.expr, end: bool = False) -> int:
        if end:
            return starts[(node.end_lineno or 1) - 1] + (node.end_col_offset or 0)
        return starts[node.lineno - 1] + node.col_offset

    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS and not isinstance(node.left, ast.JoinedStr):
            yield from _between(source, at(node.left, True), at(node.right), _OPERATIONS[type(node.op)])
        elif isinstance(node, ast.Compare) and type(node.ops[0]) in _COMPARISONS:
            yield from _between(source, at(node.left, True), at(node.comparators[0]), _COMPARISONS[type(node.ops[0])])
        elif isinstance(node, ast.BoolOp):
            word = "and" if isinstance(node.op, ast.And) else "or"
            yield from _between(source, at(node.values[0], True), at(node.values[1]), word)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
            word = "not " if isinstance(node.op, ast.Not) else "-"
            yield at(node), word, ""
        elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
            old = source[at(node) : at(node, True)].decode()
            yield at(node), old, str(node.value + 1) if isinstance(node.value, int) else f"({old} * 4)"
        elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
            yield at(node), str(node.value), str(not node.value)
        elif isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load):
            word = node.id if isinstance(node, ast.Name) else node.attr
            if word in _CALLS:
                yield at(node, True) - len(word), word, _CALLS[word]


def _between(source: bytes, start: int, end: int, word: str) -> Iterator[tuple[int, str, str]]:
    """The operator, which lies between its operands; not where a parenthesis makes it ambiguous."""
    gap = source[start:end]
    if gap.count(word.encode()) == 1:
        yield start + gap.index(word.encode()), word, _OTHER[word]


def _unmutated(tree: ast.Module) -> Iterator[ast.AST]:
    """Annotations, messages, texts and what is for type checkers only."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from (arg.annotation for arg in ast.walk(node.args) if isinstance(arg, ast.arg) and arg.annotation)
            if node.returns:
                yield node.returns
            if node.name in ("describe", "_details"):
                yield node
        elif isinstance(node, ast.AnnAssign):
            yield node.annotation
        elif isinstance(node, (ast.Raise, ast.JoinedStr, ast.Assert)) or _is_for_checkers(node):
            yield node


def _is_for_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _template(source: bytes) -> Iterator[tuple[int, str, str]]:
    """Changes of C's operators and numbers; comments, preprocessor lines, pointers and casts stay."""
    text = source.decode()
    text = re.sub(
        r"\{#.*?#\}|/\*.*?\*/|//[^\n]*|^\s*#[^\n]*", lambda m: re.sub(r"[^\n]", " ", m[0]), text, flags=re.S | re.M
    )
    for match in _C_TOKEN.finditer(text):
        token, before, after = match[0], text[: match.start()], text[match.end() :]
        offset = len(before.encode())
        if token.isdigit():
            if not re.search(r"[\w.%r]$", before) and not re.match(r"[\w.]", after):
                yield offset, token, str(int(token) + 1)
        elif token in _C_OTHER and before.endswith(" ") and after.startswith(" "):
            if not (token == "*" and re.search(r"(_t|const|c_type \}\}|void|char) $", before)):
                yield offset, token, _C_OTHER[token]
        elif token.startswith("ggdq_m") and token in _C_OTHER:
            yield offset, token, _C_OTHER[token]
