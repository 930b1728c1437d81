"""The inference network: equal to ``PlannerModel`` up to rounding, for one jump table.

    camera, lidar, status --perceive--> Perceived --denoise (with noise)--> poses, logits

What it leaves out: batch norms and dropouts; the image half of the last exchange; the first self-attention of the queries;
three quarters of the neck's BEV projection; value maps; every score, heading and modulation that no output depends on; and,
unless asked for, the agent and BEV heads.
"""

from __future__ import annotations

import copy
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from diffdrive.diffusion import JumpTable
from diffdrive.model.config import PlannerConfig
from diffdrive.model.decoder import AnyDecoder, RegressionDecoder, UNetDecoder
from diffdrive.model.inference.backbone import InferenceBackbone
from diffdrive.model.inference.decoder import DecoderMemory, InferenceDecoder
from diffdrive.model.inference.ego_decoder import InferenceRegression, InferenceUNet
from diffdrive.model.inference.neck import InferenceNeck
from diffdrive.model.planner import PlannerModel
from diffdrive.tensors import AgentPredictions, LayerProposals, Proposals

AnyInferenceDecoder = InferenceDecoder | InferenceRegression | InferenceUNet


class Perceived(NamedTuple):
    """One batch of scenes, ready to be denoised against."""

    memory: DecoderMemory
    heads: tuple[Tensor, ...]
    """What the perception heads that were asked for answer, in the order of ``output_names``."""


class InferenceModel(nn.Module):
    """Inference with ``jumps`` (None: the model's own). Holds copies: ``model`` stays as it is.

    ``dtype`` is the number format of backbone and neck; the decoder, from embeddings of points to poses, is always float32.
    """

    def __init__(
        self,
        model: PlannerModel,
        jumps: JumpTable | None = None,
        *,
        dtype: torch.dtype = torch.float32,
        wants_agents: bool = False,
        wants_bev: bool = False,
    ) -> None:
        super().__init__()
        self.config, self.dtype = model.config, dtype
        with torch.no_grad():
            self.backbone = InferenceBackbone(model.backbone).to(dtype)
            self.neck = InferenceNeck(model.neck).to(dtype)
            self.decoder = _inference_decoder(model.decoder, model.anchors, model.config, jumps or model.config.default_jumps)
        self.agent_head = copy.deepcopy(model.agent_head) if wants_agents else None
        self.bev_head = copy.deepcopy(model.bev_head) if wants_bev else None
        self.eval().requires_grad_(False)

    @property
    def output_names(self) -> tuple[str, ...]:
        """What ``forward`` returns."""
        agents = ("agent_states", "agent_logits") if self.agent_head is not None else ()
        return ("poses", "logits", *agents, *(("bev_logits",) if self.bev_head is not None else ()))

    def perceive(self, camera: Tensor, lidar: Tensor, status: Tensor) -> Perceived:
        """[B, 3, H, W], [B, 1, Hl, Wl] and [B, 8], float32 as in ``PlannerInputs``."""
        camera = camera.to(self.dtype, memory_format=torch.channels_last)
        lidar = lidar.to(self.dtype, memory_format=torch.channels_last)
        fused, fine_bev = self.backbone(camera, lidar)
        queries, bev = self.neck(fused, fine_bev, status.to(self.dtype))
        queries = queries.float()
        ego_query, agent_queries = queries[:, :1], queries[:, 1:]
        heads: list[Tensor] = []
        if self.agent_head is not None:
            agents = self.agent_head(agent_queries)
            heads += [agents.states, agents.logits]
        if self.bev_head is not None:
            heads.append(self.bev_head(fine_bev.float()))
        return Perceived(self.decoder.memory(bev.float(), ego_query, agent_queries), tuple(heads))

    def denoise(self, memory: DecoderMemory, noise: Tensor) -> tuple[Tensor, Tensor]:
        """``noise`` [B, M, T, 2], standard normal, to poses [B, M, T, 3] and logits [B, M]."""
        return cast(tuple[Tensor, Tensor], self.decoder(memory, noise))

    def forward(self, camera: Tensor, lidar: Tensor, status: Tensor, noise: Tensor) -> tuple[Tensor, ...]:
        """The tensors of ``output_names``, all float32."""
        perceived = self.perceive(camera, lidar, status)
        return (*self.denoise(perceived.memory, noise), *perceived.heads)

    def proposals(self, outputs: tuple[Tensor, ...]) -> Proposals:
        """What ``forward`` returned, by name. Earlier passes and layers are not kept."""
        return proposals_of(self.output_names, outputs)


def _inference_decoder(decoder: AnyDecoder, anchors: Tensor, config: PlannerConfig, jumps: JumpTable) -> AnyInferenceDecoder:
    if isinstance(decoder, RegressionDecoder):
        return InferenceRegression(decoder)
    if isinstance(decoder, UNetDecoder):
        return InferenceUNet(decoder, anchors, config, jumps)
    return InferenceDecoder(decoder, anchors, config, jumps)


def proposals_of(names: tuple[str, ...], outputs: tuple[Tensor, ...]) -> Proposals:
    """Tensors called ``names`` (see ``InferenceModel.output_names``) as proposals."""
    by_name = dict(zip(names, outputs, strict=True))
    has_agents = "agent_states" in by_name
    return Proposals(
        passes=((LayerProposals(by_name["poses"], by_name["logits"]),),),
        agents=AgentPredictions(by_name["agent_states"], by_name["agent_logits"]) if has_agents else None,
        bev_logits=by_name.get("bev_logits"),
    )
