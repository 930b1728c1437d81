"""Two processes on this machine, as torchrun and Slurm start them: a run that was interrupted ends as one that was not."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from diffdrive.contracts import InputError
from diffdrive.model.checkpoint import load_checkpoint
from diffdrive.training.engine.sharding import check_resumable

WORKER = Path(__file__).resolve().parents[1] / "helpers" / "engine_worker.py"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run_together(commands: Sequence[list[str]], environments: Sequence[dict[str, str]]) -> None:
    common = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "PYTEST_"))}
    common |= {"OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    started = [
        subprocess.Popen(command, env=common | extra, **pipes)  # type: ignore[call-overload]
        for command, extra in zip(commands, environments, strict=True)
    ]
    try:
        texts = [process.communicate(timeout=200)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0] * len(started), "\n".join(text[-3000:] for text in texts)


def same_tensors(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> None:
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=0, atol=0, msg=name)


def check_runs(folder: Path, steps: int) -> None:
    """Both runs ended with the same weights, averages and optimiser, and export the average."""
    one, two = (
        torch.load(folder / name / "checkpoints" / "last.ckpt", weights_only=False) for name in ("straight", "interrupted")
    )
    assert one["global_step"] == two["global_step"] == steps
    same_tensors(one["state_dict"], two["state_dict"])
    same_tensors(one["diffdrive"]["average"]["state"], two["diffdrive"]["average"]["state"])
    moments = [saved["optimizer_states"][0]["state"] for saved in (one, two)]
    assert len(moments[0]) > 100
    for index, moment in moments[0].items():
        same_tensors(moment, moments[1][index])
    exported = load_checkpoint(folder / "interrupted" / "export").state_dict()
    average = torch.load(folder / "interrupted" / "checkpoints" / "best.ckpt", weights_only=False)["diffdrive"]["average"]
    same_tensors({name: average["state"][name] for name in exported}, exported)
    assert (folder / "interrupted" / "log-1" / "metrics.csv").is_file()


@pytest.mark.slow
def test_ddp_on_two_nodes_of_torchrun(tmp_path: Path) -> None:
    port = free_port()
    launch = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"]
    launch += ["--master-addr", "127.0.0.1", "--master-port", str(port)]
    run = [str(WORKER), str(tmp_path), "SIGTERM", "nodes=2"]
    run_together([[*launch, "--node-rank", str(node), *run] for node in range(2)], [{}, {}])
    assert (tmp_path / "outcome-0").read_text().startswith("143 stopped by SIGTERM after step 1")
    assert (tmp_path / "outcome-1").read_text() == "None"
    with pytest.raises(InputError, match="strategy=ddp"):
        check_resumable(tmp_path / "straight" / "checkpoints" / "last.ckpt")
    check_runs(tmp_path, steps=2)


@pytest.mark.slow
def test_fsdp_on_two_tasks_of_slurm(tmp_path: Path) -> None:
    # There is no Slurm here: what srun tells its tasks is set by hand.
    told = {"SLURM_JOB_ID": "4711", "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2"}
    told |= {"SLURM_NODEID": "0", "SLURM_JOB_NODELIST": "localhost", "SLURM_NODELIST": "localhost"}
    told |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    run = [sys.executable, str(WORKER), str(tmp_path), "SIGUSR1", "devices=2", "strategy=fsdp"]
    tasks = [told | {"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)} for rank in range(2)]
    run_together([run, run], tasks)
    assert (tmp_path / "outcome-0").read_text().startswith("75 stopped by SIGUSR1 after step 1")
    check_resumable(tmp_path / "straight" / "checkpoints" / "last.ckpt")
    check_runs(tmp_path, steps=2)
