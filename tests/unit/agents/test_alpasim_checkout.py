"""The interface that the stand-ins state, and our model, against AlpaSim itself: ``DIFFDRIVE_ALPASIM`` names a checkout.

Only the modules that define the interface are loaded: they need numpy, torch, Pillow and omegaconf. AlpaSim's own drivers,
which its package imports too, need a GPU.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import alpasim_stand_ins as stand_ins
import numpy as np
import pytest
import torch
import yaml

DRIVER = Path("src/driver/src/alpasim_driver")
CONFIGS = Path(__file__).resolve().parents[3] / "configs/alpasim/driver"


@pytest.fixture(scope="module")
def checkout() -> Path:
    given = os.environ.get("DIFFDRIVE_ALPASIM")
    if not given:
        pytest.skip("no checkout of github.com/NVlabs/alpasim: DIFFDRIVE_ALPASIM names one")
    return Path(given)


def loaded(file: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None, file
    made = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, name, made)  # dataclasses look their module up
        spec.loader.exec_module(made)
    return made


@pytest.fixture(scope="module")
def base(checkout: Path) -> ModuleType:
    return loaded(checkout / DRIVER / "models/base.py", stand_ins.BASE)


def has_seeds(base: ModuleType) -> bool:
    return "inference_seed" in {field.name for field in dataclasses.fields(base.PredictionInput)}


def test_the_stated_interface_is_alpasims(base: ModuleType) -> None:
    assert {each.name: each.value for each in base.DriveCommand} == stand_ins.COMMANDS
    for name, stated in stand_ins.FIELDS.items():
        fields = {field.name: field.type for field in dataclasses.fields(getattr(base, name))}
        assert fields == {key: kind for key, kind in stated.items() if key in fields or has_seeds(base)}
    model = base.BaseTrajectoryModel
    assert model.__abstractmethods__ == stand_ins.ABSTRACT
    for name, parameters in stand_ins.METHODS.items():
        assert tuple(inspect.signature(getattr(model, name)).parameters) == parameters
    assert issubclass(base.ModelInputValidationError, ValueError)


def test_the_entry_point_group_is_alpasims(checkout: Path) -> None:
    plugins = loaded(checkout / "src/plugins/alpasim_plugins/plugins.py", "alpasim_plugins_for_test")
    assert plugins.models._group == "alpasim.models"
    assert '"alpasim.configs"' in inspect.getsource(plugins.get_plugin_info)


def test_the_model_plans_beside_alpasims_own_base_class(base: ModuleType, tiny_checkpoint: Path) -> None:
    module = stand_ins.imported_model(base)
    given: Any = stand_ins.prediction_input(5)
    values = {field.name: getattr(given, field.name) for field in dataclasses.fields(base.PredictionInput)}
    config = type("ModelConfig", (), {"checkpoint_path": str(tiny_checkpoint)})()
    model = module.DiffDriveEmptySweepModel.from_config(config, torch.device("cpu"), stand_ins.NUPLAN_CAMERAS, None, 10)
    assert isinstance(model, base.BaseTrajectoryModel) and model.num_cameras == 3
    answers = model.predict_batch([base.PredictionInput(**values)] * 2)
    assert [type(each) for each in answers] == [base.ModelPrediction] * 2
    assert answers[0].trajectory_xy.shape == (40, 2) and np.isfinite(answers[0].headings).all()


def test_the_drivers_schema_takes_our_configuration(checkout: Path) -> None:
    omegaconf = pytest.importorskip("omegaconf", reason="OmegaConf is not installed: pip install 'diffdrive[navsim]'")
    schema = loaded(checkout / DRIVER / "schema.py", "alpasim_driver_schema_for_test")
    given = yaml.safe_load((CONFIGS / "diffdrive.yaml").read_text())
    del given["defaults"]
    given["port"], given["log_level"] = 6789, "INFO"
    merged = omegaconf.OmegaConf.merge(omegaconf.OmegaConf.structured(schema.DriverConfig), given)
    assert merged.model.model_type == "diffdrive_empty_sweep"
    assert merged.rectification.camera_front_wide_120fov.resolution_hw == [1080, 1920]
