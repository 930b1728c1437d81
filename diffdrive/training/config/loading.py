"""From a YAML file to a run: files may extend other files and name a recipe.

    recipe: ours              # configs/recipes/ours.yaml lies under this file's own values
    extends: nano.yaml        # so does another file, beside this one

A value is looked for in the overrides, in this file, in what it extends, in the recipe, and at last in the defaults.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from diffdrive.configuration import build, load_yaml, merge, parse_overrides
from diffdrive.contracts import InputError
from diffdrive.training.config.run import TrainingConfig


def load_training_config(path: Path | None, overrides: Sequence[str] = ()) -> TrainingConfig:
    """The run that ``path`` describes (None: the defaults), with ``key=value`` overrides on top.

    Raises ``InputError`` for a missing file, files that extend each other in a circle, an unknown recipe, an unknown key.
    """
    values = merge(_extended(path, ()) if path is not None else {}, parse_overrides(overrides))
    recipe = values.get("recipe")
    return build(TrainingConfig, merge(load_yaml(_recipe_file(recipe)), values) if recipe is not None else values)


def _extended(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    here = path.resolve()
    if here in above:
        chain = " -> ".join(str(p) for p in (*above, here))
        raise InputError(f"Configurations extend each other in a circle: {chain}. Remove one 'extends'.")
    values = load_yaml(path)
    parent = values.pop("extends", None)
    if parent is None:
        return values
    if not isinstance(parent, str):
        raise InputError(f"'extends' in '{path}' must be the path of one YAML file, got {parent!r}.")
    return merge(_extended(path.parent / parent, (*above, here)), values)


def _recipe_file(name: Any) -> Path:
    folder = Path(str(resources.files("diffdrive_configs"))) / "recipes"
    known = sorted(file.stem for file in folder.glob("*.yaml"))
    if name not in known:
        raise InputError(f"There is no recipe called {name!r}. Known recipes: {', '.join(known)}.")
    return folder / f"{name}.yaml"
