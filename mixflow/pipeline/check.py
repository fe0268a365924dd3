"""Step check: config, files, sheet, formulas and data of a study, before anything is computed."""

from __future__ import annotations

from pathlib import Path

from mixflow.errors import MixflowError
from mixflow.store import atomic
from mixflow.study.config import Study
from mixflow.study.plan import load_plan
from mixflow.study.validate import validate


def run(study: Study, out: Path) -> str:
    """Write what will be run to the text file ``out``; MixflowError with everything that is wrong."""
    problems = validate(study.path, data=True)
    if problems:
        raise MixflowError(problems)
    plan = load_plan(study)
    lines = [f"study {study.name}: nothing wrong was found", f"shards: {plan.n_shards}"]
    lines += [f"model {model.name}: {model.formula}" for model in plan.models]
    atomic.write_text(out, "\n".join(lines) + "\n")
    return f"{len(plan.models)} model(s): {', '.join(plan.names)}"
