"""Write what the shipped manifests hold into docs/benchmark.md, and draw the test split.

python tools/write_benchmark_docs.py
"""

from __future__ import annotations

from pathlib import Path

from diffdrive.benchmark.chart import draw_benchmark
from diffdrive.benchmark.config import SPLITS
from diffdrive.benchmark.manifest import load_benchmark, shipped
from diffdrive.benchmark.statistics import statistics_text
from diffdrive.files import written_aside

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "benchmark.md"
BEGIN, END = "<!-- begin -->\n", "<!-- end -->\n"
DRAWN = "test"


def main() -> None:
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    parts = []
    for name in SPLITS:
        if not shipped(name).is_file():
            continue
        benchmark = load_benchmark(name)
        parts.append(f"### {name}\n")
        if name == DRAWN:
            picture = draw_benchmark(benchmark, DOCS / "images" / f"benchmark_{name}.png")
            parts.append(f"![Scenes of each tag, and the drivers' scores there](images/{picture.name})\n")
        parts.append(f"```text\n{statistics_text(benchmark)}\n```\n")
    with written_aside(PAGE) as aside:
        aside.write_text(before + BEGIN + ("\n".join(parts) or "No manifest ships yet.\n") + END + after)
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
