import pytest
import torch

from diffdrive.configuration import build, to_mapping
from diffdrive.contracts import InputError
from diffdrive.model import PLANNERS, PlannerConfig, PlannerModel, base, nano, planner_config


@pytest.mark.parametrize("name", sorted(PLANNERS))
def test_planner_configs_survive_a_round_trip_through_plain_types(name: str) -> None:
    config = PLANNERS[name]()
    assert build(PlannerConfig, to_mapping(config)) == config
    assert planner_config(name) == config


def test_sizes_of_the_public_model_follow_from_its_layout() -> None:
    config = base()
    assert (config.image_grid, config.lidar_grid) == ((8, 32), (8, 8))
    assert (config.num_image_tokens, config.num_lidar_tokens, config.bev_pixels, config.num_queries) == (256, 64, 64, 31)
    assert config.noise_shape == (20, 8, 2)


def test_planner_overrides_reach_nested_fields_and_leave_the_rest() -> None:
    config = planner_config("nano", {"normalizer": {"x_max_m": 70.0}}, ["decoder_layers=3", "image_encoder.stem_width=16"])
    assert (config.normalizer.x_max_m, config.normalizer.x_min_m) == (70.0, nano().normalizer.x_min_m)
    assert (config.decoder_layers, config.image_encoder.stem_width) == (3, 16)
    assert config.image_encoder.channels == nano().image_encoder.channels


def test_an_unknown_planner_or_key_names_the_closest() -> None:
    with pytest.raises(InputError, match="Did you mean 'nano'"):
        planner_config("nanno")
    with pytest.raises(InputError, match="Did you mean 'decoder_layers'"):
        planner_config("nano", overrides=["decoder_layer=3"])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("dims=130", "multiple of heads"),
        ("point_dims=6", "point_dims"),
        ("num_train_levels=0", "num_train_levels"),
        ("fusion_dropout=1.0", "fusion_dropout"),
        ("query_layers=0", "query_layers"),
        ("bev_value_kernel=2", "bev_value_kernel"),
    ],
)
def test_sizes_that_cannot_work_are_errors(override: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        planner_config("nano", overrides=[override])


@pytest.mark.parametrize("encoder", ["resnet_of_my_dreams", "convnext_atto.d2_in1k_oops", "vit_tiny_patch16_224"])
def test_an_encoder_that_timm_cannot_stage_is_an_error(encoder: str) -> None:
    config = planner_config("nano", {"image_encoder": {"name": encoder}})
    with pytest.raises(InputError, match="Use a"):
        PlannerModel(config, torch.zeros(config.anchor_shape))
