"""Packages of the optional extra ``render``: imported when first needed, with an error that names the way out."""

from __future__ import annotations

import importlib
from typing import Any

from diffdrive.contracts import InputError


def need(module: str) -> Any:
    """The module called ``module``. Raises ``InputError`` naming the extra when it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"Rendering needs the package '{module.split('.')[0]}', which is not installed. "
            "Install it with: pip install 'diffdrive[render]'"
        ) from error
