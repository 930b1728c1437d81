"""A fingerprint of the generator: changes with what its code does, not with how it is written down."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_WHOLE = ("roads", "traffic")
"""Packages of the embedded world that shape its drives."""

_START = "generate"
"""With it every module of the embedded world that it imports; but not what draws sensors, which come after the drives."""

_SENSORS = ("render", "record_sensors", "conditions")
_WORLD = "diffdrive.world"


@cache
def generator_fingerprint() -> str:
    """16 hex digits over the syntax trees of the generator, without comments and docstrings."""
    digest = hashlib.sha256()
    root = _folder()
    for path in sorted(_sources(root)):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(code_of(path.read_text()).encode() + b"\0")
    return digest.hexdigest()[:16]


def code_of(source: str) -> str:
    """The syntax tree of Python source as text: no positions, comments or docstrings, the same for every Python version."""
    return "".join(_dumped(ast.parse(source)))


def _folder() -> Path:
    spec = importlib.util.find_spec(_WORLD)
    return Path(next(iter(spec.submodule_search_locations or ()))) if spec else Path()


def _sources(root: Path) -> set[Path]:
    found = {path for name in _WHOLE for path in (root / name).rglob("*.py")}
    waiting = [_START]
    while waiting:
        path = root / f"{waiting.pop()}.py"
        if path in found or not path.is_file():
            continue
        found.add(path)
        waiting += [name for name in _imported(path) if name not in _SENSORS]
    return found


def _imported(path: Path) -> Iterator[str]:
    """Names of the embedded world's own modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            module, names = node.module, [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            module, names = node.names[0].name, []
        else:
            continue
        if module == _WORLD:
            yield from names
        elif module.startswith(f"{_WORLD}."):
            yield module.removeprefix(f"{_WORLD}.").partition(".")[0]


def _dumped(node: object) -> Iterator[str]:
    if isinstance(node, ast.AST):
        yield f"{type(node).__name__}("
        for name in node._fields:
            value = getattr(node, name, None)
            # Fields that a newer Python added are empty in today's code.
            if value is None or value == [] or name in ("kind", "type_comment"):
                continue
            yield f"{name}="
            yield from _dumped(value)
        yield ")"
    elif isinstance(node, list):
        yield "["
        for item in node:
            if not _is_text(item):
                yield from _dumped(item)
        yield "]"
    else:
        yield f"{node!r},"


def _is_text(node: object) -> bool:
    """A string that stands alone: a docstring of a module, function, class or field."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
