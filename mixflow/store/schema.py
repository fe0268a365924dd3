"""Every variable that a mixflow store can hold: where, its dims, dtype, unit and meaning.

One declaration for each variable; writing and reading check against it (`mixflow.store.check`).
Dims in braces vary by model: ``level {group}`` is the dim of the levels of one grouping factor.
"""
# ruff: noqa: E501 -- a table, one variable a line

from __future__ import annotations

import re
from dataclasses import dataclass

SCHEMA_VERSION = 2
"""Another number where an older store would be read wrongly; `mixflow.store.migrate` brings old ones here."""


@dataclass(frozen=True)
class Variable:
    """A declared variable: ``group`` in the tree, ``dims``, numpy ``dtype`` kind, unit, meaning."""

    group: str
    name: str
    dims: tuple[str, ...]
    dtype: str
    unit: str
    meaning: str
    optional: bool = False


def _v(
    group: str, name: str, dims: str, dtype: str, unit: str, meaning: str, optional: bool = False
) -> Variable:
    words = re.split(r" (?!\{)", dims) if dims else []  # `effect {group}` is one dim
    return Variable(group, name, tuple(words), dtype, unit, meaning, optional)


# fmt: off
VARIABLES: tuple[Variable, ...] = (
    # -- data: the measurements (group attrs: scale, transform, normalise, and JSON lists `dropped`, `notes`)
    _v("data", "raw", "feature sample", "float64", "attrs['unit']", "measurements as read; missing is NaN"),
    _v("data", "value", "feature sample", "float64", "attrs['unit']",
       "after transform, normalisation and filters: what is fitted; NaN for features not kept", True),
    _v("data", "kept", "feature", "bool", "", "feature passed all filters", True),
    _v("data", "dropped_by", "feature", "str", "", "name of the filter that dropped the feature, '' if kept", True),
    _v("data", "size_factor", "sample", "float64", "", "what normalisation subtracted or divided by", True),
    # sample sheet and feature annotation: one variable a column, dtype float64 or str; factor columns carry
    # attrs levels (JSON list, in order), reference, kind ('number'|'factor'|'ordered'), unit, label
    _v("data/samples", "*", "sample", "any", "attrs['unit']", "a column of the sample sheet"),
    _v("data/samples", "role", "sample", "str", "", "sample, qc, blank or reference; only samples are fitted", True),
    _v("data/features", "*", "feature", "any", "", "a column of the feature annotation; `name` is what is shown"),
    # precursors behind proteins (preprocess.summarise): the feature of `data` is then the protein, `raw` its level by
    # median polish; group attrs: scale (of raw), rows_fitted (models may read these rows)
    _v("data/precursors", "raw", "precursor sample", "float64", "attrs['unit']", "precursors as read; missing is NaN"),
    _v("data/precursors", "value", "precursor sample", "float64", "attrs['unit']",
       "after transform, normalisation and references; NaN for precursors not kept"),
    _v("data/precursors", "protein", "precursor", "str", "", "feature of `data` that it belongs to, '' if none"),
    _v("data/precursors", "kept", "precursor", "bool", "", "the precursor belongs to a kept protein"),
    _v("data/precursors", "dropped_by", "precursor", "str", "", "why it does not, '' if kept"),
    _v("data/precursors/annotation", "*", "precursor", "any", "", "a column of the precursors' annotation"),
    # what was summed to what (preprocess.level): the feature of `data` is then the sum (attr `level` of `data`)
    _v("data/members", "summed_to", "member", "str", "", "feature of `data` that this feature as read was summed to"),
    # features seen in one group only (one row for each feature x factor; table form, dim `only`)
    _v("data/one_group", "feature_id", "only", "str", "", "feature"),
    _v("data/one_group", "factor", "only", "str", "", "factor of the sample sheet"),
    _v("data/one_group", "level", "only", "str", "", "the only level in which the feature was observed"),
    _v("data/one_group", "n_observed", "only", "int64", "samples", "observed values in that level"),
    _v("data/one_group", "n_level", "only", "int64", "samples", "samples of that level"),
    _v("data/one_group", "n_other", "only", "int64", "samples", "samples of the other levels (none observed)"),
    _v("data/one_group", "p_value", "only", "float64", "", "Fisher's exact test of observed against level; NaN where units repeat (attr note)"),
    # -- batch
    _v("batch", "share", "feature factor", "float64", "fraction", "variance share of each declared factor, before"),
    _v("batch", "share_after", "feature factor", "float64", "fraction", "the same after harmonisation", True),
    _v("batch", "pc_before", "sample pc", "float64", "", "principal component scores of the samples, before"),
    _v("batch", "pc_after", "sample pc", "float64", "", "the same after harmonisation", True),
    _v("batch", "pc_before_share", "pc", "float64", "fraction", "variance explained by each component, before"),
    _v("batch", "pc_after_share", "pc", "float64", "fraction", "variance explained by each component, after", True),
    _v("batch", "association", "batch_factor column", "float64", "",
       "strength of association (0..1: Cramer's V, eta, |r|) of a batch factor with a sheet column"),
    _v("batch", "association_p", "batch_factor column", "float64", "", "its p-value (chi-square, F)"),
    _v("batch", "aliased", "batch_factor column", "bool", "", "the column is a function of the batch factor"),
    _v("batch", "harmonised", "feature sample", "float64", "attrs['unit']", "batch-corrected values, for pictures and export", True),
    _v("batch", "cv_before", "feature", "float64", "fraction", "CV of the QC samples before", True),
    _v("batch", "cv_after", "feature", "float64", "fraction", "CV of the QC samples after", True),
    # signal drift along batch.order (group attrs: drift_order, drift_batch, drift_used; docs/drift.md)
    _v("batch", "drift_share", "feature", "float64", "fraction", "share of the variance within batches that drift explains", True),
    _v("batch", "drift_edf", "feature", "float64", "", "effective degrees of freedom of all its curves", True),
    _v("batch", "drift_p", "feature", "float64", "", "p that no batch drifts (Wood 2013); NaN where it cannot be tested", True),
    _v("batch", "drift_q", "feature", "float64", "", "Benjamini-Hochberg over the features of drift_p", True),
    _v("batch", "drift_n", "feature", "int32", "samples", "observed values used", True),
    # curves of the features in which drift is clearest (table form, dim `point`)
    _v("batch/drift_curves", "feature_id", "point", "str", "", "feature"),
    _v("batch/drift_curves", "batch", "point", "str", "", "batch"),
    _v("batch/drift_curves", "order", "point", "float64", "attrs['drift_order'] of batch", "order of injection, from the start of the batch"),
    _v("batch/drift_curves", "estimate", "point", "float64", "value", "drift there: mean zero over the samples of the batch"),
    _v("batch/drift_curves", "std_error", "point", "float64", "value", "its standard error"),
    # -- fits/<model>  (group attrs: formula, words, reml, family, n_theta, design facts as JSON, x_columns ...)
    _v("fits", "beta", "feature coef", "float64", "value", "fixed effects; NaN where not estimable"),
    _v("fits", "solution", "feature coef", "float64", "value", "a solution of the normal equations; equals beta where estimable"),
    _v("fits", "beta_cov", "feature coef coef_2", "float64", "value^2", "their covariance (coordinates of the formula)"),
    _v("fits", "beta_cov_deriv", "feature par coef coef_2", "float64", "", "derivative of beta_cov by (theta, sigma)"),
    _v("fits", "par_cov", "feature par par_2", "float64", "", "asymptotic covariance of (theta, sigma); zero at the boundary"),
    _v("fits", "null_space", "feature coef coef_2", "float64", "", "projector N; a contrast L is estimable iff L N = 0"),
    _v("fits", "theta", "feature par_theta", "float64", "", "relative Cholesky factors, canonical signs"),
    _v("fits", "structure", "feature par_structure", "float64", "",
       "natural parameters of structured covariances: correlations, ratios of standard deviations", True),
    _v("fits", "n_unseen", "feature", "int32", "parameters",
       "parameters of the residual structure of which no row of the feature speaks", True),
    _v("fits", "sigma", "feature", "float64", "value", "residual standard deviation"),
    _v("fits", "loglik", "feature", "float64", "", "log-likelihood (restricted where REML)"),
    _v("fits", "status", "feature", "int8", "", "mixflow.status.Status"),
    _v("fits", "n_obs", "feature", "int32", "samples", "observed values used"),
    _v("fits", "rank", "feature", "int32", "", "rank of the design in the feature's own rows"),
    _v("fits", "n_levels", "feature group", "int32", "levels", "observed levels of each grouping factor"),
    _v("fits", "iterations", "feature", "int32", "", "Newton iterations"),
    _v("fits", "variance", "feature component", "float64", "value^2",
       "variance or covariance; coords component_group, component_term, component_term_2"),
    _v("fits", "share", "feature component", "float64", "fraction",
       "share of the variance given the fixed effects, averaged over the rows for slopes; a group's rows sum to its share"),
    _v("fits", "mode {group}", "feature effect {group}", "float64", "value", "conditional modes; effect = level (and column)", True),
    _v("fits", "mode_sd {group}", "feature effect {group}", "float64", "value", "their conditional standard deviations", True),
    _v("fits", "kr_cov", "feature coef coef_2", "float64", "value^2", "covariance of beta as Kenward and Roger adjust it", True),
    _v("fits", "kr_p", "feature vpar coef coef_2", "float64", "",
       "P_i = -X' V^-1 dV V^-1 X by each variance parameter (random terms as in `variance`, sigma^2 last)", True),
    _v("fits", "kr_w", "feature vpar vpar_2", "float64", "", "covariance of the variance parameters, by expected information", True),
    _v("fits", "more", "feature more_par", "float64", "", "generalised models: coefficients of the predictors beside mu "
       "(dispersion, zi) and the family's own parameters; coords more_component, more_term; infinite where there is no finite estimate "
       "(one of several coefficients of a predictor: a number without variance)", True),
    _v("fits", "more_cov", "feature more_par more_par_2", "float64", "", "their covariance", True),
    _v("fits", "more_rank", "feature", "int32", "", "how many of them are free, for AIC", True),
    _v("fits", "nodes_of_feature", "feature", "int32", "points", "points of the quadrature for each effect; 1 is Laplace's approximation", True),
    _v("fits", "free", "feature free_par", "float64", "", "the family's own parameters on the scale on which they are free", True),
    _v("fits", "joint_cov", "feature joint_par joint_par_2", "float64", "",
       "covariance of (beta of all predictors, theta, free) of a generalised model", True),
    _v("fits", "coefficient_p", "feature coef", "float64", "", "two-sided p of each coefficient", True),
    # -- tests/<model>
    _v("tests", "estimate", "feature contrast", "float64", "value", "contrast estimate"),
    _v("tests", "std_error", "feature contrast", "float64", "value", "its standard error"),
    _v("tests", "df", "feature contrast", "float64", "", "denominator degrees of freedom"),
    _v("tests", "statistic", "feature contrast", "float64", "", "t"),
    _v("tests", "p_value", "feature contrast", "float64", "", "two-sided p"),
    _v("tests", "log10_p", "feature contrast", "float64", "", "log10 of p, exact where p underflows"),
    _v("tests", "q_value", "feature contrast", "float64", "", "Benjamini-Hochberg"),
    _v("tests", "conf_low", "feature contrast", "float64", "value", "lower 95 % limit"),
    _v("tests", "conf_high", "feature contrast", "float64", "value", "upper 95 % limit"),
    _v("tests", "status", "feature contrast", "int8", "", "mixflow.status.Status of the test"),
    _v("tests", "matrix", "contrast coef", "float64", "", "the contrasts' weights"),
    _v("tests", "f_statistic", "feature omnibus", "float64", "", "omnibus F of a factor", True),
    _v("tests", "f_df1", "feature omnibus", "float64", "", "numerator df", True),
    _v("tests", "f_df2", "feature omnibus", "float64", "", "denominator df", True),
    _v("tests", "f_p_value", "feature omnibus", "float64", "", "p of F", True),
    _v("tests", "f_q_value", "feature omnibus", "float64", "", "Benjamini-Hochberg", True),
    _v("tests", "f_status", "feature omnibus", "int8", "", "status of the F test", True),
    # -- analyses/<model>/<name>: the table of an analysis, one variable a column (group attrs: analysis, title, purpose,
    # help, options (JSON), columns (JSON: meaning with unit of each column, in order))
    _v("analyses", "*", "row", "any", "", "a column of the analysis's table; its meaning stands in the attr"),
)
# fmt: on
