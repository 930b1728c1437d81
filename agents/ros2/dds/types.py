"""The types of ROS 2 messages for cyclonedds, made from the same definitions as the messages in bags.

Names and encoding are those of ROS 2 (``sensor_msgs::msg::dds_::Image_`` on topic ``rt/...``, plain CDR), so that both sides
understand each other.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from ..bag_types import typestore

_NAMES = {"byte": "uint8", "octet": "uint8", "char": "uint8"}


@cache
def idl_class(type_name: str) -> Any:
    """The IDL data class of ``package/msg/Name``, with the fields that it has in ROS. Encodes and decodes itself."""
    from cyclonedds.idl import make_idl_struct, types
    from cyclonedds.idl.annotations import final

    package, _, name = type_name.split("/")
    fields = {field: _annotation(kind) for field, kind in typestore().fielddefs[type_name][1]}
    # ROS puts one byte on the wire for a message without fields.
    made = make_idl_struct(name, f"{package}.msg.dds_.{name}_", fields or {"structure_needs_at_least_one_member": types.uint8})
    return final(made)


@cache
def carrier_class(type_name: str) -> Any:
    """The same type for a topic, carrying messages of rosbags' classes, which encodes them.

    The bytes are the same, but cyclonedds' own encoder makes a list of numbers of every image and cloud.
    """
    made = idl_class.__wrapped__(type_name)

    def serialize(self: Any, buffer: Any = None, endianness: Any = None, use_version_2: Any = None) -> bytes:
        return bytes(typestore().serialize_cdr(self.message, type_name))

    def deserialize(data: bytes, has_header: bool = True, use_version_2: Any = None) -> Any:
        return carried(typestore().deserialize_cdr(data, type_name))

    made.serialize, made.deserialize = serialize, staticmethod(deserialize)
    return made


def carried(message: Any) -> Any:
    """What a writer of ``carrier_class`` sends for a message of rosbags' classes; what a reader gets has it as ``message``."""
    kind = carrier_class(message.__msgtype__)
    sample = kind.__new__(kind)
    sample.message = message
    return sample


def _annotation(kind: Any) -> Any:
    from cyclonedds.idl import types
    from rosbags.interfaces import Nodetype

    tag, what = kind
    if tag == Nodetype.NAME:
        return idl_class(what)
    if tag == Nodetype.BASE:
        name = _NAMES.get(what[0], what[0])
        return {"string": str, "bool": bool}.get(name) or getattr(types, name)
    item, count = what
    # Both are generic at run time only.
    array: Any = types.array
    sequence: Any = types.sequence
    return array[_annotation(item), count] if tag == Nodetype.ARRAY else sequence[_annotation(item)]
