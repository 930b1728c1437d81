import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffdrive.contracts import InputError
from diffdrive.diffusion import BoxNormalizer

coordinate = st.floats(-200.0, 200.0, width=32)


def test_the_public_box_becomes_the_unit_square() -> None:
    corners = torch.tensor([[-1.2, -20.0], [55.7, 26.0], [27.25, 3.0]])
    expected = torch.tensor([[-1.0, -1.0], [1.0, 1.0], [0.0, 0.0]])
    torch.testing.assert_close(BoxNormalizer().normalize(corners), expected, rtol=0, atol=1e-6)


@given(x=coordinate, y=coordinate)
def test_denormalize_undoes_normalize(x: float, y: float) -> None:
    box = BoxNormalizer(x_min_m=-3.0, x_max_m=40.0, y_min_m=-9.0, y_max_m=11.0)
    points = torch.tensor([[x, y]])
    torch.testing.assert_close(box.denormalize(box.normalize(points)), points, rtol=1e-5, atol=1e-4)


def test_an_empty_box_is_an_error() -> None:
    with pytest.raises(InputError, match="y_min_m < y_max_m"):
        BoxNormalizer(y_min_m=3.0, y_max_m=3.0)
