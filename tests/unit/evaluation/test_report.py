"""The report is one self-contained file, escaped, complete or absent; tables line up; charts put marks where values are."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffdrive.contracts import InputError
from diffdrive.evaluation import (
    BY_COMMAND,
    Evaluation,
    Figure,
    Report,
    SceneResult,
    Section,
    Table,
    sections,
    story,
    write_report,
)
from diffdrive.evaluation import report as report_module
from diffdrive.evaluation.charts import Series, line_chart, scatter_chart, strip_chart
from diffdrive.evaluation.conditions import checkpoint_hash, machine
from diffdrive.runtime import PlanTiming
from diffdrive.scene import DrivingCommand


def picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 3), "red").save(buffer, "png")
    return buffer.getvalue()


def small_report() -> Report:
    table = Table(columns=("planner", "ADE"), rows=(("a <b>", "1.00"), ("c", "2.00")), caption="A & B", highlight=1)
    figures = (Figure(content=picture(), title="One", caption="red"), Figure(content="<svg></svg>", title="Two"))
    section = Section(title="Results", paragraphs=("First.",), tables=(table,), figures=figures, in_pairs=True)
    return Report(
        title="T & T", lead="It < works.", highlights=(("3", "scenes"),), sections=(section,), conditions={"Host": "x"}
    )


class Collector(HTMLParser):
    """Tags that are open, and everything a page could load."""

    VOID = frozenset({"meta", "img", "line", "circle", "polygon", "polyline", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_page_is_well_formed_escaped_and_loads_nothing(tmp_path: Path) -> None:
    page = write_report(small_report(), tmp_path / "new" / "report.html").read_text()
    parsed = Collector()
    parsed.feed(page)
    assert not parsed.open
    assert "script" not in parsed.tags and "link" not in parsed.tags
    assert [link.split(",")[0] for link in parsed.links] == ["data:image/png;base64"]
    assert "@import" not in page and "url(" not in page
    assert "It &lt; works." in page and "T &amp; T" in page and "a &lt;b&gt;" in page
    assert '<tr class="highlight"><td>c</td>' in page
    assert "<dt>Host</dt><dd>x</dd>" in page


def test_a_failed_write_leaves_the_old_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_report(small_report(), tmp_path / "report.html")
    before = path.read_text()

    def full_disk(self: Path, text: str, encoding: str) -> None:
        with self.open("w") as file:
            file.write(text[:10])
        raise OSError("No space left on device")

    monkeypatch.setattr(report_module.Path, "write_text", full_disk)
    with pytest.raises(OSError, match="No space"):
        write_report(small_report(), path)
    assert path.read_text() == before
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_a_folder_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        write_report(small_report(), tmp_path)


def test_figures_must_be_pictures() -> None:
    with pytest.raises(InputError, match="must be SVG"):
        Figure(content="<p>", title="x")
    with pytest.raises(InputError, match="PNG, JPEG or WebP"):
        Figure(content=b"GIF89a", title="x")


def test_table_text_lines_up() -> None:
    text = Table(columns=("name", "x"), rows=(("long name", "1"), ("b", "22.5"))).text()
    assert text.splitlines() == ["name          x", "---------------", "long name     1", "b          22.5"]
    with pytest.raises(InputError, match="2 cells"):
        Table(columns=("a", "b"), rows=(("1",),))


def numbers(svg: str, pattern: str) -> np.ndarray:
    return np.array([[float(value) for value in found.groups()] for found in re.finditer(pattern, svg)])


def test_strip_chart_has_a_dot_for_every_value_in_proportion() -> None:
    svg = strip_chart(
        [Series(name="a", colour="#111", values=(0.0, 2.0, 4.0)), Series(name="b", colour="#222", values=(1.0,))], "m"
    )
    x = numbers(svg, r'<circle cx="([\d.]+)"')[:, 0]
    assert len(x) == 4
    assert x[2] - x[1] == pytest.approx(x[1] - x[0], abs=0.11)
    assert x[3] == pytest.approx((x[0] + x[1]) / 2, abs=0.11)


def test_line_chart_goes_up_with_values_and_starts_at_the_origin_when_asked() -> None:
    series = [Series(name="a", colour="#111", values=(1.0, 3.0))]
    (points,) = re.findall(r'points="([^"]+)"', line_chart(series, [1, 2], "s", "m", from_origin=True))
    path = np.array([[float(v) for v in pair.split(",")] for pair in points.split()])
    assert len(path) == 3
    assert np.all(np.diff(path[:, 1]) < 0), "up is a smaller y in SVG"
    assert path[2, 1] - path[0, 1] == pytest.approx(3 * (path[1, 1] - path[0, 1]), abs=0.3)
    (points,) = re.findall(r'points="([^"]+)"', line_chart(series, [1, 2], "s", "m"))
    assert len(points.split()) == 2


def test_line_labels_do_not_overlap() -> None:
    series = [Series(name=name, colour="#111", values=(5.0 + 0.001 * i,)) for i, name in enumerate("abc")]
    svg = line_chart(series, [1], "s", "m")
    y = np.sort(numbers(svg, r'y="([\d.]+)" text-anchor="start" font-size="12.5"')[:, 0])
    assert np.diff(y).min() > 15


def test_scatter_chart_puts_ours_up_and_theirs_across() -> None:
    ours, theirs = Series(name="o", colour="#111", values=(1.0,)), Series(name="t", colour="#222", values=(4.0,))
    svg = scatter_chart(theirs, ours, "m")
    dot = numbers(svg, r'<circle cx="([\d.]+)" cy="([\d.]+)"')[0]
    diagonal = numbers(svg, r'<line x1="([\d.]+)" y1="([\d.]+)" x2="([\d.]+)" y2="([\d.]+)" stroke="#68707a"')[0]
    slope = (diagonal[3] - diagonal[1]) / (diagonal[2] - diagonal[0])
    assert dot[1] > diagonal[1] + slope * (dot[0] - diagonal[0]), "below the diagonal: ours is smaller"


def test_charts_refuse_what_they_cannot_show() -> None:
    with pytest.raises(InputError, match="one value in each"):
        strip_chart([Series(name="a", colour="#111", values=())], "m")
    with pytest.raises(InputError, match="finite"):
        strip_chart([Series(name="a", colour="#111", values=(float("nan"),))], "m")


def toy_evaluation(ours: list[float], theirs: list[float]) -> Evaluation:
    results = []
    for index, pair in enumerate(zip(ours, theirs, strict=True)):
        for name, ade in zip(("ours", "theirs"), pair, strict=True):
            results.append(
                SceneResult(
                    candidate=name,
                    token=str(index),
                    log_name="log",
                    location="town",
                    command=DrivingCommand(index % 2),
                    speed_mps=3.0,
                    interval_s=0.5,
                    displacement_m=(ade, ade),
                    best_of_ade_m=(ade, ade / 2) if name == "ours" else (ade,),
                    is_planned=index > 0,
                    timing=PlanTiming(),
                )
            )
    tokens = tuple(str(index) for index in range(len(ours)))
    return Evaluation(source="s", candidates=("ours", "theirs"), tokens=tokens, results=tuple(results))


def test_the_main_table_says_what_was_measured() -> None:
    table = story.results_table(toy_evaluation([1.0, 2.0], [3.0, 4.0]), "theirs", highlight="ours")
    assert table.rows[0] == (
        "ours (1 fallbacks)",
        "1.50",
        "1.50",
        "1.50",
        "1.50",
        "0.75 @2",
        "0.00",
        "0 of 2",
        "-2.00 [-2.00, -2.00]",
    )
    assert table.rows[1][5:] == ("3.50 @1", "0.00", "2 of 2", "-")
    assert table.highlight == 0


def test_group_table_shows_every_group_once() -> None:
    both = toy_evaluation([1.0, 2.0, 3.0], [3.0, 4.0, 5.0])
    assert story.group_table(both, BY_COMMAND).rows == (("left", "2", "2.00", "4.00"), ("straight", "1", "2.00", "4.00"))
    assert story.group_table(both, BY_COMMAND, value="minADE").rows[0] == ("left", "2", "1.00", "4.00")
    with pytest.raises(InputError, match="got 'FDE'"):
        story.group_table(both, BY_COMMAND, value="FDE")


def test_timing_table_is_in_milliseconds() -> None:
    timings = [PlanTiming(features_s=0.001, network_s=0.01 * k, selection_s=0.0, total_s=0.02 * k) for k in (1, 2, 3)]
    rows = {row[0]: row[1:] for row in story.timing_table(timings).rows}
    assert rows["features"] == ("1.0", "1.0", "1.0")
    assert rows["network"] == ("20.0", "29.0", "30.0")
    assert rows["total"][2] == "60.0"


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        ([1.0, 1.2, 1.1], [3.0, 3.0, 3.0], "Ours is closer"),
        ([5.0, 5.2, 5.1], [3.0, 3.0, 3.0], "Theirs is closer"),
        ([1.0, 5.0, 3.0], [3.0, 3.0, 3.0], "not settled"),
    ],
)
def test_the_lead_claims_only_what_the_interval_allows(ours: list[float], theirs: list[float], words: str) -> None:
    assert words in story.lead_sentence(toy_evaluation(ours, theirs), "ours", "theirs")


def test_every_chart_of_the_story_is_svg_and_counts_wins() -> None:
    figures = story.charts(
        toy_evaluation([1.0, 2.0, 9.0], [3.0, 4.0, 5.0]), {"ours": "#111", "theirs": "#222"}, ours="ours", rival="theirs"
    )
    assert len(figures) == 4
    assert all(isinstance(figure.content, str) and figure.content.endswith("</svg>") for figure in figures)
    assert figures[-1].title == "ours is closer to what was driven in 2 of 3 scenes."


def test_conditions_name_machine_and_versions() -> None:
    found = machine()
    assert "cores available" in found["Processor"]
    assert "torch" in found["Versions"] and "diffdrive" in found["Versions"]


def test_checkpoint_hash_depends_on_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    first = checkpoint_hash(tmp_path)
    (tmp_path / "a").write_text("2")
    second = checkpoint_hash(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    third = checkpoint_hash(tmp_path)
    assert len({first, second, third}) == 3 and len(first) == 12
    with pytest.raises(InputError, match="has no files"):
        checkpoint_hash(tmp_path / "none")


def test_the_report_says_whether_places_were_held_out(tmp_path: Path) -> None:
    both = toy_evaluation([1.0], [2.0])
    assert "not known" in sections.held_out(both, tmp_path)
    recipe = {"training_locations": ["city"], "validation_locations": ["village"]}
    (tmp_path / "data.json").write_text(json.dumps(recipe))
    assert sections.held_out(both, tmp_path).startswith("yes")
    (tmp_path / "data.json").write_text(json.dumps(recipe | {"validation_locations": ["town"]}))
    assert sections.held_out(both, tmp_path) == "no: training or validation used town"
    (tmp_path / "data.json").write_text("{}")
    with pytest.raises(InputError, match="does not say"):
        sections.held_out(both, tmp_path)


def test_conditions_tell_what_to_repeat(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_text("x")
    found = sections.conditions(toy_evaluation([1.0], [2.0]), checkpoint=tmp_path, extra={"Cameras": "gl"})
    assert found["Scenes"] == "1 of source s: 1 logs, locations town"
    assert checkpoint_hash(tmp_path) in found["Checkpoint"]
    assert found["Cameras"] == "gl" and "Processor" in found


def test_the_rival_is_the_closest_other() -> None:
    assert sections.closest_rival(toy_evaluation([9.0], [2.0]), "theirs") == "ours"
    with pytest.raises(InputError, match="only candidate"):
        sections.closest_rival(Evaluation(source="s", candidates=("ours",), tokens=(), results=()), "ours")
    assert sections.colours(toy_evaluation([9.0], [2.0]), "theirs") == {"theirs": "#d55e00", "ours": "#0072b2"}


def test_the_bootstrap_draws_drives_where_there_are_enough() -> None:
    few = toy_evaluation([1.0] * 20, [2.0] * 20)
    assert story.drawn(few) == "scenes" and "over scenes" in story.results_table(few, "theirs").caption
    ours = list(np.repeat(np.random.default_rng(0).gamma(2.0, 1.0, 10), 4))
    both = toy_evaluation(ours, [3.0] * 40)
    drives = tuple(dataclasses.replace(result, log_name=str(int(result.token) // 4)) for result in both.results)
    many = dataclasses.replace(both, results=drives)
    assert story.drawn(many) == "drives" and "over drives" in story.results_table(many, "theirs").caption
    widths = []
    for evaluation in (both, many):
        low, high = (
            float(number) for number in re.findall(r"[+-][\d.]+", story.results_table(evaluation, "theirs").rows[0][-1])[1:]
        )
        widths.append(high - low)
    assert widths[1] > 1.5 * widths[0], "scenes of a drive are alike, so drives tell less"
