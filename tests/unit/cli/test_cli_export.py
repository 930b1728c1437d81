"""``diffdrive export``: what it writes, what it prints, and what it refuses before it begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from diffdrive.cli.main import main

HELPERS = Path(__file__).parents[1] / "runtime"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--out", "planner.bin"], ".onnx or .pt2"),
        (["--out", "planner.onnx", "--format", "aot"], "must end in .pt2"),
        (["--out", "nowhere/planner.onnx"], "'nowhere' does not exist"),
        (["--out", "planner.onnx", "--precision", "bf16"], "fp32 or fp16, got bf16"),
        (["--out", "planner.onnx", "--batch-size", "0"], "batch_size"),
        (["--out", "planner.onnx", "--checkpoint", "nowhere"], "'nowhere' is not a checkpoint"),
        (["--out", "planner.pt2", "--device", "cuda"], "no CUDA device"),
    ],
)
def test_mistakes_are_one_line(
    options: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert main(["export", *options]) == 2
    printed = capsys.readouterr().err
    assert words in printed
    assert printed.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_it_says_what_the_file_takes_and_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(HELPERS))
    pytest.importorskip("onnxscript", reason="onnxscript is not installed (pip install 'diffdrive[export]')")
    from export_helpers import OPTIONS, model_of, tiny

    from diffdrive.model.checkpoint import save_checkpoint
    from diffdrive.runtime.export import OnnxEngine

    save_checkpoint(tmp_path / "tiny", model_of(tiny()))
    file = tmp_path / "planner.onnx"
    words = ["--checkpoint", str(tmp_path / "tiny"), "--out", str(file), "--batch-size", "2", "--agents", "--jumps", "ddim"]
    assert main(["export", *words]) == 0
    printed = capsys.readouterr().out
    assert "takes    camera       float32 [2, 3, 32, 128]" in printed
    assert "returns  agent_states float32 [2, 3, 5]" in printed
    exported = OnnxEngine.open(file).exported
    assert exported.jumps.start_level == 10
    assert exported.engine.batch_size == OPTIONS.batch_size
    assert exported.output_names == ("poses", "logits", "agent_states", "agent_logits")


def test_the_command_line_knows_every_table() -> None:
    from diffdrive.cli.source_options import JUMPS
    from diffdrive.diffusion import JUMP_TABLES

    assert tuple(JUMP_TABLES) == JUMPS
