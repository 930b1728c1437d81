"""Scores that learn from the scorer: what is proposed stays, what is said of it changes."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pytest
import torch
from driven_plans import arc
from encoded_views import NUM_VIEWS, write_views
from memory_source import MemorySource, make_scene
from tiny_planner import TINY_PLANNER

from diffdrive.contracts import InputError
from diffdrive.model import PlannerModel, planner_config
from diffdrive.model.checkpoint import load_checkpoint
from diffdrive.scene import Scene, SceneSource
from diffdrive.scoring import prepare, score
from diffdrive.training.cache import CacheSpec, open_or_build
from diffdrive.training.config import InitialConfig, ScoreStageConfig, SourceConfig, TrainingConfig
from diffdrive.training.encoded_scenes import EncodedScenes
from diffdrive.training.engine import pdms
from diffdrive.training.fit import fit
from diffdrive.training.scene_sources import open_source
from diffdrive.training.score_stage import ScoreStage
from diffdrive.training.scored_proposals import ScoredProposals, propose, score_proposals

STAGE = ScoreStageConfig(epochs=80, draws=2, batch_size=4, lr=3e-3, warmup_steps=0)


@functools.cache
def world() -> SceneSource:
    """The logs that ship with the package."""
    return open_source(SourceConfig(), future_s=pdms.FUTURE_S, map_radius_m=pdms.MAP_RADIUS_M)


def tiny(**changes: object) -> PlannerModel:
    torch.manual_seed(0)
    config = planner_config("nano", {**TINY_PLANNER, **changes})
    fan = np.stack([arc(bend, speed)[:, :2] for bend, speed in ((0.0, 10.0), (0.06, 6.0), (-0.06, 6.0), (0.0, 2.0))])
    return PlannerModel(config, torch.as_tensor(fan, dtype=torch.float32))


def lesson(model: PlannerModel, folder: Path, best: int) -> ScoreStage:
    """Proposal ``best`` is right in every scene, and no other; the last scene was not scored."""
    write_views(folder, model)
    scenes = EncodedScenes.load(folder)
    noise, poses = propose(model, scenes, STAGE.draws, seed=3)
    scores = torch.zeros(poses.shape[:3])
    scores[..., best] = 1.0
    scores[-1] = torch.nan
    taught = ScoredProposals(noise=noise, poses=poses, scores=scores)
    return ScoreStage(model=model, scenes=scenes, taught=taught, config=STAGE, seed=0)


def test_the_last_layer_learns_which_proposal_is_good(tmp_path: Path) -> None:
    model = tiny()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    stage = lesson(model, tmp_path / "views", best=2)
    assert stage.taught.known.tolist() == list(range(NUM_VIEWS - 1))
    stage.train()
    with torch.no_grad():
        told = model.denoise(stage.scenes.features(model, torch.arange(NUM_VIEWS)), stage.taught.noise[:, 0])[-1][-1]
    assert told.logits.argmax(dim=1).tolist() == [2] * NUM_VIEWS
    assert float((told.poses - stage.taught.poses[:, 0]).abs().mean()) < 0.1, "the proposals are held"
    after = model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.startswith("decoder.layers.1.") for name in changed)
    assert all(parameter.requires_grad for parameter in model.decoder.parameters())


def test_one_seed_gives_one_layer(tmp_path: Path) -> None:
    models = [tiny(), tiny()]
    for number, model in enumerate(models):
        stage = lesson(model, tmp_path / str(number), best=1)
        dataclasses.replace(stage, config=dataclasses.replace(STAGE, epochs=1)).train()
    first, second = (model.state_dict() for model in models)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_what_cannot_be_taught_is_refused(tmp_path: Path) -> None:
    stage = lesson(tiny(), tmp_path / "views", best=0)
    with pytest.raises(InputError, match="11 scored scenes, fewer than one batch of 12"):
        dataclasses.replace(stage, config=dataclasses.replace(STAGE, batch_size=12))
    with pytest.raises(InputError, match="has none"):
        dataclasses.replace(stage, model=tiny(decoder_kind="unet"))
    with pytest.raises(InputError, match="at least 1"):
        ScoreStageConfig(draws=0)
    with pytest.raises(InputError, match="positive lr"):
        ScoreStageConfig(lr=0.0)


def test_proposals_are_scored_in_their_scenes() -> None:
    token = world().tokens[0]
    scene = world().load(token, sensors=False)
    assert scene.future is not None
    driven = scene.future.ego.thinned(8, 0.5).poses
    poses = torch.as_tensor(np.stack([driven, driven + [0.0, 60.0, 0.0]]), dtype=torch.float32)[None, None].repeat(
        2, 2, 1, 1, 1
    )
    found = score_proposals(world(), [token, "nowhere-0"], poses, 0.5)
    expected = score(prepare(scene, "pdms"), poses[0, 0][None].double(), interval_s=0.5).total[0]
    torch.testing.assert_close(found[0], expected.float().expand(2, 2))
    assert found[0, 0, 0] > found[0, 0, 1]
    assert bool(found[1].isnan().all())


class Renamed(MemorySource):
    """Random scenes under the tokens of real ones."""

    def __init__(self) -> None:
        super().__init__(12)
        self.tokens = tuple(world().tokens[:12])

    def load(self, token: str, *, sensors: bool = True) -> Scene:
        return dataclasses.replace(make_scene(self.tokens.index(token)), token=token)


def test_a_run_ends_with_the_stage_that_its_config_asks_for(tiny_config: TrainingConfig, tmp_path: Path) -> None:
    source, planner = Renamed(), planner_config("nano", TINY_PLANNER)
    spec = CacheSpec(inputs=planner.inputs, targets=planner.targets, source="renamed", tokens=source.tokens)
    cache = open_or_build(tmp_path / "features", spec, lambda: source)
    config = dataclasses.replace(tiny_config, epochs=1)
    plain = fit(config, cache)
    stage = ScoreStageConfig(epochs=2, draws=1, batch_size=4)
    staged = fit(dataclasses.replace(config, name="staged", score_stage=stage), cache)
    assert plain is not None
    assert staged is not None
    one, two = load_checkpoint(plain.export).state_dict(), load_checkpoint(staged.export).state_dict()
    moved = {name for name in one if not torch.equal(one[name], two[name])}
    assert moved
    assert all(name.startswith("decoder.layers.1.") for name in moved)
    given = InitialConfig(checkpoint=plain.export)
    alone = fit(dataclasses.replace(config, name="alone", epochs=0, initial=given, score_stage=stage), cache)
    assert alone is not None
    three = load_checkpoint(alone.export).state_dict()
    assert all(torch.equal(two[name], three[name]) for name in two), "the stage alone does the same to the same weights"


def test_no_epochs_need_a_planner_and_something_to_do(tiny_config: TrainingConfig) -> None:
    given, stage = InitialConfig(checkpoint=Path("planner")), ScoreStageConfig(epochs=1)
    for change in ({"initial": given}, {"score_stage": stage}):
        with pytest.raises(InputError, match=r"leaves only the stages after"):
            dataclasses.replace(tiny_config, epochs=0, **change)
    assert dataclasses.replace(tiny_config, epochs=0, initial=given, score_stage=stage).has_later_stage
