"""Rendering many scenes ahead of time: what is there stays, what fails is told, whoever dies is replaced."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from source_conformance import assert_same

from diffdrive.assets import LOGS
from diffdrive.cli.main import main
from diffdrive.contracts import InputError
from diffdrive.world import render_job, render_worker
from diffdrive.world.render import NUPLAN_FRONT_RIG, NUPLAN_LIDAR
from diffdrive.world.render_job import render, with_history
from diffdrive.world.render_worker import Rendered
from diffdrive.world.source import WorldSource

pytest.importorskip("embreex")
pytest.importorskip("py123d")

SMALL_RIG = tuple(replace(camera, width=96, height=54, focal=77.0, centre=(48.0, 28.0)) for camera in NUPLAN_FRONT_RIG)
SMALL_LIDAR = replace(NUPLAN_LIDAR, spinners=(replace(NUPLAN_LIDAR.spinners[0], num_azimuths=90),))
LOG_NAMES = ["town9000-log00", "town9001-log02"]


def _source(cache: Path | None, **options: Any) -> WorldSource:
    small: dict[str, Any] = {"renderer": "embree", "rig": SMALL_RIG, "lidar": SMALL_LIDAR, "logs": LOG_NAMES}
    return WorldSource(LOGS, cache=cache, **{**small, **options})


def _frames(cache: Path | None) -> WorldSource:
    return _source(cache, history_s=0, future_s=0, map_radius_m=1.0)


class FakeWorker:
    """Stands in for a process: draws nothing, fails and dies where it is told to."""

    def __init__(self, source: WorldSource) -> None:
        self.pipe: Any = object()
        self.location, self.tokens = "", render_job.deque[str]()
        self.has_answered = self.has_died = False
        self.done: list[tuple[str, str]] = []
        CREW.append(self)

    def give(self, location: str, tokens: Any) -> None:
        self.location, self.tokens = location, tokens

    def answer(self) -> Rendered:
        token = self.tokens.popleft()
        self.done.append((self.location, token))
        if token in DEADLY:
            self.has_died = True
            return Rendered(token=token, reason="killed")
        self.has_answered = True
        return Rendered(token=token, is_new=True)

    def end(self) -> None:
        pass


CREW: list[FakeWorker] = []
DEADLY: set[str] = set()


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    CREW.clear()
    DEADLY.clear()
    monkeypatch.setattr(render_job, "RenderWorker", FakeWorker)
    monkeypatch.setattr(render_job, "wait", lambda pipes: pipes)
    yield
    CREW.clear()
    DEADLY.clear()


def test_history_is_the_frames_before(tmp_path: Path) -> None:
    frames, scenes = _frames(None), _source(None)
    tokens = scenes.tokens[2:4]
    assert with_history(frames, tokens, 1) == tuple(tokens)
    times = [int(token.rsplit("-", 1)[1]) for token in with_history(frames, tokens, 4)]
    assert np.diff(times).tolist() == [500_000] * 4
    assert times[-1] == int(tokens[1].rsplit("-", 1)[1])
    first = frames.tokens[0]
    assert with_history(frames, [first], 4) == (first,), "there is nothing before a log's first frame"
    with pytest.raises(InputError, match="no frames called town1-x, town1-y"):
        with_history(frames, ["town1-x", *tokens, "town1-y"], 1)


def test_histories_of_scenes_are_frames_by_themselves(tmp_path: Path) -> None:
    """What was rendered as a frame is found by a scene with past and future."""
    scenes, frames = _source(tmp_path), _frames(tmp_path)
    token = scenes.tokens[3]
    assert frames.keep(token)
    assert not scenes.keep(token)
    files = sorted(tmp_path.rglob("*.npz"))
    loaded = scenes.load(token).observation
    assert sorted(tmp_path.rglob("*.npz")) == files and len(files) == 1
    assert_same(loaded.cameras, frames.rendered(token).cameras, "cameras")
    assert_same(loaded.lidar, frames.rendered(token).lidar, "sweep")


@pytest.mark.usefixtures("fakes")
def test_workers_stay_with_a_town_and_share_the_rest(tmp_path: Path) -> None:
    frames = _frames(tmp_path)
    done = list(render(frames, frames.tokens, workers=2))
    assert sorted(frame.token for frame in done) == sorted(frames.tokens)
    assert [{place for place, _ in worker.done} for worker in CREW] == [{"town9000"}, {"town9001"}]


@pytest.mark.usefixtures("fakes")
def test_a_frame_that_kills_its_process_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    frames = _frames(tmp_path)
    DEADLY.update([frames.tokens[3], frames.tokens[9]])
    done = {frame.token: frame for frame in render(frames, frames.tokens, workers=1)}
    assert {token for token, frame in done.items() if frame.reason} == DEADLY
    assert sum(frame.is_new for frame in done.values()) == len(frames.tokens) - 2
    assert len(CREW) == 3


@pytest.mark.usefixtures("fakes")
def test_when_nothing_works_it_stops(tmp_path: Path) -> None:
    frames = _frames(tmp_path)
    DEADLY.update(frames.tokens)
    with pytest.raises(InputError, match="No frame can be rendered here: killed"):
        list(render(frames, frames.tokens, workers=2))
    assert len(CREW) < 7


def test_bad_requests_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one worker"):
        list(render(_frames(tmp_path), ["x"], workers=0))
    with pytest.raises(InputError, match="folder to be kept in"):
        list(render(_frames(None), ["x"]))
    with pytest.raises(InputError, match="in a cache only"):
        _frames(None).keep("x")


class Flaky(WorldSource):
    """Fails on one frame, dies on another. At the top of a module, so that it travels to a process."""

    def keep(self, token: str) -> bool:
        if token == self.tokens[1]:
            raise ValueError("no light")
        if token == self.tokens[2]:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().keep(token)


@pytest.mark.slow
def test_real_processes_draw_fail_die_and_resume(tmp_path: Path) -> None:
    flaky = Flaky(LOGS, cache=tmp_path, renderer="embree", rig=SMALL_RIG, lidar=SMALL_LIDAR, logs=LOG_NAMES[:1], history_s=0,
                  future_s=0)  # fmt: skip
    tokens = flaky.tokens[:5]
    done = {frame.token: frame for frame in render(flaky, tokens, workers=1)}
    assert [done[token].is_new for token in tokens] == [True, False, False, True, True]
    assert done[tokens[1]].reason == "ValueError: no light"
    assert "killed by SIGKILL" in done[tokens[2]].reason
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 3
    assert not _frames(tmp_path).keep(tokens[0])


def test_a_worker_answers_for_each_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The life of a worker, without a process."""
    frames = _frames(tmp_path)
    sent: list[Any] = []

    chunks = [list(frames.tokens[:2]), ["no-such-token"]]

    class Pipe:
        def recv(self) -> list[str]:
            if not chunks:
                raise EOFError
            return chunks.pop(0)

        def send(self, value: Any) -> None:
            sent.append(value)

    monkeypatch.setattr(render_worker.signal, "signal", lambda *_: None)
    monkeypatch.setenv("LP_NUM_THREADS", "0")
    render_worker._work(Pipe(), frames)  # type: ignore[arg-type]
    assert [answer.is_new for answer in sent] == [True, True, False]
    assert "no scene 'no-such-token'" in sent[2].reason


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    tokens = _source(None).tokens[:2]
    names = tmp_path / "scenes.txt"
    names.write_text("\n".join([*tokens, "", tokens[0]]) + "\n")
    asked: dict[str, Any] = {}

    def fake(source: WorldSource, wanted: Any, *, workers: int) -> Iterator[Rendered]:
        asked.update(rig=source.rig, wanted=wanted, workers=workers)
        yield Rendered(token=wanted[0], is_new=True)
        yield Rendered(token=wanted[1])
        yield from (Rendered(token=token, reason="too dark") for token in wanted[2:])

    monkeypatch.setattr(render_job, "render", fake)
    command = ["world", "render", str(LOGS), "--cache", str(tmp_path / "c"), "--manifest", str(names)]
    assert main([*command, "--workers", "2"]) == 0
    assert asked["wanted"] == tuple(tokens) and asked["workers"] == 2 and len(asked["rig"]) == 3
    assert "1 frames rendered, 1 were there, 0 failed" in capsys.readouterr().out
    assert main([*command, "--frames", "4", "--cameras", "all", "--scale", "full"]) == 1
    assert len(asked["wanted"]) == 5 and len(asked["rig"]) == 8 and asked["rig"][0].width == 1920
    printed = capsys.readouterr()
    assert "1 frames rendered, 1 were there, 3 failed" in printed.out
    assert f"{asked['wanted'][2]}: too dark" in printed.err
    names.write_text("\n")
    assert main(command) == 2
    assert "names no scenes" in capsys.readouterr().err
