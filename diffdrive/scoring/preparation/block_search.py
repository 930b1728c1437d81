"""Breadth-first search over blocks, as PDM-Closed searches (Dauner et al. 2023, arXiv 2306.07962)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

Neighbours = Callable[[str], Iterable[str]]


def find_path(start: str, goals: Collection[str], neighbours: Neighbours, *, max_depth: int) -> list[str] | None:
    """The blocks from ``start`` to the first of ``goals`` that a breadth-first search meets, both ends included.

    None where none is met within ``max_depth`` blocks. The devkit's search does not mark what it visited and overwrites
    parents: where several shortest paths meet, the parent that was expanded *last* counts. Levels are kept here without
    repeats, once in the order of first and once of last occurrence, which gives the same path without its exponential cost.
    """
    first, last = [start], [start]
    parents: list[dict[str, str]] = []
    for _ in range(max_depth):
        goal = next((block for block in first if block in goals), None)
        if goal is not None:
            return _traced(goal, parents)
        parents.append({child: block for block in last for child in neighbours(block)})
        first = list(dict.fromkeys(child for block in first for child in neighbours(block)))
        last = _without_repeats_keeping_last([child for block in last for child in neighbours(block)])
        if not first:
            return None
    return None


def _without_repeats_keeping_last(blocks: list[str]) -> list[str]:
    return list(dict.fromkeys(reversed(blocks)))[::-1]


def _traced(goal: str, parents: list[dict[str, str]]) -> list[str]:
    path = [goal]
    for level in reversed(parents):
        path.append(level[path[-1]])
    return path[::-1]
