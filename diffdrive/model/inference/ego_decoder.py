"""The decoders that read the ego query alone, for inference: as they are, around constants computed once."""

from __future__ import annotations

import copy

from torch import Tensor, nn

from diffdrive.diffusion import JumpTable
from diffdrive.model.config import PlannerConfig
from diffdrive.model.decoder import RegressionDecoder, UNetDecoder
from diffdrive.model.inference.decoder import DecoderMemory
from diffdrive.model.inference.stepping import Stepping


class InferenceRegression(nn.Module):
    """``RegressionDecoder``: one pass, whatever the noise."""

    def __init__(self, decoder: RegressionDecoder) -> None:
        super().__init__()
        self.decoder = copy.deepcopy(decoder)

    def memory(self, bev: Tensor, ego_query: Tensor, agent_queries: Tensor) -> DecoderMemory:
        """The ego query."""
        return DecoderMemory(None, None, ego_query)

    def forward(self, memory: DecoderMemory, noise: Tensor) -> tuple[Tensor, Tensor]:
        """To poses [B, 1, T, 3] and logits [B, 1]."""
        proposal = self.decoder.propose(_ego_query(memory))
        return proposal.poses, proposal.logits


class InferenceUNet(nn.Module):
    """``UNetDecoder`` through all passes of ``jumps``."""

    def __init__(self, decoder: UNetDecoder, anchors: Tensor, config: PlannerConfig, jumps: JumpTable) -> None:
        super().__init__()
        self.decoder = copy.deepcopy(decoder)
        self.stepping = Stepping(anchors, config, jumps)
        self.levels = tuple(level for level, _ in jumps.jumps)

    def memory(self, bev: Tensor, ego_query: Tensor, agent_queries: Tensor) -> DecoderMemory:
        """The ego query."""
        return DecoderMemory(None, None, ego_query)

    def forward(self, memory: DecoderMemory, noise: Tensor) -> tuple[Tensor, Tensor]:
        """``noise`` [B, M, T, 2] to poses [B, M, T, 3] and logits [B, M]."""
        ego_query, x_t = _ego_query(memory), self.stepping.start(noise)
        for step, level in enumerate(self.levels):
            points = self.stepping.points(x_t)
            proposal = self.decoder.propose(ego_query, points, level, self.stepping.origins(points))
            if step == self.stepping.last:
                return proposal.poses, proposal.logits
            x_t = self.stepping.next(x_t, proposal.poses[..., :2], step)
        raise RuntimeError("A jump table ends with a jump to clean.")  # JumpTable checks it


def _ego_query(memory: DecoderMemory) -> Tensor:
    if memory.ego is None:
        raise RuntimeError("This decoder reads the ego query, which its memory holds.")
    return memory.ego
