"""Closing sections: how the fits ended, methods, provenance."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mixflow.report.methods import methods
from mixflow.report.section import Section
from mixflow.report.view import View
from mixflow.status import MEANING, Status


def status(view: View) -> Section:
    """Counts of each status by model, with its meaning and remedy; tests that have none."""
    counts = {model.title: model.status_counts() for model in view.models}
    test_counts = _tests(view)
    found = sorted({s for c in counts.values() for s in c} | set(test_counts))
    rows = [
        {
            "code": s,
            "meaning": MEANING[s],
            "counts": [c.get(s, 0) for c in counts.values()],
            "tests": test_counts.get(s, 0),
        }
        for s in found
    ]
    others = [MEANING[s] for s in Status if s not in found and s is not Status.NOT_RUN]
    section = Section("status", {"rows": rows, "models": list(counts), "others": others})
    model = view.headline
    table = pd.DataFrame(
        {"feature": model.feature_ids, "name": [view.names.get(f, f) for f in model.feature_ids]}
    )
    table["status"] = [MEANING[Status(int(code))].label for code in model.status]
    table["n_obs"] = model.fit["n_obs"].values
    section.tables[f"status_{model.name}"] = table
    return section


def _tests(view: View) -> dict[Status, int]:
    """Statuses of the tests of the headline model, over all contrasts."""
    tests = view.headline.tests
    if tests is None or "status" not in tests:
        return {}
    codes, counts = np.unique(tests["status"].values, return_counts=True)
    return {Status(int(c)): int(n) for c, n in zip(codes, counts, strict=True)}


def methods_section(view: View) -> Section:
    """The paragraph to paste and its references."""
    text, references = methods(view)
    return Section("methods", {"text": text, "references": references})


def provenance(view: View) -> Section:
    """Steps, versions, inputs and the config that made the store."""
    steps = view.provenance["steps"]
    section = Section("provenance")
    versions = {k: v for step in steps for k, v in (step.get("versions") or {}).items()}
    inputs = {path: digest for step in steps for path, digest in (step.get("inputs") or {}).items()}
    section.facts = {
        "steps": steps,
        "versions": versions,
        "inputs": inputs,
        "config": "" if view.share else str(view.provenance.get("config") or ""),
        "commits": sorted({str(s["git_commit"]) for s in steps if s.get("git_commit")}),
        "hashes": sorted({str(s["config_hash"]) for s in steps if s.get("config_hash")}),
        "seeds": sorted({str(s["seed"]) for s in steps if s.get("seed") is not None}),
        "seconds": sum(float(s.get("seconds") or 0) for s in steps),
    }
    section.tables["versions"] = pd.DataFrame(sorted(versions.items()), columns=["package", "version"])
    return section
