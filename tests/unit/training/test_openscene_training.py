"""NAVSIM data as a source of training scenes: which source, which name, and features of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pyogrio")
pytest.importorskip("geopandas")

from navsim_data import change_log, copy_without_sensors, token

from diffdrive.contracts import InputError
from diffdrive.features.targets import build_targets
from diffdrive.sources import OpenSceneLogSource
from diffdrive.training.config import DataConfig, SourceConfig, SourceKind, SplitBy, TrainingConfig, load_training_config
from diffdrive.training.fit import open_cache
from diffdrive.training.scene_sources import open_source, source_identity


@pytest.fixture
def config(navsim_root: Path, tmp_path: Path) -> SourceConfig:
    return SourceConfig(kind=SourceKind.OPENSCENE, root=navsim_root, splits=("mini",), log_index=tmp_path / "index")


def test_a_config_names_the_source(config: SourceConfig, tmp_path: Path) -> None:
    source = open_source(config)
    assert isinstance(source, OpenSceneLogSource)
    assert len(source.tokens) == 5
    assert (tmp_path / "index" / "mini" / "drive.json").is_file()
    assert len(open_source(replace(config, stride_s=1.0, splits=())).tokens) == 3
    filtered = tmp_path / "navtrain.yaml"
    filtered.write_text(f"num_history_frames: 4\nnum_future_frames: 10\nframe_interval: 1\ntokens: ['{token(4)}']\n")
    assert tuple(open_source(replace(config, scene_filter=filtered)).tokens) == (token(4),)


def test_what_cannot_be_opened_is_told(config: SourceConfig) -> None:
    with pytest.raises(InputError, match=r"one split at a time, got data\.source\.splits = \['a', 'b'\]"):
        open_source(replace(config, splits=("a", "b")))
    with pytest.raises(InputError, match=r"data\.source\.root must name the folder .*kind is openscene"):
        open_source(replace(config, root=None))


def test_a_cache_s_name_follows_the_logs_not_every_image(config: SourceConfig, navsim_root: Path, tmp_path: Path) -> None:
    name = source_identity(open_source(config), config)
    assert name.startswith("navsim-mini ")
    assert source_identity(open_source(config), config) == name
    root = copy_without_sensors(navsim_root, tmp_path / "root")
    other = replace(config, root=root)
    assert source_identity(open_source(other), other) == name, "the same data elsewhere"
    change_log(root, lambda frames: frames[:-1])
    assert source_identity(open_source(other), other) != name


def test_features_are_cached(config: SourceConfig, tmp_path: Path) -> None:
    run = TrainingConfig(data=DataConfig(source=config, cache=tmp_path / "features", max_scenes=2))
    cache = open_cache(run)
    source = open_source(config)
    assert cache.locations == ("us-ma-boston",) * 2
    batch = cache.batch([0, 1])
    for row, name in enumerate(cache.spec.tokens):
        targets = build_targets(source.load(name, sensors=False), cache.spec.targets)
        np.testing.assert_array_equal(batch.trajectory[row], targets.trajectory[0])
        assert int(batch.bev_semantic[row].max()) > 0, "the map is drawn"
    assert int(batch.lidar.sum()) > 0


def test_the_recipe_reads_navsim_s_own_files() -> None:
    path = Path(__file__).resolve().parents[3] / "configs/training/base_navsim_recipe.yaml"
    data = load_training_config(path).data
    assert (data.split_by, data.log_lists is not None) == (SplitBy.LOG, True), "the devkit's split of logs"
    source = data.source
    assert source.kind is SourceKind.OPENSCENE
    assert source.scene_filter is not None
