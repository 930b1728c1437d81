"""``diffdrive world export-navsim`` on a log by hand, a shipped drive and real ones."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from diffdrive.assets import LOGS
from diffdrive.cli.main import main
from diffdrive.openscene.format import CITIES, LAYERS, token_of
from diffdrive.sources import Arrow123dSource

pytest.importorskip("py123d")
pyogrio = pytest.importorskip("pyogrio")
pytest.importorskip("geopandas")

BOSTON = "us-ma-boston"


def layers_of(out: Path) -> dict[str, Any]:
    path = out / "maps" / BOSTON / CITIES[BOSTON].version / "map.gpkg"
    return {name: pyogrio.read_dataframe(path, layer=name, fid_as_index=True) for name in LAYERS}


def frames_of(out: Path, split: str, log: str) -> list[dict[str, Any]]:
    return pickle.loads((out / "navsim_logs" / split / f"{log}.pkl").read_bytes())


def check_routes(frames: list[dict[str, Any]], layers: dict[str, Any]) -> None:
    """The route's blocks lead to each other, and the drive runs over them."""
    blocks, links = layers["lane_groups_polygons"], layers["lane_group_connectors"]
    ids = [int(name) for name in frames[0]["roadblock_ids"]]
    assert len(ids) > 2
    for before, link, after in zip(ids, ids[1:], ids[2:], strict=False):
        if link in links.index:
            assert (links["from_lane_group_fid"][link], links["to_lane_group_fid"][link]) == (before, after)
    ground = shapely.union_all([blocks.geometry[i] if i in blocks.index else links.geometry[i] for i in ids]).buffer(0.1)
    on_route = [ground.contains(shapely.Point(*frame["ego2global_translation"][:2])) for frame in frames]
    assert np.mean(on_route) > 0.9


def test_a_shipped_drive_with_lights_and_route(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = Arrow123dSource(LOGS, history_s=0, future_s=0)
    log = source.logs[0]
    words = ["world", "export-navsim", str(LOGS), "--out", str(tmp_path / "out"), "--logs", log.log_name, "--no-sensors"]
    assert main([*words, "--split", "mini"]) == 0
    assert "1 logs with" in capsys.readouterr().out
    frames, layers = frames_of(tmp_path / "out", "mini", log.log_name), layers_of(tmp_path / "out")
    assert [frame["token"] for frame in frames] == [token_of(scene.token) for scene in log.scenes]
    check_routes(frames, layers)
    for frame, info in zip(frames, log.scenes, strict=True):
        scene = source.load(info.token, sensors=False)
        assert frame["driving_command"].argmax() == scene.observation.command
        red = {light.lane_id for light in scene.traffic_lights if light.state.value == "red"}
        assert {layers["lane_connectors"]["source_id"][fid] for fid, is_red in frame["traffic_lights"] if is_red} == red


def test_frames_lie_half_a_second_apart_and_their_names_lead_back(
    small_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["world", "export-navsim", str(small_root), "--out", str(tmp_path / "out"), "--no-sensors"]
    assert main(words) == 0
    frames = frames_of(tmp_path / "out", "drivetown_val", "bend")
    assert [frame["timestamp"] for frame in frames] == [7_000_000 + 500_000 * i for i in range(17)]
    record = json.loads((tmp_path / "out" / "export.json").read_text())
    assert record["logs"]["bend"]["frames"][frames[3]["token"]] == "bend-8500000"
    assert main(words) == 2
    assert "exists already" in capsys.readouterr().err


def test_mistakes_are_told_in_one_line(small_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["world", "export-navsim", str(small_root), "--out", str(tmp_path / "out"), "--no-sensors"]
    for more, message in ((["--city", "atlantis"], "no city called 'atlantis'"), (["--logs", "nix"], "no log called nix")):
        assert main([*words, *more]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
    assert not (tmp_path / "out").exists()


def test_a_log_without_a_map_cannot_be_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from small_log import write_small_root

    root = write_small_root(tmp_path / "data", with_map=False)
    assert main(["world", "export-navsim", str(root), "--out", str(tmp_path / "out"), "--no-sensors"]) == 2
    assert "map" in capsys.readouterr().err


def test_real_maps_whose_lanes_join_without_connectors(av2_root: Path, tmp_path: Path) -> None:
    assert (
        main(["world", "export-navsim", str(av2_root), "--out", str(tmp_path / "out"), "--no-sensors", "--split", "av2"]) == 0
    )
    layers = layers_of(tmp_path / "out")
    lanes, connectors = layers["lanes_polygons"], layers["lane_connectors"]
    assert set(connectors["exit_lane_fid"]) | set(connectors["entry_lane_fid"]) <= set(lanes.index)
    lines = layers["baseline_paths"]
    ends = {int(i): shapely.get_coordinates(line) for i, line in zip(lines["lane_fid"], lines.geometry, strict=True) if i == i}
    for i, line in zip(lines["lane_connector_fid"], lines.geometry, strict=True):
        if i == i:
            points = shapely.get_coordinates(line)
            assert np.hypot(*(points[0] - ends[connectors["exit_lane_fid"][i]][-1])) < 1e-6
            assert np.hypot(*(points[-1] - ends[connectors["entry_lane_fid"][i]][0])) < 1e-6
    source = Arrow123dSource(av2_root, history_s=0, future_s=0)
    for log in source.logs:
        frames = frames_of(tmp_path / "out", "av2", log.log_name)
        check_routes(frames, layers)
        assert all(frame["driving_command"].tolist() == [0, 0, 0, 1] for frame in frames)
        scene = source.load(log.scenes[7].token, sensors=False)
        np.testing.assert_array_equal(frames[7]["anns"]["gt_boxes"][:, :2], scene.agents.boxes[:, :2])
