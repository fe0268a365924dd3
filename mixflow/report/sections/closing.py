"""Closing sections: how the fits ended, methods, provenance."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from mixflow.report.methods import methods
from mixflow.report.model import ModelView
from mixflow.report.section import Section
from mixflow.report.view import View
from mixflow.status import MEANING, Status

NAMED = 6  # features named in a line


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
    section.facts["separated"] = [row for model in view.models for row in _separated(view, model)]
    for model in view.models:
        if model is view.headline or not model.scale.linear:
            section.tables[f"status_{model.name}"] = _table(view, model)
    return section


def _table(view: View, model: ModelView) -> pd.DataFrame:
    """How each feature ended; of a generalised model also its coefficients without a finite estimate."""
    table = pd.DataFrame(
        {"feature": model.feature_ids, "name": [view.names.get(f, f) for f in model.feature_ids]}
    )
    table["status"] = [MEANING[Status(int(code))].label for code in model.status]
    table["n_obs"] = model.fit["n_obs"].values
    if not model.scale.linear:
        lost = np.isnan(model.fit["beta"].values) & (model.status == Status.SEPARATION)[:, None]
        names = np.asarray(model.coefs, dtype=object)
        table["without_finite_estimate"] = ["; ".join(names[own]) for own in lost]
    return table


def _separated(view: View, model: ModelView) -> list[dict]:
    """Coefficients without a finite estimate because outcomes are separated: in how many features, and which."""
    if model.scale.linear:
        return []
    lost = np.isnan(model.fit["beta"].values) & (model.status == Status.SEPARATION)[:, None]
    found = []
    for j in np.argsort(-lost.sum(axis=0), kind="stable"):
        rows = np.flatnonzero(lost[:, j])
        if len(rows):
            names = [view.names.get(model.feature_ids[i], model.feature_ids[i]) for i in rows[:NAMED]]
            facts = {"model": model.title, "coef": model.coefs[j], "n": len(rows), "names": names}
            found.append(facts)
    return found


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
    inputs = {path: entry for step in steps for path, entry in (step.get("inputs") or {}).items()}
    section.facts = {
        "steps": steps,
        "versions": versions,
        "inputs": inputs,
        "config": "" if view.share else str(view.provenance.get("config") or ""),
        "commits": sorted({_commit(s) for s in steps if s.get("git_commit")}),
        "code": sorted({str(s["code"]) for s in steps if s.get("code")}),
        "hosts": list(dict.fromkeys(_host(s["host"]) for s in steps if s.get("host"))),
        "hashes": sorted({str(s["config_hash"]) for s in steps if s.get("config_hash")}),
        "seeds": sorted({str(s["seed"]) for s in steps if s.get("seed") is not None}),
        "seconds": sum(float(s.get("seconds") or 0) for s in steps),
    }
    section.facts["environment"] = json.loads(view.provenance.get("environment") or "{}")
    section.tables["versions"] = pd.DataFrame(sorted(versions.items()), columns=["package", "version"])
    return section


def _commit(step: dict[str, Any]) -> str:
    return f"{step['git_commit']}{' with changes' if step.get('git_dirty') else ''}"


def _host(host: dict[str, Any]) -> str:
    """One line: CPU, cores, instruction sets, system, BLAS, GPU where one was used."""
    threads = host.get("threads", {}).get("OMP_NUM_THREADS")
    parts = [
        f"{host.get('cpu', '')}, {host.get('cores', '?')} cores ({' '.join(host.get('cpu_features', []))})",
        f"threads {threads}" if threads else "",
        str(host.get("system", "")),
        str(host.get("blas", "")),
        *(f"{name}={value}" for name, value in host.get("flags", {}).items()),
        host["accelerator"] if host.get("accelerator") not in ("", "cpu", None) else "",
    ]
    return "; ".join(part for part in parts if part)
