"""docs/reference.md from the grid: `python -m tests.reference.reference_page` writes it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.reference import glmm_page
from tests.reference.engine import CASES, DISAGREEMENTS, HERE

PAGE = HERE.parents[1] / "docs" / "reference.md"
R_OF = {
    "lmer": "lme4, lmerTest, pbkrtest, emmeans",
    "gls": "nlme",
    "lme": "nlme",
    "glmmTMB": "glmmTMB",
    "rma": "metafor",
    "rma.mv": "metafor",
    "gam": "mgcv",
    "limma": "limma",
}
COLUMNS = {
    "estimates": "estimates, SE, log-likelihood",
    "satterthwaite": "Satterthwaite t, F",
    "satterthwaite_dense": "Satterthwaite, dense",
    "kenward_roger": "Kenward-Roger t, F",
    "kenward_roger_dense": "Kenward-Roger, dense",
    "type": "type I/II/III",
    "containment": "containment df",
    "type_containment": "type I/III, containment",
    "residual": "residual df",
    "z": "z",
    "wald": "Wald limits",
    "profile": "profile limits",
    "lrt": "LRT, AIC, BIC",
    "means": "means and contrasts",
    "modes": "conditional modes",
    "predict": "prediction",
    "r2": "R2",
    "smooth": "smooth, edf",
    "moderation": "moderation",
}
HEAD = """# Reference values from R

Generated from `tests/reference/engine_cases.json` by `python -m tests.reference.reference_page`; a test holds it
current.

{cases} cases over {data} data sets, of which {unbalanced} are unbalanced and {singular} singular (a variance at zero,
or a correlation at its bound). The list was committed before the first run in R and is never edited to please a
result. Each number below counts tests that run without R: the cases of that structure that ask for that inference,
with `(-k)` where k of them disagree. Every disagreement stands below, with who is right; its test is expected to
fail, and must.

Tolerances (DESIGN section 6): -2 log-likelihood not above R's by more than 1e-6, estimates within 1e-4 standard
errors, standard errors within 1e-4, degrees of freedom within 1e-3 relative. How R's numbers were made, and where they
had to be made better than R's packages make them, stands in tests/reference/README.md.
"""


def page() -> str:
    """The text of docs/reference.md."""
    cases = list(CASES.values())
    states = [case["state"] for case in cases]
    head = HEAD.format(
        cases=len(cases),
        data=len({case["data"] for case in cases}),
        unbalanced=states.count("unbalanced"),
        singular=states.count("singular"),
    )
    parts = [
        head,
        "## Structures",
        "",
        *_structures(cases),
        "",
        "## Structure x inference",
        "",
        *_grid(cases),
    ]
    parts += ["", "## Disagreements", "", *_disagreements(), "", *glmm_page.lines()]
    return "\n".join(parts) + "\n"


def asked(case: dict[str, Any], inference: str) -> bool:
    """Whether a case asks for an inference; all but limma's and mgcv's ask for estimates."""
    if inference == "estimates":
        return case["engine"] not in ("limma", "gam")
    return bool(case["inference"].get(inference))


def _structures(cases: list[dict[str, Any]]) -> list[str]:
    rows = [
        "| structure | cases | unbalanced | singular | balanced | data sets | R |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in _distinct(case["structure"] for case in cases):
        own = [case for case in cases if case["structure"] == name]
        states = [sum(case["state"] == s for case in own) for s in ("unbalanced", "singular", "balanced")]
        packages = _distinct(R_OF[case["engine"]] for case in own)
        numbers = [len(own), *states, len({case["data"] for case in own})]
        rows.append(f"| {name} | {' | '.join(map(str, numbers))} | {'; '.join(packages)} |")
    return rows


def _grid(cases: list[dict[str, Any]]) -> list[str]:
    rows = ["| structure | " + " | ".join(COLUMNS.values()) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name in _distinct(case["structure"] for case in cases):
        own = [case for case in cases if case["structure"] == name]
        rows.append(f"| {name} | " + " | ".join(_cell(own, inference) for inference in COLUMNS) + " |")
    return [*rows, "| **all** | " + " | ".join(_cell(cases, inference) for inference in COLUMNS) + " |"]


def _cell(cases: list[dict[str, Any]], inference: str) -> str:
    n = [case["id"] for case in cases if asked(case, inference)]
    against = sum(f"{name}.{inference}" in DISAGREEMENTS for name in n)
    return (f"{len(n)} (-{against})" if against else str(len(n))) if n else ""


def _disagreements() -> list[str]:
    if not DISAGREEMENTS:
        return ["None."]
    return [f"- `{key}`: {reason}" for key, reason in DISAGREEMENTS.items()]


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


if __name__ == "__main__":
    Path(PAGE).write_text(page())
    print(json.dumps({"page": PAGE.name, "cases": len(CASES)}))
