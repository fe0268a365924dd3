"""Sections -> one HTML file that needs nothing beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from mixflow import resources
from mixflow.report.payload import payload
from mixflow.report.pictures.base import Picture
from mixflow.report.section import Section
from mixflow.report.tables import file_name
from mixflow.report.view import View

SCRIPTS = (
    "data.js",
    "stats.js",
    "theme.js",
    "navigation.js",
    "plot.js",
    "volcano.js",
    "table.js",
    "feature.js",
    "results.js",
    "analysis.js",
    "main.js",
)


def render(view: View, sections: list[Section], carried: str) -> str:
    """The page as text; ``carried`` is its provenance as JSON (`mixflow.report.carried`)."""
    folder = resources.root() / "reports"
    facts, numbers = payload(view, sections)
    page = _environment(folder).get_template("report.html.j2")
    return page.render(
        view=view,
        sections=sections,
        summary=sections[0],
        style=Markup((folder / "style.css").read_text(encoding="utf-8")),
        script=Markup(_scripts(folder / "js")),
        facts=Markup(facts),
        numbers=Markup(numbers),
        carried=Markup(carried),
        made=_made(view),
    )


def _scripts(folder: Path) -> str:
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in SCRIPTS)


def _made(view: View) -> str:
    """The day on which the last step of the study ran: the same store gives the same page."""
    started = [str(s.get("started") or "") for s in view.provenance["steps"]]
    return max(started, default="")[:10]


def _environment(folder: Path) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        {
            "num": number,
            "p": p_value,
            "pct": percent,
            "count": count,
            "cell": cell,
            "svg": svg_panels,
            "signed": signed,
            "file_name": file_name,
        }
    )
    return environment


def svg_panels(picture: Picture) -> list[Markup]:
    """The picture's panels as inline SVG."""
    return [Markup(panel) for panel in picture.inline()]


def number(value: Any, digits: int = 3) -> str:
    """Significant digits, a dash for what is not a number."""
    value = float(value)
    if value != value:
        return "–"
    plain = 10**digits <= abs(value) < 1e5  # 1234 rather than 1.23e+03
    return (f"{value:.0f}" if plain else f"{value:#.{digits}g}".rstrip(".")).replace("-", "−")


def signed(value: Any) -> str:
    """Two decimals with their sign."""
    value = float(value)
    return "–" if value != value else f"{value:+.2f}".replace("-", "−")


def p_value(value: Any) -> str:
    """Two significant digits; small ones as powers of ten; underflow is told as such."""
    value = float(value)
    if value != value:
        return "–"
    if value == 0:
        return "<1e−300"
    return (f"{value:.1e}" if value < 0.001 else f"{value:#.2g}").replace("e-0", "e−").replace("e-", "e−")


def cell(value: Any, kind: str) -> str:
    """A value of an analysis's table by the kind of its column (`mixflow.report.columns`)."""
    if kind == "yes":
        return "yes" if value else "no"
    if kind == "text":
        return str(value)
    if abs(value) == float("inf"):
        return "∞" if value > 0 else "−∞"
    if kind == "p":
        return p_value(value)
    return count(value).replace("-", "−") if kind == "whole" and value == value else number(value)


def percent(value: Any, digits: int = 0) -> str:
    """A fraction as per cent, with a narrow space."""
    return f"{float(value):.{digits}%}".replace("%", "\u202f%")


def count(value: Any) -> str:
    """Thousands apart."""
    return f"{int(value):,}"
