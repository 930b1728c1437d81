import pytest
import torch

from diffdrive.contracts import InputError
from diffdrive.tensors import AgentPredictions, InputLayout, LayerProposals, PlannerInputs, Proposals, collate


def inputs(batch: int) -> PlannerInputs:
    return PlannerInputs(camera=torch.rand(batch, 3, 32, 128), lidar=torch.rand(batch, 1, 32, 32), status=torch.rand(batch, 8))


def test_batch_sizes_must_agree() -> None:
    with pytest.raises(InputError, match=r"status must have axes \[B 8\] with B = 2"):
        PlannerInputs(camera=torch.rand(2, 3, 32, 128), lidar=torch.rand(2, 1, 32, 32), status=torch.rand(3, 8))


def test_collate_joins_in_order() -> None:
    a, b = inputs(1), inputs(2)
    joined = collate([a, b])
    assert joined.batch_size == 3
    assert torch.equal(joined.camera[1:], b.camera)


def test_best_takes_the_highest_logit_of_the_last_layer_of_the_last_pass() -> None:
    poses = torch.arange(2 * 3 * 4 * 3, dtype=torch.float32).reshape(2, 3, 4, 3)
    last = LayerProposals(poses, torch.tensor([[0.0, 2.0, 1.0], [5.0, 0.0, 0.0]]))
    other = LayerProposals(poses + 100, torch.tensor([[9.0, 0.0, 0.0], [0.0, 0.0, 9.0]]))
    agents = AgentPredictions(torch.zeros(2, 1, 5), torch.zeros(2, 1))
    proposals = Proposals(passes=((last, other), (other, last)), agents=agents, bev_logits=torch.zeros(2, 7, 4, 4))
    assert torch.equal(proposals.best, torch.stack([poses[0, 1], poses[1, 0]]))


def test_layout_rejects_sizes_the_encoders_cannot_take() -> None:
    with pytest.raises(InputError, match="4:1"):
        InputLayout(camera_height=128, camera_width=500)
    with pytest.raises(InputError, match="multiple of 32"):
        InputLayout(lidar_pixels=100)
