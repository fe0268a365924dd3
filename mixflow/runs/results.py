"""Results of two stores side by side: data, statuses, hits, estimates, tables of analyses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from mixflow.runs import origin
from mixflow.status import MEANING, Status
from mixflow.store import zarr_io


@dataclass(frozen=True)
class ContrastChange:
    """A contrast in both runs: hits by q, and how far estimates moved (over features tested in both)."""

    contrast: str
    equal: bool
    """Estimates, standard errors, df, p and q are the same, to the last bit, and so is the rate of calls."""
    hits: tuple[int, int]
    gained: list[str]
    lost: list[str]
    rank_correlation: float
    largest: list[dict[str, Any]]
    """Features that moved most, in standard errors: estimate and q before and after."""


@dataclass(frozen=True)
class ModelChange:
    """A model in both runs: formula, statuses that changed ({"before -> after": count}), its contrasts."""

    model: str
    formula: tuple[str, str]
    features: tuple[int, int]
    equal_fits: bool
    equal_tests: bool
    """All that the tests hold, to the last bit: intervals and tests of several degrees of freedom too."""
    statuses: dict[str, int] = field(default_factory=dict)
    contrasts: list[ContrastChange] = field(default_factory=list)

    @property
    def same(self) -> bool:
        """Whether nothing of the model differs."""
        one = self.formula[0] == self.formula[1] and self.features[0] == self.features[1]
        return one and self.equal_fits and self.equal_tests and all(c.equal for c in self.contrasts)


def models(before: xr.DataTree, after: xr.DataTree, top: int) -> list[ModelChange]:
    """The models that both stores have, in the order of the first."""
    shared = [name for name in zarr_io.models(before) if name in zarr_io.models(after)]
    return [_model(name, before, after, top) for name in shared]


def data(before: xr.DataTree, after: xr.DataTree) -> Iterator[tuple[str, str, Any, Any]]:
    """Changes of what was fitted, of the list of models and contrasts, and of the tables of analyses."""
    yield from _labels("data", "features", *(tree["data"]["feature"].values for tree in (before, after)))
    yield from _labels("data", "samples", *(tree["data"]["sample"].values for tree in (before, after)))
    yield from _labels("data", "kept features", _kept(before), _kept(after))
    yield from _labels("models", "models", zarr_io.models(before), zarr_io.models(after))
    for name in zarr_io.models(before):
        if f"/tests/{name}" in after.groups:
            contrasts = [tree[f"tests/{name}"]["contrast"].values for tree in (before, after)]
            yield from _labels("models", f"contrasts of {name}", *contrasts)
    yield from _contents(before, after)


def _labels(section: str, what: str, before: Any, after: Any) -> Iterator[tuple[str, str, Any, Any]]:
    """One change where the labels differ: how many there are, and which went and came."""
    old, new = [str(label) for label in before], [str(label) for label in after]
    if old == new:
        return
    gone, come = [x for x in old if x not in set(new)], [x for x in new if x not in set(old)]
    yield section, what, _counted(len(old), "gone", gone), _counted(len(new), "new", come)


def _counted(count: int, word: str, labels: list[str]) -> str:
    named = ", ".join(labels[:8]) + (f" and {len(labels) - 8} more" if len(labels) > 8 else "")
    return f"{count}" + (f" ({word}: {named})" if labels else "")


def _kept(tree: xr.DataTree) -> np.ndarray:
    group = tree["data"].to_dataset()
    return group["feature"].values[group["kept"].values] if "kept" in group else group["feature"].values


def _contents(before: xr.DataTree, after: xr.DataTree) -> Iterator[tuple[str, str, Any, Any]]:
    """Groups of data, batch and analyses whose numbers differ: the names of the arrays."""
    kinds = ("data", "batch", "analyses")
    old, new = (_digests(tree, kinds) for tree in (before, after))
    for group in dict.fromkeys([*old, *new]):
        names = [n for n in {**old.get(group, {}), **new.get(group, {})} if _differ(old, new, group, n)]
        if group not in new or group not in old:
            there = ["there" if group in side else "not there" for side in (old, new)]
            yield group.split("/")[0], group, there[0], there[1]
        elif names:
            yield group.split("/")[0], group, "", f"other content: {', '.join(names)}"


def _differ(old: dict, new: dict, group: str, name: str) -> bool:
    return old.get(group, {}).get(name) != new.get(group, {}).get(name)


def _digests(tree: xr.DataTree, kinds: tuple[str, ...]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for path, sha in origin.arrays(tree, kinds).items():
        group, _, name = path.rpartition("/")
        found.setdefault(group, {})[name] = sha
    return found


def _model(name: str, before: xr.DataTree, after: xr.DataTree, top: int) -> ModelChange:
    fits = [zarr_io.group(tree, f"fits/{name}") for tree in (before, after)]
    fitted, tested = (
        [origin.arrays(tree, (f"{kind}/{name}",)) for tree in (before, after)] for kind in ("fits", "tests")
    )
    tests = [zarr_io.group(tree, f"tests/{name}") for tree in (before, after)]
    names = _names(after)
    shared = [str(c) for c in tests[0]["contrast"].values if c in set(tests[1]["contrast"].values)]
    return ModelChange(
        model=name,
        formula=(str(fits[0].attrs.get("formula", "")), str(fits[1].attrs.get("formula", ""))),
        features=(fits[0].sizes["feature"], fits[1].sizes["feature"]),
        equal_fits=fitted[0] == fitted[1],
        equal_tests=tested[0] == tested[1],
        statuses=_statuses(*fits),
        contrasts=[_contrast(contrast, tests, names, top) for contrast in shared],
    )


def _names(tree: xr.DataTree) -> dict[str, str]:
    if "/data/features" not in tree.groups or "name" not in tree["data/features"]:
        return {}
    group = zarr_io.group(tree, "data/features")
    return dict(zip(group["feature"].values, group["name"].values.astype(str), strict=True))


def _statuses(before: xr.Dataset, after: xr.Dataset) -> dict[str, int]:
    """How many features ended otherwise: "before -> after" in words."""
    old, new = (pd.Series(fit["status"].values, index=fit["feature"].values) for fit in (before, after))
    shared = old.index.intersection(new.index, sort=False)
    pairs = Counter(zip(old[shared].tolist(), new[shared].tolist(), strict=True))
    changed = {(a, b): n for (a, b), n in pairs.items() if a != b}
    return {f"{_word(a)} -> {_word(b)}": n for (a, b), n in sorted(changed.items())}


def _word(code: int) -> str:
    return MEANING[Status(code)].label


def _contrast(contrast: str, tests: list[xr.Dataset], names: dict[str, str], top: int) -> ContrastChange:
    frames = [_frame(group, contrast) for group in tests]
    alphas = [float(group.attrs.get("alpha", 0.05)) for group in tests]
    old, new = (frame[frame["q_value"] < alpha].index for frame, alpha in zip(frames, alphas, strict=True))
    both = frames[0].add_suffix("_before").join(frames[1].add_suffix("_after"), how="inner")
    ranked = both[["p_value_before", "p_value_after"]].rank().corr().iloc[0, 1] if len(both) > 1 else np.nan
    return ContrastChange(
        contrast=contrast,
        equal=frames[0].equals(frames[1]) and alphas[0] == alphas[1],
        hits=(len(old), len(new)),
        gained=[names.get(f, str(f)) for f in new if f not in set(old)],
        lost=[names.get(f, str(f)) for f in old if f not in set(new)],
        rank_correlation=float(ranked),
        largest=_largest(both, names, top),
    )


def _frame(tests: xr.Dataset, contrast: str) -> pd.DataFrame:
    """Estimate, standard error, df, p and q of a contrast by feature."""
    chosen = tests.sel(contrast=contrast)
    columns = ("estimate", "std_error", "df", "p_value", "q_value")
    return pd.DataFrame({name: chosen[name].values for name in columns}, index=chosen["feature"].values)


def _largest(both: pd.DataFrame, names: dict[str, str], top: int) -> list[dict[str, Any]]:
    moved = (both["estimate_after"] - both["estimate_before"]).abs() / both["std_error_before"]
    leading = moved[moved > 0].sort_values(ascending=False, kind="stable").head(top)
    return [
        {
            "feature": str(feature),
            "name": names.get(str(feature), str(feature)),
            "moved_by_se": float(size),
            **{f"{what}_{side}": float(both.loc[feature, f"{what}_{side}"])
               for what in ("estimate", "q_value") for side in ("before", "after")},
        }
        for feature, size in leading.items()
    ]  # fmt: skip
