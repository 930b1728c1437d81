"""A small table of words and numbers, printable as aligned plain text and rendered by the report."""

from __future__ import annotations

from dataclasses import dataclass

from diffdrive.contracts import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of formatted cells. The first column is text (left), the others are numbers (right)."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    highlight: int | None = None
    """Index of the row that the reader should find first."""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise InputError(f"Table rows need {len(self.columns)} cells like its columns, got {len(row)}: {row}.")

    def text(self) -> str:
        """The table as lines of equal width, ready to print."""
        lines = [self.columns, *self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.columns))]
        aligned = [
            "  ".join(
                cell.ljust(width) if i == 0 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            for line in lines
        ]
        return "\n".join([aligned[0], "-" * len(aligned[0]), *aligned[1:]])
