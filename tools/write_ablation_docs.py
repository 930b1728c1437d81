"""Put the table of a finished ablation into docs/ablation.md, and its numbers beside the other benchmarks.

python tools/write_ablation_docs.py out/ablation
"""

from __future__ import annotations

import argparse
from pathlib import Path

from diffdrive.files import written_aside

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE, NUMBERS = DOCS / "ablation.md", DOCS / "benchmarks" / "ablation_nano.json"
BEGIN, END = "<!-- begin -->\n", "<!-- end -->\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="what tools/run_ablation.py wrote")
    folder = parser.parse_args().folder
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    with written_aside(PAGE) as aside:
        aside.write_text(before + BEGIN + (folder / "table.md").read_text() + END + after)
    with written_aside(NUMBERS) as aside:
        aside.write_bytes((folder / "table.json").read_bytes())
    print(f"wrote {PAGE} and {NUMBERS}")


if __name__ == "__main__":
    main()
