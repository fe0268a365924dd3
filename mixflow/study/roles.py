"""What each sample is for: samples, which are fitted, and QC pools, blanks, references, which are not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mixflow.errors import Problem
from mixflow.study.cells import SHOWN
from mixflow.study.nearest import nearest
from mixflow.study.rules import near

if TYPE_CHECKING:
    from mixflow.study.sheet import Raw
    from mixflow.study.study import Role, Study

ROLES = ("sample", "qc", "blank", "reference")


def roles(study: Study, raw: Raw) -> pd.Series:
    """The role of each sample (of `ROLES`), index sample id; what is wrong goes to `raw.problems`."""
    out = pd.Series("sample", index=raw.text.index, dtype=object)
    role = study.samples.role
    if role is None or role.column not in raw.text.columns:
        return out
    text = raw.text[role.column].str.strip()
    if not role.values:
        named = {name: name for name in ROLES}
        text = text.str.lower()
    else:
        named = {value: name for name, values in role.values.items() for value in values}
        raw.problems += _not_found(study, role, text)
    if "sample" in named.values():
        raw.problems += _unknown(text, named, role.column, raw)
    return text.map(dict(named)).fillna("sample").astype(object)


def _not_found(study: Study, role: Role, text: pd.Series) -> Iterator[Problem]:
    """Values that `samples.role` lists and no row holds: mistyped, their rows would be fitted as samples."""
    held = sorted(set(text) - {""})
    for name, values in role.values.items():
        for value in values:
            if value not in held:
                yield Problem(
                    f"no row of the column '{role.column}' holds this value of `{name}`",
                    **study.place("samples", "role", name),
                    value=value,
                    remedy=f"correct it, or remove it; {nearest(value, held)}",
                )


def _unknown(text: pd.Series, named: Mapping[str, str], column: str, raw: Raw) -> Iterator[Problem]:
    for i in np.flatnonzero(~text.isin(list(named)).to_numpy())[:SHOWN]:
        yield Problem(
            "not a role",
            file=raw.file,
            row=raw.rows[i],
            column=column,
            value=raw.text[column].iloc[i],
            remedy=f"{near(text.iloc[i], list(named))}; or say in samples.role which values mean what",
        )
