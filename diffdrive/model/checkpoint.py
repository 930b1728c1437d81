"""Weights on disk: a folder with ``model.safetensors`` and ``config.json``; and the public checkpoint, read strictly."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffdrive.configuration import build, to_mapping
from diffdrive.contracts import InputError
from diffdrive.files import written_aside
from diffdrive.model.config import PlannerConfig, base
from diffdrive.model.planner import PlannerModel
from diffdrive.model.reference_format import PREFIX, reference_key

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
FORMAT = 1
NAMES_SHOWN = 3


def save_checkpoint(folder: Path, model: PlannerModel, metadata: Mapping[str, Any] | None = None, half: bool = False) -> None:
    """Write ``model`` and what is known about it. Other files of ``folder`` stay.

    ``metadata`` must be JSON-able. ``half`` stores weights (not the anchors) in half precision; loading makes them float32.
    Raises ``InputError``, before anything is replaced, for weights that are not finite in the chosen precision.
    """
    from safetensors.torch import save_file

    folder = Path(folder)
    state = {name: _stored(name, value, half) for name, value in model.state_dict().items()}
    described = {
        "format": FORMAT,
        "precision": "float16" if half else "float32",
        "num_parameters": num_parameters(model),
        "planner": to_mapping(model.config),
        "metadata": dict(metadata or {}),
    }
    try:
        text = json.dumps(described, indent=2)
    except TypeError as error:
        raise InputError(f"Checkpoint metadata must be plain JSON values: {error}.") from error
    with written_aside(folder / CONFIG_FILE) as config, written_aside(folder / WEIGHTS_FILE) as weights:
        save_file(state, weights)
        config.write_text(text + "\n")


def load_checkpoint(folder: Path) -> PlannerModel:
    """The model of ``save_checkpoint``, float32, in evaluation state.

    Raises ``InputError`` when a file is missing or broken, and when weights are missing, extra, misshapen or not finite.
    """
    # Imported where weights are read or written: a network with weights from elsewhere does not need it.
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    folder = Path(folder)
    config = load_config(folder)
    file = folder / WEIGHTS_FILE
    if not file.is_file():
        raise InputError(f"Checkpoint '{folder}' has no {WEIGHTS_FILE}. Give the folder that save_checkpoint wrote.")
    try:
        state = load_file(file)
    except (SafetensorError, OSError) as error:
        raise InputError(f"Weights '{file}' cannot be read: {error}. Copy the file again.") from error
    return _assembled(config, state, where=str(file))


def load_config(folder: Path) -> PlannerConfig:
    """The network's configuration, without its weights. Raises ``InputError`` when there is no such checkpoint."""
    return build(PlannerConfig, _described(Path(folder))["planner"])


def load_metadata(folder: Path) -> dict[str, Any]:
    """What was said about the model when it was saved. Raises ``InputError`` when there is no such checkpoint."""
    return dict(_described(Path(folder))["metadata"])


def import_reference(file: Path) -> PlannerModel:
    """The public DiffusionDrive checkpoint (any file name) as this network's base model, in evaluation state.

    Raises ``InputError`` when the file is not such a checkpoint; every key must be there, and no other.
    """
    file = Path(file)
    state = _reference_state(file)
    config = base()
    names = {reference_key(name): name for name in _blank(config).state_dict()}
    _check_names(names, state, where=f"Public checkpoint '{file}'")
    return _assembled(config, {names[key]: value for key, value in state.items()}, where=str(file))


def num_parameters(model: PlannerModel) -> int:
    """Weights and anchors: what the public model counts."""
    return sum(parameter.numel() for parameter in model.parameters()) + model.anchors.numel()


def _stored(name: str, value: Tensor, half: bool) -> Tensor:
    stored = value.detach().cpu().contiguous().clone()
    if half and stored.is_floating_point() and name != "anchors":
        stored = stored.half()
    if not bool(torch.isfinite(stored).all()):
        raise InputError(
            f"Weight '{name}' is not finite in {stored.dtype}. Do not save a diverged model; half=False if it overflows."
        )
    return stored


