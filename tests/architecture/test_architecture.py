"""The structure is checked, not hoped for."""

import ast
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(p for folder in ("diffdrive", "agents", "tools") for p in (ROOT / folder).rglob("*.py"))

# Tools may import what they like, but these two.
DEVKITS = {"navsim", "nuplan"}
DEVKIT_HOMES = ("agents/navsim_agent.py",)

# Packages that may be imported in one place only.
HOMES = {
    "py123d": ("diffdrive/log123d/",),
    "navsim": DEVKIT_HOMES,
    "nuplan": DEVKIT_HOMES,
    "alpasim_driver": ("agents/alpasim/model.py",),
    "libsumo": ("diffdrive/world/traffic/",),
    "sumolib": ("diffdrive/world/roads/", "diffdrive/world/traffic/"),
    "pytorch_lightning": ("diffdrive/training/",),
    "embreex": ("diffdrive/world/render/",),
    "moderngl": ("diffdrive/world/render/",),
    "matplotlib": ("diffdrive/viz/",),
    "rerun": ("diffdrive/viz/",),
    "onnx": ("diffdrive/runtime/export/",),
    "onnxscript": ("diffdrive/runtime/export/",),
    "onnxruntime": ("diffdrive/runtime/export/",),
    "tensorrt": ("diffdrive/runtime/export/",),
    "pyarrow": ("diffdrive/log123d/", "diffdrive/evaluation/scoring/"),
    "ray": ("diffdrive/evaluation/scoring/executors/", "diffdrive/training/cache/"),
    "zarr": ("diffdrive/training/cache/",),
    "rclpy": ("agents/ros2/node.py",),
    "rosbags": ("agents/ros2/",),
    "cyclonedds": ("agents/ros2/dds/",),
}

VEHICLE_FREE_OF = (
    "pytorch_lightning", "lightning", "hydra", "navsim", "nuplan", "py123d", "shapely", "jaxtyping", "matplotlib", "rerun",
    "onnx", "onnxscript", "onnxruntime", "tensorrt",
)  # fmt: skip


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def trees() -> list[tuple[str, ast.Module]]:
    return [(relative(path), ast.parse(path.read_text())) for path in SOURCES]


def imported_packages(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.split(".")[0])
    return names


def test_linter_sees_every_module() -> None:
    files = set((ROOT / "diffdrive").rglob("*.py"))
    modules = set(grimp.build_graph("diffdrive", cache_dir=None).modules)
    assert len(files) == len(modules), "a folder without __init__.py is invisible to the import contracts"


def test_heavy_packages_stay_at_home() -> None:
    strays = [
        f"{path} imports {package}"
        for path, tree in trees()
        for package in imported_packages(tree) & set(HOMES)
        if not path.startswith(HOMES[package]) and (package in DEVKITS or not path.startswith("tools/"))
    ]
    assert not strays


def test_budgets() -> None:
    problems = [f"{relative(p)}: {n} lines" for p in SOURCES if (n := len(p.read_text().splitlines())) > 400]
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > 60:
                    problems.append(f"{path}:{node.lineno} {node.name}: {length} lines")
    assert not problems


def test_library_neither_prints_nor_asserts() -> None:
    problems = []
    for path, tree in trees():
        if not path.startswith("diffdrive/"):
            continue
        for node in ast.walk(tree):
            is_print = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
            if is_print and not path.startswith("diffdrive/cli/"):
                problems.append(f"{path}:{node.lineno} print")
            if isinstance(node, ast.Assert):
                problems.append(f"{path}:{node.lineno} assert")
    assert not problems


@pytest.mark.parametrize("package", ["diffdrive.runtime", "diffdrive.features.inputs", "diffdrive.model"])
def test_vehicle_side_imports_are_light(package: str) -> None:
    code = f"import sys, {package}; print([m for m in {VEHICLE_FREE_OF!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_every_package_has_a_docstring() -> None:
    missing = [path for path, tree in trees() if path.startswith("diffdrive/") and ast.get_docstring(tree) is None]
    assert not missing
