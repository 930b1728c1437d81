"""The check of a GPU, rehearsed on the CPU: what it finds, what it leaves out, and what it needs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tools"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "runtime"))

import gpu_check
import gpu_findings
import gpu_speed
from latency_fakes import FakeClock, TimedEngine, small_observations

from diffdrive.contracts import InputError
from diffdrive.model import planner_config
from diffdrive.runtime import ENGINES, EngineOptions, Precision

TOOLS = Path(__file__).resolve().parents[3] / "tools"
CPU = ["--device", "cpu", "--models", "nano", "--precisions", "fp32", "--frames", "3", "--warm-up", "5"]


@pytest.fixture()
def fakes(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """Engines without a network: plain takes 40 ms, eager 20 ms, cuda_graph 10 ms, and all answer alike."""
    clock = FakeClock()
    monkeypatch.setattr("time.perf_counter", clock)
    monkeypatch.setattr(gpu_check, "synthetic_observations", small_observations)
    monkeypatch.setattr(gpu_findings, "random_model", lambda name, seed: SimpleNamespace(config=planner_config(name)))
    for name, seconds in (("plain", 0.04), ("eager", 0.02), ("cuda_graph", 0.01)):
        _replace(monkeypatch, clock, name, seconds)
    return clock


def _replace(monkeypatch: pytest.MonkeyPatch, clock: FakeClock, name: str, seconds: float, shift: float = 0.0) -> None:
    def make(model: object, options: EngineOptions) -> TimedEngine:
        return TimedEngine(clock, seconds, 0.0, name=name, shift=shift)

    monkeypatch.setitem(ENGINES, name, make)


def run(file: Path, *words: str) -> tuple[int, dict[str, Any]]:
    status = gpu_check.main([*CPU, "--out", str(file), *words])
    return status, json.loads(file.read_text())


def test_engines_that_agree_pass(fakes: FakeClock, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--engines", "eager", "cuda_graph", "--sections", "parity", "latency"]
    status, record = run(tmp_path / "found.json", *words)
    assert status == 0 and record["ok"]
    names = [check["name"] for check in record["sections"]["parity"]["checks"]]
    assert names == [
        f"{engine}:fp32 answers as plain, nano, {jumps}"
        for jumps in ("reference", "ddim")
        for engine in ("eager", "cuda_graph")
    ]
    compared = record["sections"]["latency"]["numbers"]["plain / cuda_graph:fp32, nano"]
    assert compared["ratio"] == pytest.approx(4.0)
    assert record["sections"]["latency"]["numbers"]["cuda_graph:fp32, nano, stage by stage"]["stages"]["backbone"][
        "p50_ms"
    ] == pytest.approx(10)
    assert record["environment"]["command"][0] == "tools/gpu_check.py" and record["weights"] == "random weights, seed 0"
    printed = capsys.readouterr().out
    assert "OK: every check holds" in printed and "plain / cuda_graph:fp32, nano: 4.00 end to end" in printed


def test_an_engine_that_answers_otherwise_fails(
    fakes: FakeClock, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _replace(monkeypatch, fakes, "cuda_graph", 0.01, shift=0.002)
    status, record = run(tmp_path / "found.json", "--engines", "eager", "cuda_graph", "--sections", "parity", "recording")
    assert status == 1 and not record["ok"]
    failed = [check["name"] for check in record["sections"]["parity"]["checks"] if not check["ok"]]
    assert failed == [f"cuda_graph:fp32 answers as plain, nano, {jumps}" for jumps in ("reference", "ddim")]
    assert not record["sections"]["recording"]["ok"]
    assert "FAIL  cuda_graph:fp32 answers as plain, nano, reference" in capsys.readouterr().out


def test_an_error_is_kept_and_the_rest_goes_on(
    fakes: FakeClock, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(model: object, options: EngineOptions) -> TimedEngine:
        raise RuntimeError("the driver is gone")

    monkeypatch.setitem(ENGINES, "eager", explode)
    status, record = run(tmp_path / "found.json", "--engines", "eager", "cuda_graph", "--sections", "parity")
    assert status == 1
    (first, second, *_) = record["sections"]["parity"]["checks"]
    assert "Traceback" in first["detail"] and "the driver is gone" in first["detail"] and not first["ok"]
    assert second["ok"] and second["name"].startswith("cuda_graph")
    assert "FAIL  eager:fp32" in capsys.readouterr().out


def test_a_section_that_breaks_does_not_stop_the_next(
    fakes: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_and_break(setting: object, findings: object) -> None:
        written.append(json.loads((tmp_path / "found.json").read_text()))
        raise ZeroDivisionError

    written: list[dict[str, Any]] = []
    monkeypatch.setitem(gpu_check.SECTIONS, "floor", read_and_break)
    status, record = run(tmp_path / "found.json", "--engines", "eager", "--sections", "preprocessing", "floor", "parity")
    assert status == 1 and record["complete"]
    assert list(written[0]["sections"]) == ["preprocessing"] and not written[0]["complete"], "kept section by section"
    assert "ZeroDivisionError" in record["sections"]["floor"]["error"] and record["sections"]["parity"]["ok"]


def test_an_engine_that_cannot_be_had_is_left_out_unless_it_must_be_there(
    fakes: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(model: object, options: EngineOptions) -> TimedEngine:
        raise ImportError("pip install 'diffdrive[export]'")

    def refuse(model: object, options: EngineOptions) -> TimedEngine:
        raise InputError("no")

    monkeypatch.setitem(ENGINES, "extra", missing)
    words = ["--engines", "extra", "--sections", "extra engines"]
    status, record = run(tmp_path / "found.json", *words)
    assert status == 0
    section = record["sections"]["extra engines"]
    assert section["checks"] == [] and "diffdrive[export]" in section["skipped"]["extra:fp32, nano"]
    slow = TimedEngine(fakes)
    slow.degraded = "There is no compiler."
    monkeypatch.setitem(ENGINES, "extra", lambda model, options: slow)
    assert run(tmp_path / "found.json", *words)[1]["sections"]["extra engines"]["skipped"] == {
        "extra:fp32, nano": "There is no compiler."
    }
    monkeypatch.setitem(ENGINES, "cuda_graph", refuse)
    assert run(tmp_path / "found.json", "--engines", "cuda_graph", "--sections", "parity")[0] == 1


def test_what_no_longer_fits_is_left_out_and_said(fakes: FakeClock, tmp_path: Path) -> None:
    status, record = run(tmp_path / "found.json", "--budget-s", "0", "--engines", "eager", "cuda_graph")
    assert status == 0
    for name, section in record["sections"].items():
        assert "time budget" in section["skipped"][name] and section["checks"] == []
    # A part that fits is done, the next one is not: each latency takes 0.04 s or less on this clock, and there are many.
    _, record = run(tmp_path / "found.json", "--budget-s", "1.0", "--engines", "cuda_graph", "--sections", "latency")
    section = record["sections"]["latency"]
    assert "plain / cuda_graph:fp32, nano" in section["numbers"] and "plain, nano" in section["skipped"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
@pytest.mark.parametrize(
    ("ratio", "p50_ms", "p99_ms", "gpu", "held"),
    [
        (12.0, 1.5, 1.6, "NVIDIA H200", [True, True, True]),
        (9.0, 1.5, 1.9, "NVIDIA H200", [False, False, True]),
        (12.0, 2.5, 2.6, "NVIDIA H200", [True, True, False]),
        (12.0, 2.5, 2.6, "NVIDIA L4", [True, True]),
    ],
)
def test_targets_are_judged_by_the_best_precision(
    ratio: float, p50_ms: float, p99_ms: float, gpu: str, held: list[bool]
) -> None:
    findings = gpu_findings.Findings()
    for name, factor in (("cuda_graph:fp16", 1.0), ("cuda_graph:bf16", 2.0)):
        findings.numbers[f"plain / {name}, base"] = {"ratio": ratio / factor}
        whole = {"p50_ms": p50_ms * factor, "p99_ms": p99_ms * factor}
        findings.numbers[f"{name}, base, stage by stage"] = {"end_to_end": whole}
    gpu_speed.targets(findings, "base", (Precision.FLOAT16, Precision.BFLOAT16), gpu)
    assert [check["ok"] for check in findings.checks] == held


def test_targets_without_measurements_are_left_out() -> None:
    findings = gpu_findings.Findings()
    gpu_speed.targets(findings, "base", (Precision.FLOAT16,), "NVIDIA H200")
    assert not findings.checks and "targets, base" in findings.skipped


def test_no_gpu_is_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu_check.main(["--out", str(tmp_path / "found.json")]) == 2
    assert "no CUDA device" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_bad_options_are_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu_check.main(["--device", "cpu", "--warm-up", "1"]) == 2
    assert "warm-up" in capsys.readouterr().err


def _needed(*names: str) -> set[str]:
    """Top-level modules of these distributions and of all that they require."""
    found, queue = set(), [*names]
    while queue:
        name = re.sub(r"[-_.]+", "-", queue.pop()).lower()
        if name in found:
            continue
        try:
            required = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        found.add(name)
        queue += [re.split(r"[^\w.-]", each, maxsplit=1)[0] for each in required if "extra ==" not in each]
    own = metadata.packages_distributions()
    return {module for module, owners in own.items() if any(re.sub(r"[-_.]+", "-", each).lower() in found for each in owners)}


_BLOCKED = """
import sys
class Without:
    # As if the banned packages were not installed, also for those who only ask whether they are.
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] in BANNED else self.finder.find_spec(name, path, target)
sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
sys.path.insert(0, TOOLS)
import gpu_check
status = gpu_check.main(WORDS)
loaded = sorted(BANNED & {name.split(".")[0] for name in sys.modules})
sys.exit(f"not blocked: {loaded}" if loaded else status)
"""


@pytest.mark.slow
def test_torch_timm_and_numpy_are_enough(tmp_path: Path) -> None:
    """Everything else that is installed here is blocked; preprocessing and parity run for real."""
    banned = set(metadata.packages_distributions()) - _needed("torch", "timm", "numpy") - {"diffdrive"}
    assert {"shapely", "scipy", "pytest", "py123d", "matplotlib"} & banned
    assert not {"torch", "numpy", "timm"} & banned
    sections = ["--sections", "preprocessing", "parity", "--engines", "eager", "--observations", "1"]
    words = [*CPU, "--out", str(tmp_path / "found.json"), *sections]
    program = f"BANNED, TOOLS, WORDS = {banned!r}, {str(TOOLS)!r}, {words!r}\n{_BLOCKED}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((tmp_path / "found.json").read_text())
    assert [len(section["checks"]) for section in record["sections"].values()] == [2, 2]