def _described(folder: Path) -> dict[str, Any]:
    file = folder / CONFIG_FILE
    if not file.is_file():
        raise InputError(
            f"'{folder}' is not a checkpoint: it has no {CONFIG_FILE}. Give the folder that save_checkpoint wrote."
        )
    try:
        described = json.loads(file.read_text())
    except ValueError as error:
        raise InputError(f"'{file}' is not valid JSON: {error}. Copy the file again.") from error
    if not isinstance(described, dict) or described.get("format") != FORMAT:
        given = described.get("format") if isinstance(described, dict) else type(described).__name__
        raise InputError(f"'{file}' must have format {FORMAT}, got {given}. Import or save the model again.")
    if not isinstance(described.get("planner"), dict) or not isinstance(described.get("metadata"), dict):
        raise InputError(f"'{file}' must hold the mappings 'planner' and 'metadata'. Import or save the model again.")
    return described


def lightning_state(file: Path) -> Mapping[str, Any]:
    """The ``state_dict`` of a file that Lightning wrote; nothing in it is run.

    Tensors are mapped, not read, where the file allows it: often only names are wanted of hundreds of megabytes.
    Raises ``InputError`` for a file that is not there or holds no such thing.
    """
    if not file.is_file():
        raise InputError(f"Checkpoint '{file}' does not exist. Give the file as it was downloaded or written.")
    try:
        loaded = torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file))
    except Exception as error:  # bytes that are no checkpoint can stop the unpickler anywhere, with any error
        # torch's own message advises to load it with code execution allowed, which is no way out.
        raise InputError(
            f"'{file}' cannot be read as a checkpoint of plain tensors ({type(error).__name__}): it is damaged, or no file "
            "that Lightning wrote. Give the file as it was downloaded or written."
        ) from error
    state = loaded.get("state_dict") if isinstance(loaded, Mapping) else None
    if not isinstance(state, Mapping):
        raise InputError(f"'{file}' is not a Lightning checkpoint: it has no 'state_dict'.")
    return state


def _reference_state(file: Path) -> dict[str, Tensor]:
    state = lightning_state(file)
    foreign = [key for key, value in state.items() if not str(key).startswith(PREFIX) or not isinstance(value, Tensor)]
    if foreign:
        raise InputError(f"'{file}' is not the public planner: keys must be tensors under '{PREFIX}', got {_some(foreign)}.")
    return {key.removeprefix(PREFIX): value for key, value in state.items()}


def _assembled(config: PlannerConfig, state: Mapping[str, Tensor], where: str) -> PlannerModel:
    model = _blank(config)
    expected = model.state_dict()
    _check_names(expected, state, where)
    misshapen = [
        f"{name} {list(state[name].shape)} instead of {list(value.shape)}"
        for name, value in expected.items()
        if state[name].shape != value.shape
    ]
    if misshapen:
        raise InputError(f"{where} does not fit its configuration: {_some(misshapen)}.")
    broken = [name for name, value in state.items() if not bool(torch.isfinite(value).all())]
    if broken:
        raise InputError(f"{where} holds weights that are not finite: {_some(broken)}. Copy the file again.")
    model.load_state_dict({name: value.to(expected[name].dtype) for name, value in state.items()}, strict=True)
    return model.eval()


def _blank(config: PlannerConfig) -> PlannerModel:
    return PlannerModel(config, torch.zeros(config.anchor_shape))


def _check_names(expected: Iterable[str], given: Iterable[str], where: str) -> None:
    missing, extra = sorted(set(expected) - set(given)), sorted(set(given) - set(expected))
    if missing or extra:
        parts = [f"{len(names)} {kind} ({_some(names)})" for kind, names in (("missing", missing), ("unknown", extra)) if names]
        raise InputError(f"{where} does not fit: {' and '.join(parts)} keys. Weights load completely or not at all.")


def _some(names: list[Any]) -> str:
    shown = ", ".join(str(name) for name in names[:NAMES_SHOWN])
    return f"{shown} and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else shown
