"""What a picture is, and its two ways out: SVG inside the page, files at journal widths.

A picture is a row of panels. On the page each panel is an SVG of its own, so that a phone stacks them;
in a file they stand side by side at 183 mm and one above the other at 89 mm.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mixflow.report.pictures.svg import for_page

INK = "#0a0b0c"  # becomes the text colour of the page
GRID = "#d0d1d2"  # becomes the line colour of the page
GREY = "#8b93a0"  # points that are no hits: seen on white and on dark
UP, DOWN = "#d55e00", "#0072b2"
# Okabe and Ito (2008), without black and yellow, which vanish on a dark or a white page.
COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"]
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "<", ">", "p"]
WIDTHS_MM = (89, 183)
PAGE_MM = 100.0
DENSE = 2000  # points above which a scatter is drawn as pixels (10,000 points as SVG are 1.1 MB)
MM = 1 / 25.4

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 7.0,
    "axes.labelsize": 7.0,
    "axes.titlesize": 7.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "legend.handletextpad": 0.4,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": GRID,
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.0,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "savefig.dpi": 200,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}


@dataclass(frozen=True)
class Panel:
    """One pair of axes: how to draw it, its shape, and its text for those who do not see it."""

    draw: Callable[[Axes], None]
    alt: str
    title: str = ""
    aspect: float = 0.72  # height / width


@dataclass(frozen=True)
class Picture:
    """A figure: file name, caption, panels, and the numbers it shows."""

    name: str
    caption: str
    panels: tuple[Panel, ...]
    data: pd.DataFrame

    def figure(self, width_mm: float, panels: tuple[Panel, ...] | None = None) -> Figure:
        """The panels side by side where there is room (above 120 mm), else one above the other."""
        panels = panels or self.panels
        columns = min(len(panels), 2 if width_mm > 120 else 1)
        rows = -(-len(panels) // columns)
        panel_mm = width_mm / columns if len(panels) > 1 or width_mm < 120 else width_mm
        height = sum(max(p.aspect for p in panels[r * columns : (r + 1) * columns]) for r in range(rows))
        if len(panels) == 1 and width_mm > 120:
            height *= 0.7
        figure = Figure(figsize=(width_mm * MM, height * panel_mm * MM), layout="constrained")
        FigureCanvasAgg(figure)  # a canvas that knows text extents, for placing labels
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for ax in axes[len(panels) :]:
            ax.set_axis_off()
        for ax, panel in zip(axes, panels, strict=False):
            panel.draw(ax)
            if panel.title:
                ax.set_title(panel.title)
        return figure

    def inline(self) -> list[str]:
        """Each panel as SVG text for the page, in the page's colours."""
        with _style({"savefig.dpi": 110, "svg.hashsalt": self.name}):
            return [
                for_page(_svg(self.figure(PAGE_MM, (panel,))), panel.alt, f"{self.name}-{i}")
                for i, panel in enumerate(self.panels)
            ]

    def save(self, folder: Path) -> list[Path]:
        """SVG and PDF at 89 and 183 mm and the data as TSV; the paths written."""
        folder.mkdir(parents=True, exist_ok=True)
        written = [folder / f"{self.name}.tsv"]
        self.data.to_csv(written[0], sep="\t", index=False, lineterminator="\n")
        with _style({"svg.hashsalt": self.name}):
            for width in WIDTHS_MM:
                figure = self.figure(width)
                figure.draw_without_rendering()  # the layout, once for both files
                figure.set_layout_engine("none")
                for kind, told in (("svg", {"Date": None}), ("pdf", {"CreationDate": None})):
                    path = folder / f"{self.name}_{width}mm.{kind}"
                    figure.savefig(path, metadata=told, facecolor="white")
                    written.append(path)
        return written


def _style(more: dict[Any, Any]) -> AbstractContextManager[None]:
    return mpl.rc_context({**STYLE, **more})


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def points(
    ax: Axes, x, y, colour: str, marker: str = "o", size: float = 6, label: str | None = None, **style
) -> None:
    """A scatter, as pixels where it is dense."""
    ax.scatter(
        x, y, s=size, c=colour, marker=marker, label=label,
        **{"linewidths": 0, "alpha": 0.75, "rasterized": len(x) > DENSE, **style},
    )  # fmt: skip


def light_grid(ax: Axes, axis: Literal["x", "y"] = "y") -> None:
    """Thin lines behind the data."""
    ax.grid(axis=axis)
    ax.set_axisbelow(True)


def group_style(levels: list[str]) -> dict[str, tuple[str, str]]:
    """Colour and marker of each level: told apart by both."""
    return {level: (COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]) for i, level in enumerate(levels)}
