"""The three descriptions of the environment (pyproject, constraints, environment.yml) say the same."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> dict[str, str]:
    lines = [line.strip() for line in (ROOT / "constraints.txt").read_text().splitlines()]
    return {normal(name): version for name, _, version in (line.partition("==") for line in lines if "==" in line)}


def declared() -> list[str]:
    extras = [need for needs in PROJECT["optional-dependencies"].values() for need in needs]
    return [*PROJECT["dependencies"], *extras]


def test_every_declared_package_is_pinned_and_the_pin_fits() -> None:
    from packaging.requirements import Requirement

    held = pins()
    for text in declared():
        requirement = Requirement(text)
        assert normal(requirement.name) in held, f"{requirement.name} is not in constraints.txt"
        assert requirement.specifier.contains(held[normal(requirement.name)]), text


def test_torch_and_torchvision_are_the_pair_that_belongs_together() -> None:
    assert (pins()["torch"], pins()["torchvision"]) == ("2.13.0", "0.28.0")


def test_conda_users_get_the_same_extras_and_constraints() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert "-c constraints.txt" in pip
    (editable,) = [entry for entry in pip if entry.startswith("-e ")]
    makefile = (ROOT / "Makefile").read_text()
    assert editable.removeprefix("-e ") in makefile
    named = set(re.findall(r"\[(.*)\]", editable)[0].split(","))
    assert named == set(PROJECT["optional-dependencies"]) - {"navsim"}, "that one is for environments with a devkit"


def test_navsim_is_never_a_dependency_by_that_name() -> None:
    assert not [text for text in declared() if normal(text).startswith("navsim")]
