"""The public DiffusionDrive checkpoint's names for the weights of this network."""

from __future__ import annotations

import re

PREFIX = "agent._transfuser_model."
"""Before every key of the public file, under ``["state_dict"]``."""

_RENAMES: tuple[tuple[str, str], ...] = (
    (r"anchors", "_trajectory_head.plan_anchor"),
    (r"backbone\.(image|lidar)_encoder\.stages\.\d+\.", r"_backbone.\1_encoder."),
    (r"backbone\.fusion\.(\d)\.lidar_to_image\.", r"_backbone.lidar_channel_to_img.\1."),
    (r"backbone\.fusion\.(\d)\.image_to_lidar\.", r"_backbone.img_channel_to_lidar.\1."),
    (r"backbone\.fusion\.(\d)\.position", r"_backbone.transformers.\1.pos_emb"),
    (r"backbone\.fusion\.(\d)\.norm\.", r"_backbone.transformers.\1.ln_f."),
    (r"backbone\.fusion\.(\d)\.blocks\.(\d)\.attention_norm\.", r"_backbone.transformers.\1.blocks.\2.ln1."),
    (r"backbone\.fusion\.(\d)\.blocks\.(\d)\.mlp_norm\.", r"_backbone.transformers.\1.blocks.\2.ln2."),
    (r"backbone\.fusion\.(\d)\.blocks\.(\d)\.attention\.output\.", r"_backbone.transformers.\1.blocks.\2.attn.proj."),
    (r"backbone\.fusion\.(\d)\.blocks\.(\d)\.attention\.", r"_backbone.transformers.\1.blocks.\2.attn."),
    (r"backbone\.fusion\.(\d)\.blocks\.(\d)\.mlp\.", r"_backbone.transformers.\1.blocks.\2.mlp."),
    (r"backbone\.pyramid\.reduce\.", "_backbone.c5_conv."),
    (r"backbone\.pyramid\.middle\.", "_backbone.up_conv5."),
    (r"backbone\.pyramid\.fine\.", "_backbone.up_conv4."),
    (r"neck\.cell_projection\.", "_bev_downscale."),
    (r"neck\.status_projection\.", "_status_encoding."),
    (r"neck\.token_position\.", "_keyval_embedding."),
    (r"neck\.queries\.", "_query_embedding."),
    (r"neck\.layers\.", "_tf_decoder.layers."),
    (r"neck\.bev_projection\.", "bev_proj.0."),
    (r"neck\.bev_norm\.", "bev_proj.2."),
    (r"agent_head\.box\.", "_agent_head._mlp_states."),
    (r"agent_head\.label\.", "_agent_head._mlp_label.0."),
    (r"bev_head\.hidden\.", "_bev_semantic_head.0."),
    (r"bev_head\.classes\.", "_bev_semantic_head.2."),
    (r"decoder\.point_encoder\.mlp\.", "_trajectory_head.plan_anchor_encoder."),
    (r"decoder\.level_encoder\.mlp\.0\.", "_trajectory_head.time_mlp.1."),
    (r"decoder\.level_encoder\.mlp\.2\.", "_trajectory_head.time_mlp.3."),
)

_LAYER_RENAMES: tuple[tuple[str, str], ...] = (
    (r"bev_sampling\.value\.", "cross_bev_attention.value_proj.0."),
    (r"bev_sampling\.weights\.", "cross_bev_attention.attention_weights."),
    (r"bev_sampling\.output\.", "cross_bev_attention.output_proj."),
    (r"(agent|ego)_attention\.", r"cross_\1_attention."),
    (r"agent_norm\.", "norm1."),
    (r"ego_norm\.", "norm2."),
    (r"ffn_norm\.", "norm3."),
    (r"ffn\.", "ffn."),
    (r"modulation\.", "time_modulation.scale_shift_mlp."),
    (r"head\.regression\.", "task_decoder.plan_reg_branch."),
    (r"head\.score\.", "task_decoder.plan_cls_branch."),
)
"""Within one decoder layer."""


def reference_key(key: str) -> str:
    """The public name (without ``PREFIX``) of this network's state-dict ``key``. Raises ``KeyError`` if it has none."""
    layer = re.match(r"decoder\.layers\.\d+\.", key)
    renamed = _rename(key[layer.end() :], _LAYER_RENAMES) if layer else _rename(key, _RENAMES)
    if renamed is None:
        raise KeyError(key)
    return f"_trajectory_head.diff_{layer.group()}{renamed}" if layer else renamed


def _rename(key: str, renames: tuple[tuple[str, str], ...]) -> str | None:
    for pattern, replacement in renames:
        renamed, hits = re.subn(rf"^{pattern}", replacement, key)
        if hits:
            return renamed
    return None
