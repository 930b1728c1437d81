import enum
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from diffdrive.configuration import build, load_yaml, to_mapping
from diffdrive.contracts import InputError


class Colour(enum.Enum):
    RED = "red"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    lr: float = 1e-3
    steps: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    inner: Inner = field(default_factory=Inner)
    jumps: tuple[tuple[int, int], ...] = ((10, 0),)
    path: Path | None = None
    colour: Colour = Colour.RED
    flag: bool = False


def test_defaults_yaml_and_overrides_in_that_order(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("inner: {lr: 1e-4, steps: 7}\njumps: [[10, 0], [0, -1]]\npath: x/y\n")
    config = build(Outer, load_yaml(tmp_path / "c.yaml"), overrides=["inner.steps=9", "flag=true"])
    assert config == Outer(inner=Inner(lr=1e-4, steps=9), jumps=((10, 0), (0, -1)), path=Path("x/y"), flag=True)


def test_round_trip() -> None:
    config = Outer(inner=Inner(lr=0.5), path=Path("a"))
    assert build(Outer, to_mapping(config)) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"iner": {}}, "Did you mean 'inner'"),
        ({"inner": {"step": 3}}, r"Inner|inner has no key 'step'. Did you mean 'steps'"),
        ({"inner": {"steps": 1.5}}, "must be int"),
        ({"inner": {"steps": True}}, "must be int"),
        ({"inner": {"lr": "fast"}}, "must be float"),
        ({"inner": 3}, "must be a mapping"),
        ({"jumps": [[1, 2, 3]]}, "must have 2 entries"),
        ({"colour": "blue"}, "one of red"),
    ],
)
def test_bad_values_are_named(values: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(Outer, values)


def test_bad_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        load_yaml(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [1")
    with pytest.raises(InputError, match="not valid YAML"):
        load_yaml(tmp_path / "bad.yaml")
    (tmp_path / "list.yaml").write_text("- 1")
    with pytest.raises(InputError, match="must be a mapping"):
        load_yaml(tmp_path / "list.yaml")


def test_override_needs_an_equals_sign() -> None:
    with pytest.raises(InputError, match="key=value"):
        build(Outer, overrides=["flag"])
