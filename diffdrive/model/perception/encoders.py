"""A timm network cut into four stages, so that something can happen between them."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from torch import Tensor, nn

from diffdrive.contracts import InputError
from diffdrive.model.config import NUM_STAGES, EncoderConfig
from diffdrive.torchvision_ops import declare_missing_ops

REDUCTIONS = [4, 8, 16, 32]


class StagedEncoder(nn.Module):
    """Four stages, at 1/4, 1/8, 1/16 and 1/32 of the input. Random weights: nothing is ever downloaded.

    Raises ``InputError`` for a name timm does not know and for a network without these four stages.
    """

    def __init__(self, config: EncoderConfig, in_channels: int) -> None:
        super().__init__()
        network = _timm_network(config, in_channels)
        self.channels: list[int] = network.feature_info.channels()
        ends = set(network.feature_info.module_name())
        stages: list[nn.Sequential] = []
        pending: OrderedDict[str, nn.Module] = OrderedDict()
        for name, module in network.named_children():
            pending[name] = module
            if name in ends:
                stages.append(nn.Sequential(pending))
                pending = OrderedDict()
        if len(stages) != NUM_STAGES:
            raise InputError(f"Encoder '{config.name}' cannot be cut into four stages. Use a timm ResNet or RegNet.")
        self.stages = nn.ModuleList(stages)

    def run_stage(self, index: int, x: Tensor) -> Tensor:
        """Stage ``index`` (0 .. 3) alone."""
        return self.stages[index](x)


def _timm_network(config: EncoderConfig, in_channels: int) -> Any:
    declare_missing_ops()
    import timm

    widths: dict[str, Any] = {"channels": config.channels, "stem_width": config.stem_width}
    given = {name: value for name, value in widths.items() if value is not None}
    network: Any
    try:
        network = timm.create_model(
            config.name, pretrained=False, features_only=True, out_indices=(1, 2, 3, 4), in_chans=in_channels, **given
        )
    except (RuntimeError, TypeError, AssertionError, IndexError, ValueError) as error:
        raise InputError(
            f"timm cannot make the encoder '{config.name}' with {given or 'its own widths'}: {error}. Use a ResNet or RegNet "
            f"name that timm.list_models() knows; channels and stem_width fit ResNets only."
        ) from error
    if network.feature_info.reduction() != REDUCTIONS:
        raise InputError(
            f"Encoder '{config.name}' has stages at 1/{network.feature_info.reduction()}, but the planner needs 1/{REDUCTIONS}."
        )
    return network
