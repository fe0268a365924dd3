"""How batch factors go together with the columns of the sample sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from mixflow.errors import MixflowError, Problem
from mixflow.harmonise.columns import column_of, is_number, levels_of

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]

CELLS = 6
"""Empty combinations of levels named one by one; beyond it they are summed up."""


@dataclass(frozen=True)
class Association:
    """All (batch_factor, column): ``strength`` 0..1, ``p_value``, ``measure`` (which strength it is),
    ``aliased`` the column is a function of the batch factor, ``one_to_one`` and the other way round too,
    ``empty`` sentences on levels that never meet (lists).
    """

    batch_factors: list[str]
    columns: list[str]
    strength: Values
    p_value: Values
    measure: NDArray[np.object_]
    aliased: Mask
    one_to_one: Mask
    empty: dict[tuple[str, str], list[str]]


def _cramers_v(table: NDArray[np.int64]) -> tuple[float, float]:
    """Cramer's V and the p-value of Pearson's chi-square (no continuity correction)."""
    n = table.sum()
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    chi_square = float(((table - expected) ** 2 / expected).sum())
    df = (table.shape[0] - 1) * (table.shape[1] - 1)
    return float(np.sqrt(chi_square / (n * (min(table.shape) - 1)))), float(stats.chi2.sf(chi_square, df))


def _eta(codes: NDArray[np.int64], x: Values) -> tuple[float, float]:
    """Correlation ratio eta of a number on a factor and the p-value of the one-way F test."""
    n = np.bincount(codes).astype(float)
    means = np.bincount(codes, x) / n
    deviations = x - x.mean()
    between = float((n * (means - x.mean()) ** 2).sum())
    within = float(((x - means[codes]) ** 2).sum())
    df1, df2 = len(n) - 1, len(x) - len(n)
    total = float((deviations**2).sum())
    p = float(stats.f.sf(between / df1 / (within / df2), df1, df2)) if df2 > 0 and within > 0 else np.nan
    return float(np.sqrt(between / total)), (0.0 if df2 > 0 and within <= 1e-24 * total else p)


def _correlation(x: Values, y: Values) -> tuple[float, float]:
    """Size of Pearson's r and its p-value; NaN with fewer than 3 samples."""
    if len(x) < 3:
        return np.nan, np.nan
    r = min(abs(float(np.corrcoef(x, y)[0, 1])), 1.0)
    t = r * np.sqrt((len(x) - 2) / max(1 - r * r, np.finfo(float).tiny))
    return r, float(2 * stats.t.sf(t, len(x) - 2))


