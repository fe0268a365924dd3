"""MultiQC's contract: a section has a name, a purpose, help, and its data written out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import yaml

from mixflow import resources
from mixflow.report.pictures.base import Picture


@dataclass
class Section:
    """One section: `facts` go to its template, `pictures` and `tables` to the page and to files."""

    id: str
    facts: dict[str, Any] = field(default_factory=dict)
    pictures: dict[str, Picture] = field(default_factory=dict)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    words: dict[str, str] | None = None
    """Title, purpose and help of a section that brings its own."""
    template: str = ""

    @property
    def told(self) -> dict[str, str]:
        """Title, purpose and help: its own, or those of reports/sections.yaml."""
        return self.words or _texts()[self.id]

    @property
    def page(self) -> str:
        """Its template in reports/sections."""
        return f"sections/{self.template or self.id}.html.j2"

    def add(self, key: str, picture: Picture | None) -> None:
        """A picture under the name that the template uses; None is left out."""
        if picture is not None:
            self.pictures[key] = picture


def _texts() -> dict[str, dict[str, str]]:
    return yaml.safe_load((resources.root() / "reports" / "sections.yaml").read_text(encoding="utf-8"))
