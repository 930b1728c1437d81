"""Messages of the library ``rosbags``: typed values that are read from and written to bags without ROS."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from diffdrive.contracts import InputError

if TYPE_CHECKING:
    from rosbags.typesys.store import Typestore

_DEFINITIONS = Path(__file__).resolve().parent / "msgs"


@cache
def typestore() -> Typestore:
    """The standard messages of ROS 2 Humble and those that Autoware adds (``msgs/``)."""
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.ROS2_HUMBLE)
    added: dict[str, Any] = {}
    for path in sorted(_DEFINITIONS.glob("*/*.msg")):
        added |= get_types_from_msg(path.read_text(), f"{path.parent.name}/msg/{path.stem}")
    store.register(added)
    return store


def make_bag_message(type_name: str, /, **fields: Any) -> Any:
    """A ``MakesMessages`` of rosbags' classes. Raises ``InputError`` for types and fields that are not known."""
    store = typestore()
    if type_name not in store.types:
        raise InputError(f"The message type '{type_name}' is not known.")
    definition = dict(store.fielddefs[type_name][1])
    if unknown := sorted(set(fields) - set(definition)):
        raise InputError(f"{type_name} has no field {', '.join(unknown)} (it has: {', '.join(definition)}).")
    values = {name: fields[name] if name in fields else _zero(kind) for name, kind in definition.items()}
    return store.types[type_name](**values)


def _zero(kind: Any) -> Any:
    from rosbags.interfaces import Nodetype

    tag, what = kind
    if tag == Nodetype.BASE:
        return _ZEROS.get(what[0], 0)
    if tag == Nodetype.NAME:
        return make_bag_message(what)
    (item_tag, item), count = what
    count = count if tag == Nodetype.ARRAY else 0
    if item_tag == Nodetype.BASE and item[0] not in ("string", "wstring"):
        return np.zeros(count, dtype=_DTYPES.get(item[0], item[0]))
    return [_zero((item_tag, item)) for _ in range(count)]


_ZEROS = {"string": "", "wstring": "", "bool": False, "float32": 0.0, "float64": 0.0}
_DTYPES = {"byte": "uint8", "octet": "uint8", "char": "uint8"}