def _crosstab(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    table = np.zeros((a.max() + 1, b.max() + 1), dtype=np.int64)
    np.add.at(table, (a, b), 1)
    return table


def _strength(batch: pd.Series, column: pd.Series) -> tuple[float, float, str]:
    """Strength, p and name of the measure; NaN where one of the two does not vary."""
    if batch.nunique() < 2 or column.nunique() < 2:
        return np.nan, np.nan, ""
    if is_number(batch) and is_number(column):
        return *_correlation(batch.to_numpy(float), column.to_numpy(float)), "|r|"
    if is_number(batch) or is_number(column):
        factor, number = (column, batch) if is_number(batch) else (batch, column)
        return *_eta(levels_of(factor)[0], number.to_numpy(float)), "eta"
    return *_cramers_v(_crosstab(levels_of(batch)[0], levels_of(column)[0])), "Cramer's V"


def _is_function(column: pd.Series, of: pd.Series) -> bool:
    """Whether ``column`` takes a single value for each value of ``of`` (and varies at all)."""
    a, b = levels_of(of)[0], levels_of(column)[0]
    return bool(len(np.unique(b)) > 1 and ((_crosstab(a, b) > 0).sum(axis=1) == 1).all())


def _never_meet(batch: pd.Series, column: pd.Series) -> list[str]:
    """Sentences such as `site Kiel has no sample with AD = AD`; none for columns of many levels."""
    if is_number(batch) or is_number(column) or column.nunique() > 6 or column.nunique() < 2:
        return []
    (a, batches), (b, levels) = levels_of(batch), levels_of(column)
    table = _crosstab(a, b)
    cells = np.argwhere(table == 0).tolist()
    if len(cells) > CELLS:
        n = len({i for i, _ in cells})
        return [f"{n} of {len(batches)} levels of {batch.name} do not hold every level of {column.name}"]
    return [
        f"{batch.name} {batches[i]} has no sample with {column.name} = {levels[j]} "
        f"({table[i].sum()} samples in all)"
        for i, j in cells
    ]


def associate(batch: pd.DataFrame, columns: pd.DataFrame) -> Association:
    """Association of each column of ``batch`` with each of ``columns`` (rows = the same samples).

    Factor with factor: Cramer's V (Cramer 1946), chi-square p; factor with number: the correlation ratio eta,
    F test; two numbers: |r|. Samples with a missing value in either are left out, pair by pair. A batch
    factor's own column is left NaN. p-values of thin tables are rough: read them as a measure, not as a test.
    """
    factors, names = [str(c) for c in batch.columns], [str(c) for c in columns.columns]
    shape = (len(factors), len(names))
    strength, p_value = np.full(shape, np.nan), np.full(shape, np.nan)
    measure = np.full(shape, "", dtype=object)
    aliased, one_to_one = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    empty: dict[tuple[str, str], list[str]] = {}
    for i, factor in enumerate(batch.columns):
        for j, name in enumerate(columns.columns):
            both = (batch[factor].notna() & columns[name].notna()).to_numpy()
            a, b = column_of(batch, factor, both), column_of(columns, name, both)
            if factor == name or not both.any():
                continue
            strength[i, j], p_value[i, j], measure[i, j] = _strength(a, b)
            aliased[i, j] = _is_function(b, of=a)
            one_to_one[i, j] = aliased[i, j] and _is_function(a, of=b)
            empty[factors[i], names[j]] = [] if aliased[i, j] else _never_meet(a, b)
    return Association(factors, names, strength, p_value, measure, aliased, one_to_one, empty)


def sentences(found: Association, threshold: float = 0.05) -> list[str]:
    """One sentence for each pair that is aliased, associated (p below ``threshold``) or has empty cells."""
    out = []
    for i, factor in enumerate(found.batch_factors):
        for j, name in enumerate(found.columns):
            if found.aliased[i, j]:
                out.append(_alias_sentence(factor, name, bool(found.one_to_one[i, j])))
                continue
            cells = found.empty.get((factor, name), [])
            p = found.p_value[i, j]
            if p < threshold:
                strength = found.strength[i, j]
                word = "strongly" if strength >= 0.5 else "moderately" if strength >= 0.3 else "weakly"
                out.append(
                    f"{factor} and {name} are {word} associated ({found.measure[i, j]} {strength:.2f}, "
                    f"{f'p {p:.2g}' if p > 0 else 'p < 1e-300'}): "
                    f"effects of {name} rest on the samples that tell the two apart."
                )
            out.extend(f"{cell}." for cell in cells)
    return out


def batches_tied(batch: pd.DataFrame) -> list[str]:
    """Sentences on batch factors that go together with one another, which share their variance."""
    out = []
    for a, b in combinations(batch.columns, 2):
        one, other = pd.DataFrame(batch[[a]]), pd.DataFrame(batch[[b]])
        found = associate(one, other)
        out.extend(sentences(found if found.aliased.any() else associate(other, one)))
    return out


def _alias_sentence(factor: str, name: str, one_to_one: bool) -> str:
    if one_to_one:
        return f"{factor} and {name} say the same about every sample: their effects cannot be told apart."
    return f"{name} is constant within each {factor}: it can be compared between levels of {factor} only."


def refuse_aliased(found: Association, wanted: Sequence[str], method: str = "none") -> None:
    """Refuse a batch factor that is exactly aliased with one of the columns ``wanted``.

    ``wanted`` are the columns of the model and of batch.keep. One to one is always refused. A column
    that is constant within each batch, with several batches for each of its values, can still be compared
    between batches that are random effects; `combat` cannot keep it.
    """
    problems = []
    for i, factor in enumerate(found.batch_factors):
        for j, name in enumerate(found.columns):
            if name not in wanted or not found.aliased[i, j]:
                continue
            if found.one_to_one[i, j] or method == "combat":
                problems.append(
                    Problem(
                        f"Batch factor '{factor}' is exactly aliased with column '{name}'. "
                        + _alias_sentence(factor, name, bool(found.one_to_one[i, j])),
                        column=name,
                        value=factor,
                        remedy=f"Take '{factor}' out of batch.factors, or '{name}' out of the model; "
                        "no method can tell them apart after the fact.",
                    )
                )
    if problems:
        raise MixflowError(problems)
