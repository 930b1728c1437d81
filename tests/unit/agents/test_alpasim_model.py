"""The driver model beside stand-ins for AlpaSim: registration, batches, seeds, rates, errors."""

from __future__ import annotations

import importlib
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import alpasim_stand_ins as stand_ins
import numpy as np
import pytest
import torch
from diffdrive_agents.inference import NotPlannedError

from diffdrive.contracts import InputError

CPU = torch.device("cpu")
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def module() -> ModuleType:
    return stand_ins.imported_model(stand_ins.base_module())


@pytest.fixture(scope="module")
def configured(module: ModuleType, tiny_checkpoint: Path) -> Any:
    def make(frequency_hz: int = 2, cameras: list[str] | None = None) -> Any:
        config = SimpleNamespace(checkpoint_path=str(tiny_checkpoint), device="cpu")
        names = stand_ins.NUPLAN_CAMERAS if cameras is None else cameras
        return module.DiffDriveEmptySweepModel.from_config(config, CPU, names, None, frequency_hz)

    return make


@pytest.fixture(scope="module")
def model(configured: Any) -> Any:
    return configured()


def test_alpasim_finds_the_models_and_the_configurations_by_their_entry_points() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    models, configs = (project["entry-points"][group] for group in ("alpasim.models", "alpasim.configs"))
    classes = []
    with stand_ins.beside(stand_ins.base_module()):
        for name, value in models.items():
            classes.append(EntryPoint(name, value, "alpasim.models").load().__name__)
    assert dict(zip(models, classes, strict=True)) == {
        "diffdrive": "DiffDriveModel",
        "diffdrive_empty_sweep": "DiffDriveEmptySweepModel",
    }
    assert (Path(importlib.import_module(configs["diffdrive"]).__path__[0]) / "driver/diffdrive.yaml").is_file()


def test_the_model_is_a_base_model_with_nothing_left_abstract(module: ModuleType, model: Any) -> None:
    base = module.BaseTrajectoryModel
    assert isinstance(model, base) and base.__abstractmethods__ == stand_ins.ABSTRACT
    assert module.DiffDriveEmptySweepModel.__abstractmethods__ == frozenset()
    assert (model.camera_ids, model.context_length, model.output_frequency_hz) == (stand_ins.NUPLAN_CAMERAS, 1, 2)
    assert [model._encode_command(each) for each in module.DriveCommand] == [0, 1, 2, 3]


def test_the_plain_name_refuses_and_says_what_to_type(module: ModuleType) -> None:
    with pytest.raises(InputError, match=r"renders cameras alone.*diffdrive_empty_sweep"):
        module.DiffDriveModel.from_config(SimpleNamespace(checkpoint_path="nano"), CPU, stand_ins.NUPLAN_CAMERAS, None, 2)


def test_a_prediction_has_the_shapes_of_the_interface(configured: Any) -> None:
    for frequency_hz, poses in ((2, 8), (10, 40), (4, 16), (3, 12)):
        answer = configured(frequency_hz).predict(stand_ins.prediction_input())
        assert answer.trajectory_xy.shape == (poses, 2) and answer.headings.shape == (poses,)
        assert np.isfinite(answer.trajectory_xy).all() and answer.reasoning_text is None


def test_at_ten_a_second_every_fifth_pose_is_the_networks(configured: Any, model: Any) -> None:
    coarse, fine = (each.predict(stand_ins.prediction_input()) for each in (model, configured(10)))
    np.testing.assert_allclose(fine.trajectory_xy[4::5], coarse.trajectory_xy, atol=1e-9)
    np.testing.assert_allclose(fine.headings[4::5], coarse.headings, atol=1e-9)


def test_one_seed_gives_one_answer_whatever_else_is_in_the_batch(model: Any) -> None:
    alone = model.predict(stand_ins.prediction_input(7))
    others = [stand_ins.prediction_input(seed, look=look) for seed, look in ((8, 1), (9, 2), (7, 3), (0, 4))]
    for place in range(5):
        batch = [*others[:place], stand_ins.prediction_input(7), *others[place:]]
        answer = model.predict_batch(batch)[place]
        # Products of other sizes are rounded otherwise; seeds move poses by decimetres.
        np.testing.assert_allclose(answer.trajectory_xy, alone.trajectory_xy, atol=1e-4)
        np.testing.assert_allclose(answer.headings, alone.headings, atol=1e-4)
    again = model.predict(stand_ins.prediction_input(7))
    assert np.array_equal(again.trajectory_xy, alone.trajectory_xy)


def test_another_seed_gives_another_answer(model: Any) -> None:
    answers = model.predict_batch([stand_ins.prediction_input(seed) for seed in range(4)])
    spread = np.ptp([each.trajectory_xy for each in answers], axis=0)
    assert spread.max() > 0.01


def test_answers_come_in_the_order_of_the_inputs(model: Any) -> None:
    inputs = [stand_ins.prediction_input(3, look=look) for look in range(4)]
    forth, back = model.predict_batch(inputs), model.predict_batch(inputs[::-1])[::-1]
    for one, other in zip(forth, back, strict=True):
        np.testing.assert_allclose(one.trajectory_xy, other.trajectory_xy, atol=1e-4)
    assert np.ptp([each.trajectory_xy for each in forth], axis=0).max() > 0.01
    assert model.predict_batch([]) == []


def test_a_driver_without_seeds_gets_the_noise_of_what_it_sees(model: Any) -> None:
    first, again = (model.predict(stand_ins.prediction_input(None)) for _ in range(2))
    assert np.array_equal(first.trajectory_xy, again.trajectory_xy)


def test_inputs_that_cannot_be_used_are_the_drivers_validation_error(module: ModuleType, model: Any) -> None:
    given = stand_ins.prediction_input()
    given.camera_images["CAM_F0"] = []
    with pytest.raises(module.ModelInputValidationError, match="Camera CAM_F0 delivered no image"):
        model.predict_batch([stand_ins.prediction_input(), given])


def test_an_answer_that_is_not_finite_is_no_plan(configured: Any) -> None:
    model = configured()
    with torch.inference_mode(False):
        for parameter in model._planner._engine._network.decoder.buffers():
            if parameter.is_floating_point():
                parameter.fill_(torch.nan)
        for parameter in model._planner._engine._network.decoder.parameters():
            parameter.data.fill_(torch.nan)
    with pytest.raises(NotPlannedError, match="0, 1 of a batch of 2"):
        model.predict_batch([stand_ins.prediction_input(), stand_ins.prediction_input()])


@pytest.mark.parametrize("cameras", [[], ["CAM_F0"], ["CAM_F0", "CAM_L0", "CAM_L0"], ["CAM_F0", "CAM_L0", "CAM_R0", "CAM_B0"]])
def test_other_cameras_than_the_three_are_refused(configured: Any, cameras: list[str]) -> None:
    with pytest.raises(InputError, match="one left, one front and one right camera"):
        configured(cameras=cameras)


@pytest.mark.parametrize("frequency_hz", [0, -2, 2.5])
def test_a_rate_that_is_none_is_refused(configured: Any, frequency_hz: int) -> None:
    with pytest.raises(InputError, match="output_frequency_hz"):
        configured(frequency_hz)
