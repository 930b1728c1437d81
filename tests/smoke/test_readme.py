"""What the pages say works: their Python runs, their commands parse, their links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[list[str]]:
    """The words of every line of the shell blocks, comments left out and continued lines joined."""
    text = "\n".join(blocks(page, "sh")).replace("\\\n", " ")
    return [words for line in text.splitlines() if (words := shlex.split(line, comments=True))]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, page in zip(NAMES, PAGES, strict=True) if blocks(page, "python")])
def test_python_blocks_run(name, tmp_path, monkeypatch):
    """All blocks of a page, top to bottom, in one namespace, as a reader would type them."""
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "page"}
    for block in blocks(ROOT / name, "python"):
        exec(compile(block, name, "exec"), namespace)
    if name == "README.md":
        assert namespace["plan"].status.is_planned, namespace["plan"].detail
        assert (tmp_path / "plan.png").stat().st_size > 10_000


@pytest.mark.parametrize("name", NAMES)
def test_commands_exist(name):
    from diffdrive.cli.main import _parser

    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for words in commands(ROOT / name):
        if words[0] == "make":
            assert set(words[1:]) <= targets, words
        elif words[0] == "diffdrive":
            _parser(words[1:]).parse_args(words[1:])
        elif words[0] == "python":
            assert (ROOT / words[1]).is_file(), words
        else:
            assert words[0] in {"pip", "conda", "git", "."}, f"{name} shows a command nobody checks: {words}"


@pytest.mark.parametrize("name", NAMES)
def test_links_and_files_exist(name):
    page = ROOT / name
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{name} links to {target}"


@pytest.mark.parametrize("name", NAMES)
def test_named_modules_exist(name):
    """A path in backticks that looks like one of the package's files is one."""
    for path in re.findall(r"`([\w/]+\.(?:py|yaml|toml|yml))`", (ROOT / name).read_text()):
        assert (ROOT / path).exists() or (ROOT / "diffdrive" / path).exists(), f"{name} names {path}"


def test_the_readme_runs_python_and_names_both_commands():
    assert blocks(PAGES[0], "python")
    assert [words for words in commands(PAGES[0]) if words[0] == "make"] == [["make", "demo"], ["make", "test"]]
