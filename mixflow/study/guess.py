"""What `mixflow init` guesses from a user's files: scale, types, a first formula. All to be checked."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from mixflow.study.cells import is_missing, natural

CONDITION = (
    r"condition|group|treatment|treat|disease|status|diagnosis|case|genotype|dose|arm|phenotype|class|ad"
)
BATCH = r"\w*batch\w*|plate|\w*site|cent(er|re)|lab|run_?day|scanner|manufacturer|slide|lane|instrument"
UNIT = r"(\w*_)?(subject|patient|animal|mouse|donor|individual|participant|person|case_id|study)_?(id)?"
COVARIATE = r"age|age_?years|sex|gender|male|female|bmi"
QC = r"(pooled_?)?qc\d*|pool(ed)?|quality_?control"
BLANK = r"blanks?"
LIBRARY_SIZE = "library_size"
"""The total counts of a sample, beside the sheet's columns (`mixflow.study.library`)."""
MAX_LEVELS = 12
"""Levels that are written out in the config."""
WHOLE_INTENSITY = 1e4
"""Whole numbers without a zero whose median is above this are rounded intensities, not counts."""
FEW_VALUES = 10
"""A number with at most so many values may describe samples."""
NEIGHBOURS = 20
"""Columns after such numbers that are looked at; most of them must have many values."""
TRANSFORM = {"intensity": ("log2", "median"), "proportion": ("asin_sqrt", "none")}


@dataclass
class Guess:
    """Guessed parts of a config; ``condition`` is the factor that is compared, if one was found."""

    columns: dict[str, dict[str, Any]] = field(default_factory=dict)
    formula: str = "~ 1"
    contrasts: dict[str, Any] = field(default_factory=dict)
    batch: list[str] = field(default_factory=list)
    unit: str | None = None
    role: dict[str, Any] | None = None
    condition: str | None = None


def scale(values: np.ndarray) -> str:
    """The scale that values (feature, sample; NaN missing) look like."""
    seen = values[~np.isnan(values)]
    if not seen.size or (seen < 0).any():
        return "free"
    if seen.max() <= 1:
        return "proportion"
    if (seen == np.round(seen)).all() and not (seen.min() > 0 and np.median(seen) > WHOLE_INTENSITY):
        return "count"
    return "log2" if seen.max() < 50 else "intensity"


def columns(text: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Type and, where they are few, levels of each text column of a sheet."""
    return {str(name): _column(text[name]) for name in text.columns}


def _column(cells: pd.Series) -> dict[str, Any]:
    text = cells.str.strip()[~is_missing(cells)]
    levels = sorted(set(text), key=natural)
    numeric = len(text) > 0 and text.str.fullmatch(r"[-+]?(\d+[.,]?\d*|[.,]\d+)([eE][-+]?\d+)?").all()
    codes = numeric and text.str.fullmatch(r"\d+").all() and len(levels) <= 5
    if numeric and not codes:
        return {"type": "number"}
    return {"type": "factor", **({"levels": levels} if 0 < len(levels) <= MAX_LEVELS else {})}


def model(text: pd.DataFrame) -> Guess:
    """Columns, formula, contrasts, batch factors, unit, role, guessed from names and contents of columns."""
    role = _role(text)
    fitted = text if role is None else text[~text[role["column"]].isin([*role["qc"], *role["blank"]])]
    out = Guess(columns(fitted), role=role)
    seen = {str(name): fitted[name][~is_missing(fitted[name])] for name in text.columns}
    factors = [n for n, spec in out.columns.items() if spec["type"] == "factor" and _groups(seen[n])]
    batch = next((n for n in factors if _named(n, BATCH)), None)
    unit = next((n for n in seen if _named(n, UNIT) and n != batch and _groups(seen[n])), None)
    free = [n for n in seen if n not in (batch, unit, role and role["column"])]
    covariates = [n for n in free if _named(n, COVARIATE) and seen[n].nunique() > 1]
    small = [n for n in free if n in factors and seen[n].nunique() <= MAX_LEVELS]
    named = [n for n in small if _named(n, CONDITION)] or [n for n in small if n not in covariates]
    out.condition, out.unit, out.batch = next(iter(named), None), unit, [batch] if batch else []
    if unit is not None:
        out.columns[unit] = {"type": "factor"}
    fixed = [n for n in (out.condition, *covariates) if n]
    out.formula = formula(fixed, [group for group in (batch, unit) if group])
    if out.condition:
        out.contrasts = {out.condition: {out.condition: "versus reference"}}
    return out


def _role(text: pd.DataFrame) -> dict[str, Any] | None:
    """The column that tells QC samples and blanks from samples, if there is one."""
    for name in text.columns:
        values = sorted(set(text[name]))
        qc = [value for value in values if _named(value, QC)]
        blank = [value for value in values if _named(value, BLANK)]
        if qc and len(values) > len(qc) + len(blank):
            return {"column": str(name), "qc": qc, "blank": blank}
    return None


def sample_columns(cells: pd.DataFrame, described: Collection[str]) -> list[str]:
    """Columns of a wide table (samples in rows, ids left out) that describe samples.

    All up to the last of ``described``, the columns that are text: a number such as age that stands before
    one is no measurement (unless that were most of the table; then the text columns only). And the numbers
    that follow directly and have few values where the columns after them have many: week, dose, 0/1 codes.
    """
    names = [str(name) for name in cells.columns]
    last = max((names.index(name) + 1 for name in described if name in names), default=0)
    if last > len(names) / 2:
        return [name for name in names if name in described]
    end = last
    while end < len(names) and _is_few(cells[names[end]]):
        end += 1
    after = [_distinct(cells[name]) > len(cells) / 2 for name in names[end : end + NEIGHBOURS]]
    return names[: end if after and np.mean(after) > 0.5 else last]


def _distinct(cells: pd.Series) -> int:
    return cells[~is_missing(cells)].str.strip().nunique()


def _is_few(cells: pd.Series) -> bool:
    """Few values, and far fewer than samples."""
    return _distinct(cells) <= min(FEW_VALUES, len(cells) / 3)


def formula(fixed: list[str], groups: list[str]) -> str:
    """`~ condition + age + (1 | batch)`, with backticks where a name needs them."""
    from mixflow.formula.known import quoted

    terms = [*map(quoted, dict.fromkeys(fixed)), *(f"(1 | {quoted(group)})" for group in groups)]
    return "~ " + (" + ".join(terms if fixed else ["1", *terms]) or "1")


def counted(found: str) -> dict[str, Any]:
    """The keys of a model of counts: negative binomial, per what was counted in a sample."""
    return {"formula": f"{found} + offset(log({LIBRARY_SIZE}))", "family": "nbinom2"}


def _named(name: object, pattern: str) -> bool:
    return re.fullmatch(pattern, str(name).strip().lower().replace(" ", "_").replace("-", "_")) is not None


def _groups(cells: pd.Series) -> bool:
    """Whether a column groups samples: several levels, several samples in some of them."""
    return 1 < cells.nunique() < len(cells)


def shared_ids(text: pd.DataFrame, sample_ids: Collection[str]) -> tuple[str, int]:
    """The column of a sheet that holds most of the data's sample ids (the first if none does); how many."""
    known = set(sample_ids)
    shared = {str(name): len(known & set(text[name].str.strip())) for name in text.columns}
    best = max(shared, key=lambda name: shared[name])
    return best, shared[best]
