"""One way to configure: frozen dataclasses hold the defaults, YAML and ``key=value`` override them, unknown keys are errors.

config = build(PlannerConfig, load_yaml(path), overrides=["decoder.num_layers=3"])
"""

from __future__ import annotations

import dataclasses
import difflib
import enum
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from diffdrive.contracts import InputError

T = TypeVar("T")


def build(cls: type[T], values: Mapping[str, Any] | None = None, overrides: Sequence[str] = ()) -> T:
    """Make ``cls`` (a dataclass) from a nested mapping of overrides, then from ``a.b=value`` strings.

    What neither names keeps its default, also inside a nested dataclass whose default is not that of its class.
    Raises ``InputError`` for a key that ``cls`` does not have (naming the closest one) and for a value of the wrong type.
    """
    merged = merge(values or {}, parse_overrides(overrides))
    return _from_mapping(cls, merged, where=cls.__name__)


def load_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping. Raises ``InputError`` when the file is missing, is not YAML, or is not a mapping."""
    # Only YAML needs it: configurations in code are built without.
    import yaml

    if not path.is_file():
        raise InputError(f"Configuration '{path}' does not exist. Give the path of a YAML file.")
    try:
        loaded = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise InputError(f"Configuration '{path}' is not valid YAML: {error}") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise InputError(f"Configuration '{path}' must be a mapping of keys to values, got {type(loaded).__name__}.")
    return loaded


def to_mapping(config: Any) -> dict[str, Any]:
    """The nested mapping that ``build`` turns back into an equal ``config``: plain YAML and JSON types only."""
    return {field.name: _plain(getattr(config, field.name)) for field in dataclasses.fields(config)}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_mapping(value)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


def parse_overrides(overrides: Sequence[str]) -> dict[str, Any]:
    """``["a.b=1"]`` as ``{"a": {"b": 1}}``, values read as YAML. Raises ``InputError`` where there is no key or no ``=``."""
    tree: dict[str, Any] = {}
    if not overrides:
        return tree
    import yaml

    for text in overrides:
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise InputError(f"Override '{text}' must look like key=value, for example optimizer.lr=0.0003.")
        node = tree
        *parents, leaf = key.split(".")
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = yaml.safe_load(value)
    return tree


def merge(base: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``extra`` on top, mapping by mapping; neither is changed."""
    merged = dict(base)
    for key, value in extra.items():
        nested = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if nested else value
    return merged


def _from_mapping(cls: type[T], values: Mapping[str, Any], where: str) -> T:
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(typing.cast(Any, cls)) if f.init}
    for key in values:
        if key not in fields:
            close = difflib.get_close_matches(str(key), sorted(fields), n=1)
            hint = f"Did you mean '{close[0]}'?" if close else f"Known keys: {', '.join(sorted(fields))}."
            raise InputError(f"{where} has no key '{key}'. {hint}")
    return cls(
        **{key: _convert(hints[key], _over_default(fields[key], value), f"{where}.{key}") for key, value in values.items()}
    )


def _over_default(field: dataclasses.Field[Any], value: Any) -> Any:
    """``value`` on top of the field's default, where both hold fields of their own."""
    if not isinstance(value, Mapping):
        return value
    default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    is_instance = dataclasses.is_dataclass(default) and not isinstance(default, type)
    return merge(to_mapping(default), value) if is_instance else value


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _convert_union(typing.get_args(hint), value, where)
    if origin in (tuple, list):
        return _convert_sequence(hint, value, where)
    if origin is dict or hint is Any:
        return value
    if dataclasses.is_dataclass(hint):
        if isinstance(value, Mapping):
            return _from_mapping(typing.cast(type, hint), value, where)
    elif isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _convert_enum(hint, value, where)
    else:
        return _convert_scalar(hint, value, where)
    raise InputError(f"{where} must be a mapping of keys to values, got {value!r}.")


def _convert_union(options: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in options:
        return None
    last: InputError | None = None
    for option in options:
        if option is type(None):
            continue
        try:
            return _convert(option, value, where)
        except InputError as error:
            last = error
    raise last or InputError(f"{where} must not be {value!r}.")


def _convert_sequence(hint: Any, value: Any, where: str) -> Any:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InputError(f"{where} must be a list, got {value!r}.")
    args = typing.get_args(hint)
    if typing.get_origin(hint) is list:
        return [_convert(args[0], v, f"{where}[{i}]") for i, v in enumerate(value)]
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(_convert(args[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    if len(args) != len(value):
        raise InputError(f"{where} must have {len(args)} entries, got {len(value)}: {value!r}.")
    return tuple(_convert(a, v, f"{where}[{i}]") for i, (a, v) in enumerate(zip(args, value, strict=True)))


def _convert_enum(hint: type[enum.Enum], value: Any, where: str) -> enum.Enum:
    if isinstance(value, hint):
        return value
    try:
        return hint(value)
    except ValueError:
        choices = ", ".join(str(member.value) for member in hint)
        raise InputError(f"{where} must be one of {choices}, got {value!r}.") from None


def _convert_scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is Path and isinstance(value, str | Path):
        return Path(value)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    # YAML 1.1 reads 1e-4 (no dot) as a string; people write it, so numbers in strings are numbers.
    if hint is float and isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            pass
    if isinstance(hint, type) and isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise InputError(f"{where} must be {getattr(hint, '__name__', hint)}, got {value!r}.")
