"""Which parameters train at which share of the learning rate, which of them decay, and AdamW over them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from diffdrive.contracts import InputError
from diffdrive.training.config import OptimizerConfig

REST = "rest"
"""The name of the group that no multiplier names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterGroup:
    """Parameters that the optimiser treats alike."""

    name: str
    """The prefix of ``OptimizerConfig.lr_multipliers`` that they have, or ``REST``."""

    weight_decay: float
    parameters: tuple[str, ...]
    """Their names in the model."""


def parameter_groups(model: nn.Module, config: OptimizerConfig) -> tuple[ParameterGroup, ...]:
    """The trainable parameters of ``model``, each in one group.

    Raises ``InputError`` for a multiplier of parameters that ``model`` does not have.
    """
    names = [name for name, _ in model.named_parameters()]
    _check_prefixes(config.lr_multipliers, names)
    free = names_without_decay(model)
    sorted_out: dict[tuple[str, bool], list[str]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decays = config.decay_all or name not in free
            sorted_out.setdefault((_prefix_of(name, config.lr_multipliers), decays), []).append(name)
    order = [REST, *config.lr_multipliers]
    return tuple(
        ParameterGroup(
            name=prefix,
            weight_decay=config.weight_decay if decays else 0.0,
            parameters=tuple(sorted_out[prefix, decays]),
        )
        for prefix in order
        for decays in (True, False)
        if (prefix, decays) in sorted_out
    )


def names_without_decay(model: nn.Module) -> frozenset[str]:
    """Names of the parameters that are no weights of a layer: vectors (biases, norms), embeddings, learnt positions."""
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    return frozenset(
        name
        for name, parameter in model.named_parameters()
        if parameter.ndim <= 1 or id(parameter) in embeddings or not name.endswith("weight")
    )


def build_optimizer(model: nn.Module, config: OptimizerConfig, *, fused: bool = True) -> torch.optim.AdamW:
    """AdamW over the trainable parameters, in the groups that ``config`` asks for."""
    named = dict(model.named_parameters())
    optimizer = torch.optim.AdamW(
        [
            {"params": [named[name] for name in group.parameters], "weight_decay": group.weight_decay, "name": group.name}
            for group in parameter_groups(model, config)
        ],
        lr=config.lr,
        betas=config.betas,
        fused=fused,
    )
    set_rate(optimizer, config.lr, config)
    return optimizer


def set_rate(optimizer: torch.optim.Optimizer, rate: float, config: OptimizerConfig) -> dict[str, float]:
    """Give every group its share of ``rate``; returns the rates by the groups' names."""
    rates = {}
    for group in optimizer.param_groups:
        name = group.get("name", REST)  # optimisers that were saved before their groups had names had one rate
        group["lr"] = rates[name] = rate * config.multiplier(name)
    return rates


def _prefix_of(name: str, prefixes: Iterable[str]) -> str:
    """The longest of ``prefixes`` that ``name`` begins with, by whole words."""
    return max((prefix for prefix in prefixes if _begins(name, prefix)), key=len, default=REST)


def _begins(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(f"{prefix}.")


def _check_prefixes(multipliers: Mapping[str, float], names: list[str]) -> None:
    for prefix in multipliers:
        if any(_begins(name, prefix) for name in names):
            continue
        words = [name.split(".") for name in names]
        known = {".".join(parts[:depth]) for parts in words for depth in range(1, len(parts) + 1)}
        close = difflib.get_close_matches(prefix, sorted(known), n=3)
        hint = (
            f"Did you mean {' or '.join(repr(name) for name in close)}?" if close else "Give the start of a parameter's name."
        )
        raise InputError(f"optimizer.lr_multipliers names '{prefix}', but no parameter begins so. {hint}")
