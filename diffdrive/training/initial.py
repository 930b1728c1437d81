"""The network that a run begins with: random weights of its seed, and over them what its configuration names."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from diffdrive.configuration import to_mapping
from diffdrive.contracts import InputError
from diffdrive.model import PlannerConfig, PlannerModel
from diffdrive.model.checkpoint import load_checkpoint
from diffdrive.training.config import InitialConfig, TrainingConfig

logger = logging.getLogger(__name__)

DECODER = "decoder."
ANCHORS = "anchors"
_CLASSIFIERS = ("fc.", "head.")
_NAMES_SHOWN = 3
_WHERE_TO_GET = (
    "For the base model that is resnet34.a1_in1k: fetch model.safetensors from https://huggingface.co/timm/resnet34.a1_in1k. "
    "Or set initial.image_encoder=null for random weights (or to resume)."
)


def new_network(config: TrainingConfig, planner: PlannerConfig, anchors: Tensor) -> PlannerModel:
    """The network of a run before its first step. Raises ``InputError`` for weights that do not fit it."""
    # The initial weights are part of the run, so they come from its seed, not from what was drawn before.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = PlannerModel(planner, anchors)
    load_initial(model, config.initial)
    if config.channels_last:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def load_initial(model: PlannerModel, config: InitialConfig) -> None:
    """Put the weights that ``config`` names into ``model``. Raises ``InputError`` where a file is missing or does not fit."""
    if config.image_encoder is not None:
        load_image_encoder(model.backbone.image_encoder, config.image_encoder)
    if config.checkpoint is not None:
        _load_exported(model, config.checkpoint, without=(ANCHORS,))
    if config.perception is not None:
        _load_exported(model, config.perception, without=(ANCHORS, DECODER))


def load_image_encoder(encoder: nn.Module, file: Path) -> None:
    """Weights of a timm classifier, without its last layer."""
    given = {name: tensor for name, tensor in _read_weights(file).items() if not name.startswith(_CLASSIFIERS)}
    names = {re.sub(r"^stages\.\d+\.", "", name): name for name in encoder.state_dict()}
    # Files of before 2019 do not count batches; the count has no effect on what is learnt.
    counts = {name: encoder.state_dict()[names[name]] for name in names if name.endswith("num_batches_tracked")}
    wanted = {name: encoder.state_dict()[own] for name, own in names.items()}
    given = {**counts, **given}
    _check(wanted, given, f"'{file}' does not fit the image encoder", _WHERE_TO_GET)
    encoder.load_state_dict({own: given[name] for name, own in names.items()})


def _load_exported(model: PlannerModel, folder: Path, without: tuple[str, ...]) -> None:
    source = load_checkpoint(folder)
    wanted = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith(without)}
    given = {name: tensor for name, tensor in source.state_dict().items() if not name.startswith(without)}
    _check(wanted, given, f"The planner in '{folder}' does not fit this run's", "Give this run the same preset and planner.")
    theirs, ours = to_mapping(source.config), to_mapping(model.config)
    differing = [key for key in ours if ours[key] != theirs.get(key)]
    if differing:
        logger.warning("'%s' was trained with other settings: planner.%s.", folder, ", planner.".join(differing))
    model.load_state_dict(given, strict=False)


def _check(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor], problem: str, way_out: str) -> None:
    wrong = [f"{name} is missing" for name in wanted.keys() - given.keys()]
    wrong += [f"{name} is unknown" for name in given.keys() - wanted.keys()]
    wrong += [
        f"{name} is {list(given[name].shape)} instead of {list(wanted[name].shape)}"
        for name in wanted.keys() & given.keys()
        if given[name].shape != wanted[name].shape
    ]
    wrong += [f"{name} is not finite" for name in wanted.keys() & given.keys() if not bool(given[name].isfinite().all())]
    if wrong:
        more = f" and {len(wrong) - _NAMES_SHOWN} more" if len(wrong) > _NAMES_SHOWN else ""
        raise InputError(f"{problem}: {', '.join(sorted(wrong)[:_NAMES_SHOWN])}{more}. {way_out}")


def _read_weights(file: Path) -> Mapping[str, Tensor]:
    if not file.is_file():
        raise InputError(f"initial.image_encoder: '{file}' does not exist. {_WHERE_TO_GET}")
    try:
        loaded = _loaded(file)
    except Exception as error:  # bytes that are no weights can stop either reader anywhere, with any error
        raise InputError(
            f"'{file}' cannot be read as weights ({type(error).__name__}). Give a file as timm publishes it. {_WHERE_TO_GET}"
        ) from error
    state = loaded.get("state_dict", loaded) if isinstance(loaded, Mapping) else None
    if not isinstance(state, Mapping) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise InputError(f"'{file}' is not a mapping of names to tensors. {_WHERE_TO_GET}")
    return state


def _loaded(file: Path) -> Any:
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(file)
    return torch.load(file, map_location="cpu", weights_only=True)
