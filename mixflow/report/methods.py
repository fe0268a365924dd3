"""A methods paragraph ready to paste, with its references and the versions that made the numbers."""

from __future__ import annotations

import numpy as np

from mixflow.report.view import View

REFERENCES = {
    "lme4": "Bates D, Mächler M, Bolker B, Walker S. Fitting linear mixed-effects models using lme4. J Stat Softw 2015;67(1):1-48.",
    "lmertest": "Kuznetsova A, Brockhoff PB, Christensen RHB. lmerTest package: tests in linear mixed effects models. J Stat Softw 2017;82(13):1-26.",
    "satterthwaite": "Satterthwaite FE. An approximate distribution of estimates of variance components. Biometrics Bull 1946;2(6):110-114.",
    "reml": "Patterson HD, Thompson R. Recovery of inter-block information when block sizes are unequal. Biometrika 1971;58(3):545-554.",
    "bh": "Benjamini Y, Hochberg Y. Controlling the false discovery rate. J R Stat Soc B 1995;57(1):289-300.",
    "combat": "Johnson WE, Li C, Rabinovic A. Adjusting batch effects in microarray expression data using empirical Bayes methods. Biostatistics 2007;8(1):118-127.",
    "clr": "Aitchison J. The statistical analysis of compositional data. J R Stat Soc B 1982;44(2):139-177.",
    "fisher": "Fisher RA. On the interpretation of chi-squared from contingency tables, and the calculation of P. J R Stat Soc 1922;85(1):87-94.",
}
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
        *_data(view, cite),
        *_batch(view, cite),
        *_model(view, cite),
        *_tests(view, cite),
        *_software(view),
    ]
    return " ".join(sentences), [REFERENCES[key] for key in cite.keys]


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
    text = f"Measurements of {plural(n, 'feature')} in {plural(n_samples, 'sample')} ({attrs.get('scale', 'free')} scale)"
    text += f" were {' and '.join(done)}." if done else " were analysed as given."
    filtered = (
        f" Filters set {plural(n - kept, 'feature')} aside; {kept:,} were analysed." if kept < n else ""
    )
    missing = 1 - np.isfinite(view.raw).mean()
    return [
        text + filtered,
        f"Missing values ({missing:.1%}) were not imputed; each feature was fitted to its observed values.",
    ]


def _batch(view: View, cite: _Cited) -> list[str]:
    if view.batch is None or not view.batch_factors:
        return []
    method, fit_on = str(view.batch.attrs.get("method", "none")), str(view.batch.attrs.get("fit_on", "raw"))
    names = " and ".join(view.batch_factors)
    how = {"combat": f"ComBat {cite('combat')}" if method == "combat" else "", "mixed": "a mixed model"}.get(
        method, ""
    )
    if fit_on == "harmonised":
        return [
            f"Values were harmonised for {names} by {how} before the fit; p-values are then anticonservative."
        ]
    told = f", values harmonised by {how} served pictures only" if how else ""
    return [f"Batch effects ({names}) were part of the model{told}."]


def _model(view: View, cite: _Cited) -> list[str]:
    model = view.headline
    kind = "linear mixed model" if model.is_mixed else "linear model"
    reml = (
        f" by restricted maximum likelihood {cite('reml')}"
        if model.method == "REML"
        else " by maximum likelihood"
    )
    text = f"For each feature a {kind} ({model.formula}) was fitted to {model.n_samples:,} samples{reml if model.is_mixed else ''}"
    text += f", with the likelihood of lme4 {cite('lme4')}." if model.is_mixed else "."
    references = ", ".join(f"{factor}: {level}" for factor, level in model.attr("references", {}).items())
    return [text, f"Reference levels: {references}."] if references else [text]


def _tests(view: View, cite: _Cited) -> list[str]:
    model = view.headline
    if not model.contrasts:
        return []
    df = (
        f"Satterthwaite degrees of freedom {cite('satterthwaite', 'lmertest')}"
        if "satterth" in model.df_method.lower()
        else "residual degrees of freedom"
    )
    scope = "within each contrast" if model.adjust == "within" else "across contrasts"
    text = (
        f"Contrasts ({'; '.join(c.name for c in model.contrasts)}) were tested by Wald t tests with {df}; the false discovery "
        f"rate was controlled {scope} by the Benjamini-Hochberg procedure {cite('bh')} at {model.alpha:.0%}."
    )
    only = (
        f" Features observed in one group only were tested by Fisher's exact test {cite('fisher')}."
        if len(view.one_group)
        else ""
    )
    return [text + only]


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
