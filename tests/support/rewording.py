"""Every message of the program in letters that no code looks for: whoever parses a sentence then finds nothing in it.

`install` loads the package through a finder that rewrites its texts. A text keeps its length, its placeholders and the values
that are put into it; `plain` gives back the message as it was. What code compares, matches or splits by is not rewritten, so
that a parser of messages looks for the old letters.
"""

from __future__ import annotations

import ast
import importlib.abc
import importlib.machinery
import re
import sys
from types import CodeType

MOVED_BY = 0xE000
"""ASCII → the private use area of Unicode."""
_THERE = {code: code + MOVED_BY for code in range(0x20, 0x7F)}
_BACK = {moved: code for code, moved in _THERE.items()}
_PLACEHOLDER = re.compile(r"(\{[^{}]*\}|%[-+0-9.]*[sdrfg])")
_SENTENCE = re.compile(r"(?=.*\s)(?=.*[a-z]{2})", re.DOTALL)
"""A message has a space and a word. One word alone is a name, a key or a state."""
_LOOKING = {
    *("startswith", "endswith", "removeprefix", "removesuffix", "partition", "rpartition", "split", "rsplit", "replace"),
    *("count", "find", "rfind", "index", "strip", "lstrip", "rstrip", "get", "strftime"),
    *("compile", "match", "fullmatch", "search", "sub", "findall", "finditer"),
}
"""Methods and functions whose texts are looked for in others."""


class Rewording(ast.NodeTransformer):
    """Rewrites the messages of a module."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        return node if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        node.value = self.visit(node.value)
        return node

    def visit_Dict(self, node: ast.Dict) -> ast.AST:
        node.values = [self.visit(value) for value in node.values]
        return node

    def visit_MatchValue(self, node: ast.MatchValue) -> ast.AST:
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Attribute) and node.func.attr in _LOOKING:
            node.func = self.visit(node.func)
            return node
        return self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, str) and _SENTENCE.search(node.value):
            pieces = _PLACEHOLDER.split(node.value)
            moved = "".join(piece if number % 2 else piece.translate(_THERE) for number, piece in enumerate(pieces))
            return ast.copy_location(ast.Constant(moved), node)
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        fixed = [part for part in node.values if isinstance(part, ast.Constant)]
        is_message = bool(_SENTENCE.search("".join(str(part.value) for part in fixed)))
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                part.value = self.visit(part.value)
            elif is_message and isinstance(part, ast.Constant):
                part.value = str(part.value).translate(_THERE)
        return node


def reworded(source: str, name: str) -> CodeType:
    """A module's code with its messages rewritten."""
    return compile(ast.fix_missing_locations(Rewording().visit(ast.parse(source))), name, "exec")


def plain(text: str) -> str:
    """A message as it was before it was rewritten."""
    return text.translate(_BACK)


def is_reworded(text: str) -> bool:
    """Whether any of it was rewritten."""
    return plain(text) != text


class _Loader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        return reworded(self.get_source(fullname) or "", self.path)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, rooms: tuple[str, ...]) -> None:
        self._rooms = rooms

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if not fullname.startswith(self._rooms):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)  # type: ignore[arg-type]
        if spec and spec.origin:
            spec.loader = _Loader(fullname, spec.origin)
        return spec


def install(rooms: tuple[str, ...]) -> None:
    """Rewrite the messages of every module whose name begins so, and is imported from now on."""
    assert not [name for name in sys.modules if name.startswith(rooms)], "imported already"
    sys.meta_path.insert(0, _Finder(rooms))
