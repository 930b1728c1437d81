"""The devkit's files that say which scenes make a split."""

from pathlib import Path

import pytest

from diffdrive.contracts import InputError
from diffdrive.openscene.scene_filter import SceneFilter, read_scene_filter

NAVTEST = """
_target_: navsim.common.dataclasses.SceneFilter
_convert_: 'all'
num_history_frames: 4
num_future_frames: 10
frame_interval: 1
has_route: true
max_scenes: null
log_names:
  - '2021.05.25.14.16.10_veh-35_01690_02183'
tokens:
  - 'b1a2'
  - 1234567890123456
  - 12e4
"""


def written(folder: Path, text: str) -> Path:
    (folder / "filter.yaml").write_text(text)
    return folder / "filter.yaml"


def test_a_split_is_read_and_tokens_stay_text(tmp_path: Path) -> None:
    assert read_scene_filter(written(tmp_path, NAVTEST)) == SceneFilter(
        logs=("2021.05.25.14.16.10_veh-35_01690_02183",),
        tokens=("b1a2", "1234567890123456", "12e4"),
        history_s=1.5,
        future_s=5.0,
        stride_s=0.5,
        has_route=True,
    )


def test_what_is_left_out_is_the_devkit_s_default(tmp_path: Path) -> None:
    found = read_scene_filter(
        written(tmp_path, "num_history_frames: 2\nnum_future_frames: 6\nlog_names: null\nhas_route: false")
    )
    assert (found.logs, found.tokens, found.has_route) == (None, None, False)
    assert found.stride_s == 4.0, "scenes do not overlap unless an interval is given"
    assert found.options(future_s=4.0)["future_s"] == 4.0
    assert found.options()["future_s"] == 3.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "cannot be read"),
        ("- 1", "names no log_names"),
        ("train_logs: [a]", "names no log_names"),
        ("tokens: abc", "lists of names"),
        ("tokens: [[a, b]]", "lists of names"),
        ("tokens: null\nnum_history_frames: four", "no scene filter of NAVSIM: invalid literal"),
        ("tokens: null\nhas_route: 1", "neither true nor false"),
        ("tokens: null\nmax_scenes: 5", "sets max_scenes"),
        ("tokens: null\ninclude_synthetic_scenes: true", "synthetic scenes"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as told:
        read_scene_filter(written(tmp_path, text))
    assert "filter.yaml" in str(told.value)


def test_an_absent_filter_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.yaml' cannot be read"):
        read_scene_filter(tmp_path / "absent.yaml")
