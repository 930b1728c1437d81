"""A .pt2 package answers as the model it was made from, without this package, and is refused where it cannot run."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from export_helpers import OPTIONS, largest_difference, model_of, request, tiny

from diffdrive.contracts import InputError
from diffdrive.runtime import EngineOptions, PlainEngine, make_engine
from diffdrive.runtime.export import AotEngine, aot, export_aot
from diffdrive.runtime.export.exported import KEY, Exported

EXPORTED = Exported.of(tiny(), OPTIONS, device_type="cpu", made_with="a test")

WITHOUT_DIFFDRIVE = """
import json, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("diffdrive", "timm"):
            raise ImportError(f"{name} is not to be imported here")

sys.meta_path.insert(0, Refuse())
import torch

package = torch._inductor.aoti_load_package(sys.argv[1])
described = json.loads(package.get_metadata()["diffdrive"])
given = torch.load(sys.argv[2])
assert [list(tensor.shape) for tensor in given] == [tensor["shape"] for tensor in described["inputs"]]
answer = package(*given)
torch.save(dict(zip([tensor["name"] for tensor in described["outputs"]], answer)), sys.argv[3])
assert not [name for name in sys.modules if name.startswith("diffdrive")]
"""


def package_file(path: Path, **metadata: str) -> Path:
    """An archive like torch's, with metadata and no code."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("planner/archive_version", "0")
        archive.writestr("planner/data/aotinductor/model/abc.wrapper_metadata.json", json.dumps(metadata))
    return path


class FakeLoader:
    """In the place of torch's own. Answers zeros and remembers how it was made."""

    made: tuple[Any, ...] = ()

    def __init__(self, *arguments: Any) -> None:
        FakeLoader.made = arguments

    def run(self, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        return [torch.zeros(output.shape) for output in EXPORTED.outputs]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The only compilation of the whole suite."""
    path = tmp_path_factory.mktemp("aot") / "planner.pt2"
    try:
        aot._need_compiler()
    except InputError as error:
        pytest.skip(str(error))
    export_aot(model_of(tiny()), path, OPTIONS)
    return path


@pytest.mark.slow
def test_it_answers_as_the_plain_engine(package: Path) -> None:
    engine, plain = AotEngine.open(package), PlainEngine(model_of(tiny()), OPTIONS)
    for seed in range(3):
        inputs, noise = request(engine.spec, seed, batch=2)
        assert largest_difference(engine.run(inputs, noise), plain.run(inputs, noise)) < 1e-4


@pytest.mark.slow
def test_it_answers_without_this_package(package: Path, tmp_path: Path) -> None:
    moved = tmp_path / "renamed.pt2"
    moved.write_bytes(package.read_bytes())
    engine = AotEngine.open(package)
    inputs, noise = request(engine.spec, 0, batch=2)
    torch.save([inputs.camera, inputs.lidar, inputs.status, noise], tmp_path / "inputs.pt")
    words = [sys.executable, "-c", WITHOUT_DIFFDRIVE, str(moved), str(tmp_path / "inputs.pt"), str(tmp_path / "answer.pt")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    answer, expected = torch.load(tmp_path / "answer.pt"), engine.run(inputs, noise)
    assert torch.equal(answer["poses"], expected.poses)
    assert torch.equal(answer["logits"], expected.logits)
    assert list(answer) == list(engine.exported.output_names)


@pytest.mark.slow
def test_it_opens_without_a_compiler_and_without_loading_torchs(package: Path) -> None:
    code = (
        "import sys\n"
        "from diffdrive.runtime.export import AotEngine\n"
        f"engine = AotEngine.open({str(package)!r})\n"
        "engine.warm_up()\n"
        "print(engine.spec.batch_size, 'torch._inductor' in sys.modules)"
    )
    environment = {**os.environ, "PATH": "/nonexistent", "CXX": "/nonexistent/g++"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert done.stdout.strip() == "2 False", done.stderr
    assert not done.stderr


@pytest.mark.slow
def test_its_description_is_read_without_running_it(package: Path) -> None:
    metadata = aot.package_metadata(package)
    assert json.loads(metadata[KEY])["device_type"] == "cpu"
    assert metadata["AOTI_MACHINE"] == platform.machine()


def test_opening_reads_the_description_and_hands_the_file_to_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch._C._aoti, "AOTIModelPackageLoader", FakeLoader)
    file = package_file(tmp_path / "a.pt2", **{KEY: EXPORTED.to_json()})
    engine = AotEngine.open(file)
    assert FakeLoader.made == (str(file), "model", False, 1, -1)
    assert engine.exported == EXPORTED
    inputs, noise = request(engine.spec, 0, batch=2)
    assert engine.run(inputs, noise).poses.shape == (2, 5, 4, 3)


def test_a_torch_whose_loader_has_another_shape_is_asked_in_public(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def other(path: str, name: str) -> None:
        raise RuntimeError("must not get this far")

    asked = []

    def public(path: str) -> Any:
        asked.append(path)
        return lambda *inputs: FakeLoader().run(list(inputs))

    import torch._inductor

    monkeypatch.setattr(torch._C._aoti, "AOTIModelPackageLoader", other)
    monkeypatch.setattr(torch._inductor, "aoti_load_package", public)
    file = package_file(tmp_path / "a.pt2", **{KEY: EXPORTED.to_json()})
    engine = AotEngine.open(file)
    engine.warm_up()
    assert asked == [str(file)]


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.pt2").write_text("no archive")
    with pytest.raises(InputError, match=r"text\.pt2' is no \.pt2 package"):
        AotEngine.open(tmp_path / "text.pt2")
    with pytest.raises(InputError, match="carries no description"):
        AotEngine.open(package_file(tmp_path / "foreign.pt2", AOTI_DEVICE_KEY="cpu"))


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        ({"AOTI_MACHINE": "riscv64"}, "compiled for linux on riscv64"),
        ({"AOTI_PLATFORM": "win32"}, "compiled for win32 on"),
        ({"AOTI_CPU_ISA": "AVX512"}, "compiled for AVX512, and this processor has AVX2"),
    ],
)
def test_machine_code_of_another_machine_is_refused(
    machine: dict[str, str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(InputError, match=words):
        AotEngine.open(package_file(tmp_path / "a.pt2", **{KEY: EXPORTED.to_json(), **machine}))


def test_without_a_compiler_the_way_out_is_said_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._inductor import cpp_builder

    def missing() -> str:
        raise RuntimeError("no compiler")

    monkeypatch.setattr(cpp_builder, "get_cpp_compiler", missing)
    with pytest.raises(InputError, match=r"needs a C\+\+ compiler.*Install g\+\+"):
        make_engine("aot", model_of(tiny()), EngineOptions())
    assert not list(tmp_path.iterdir())


def test_a_gpu_is_needed_to_compile_for_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aot, "_need_compiler", lambda: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="torch sees no CUDA device"):
        export_aot(model_of(tiny()), tmp_path / "a.pt2", EngineOptions(device="cuda"))
