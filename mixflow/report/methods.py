"""A methods paragraph ready to paste, with its references and the versions that made the numbers."""

from __future__ import annotations

import numpy as np
import yaml

from mixflow import resources
from mixflow.report import family_words, method_words
from mixflow.report.model import ModelView
from mixflow.report.story import unmodelled
from mixflow.report.view import View
from mixflow.slices import blocks
from mixflow.store import analyses

TRANSFORMS = {
    "log2": "log2-transformed",
    "log1p": "transformed by log(1 + x)",
    "logit": "logit-transformed",
    "asin_sqrt": "transformed by the arcsine of the square root",
    "clr": "transformed to centred log-ratios",
}
NORMALISED = {
    "median": "normalised to equal sample medians",
    "total_sum": "scaled to the total of each sample",
}


class _Cited:
    """Numbers references in the order of their first use."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    def __call__(self, *keys: str) -> str:
        self.keys += [key for key in keys if key not in self.keys]
        return f"[{', '.join(str(self.keys.index(key) + 1) for key in keys)}]"


def plural(n: int, word: str) -> str:
    """'1 feature', '2,000 features'."""
    return f"{n:,} {word}" + ("" if n == 1 else "s")


def methods(view: View) -> tuple[str, list[str]]:
    """The paragraph and its numbered references."""
    cite = _Cited()
    sentences = [
        *method_words.level(view),
        *_data(view, cite),
        *method_words.proteins(view, cite),
        *_batch(view, cite),
        *method_words.drift(view, cite),
        *_model(view, cite),
        *_tests(view, cite),
        *method_words.others(view, cite),
        *_analyses(view, cite),
        *_software(view),
    ]
    known = yaml.safe_load((resources.root() / "reports" / "references.yaml").read_text(encoding="utf-8"))
    return " ".join(sentences), [known[key] for key in cite.keys]


def _data(view: View, cite: _Cited) -> list[str]:
    attrs = view.data.attrs
    n, kept = len(view.features), int(view.kept.sum())
    done = [
        TRANSFORMS[t] + (f" {cite('clr')}" if t == "clr" else "")
        for t in [str(attrs.get("transform", "none"))]
        if t in TRANSFORMS
    ]
    done += [NORMALISED[t] for t in [str(attrs.get("normalise", "none"))] if t in NORMALISED]
    n_samples = int((view.roles == "sample").sum())
    scale = attrs.get("scale", "free")
    text = f"Measurements of {plural(n, 'feature')} in {plural(n_samples, 'sample')} ({scale} scale)"
    text += f" were {' and '.join(done)}." if done else " were analysed as given."
    filtered = (
        f" Filters set {plural(n - kept, 'feature')} aside; {kept:,} were analysed." if kept < n else ""
    )
    missing = 1 - _observed_share(view)
    return [
        text + filtered,
        f"Missing values ({missing:.1%} in the features and samples analysed) were not imputed; "
        "each feature was fitted to its observed values.",
    ]


def _observed_share(view: View) -> float:
    """Of what the headline model reads, the kept features in its samples, the share that was observed."""
    rows = view.headline.rows or list(view.roles.index[view.roles == "sample"])
    columns, kept = [view.sample_column[row] for row in rows], view.kept
    parts = blocks(*view.value.shape)
    seen = sum(int(np.isfinite(view.value[part][kept[part]][:, columns]).sum()) for part in parts)
    size = int(kept.sum()) * len(columns)
    return seen / size if size else float("nan")


def _batch(view: View, cite: _Cited) -> list[str]:
    if view.batch is None or not view.batch_factors:
        return []
    method, fit_on = str(view.batch.attrs.get("method", "none")), str(view.batch.attrs.get("fit_on", "raw"))
    absent = unmodelled(view)
    inside = [factor for factor in view.batch_factors if factor not in absent]
    names = " and ".join(view.batch_factors)
    how = {"combat": f"ComBat {cite('combat')}" if method == "combat" else "", "mixed": "a mixed model"}.get(
        method, ""
    )
    if fit_on == "harmonised":
        text = (
            f"Values were harmonised for {names} by {how} before the fit; p-values are then anticonservative."
        )
        return [text, *_modelled(inside, absent)]
    told = [f"Values harmonised by {how} served pictures only."] if how else []
    return [*_modelled(inside, absent), *told]


def _modelled(inside: list[str], absent: list[str]) -> list[str]:
    """Which batch factors the model has, and which it lacks."""
    told = [f"Batch effects ({' and '.join(inside)}) were part of the model."] if inside else []
    verb = "was" if len(absent) == 1 else "were"
    return told + ([f"{' and '.join(absent)} {verb} examined but not modelled."] if absent else [])


def _model(view: View, cite: _Cited) -> list[str]:
    model = view.headline
    if not model.scale.linear:
        return _and_references(model, [family_words.fitted(model, cite), *family_words.more(model, cite)])
    kind = "linear mixed model" if model.is_mixed else "linear model"
    reml = (
        f" by restricted maximum likelihood {cite('reml')}"
        if model.method == "REML"
        else " by maximum likelihood"
    )
    text = f"For each feature a {kind} ({model.formula}) was fitted to {model.n_samples:,} samples"
    text += reml if model.is_mixed else ""
    text += f", with the likelihood of lme4 {cite('lme4')}." if model.is_mixed else "."
    return _and_references(model, [text])


def _and_references(model: ModelView, told: list[str]) -> list[str]:
    """``told`` of the model, its structures, and the levels that others are measured against."""
    references = ", ".join(f"{factor}: {level}" for factor, level in model.attr("references", {}).items())
    told = [*told, *method_words.structure(model)]
    return [*told, f"Reference levels: {references}."] if references else told


def _tests(view: View, cite: _Cited) -> list[str]:
    model = view.headline
    if not model.contrasts:
        return []
    tests = method_words.df_words(model.df_method, cite)
    scope = "within each contrast" if model.adjust == "within" else "across contrasts"
    text = (
        f"Contrasts ({'; '.join(c.name for c in model.contrasts)}) were tested by {tests}; "
        f"the false discovery rate was controlled {scope} by the Benjamini-Hochberg procedure {cite('bh')} "
        f"at {100 * model.alpha:.3g}%."
    )
    only = (
        f" Features observed in one group only were tested by Fisher's exact test {cite('fisher')}."
        if len(view.one_group) and view.one_group["p_value"].notna().any()
        else ""
    )
    return [text + only]


def _analyses(view: View, cite: _Cited) -> list[str]:
    """Analyses of the headline model."""
    groups = analyses.tables(view.tree).get(view.headline.name, {})
    return method_words.analyses([str(g.attrs.get("analysis", name)) for name, g in groups.items()], cite)


def _software(view: View) -> list[str]:
    steps = view.provenance["steps"]
    versions = {k: v for step in steps for k, v in (step.get("versions") or {}).items()}
    if not versions:
        return []
    order = ["mixflow", "python", "jax", "numpy", "scipy", "pandas", "xarray", "zarr"]
    told = [f"{name} {versions[name]}" for name in order if name in versions]
    seeds = {step.get("seed") for step in steps if step.get("seed") is not None}
    return [
        f"Software: {', '.join(told)}"
        + (f"; seed {', '.join(str(s) for s in sorted(seeds))}." if seeds else ".")
    ]
