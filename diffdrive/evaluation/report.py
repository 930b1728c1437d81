"""One HTML file that can be mailed: pictures and style inside, no script, nothing loaded from elsewhere."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from diffdrive.contracts import InputError
from diffdrive.evaluation.table import Table

_SIGNATURES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A picture (PNG, JPEG or WebP bytes) or a chart (SVG text), with a caption that can be read alone."""

    content: bytes | str
    title: str
    caption: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.content, str):
            if not self.content.startswith("<svg"):
                raise InputError(f"Figure '{self.title}': text content must be SVG, got '{self.content[:20]}'.")
        elif not any(self.content.startswith(signature) for signature in _SIGNATURES):
            raise InputError(f"Figure '{self.title}': a picture must be PNG, JPEG or WebP, got other bytes.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading, paragraphs, then tables and figures. Figures ``in_pairs`` stand side by side where there is room."""

    title: str
    paragraphs: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    in_pairs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a reader gets: the message first, then the evidence, then the conditions."""

    title: str
    lead: str
    """One or two sentences that carry the result."""

    highlights: tuple[tuple[str, str], ...] = ()
    """Numbers to show large, each with what it means."""

    sections: tuple[Section, ...] = ()
    conditions: Mapping[str, str] = field(default_factory=dict)


def write_report(report: Report, path: Path | str) -> Path:
    """Write the report as one HTML file; it appears complete or not at all. Makes the folder if need be."""
    path = Path(path)
    page = render(report)
    if path.is_dir():
        raise InputError(f"Report '{path}' is a folder. Give the name of an HTML file.")
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        aside.write_text(page, encoding="utf-8")
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return path


def render(report: Report) -> str:
    """The whole page as text. The same report gives the same text."""
    style = Path(__file__).with_name("report.css").read_text(encoding="utf-8")
    highlights = "".join(f"<div><b>{escape(value)}</b><span>{escape(words)}</span></div>" for value, words in report.highlights)
    conditions = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in report.conditions.items())
    body = [
        f'<header><h1>{escape(report.title)}</h1><p class="lead">{escape(report.lead)}</p>',
        f'<div class="figures-row">{highlights}</div>' if highlights else "",
        "</header>",
        *(_section(section) for section in report.sections),
        f"<section><h2>Conditions</h2><dl>{conditions}</dl></section>" if conditions else "",
        "<footer>Written by diffdrive.</footer>",
    ]
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(report.title)}</title><style>\n{style}</style>"
    )
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body><main>\n' + "\n".join(body) + "\n</main></body></html>\n"
    )


def _section(section: Section) -> str:
    figures = "\n".join(_figure(figure) for figure in section.figures)
    if section.in_pairs:
        figures = f'<div class="pair">{figures}</div>'
    paragraphs = "".join(f"<p>{escape(text)}</p>" for text in section.paragraphs)
    tables = "\n".join(_table(table) for table in section.tables)
    return f"<section><h2>{escape(section.title)}</h2>\n{paragraphs}\n{tables}\n{figures}</section>"


def _figure(figure: Figure) -> str:
    if isinstance(figure.content, str):
        picture, kind = figure.content, ' class="boxed"'
    else:
        picture, kind = f'<img src="{_data_uri(figure.content)}" alt="{escape(figure.title, quote=True)}">', ""
    caption = f"<strong>{escape(figure.title)}</strong> {escape(figure.caption)}"
    return f"<figure{kind}>{picture}<figcaption>{caption}</figcaption></figure>"


def _data_uri(content: bytes) -> str:
    kind = next(kind for signature, kind in _SIGNATURES.items() if content.startswith(signature))
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in table.columns)
    rows = []
    for index, row in enumerate(table.rows):
        is_group = len(row) > 1 and not any(row[1:])
        kind = ' class="highlight"' if index == table.highlight else ' class="group"' if is_group else ""
        rows.append(f"<tr{kind}>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>")
    caption = f"<figcaption>{escape(table.caption)}</figcaption>" if table.caption else ""
    inside = f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f'<figure><div class="scroll"><table>{inside}</table></div>{caption}</figure>'
