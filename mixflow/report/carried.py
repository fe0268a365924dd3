"""The provenance that a report's page carries as JSON, so that the page alone says how to make it again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mixflow.report.share import bare_step
from mixflow.report.view import View, parsed
from mixflow.store import provenance
from mixflow.store.schema import SCHEMA_VERSION

ELEMENT = "carried"
"""Id of the page's script element that holds it."""


def text(view: View, tables: Sequence[Path] = (), made: Mapping[str, Any] | None = None) -> str:
    """All of the store's provenance, the report's own step ``made``, and sha256 and size of the ``tables``."""
    attrs = view.provenance
    own = [] if made is None else [bare_step(made) if view.share else dict(made)]
    told = {
        "schema_version": SCHEMA_VERSION,
        "share": view.share,
        **{key: str(attrs.get(key) or "") for key in ("study", "title", "config", "config_file")},
        "files": parsed(attrs.get("files"), {}),
        "environment": parsed(attrs.get("environment"), {}),
        "steps": [*attrs["steps"], *own],
        "tables": {path.name: provenance.identity(path) for path in tables},
    }
    return json.dumps(told, separators=(",", ":")).replace("<", "\\u003c")
