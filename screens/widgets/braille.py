"""Lines as dots, eight to a cell: what plotext does for its braille marker, for all edges at once.

A pixel is half a cell wide and a quarter high, numbered from the lower left; edges are `x0, y0, x1, y1`, each `[n]`,
in pixels.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Edges: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]

_DOTS = np.array([[0x40, 0x80], [0x04, 0x20], [0x02, 0x10], [0x01, 0x08]], np.uint8)
"""By row from below and column."""


def dotted(edges: Edges, columns: int, rows: int) -> NDArray[np.uint8]:
    """The dots `[rows, columns]` of edges on a canvas of cells, rows from below; 0 where there are none."""
    x, y = _pixels(_clipped(edges, 2 * columns, 4 * rows))
    x, y = np.clip(x, 0, 2 * columns - 1), np.clip(y, 0, 4 * rows - 1)
    cells = np.zeros((rows, columns), np.uint8)
    np.bitwise_or.at(cells, (y // 4, x // 2), _DOTS[y % 4, x % 2])
    return cells


def _clipped(edges: Edges, width: int, height: int) -> Edges:
    """The parts of edges on a canvas of so many pixels (Liang and Barsky 1984)."""
    x0, y0, x1, y1 = edges
    dx, dy = x1 - x0, y1 - y0
    enter, leave = np.zeros(len(x0)), np.ones(len(x0))
    with np.errstate(divide="ignore", invalid="ignore"):
        for start, way, size in ((x0, dx, width), (y0, dy, height)):
            low, high = (-0.5 - start) / way, (size - 0.5 - start) / way
            level = way == 0
            outside = level & ((start < -0.5) | (start > size - 0.5))
            enter = np.maximum(enter, np.where(outside, 2.0, np.where(level, 0.0, np.minimum(low, high))))
            leave = np.minimum(leave, np.where(level, 1.0, np.maximum(low, high)))
    seen = enter <= leave
    x0, y0, dx, dy, enter, leave = (part[seen] for part in (x0, y0, dx, dy, enter, leave))
    return x0 + enter * dx, y0 + enter * dy, x0 + leave * dx, y0 + leave * dy


def _pixels(edges: Edges) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The pixels of edges, each a row of them without a gap."""
    x0, y0, x1, y1 = edges
    steps = np.ceil(np.maximum(np.abs(x1 - x0), np.abs(y1 - y0))).astype(np.intp) + 1
    edge = np.repeat(np.arange(len(steps)), steps)
    first = np.cumsum(steps) - steps
    part = (np.arange(len(edge)) - first[edge]) / np.maximum(steps - 1, 1)[edge]
    x, y = x0[edge] + part * (x1 - x0)[edge], y0[edge] + part * (y1 - y0)[edge]
    return np.rint(x).astype(np.intp), np.rint(y).astype(np.intp)
