"""``diffdrive world view`` writes recordings, serves a viewer, and says what does not go together."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("py123d")

from diffdrive.assets import LOGS
from diffdrive.cli.main import main


def test_a_recording_has_every_frame_and_the_plans(
    small_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("rerun")
    from rerun.chunk import RrdReader

    path = tmp_path / "bend.rrd"
    words = ["world", "view", str(small_root), "--rerun", str(path), "--planner", "constant-velocity"]
    assert main(words) == 0
    printed = capsys.readouterr().out
    # 81 iterations every 0.1 s, without the first half second, which is the planner's past.
    assert "wrote 76 frames of bend" in printed
    chunks = RrdReader(path).stream().to_chunks()
    rows = {name: sum(c.num_rows for c in chunks if c.entity_path == name and not c.is_static) for name in ("/speed", "/note")}
    assert rows == {"/speed": 76, "/note": 76}
    plans = sum(c.num_rows for c in chunks if c.entity_path == "/world/plan/chosen")
    assert plans == 16
    assert not any("ego/f0" in c.entity_path for c in chunks)
    notes = [row["TextDocument:text"][0] for c in chunks if c.entity_path == "/note" for row in c.to_record_batch().to_pylist()]
    assert all("**bend** in hand" in note and "light when rendered" in note for note in notes)
    # Scenes, and so their tags, begin from 1.5 s to 4 s; the last one counts for half a second.
    assert sum("quiet" in note for note in notes) == 30


def test_sensors_of_the_log_come_every_half_second(small_root: Path, tmp_path: Path) -> None:
    pytest.importorskip("rerun")
    pytest.importorskip("embreex")
    from rerun.chunk import RrdReader

    path = tmp_path / "bend.rrd"
    assert main(["world", "view", str(small_root), "--log", "bend", "--rerun", str(path), "--sensors"]) == 0
    chunks = RrdReader(path).stream().to_chunks()
    counts = {
        name: sum(c.num_rows for c in chunks if c.entity_path == name) for name in ("/world/ego/f0/image", "/world/lidar")
    }
    assert counts == {"/world/ego/f0/image": 17, "/world/lidar": 17}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--log", "nope"], "It has: town9000-log00"),
        (["--sensors"], "--rerun FILE.rrd"),
        (["--planner", "network"], "--rerun FILE.rrd"),
        (["--rerun", "x.rrd", "--port", "80"], "--port belongs to --viser"),
        (["--rerun", "x.rrd", "--planner", "human"], "is no planner"),
        (["--rerun", "x.rrd", "--planner", "nobody"], "There is no planner 'nobody'"),
        (["--rerun", "x.bin"], "ends in .rrd"),
        (["--port", "99999"], "between 1 and 65535"),
    ],
)
def test_what_does_not_go_together_is_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rerun")
    assert main(["world", "view", str(LOGS), *words]) == 2
    assert message in capsys.readouterr().err


def test_a_port_in_use_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as other:
        other.bind(("localhost", 0))
        other.listen()
        assert main(["world", "view", str(LOGS), "--port", str(other.getsockname()[1])]) == 2
    assert "cannot be used" in capsys.readouterr().err


def test_the_viewer_answers_and_ends_when_interrupted() -> None:
    pytest.importorskip("viser")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    words = ["world", "view", str(LOGS), "--log", "town9002-log04", "--viser", "--port", str(port)]
    # What runs in the background of a shell inherits that interrupts are ignored: the viewer must not, or it never ends.
    heed = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); from diffdrive.cli.main import main; "
    command = [sys.executable, "-c", heed + "sys.exit(main(sys.argv[1:]))", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            page = _fetch(f"http://localhost:{port}/", server)
            time.sleep(1.0)  # the log is being opened: ending in the middle of it must work as well
        finally:
            server.send_signal(signal.SIGINT)
            try:
                out, _ = server.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                server.kill()
                raise
    assert b"<html" in page.lower()
    assert f"http://localhost:{port}" in out
    assert server.returncode == 0, out


def _fetch(address: str, server: subprocess.Popen[str], patience_s: float = 30.0) -> bytes:
    end = time.monotonic() + patience_s
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                return bytes(answer.read())
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    return b""
