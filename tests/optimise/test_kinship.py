"""A known relationship between levels: identity, next to dense REML, and what is refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

import mixflow
from mixflow.errors import MixflowError

DATA = Path(__file__).parents[1] / "reference" / "data"


def _named(matrix: np.ndarray, labels: list[str]) -> pd.DataFrame:
    return pd.DataFrame(matrix, index=labels, columns=labels)


@pytest.mark.parametrize(
    "formula", ["Reaction ~ Days + (1 | Subject)", "Reaction ~ Days + (1 | Subject) + (1 | Days)"]
)
def test_the_identity_gives_what_independent_levels_give(formula: str) -> None:
    frame = pd.read_csv(DATA / "sleepstudy__lme4.csv").assign(Subject=lambda t: t["Subject"].astype(str))
    frame = frame[np.arange(len(frame)) % 7 != 3]
    labels = [*sorted(frame["Subject"].unique(), reverse=True), "not in the data"]
    plain = mixflow.fit(formula, frame)
    known = mixflow.fit(formula, frame, relationship={"Subject": _named(np.eye(len(labels)), labels)})
    for name in ("solution", "beta_cov", "sigma", "loglik"):
        np.testing.assert_allclose(getattr(known.model, name), getattr(plain.model, name), rtol=1e-8)
    counts = [dict(zip(m.groups, m.n_levels[0], strict=True)) for m in (known.model, plain.model)]
    assert counts[0] == counts[1]
    ours, theirs = (dict(zip(m.components, m.variance[0], strict=True)) for m in (known.model, plain.model))
    assert {key: pytest.approx(value, rel=1e-7) for key, value in theirs.items()} == ours
    np.testing.assert_allclose(known.coefficients["df"], plain.coefficients["df"], rtol=1e-7)
    assert known.model.effect_names["Subject"] == plain.model.effect_names["Subject"]
    size = np.abs(plain.model.modes["Subject"]).max()
    np.testing.assert_allclose(known.model.modes["Subject"], plain.model.modes["Subject"], atol=1e-8 * size)
    np.testing.assert_allclose(known.model.mode_sds["Subject"], plain.model.mode_sds["Subject"], rtol=1e-7)
    np.testing.assert_allclose(known.predict(frame), plain.predict(frame), rtol=1e-9)


class Dense:
    """REML by the n x n covariance sigma_g^2 Z K Z' + sigma^2 I: nothing shared with the engine."""

    def __init__(self, y: np.ndarray, x: np.ndarray, z: np.ndarray, k: np.ndarray) -> None:
        self.y, self.x, self.z, self.k = y, x, z, k
        zkz = z @ k @ z.T
        self.spectrum, self.turn = np.linalg.eigh(zkz)
        self.ty, self.tx = self.turn.T @ y, self.turn.T @ x
        found = [
            minimize(self.criterion, start, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-11})
            for start in ([0.0], [-2.0], [2.0])
        ]
        self.best = min(found, key=lambda f: f.fun)
        self.ratio = np.exp(self.best.x[0])
        n, p = x.shape
        d = 1 + self.ratio * np.maximum(self.spectrum, 0)
        self.sigma2 = self._rss(d) / (n - p)
        self.v = self.sigma2 * (np.eye(n) + self.ratio * zkz)

    def _beta(self, d: np.ndarray) -> np.ndarray:
        return np.linalg.solve((self.tx.T / d) @ self.tx, (self.tx.T / d) @ self.ty)

    def _rss(self, d: np.ndarray) -> float:
        return float(((self.ty - self.tx @ self._beta(d)) ** 2 / d).sum())

    def criterion(self, log_ratio: np.ndarray) -> float:
        n, p = self.x.shape
        d = 1 + np.exp(log_ratio[0]) * np.maximum(self.spectrum, 0)
        rss = self._rss(d)
        logdet = np.log(d).sum() + np.linalg.slogdet((self.tx.T / d) @ self.tx)[1]
        return logdet + (n - p) * (1 + np.log(2 * np.pi * rss / (n - p)))

    def answers(self) -> dict[str, np.ndarray]:
        """Coefficients, their covariance, BLUPs and their conditional sds (given the variances)."""
        inverse = np.linalg.inv(self.v)
        cov = np.linalg.inv(self.x.T @ inverse @ self.x)
        beta = cov @ self.x.T @ inverse @ self.y
        g = self.ratio * self.sigma2 * self.k @ self.z.T
        spread = self.ratio * self.sigma2 * self.k - g @ inverse @ g.T
        return {
            "beta": beta,
            "cov": cov,
            "modes": g @ inverse @ (self.y - self.x @ beta),
            "sd": np.sqrt(np.diag(spread)),
        }


def _compare(fit: mixflow.api.Result, dense: Dense, group: str) -> None:
    model, want = fit.model, dense.answers()
    assert -2 * model.loglik[0] <= dense.best.fun + 1e-6
    np.testing.assert_allclose(-2 * model.loglik[0], dense.best.fun, atol=1e-6)
    se = np.sqrt(np.diag(want["cov"]))
    np.testing.assert_allclose((model.beta[0] - want["beta"]) / se, 0, atol=1e-4)
    np.testing.assert_allclose(np.sqrt(np.diag(model.beta_cov[0])), se, rtol=1e-4)
    want_variance = [dense.ratio * dense.sigma2, dense.sigma2]
    np.testing.assert_allclose(model.variance[0], want_variance, rtol=1e-4, atol=1e-10 * dense.sigma2)
    np.testing.assert_allclose(model.modes[group][0], want["modes"], atol=1e-4 * se[0])
    np.testing.assert_allclose(model.mode_sds[group][0], want["sd"], rtol=1e-4, atol=1e-6 * se[0])
    mean = np.diag(dense.z @ dense.k @ dense.z.T).mean()
    heritability = dense.ratio * mean / (1 + dense.ratio * mean)
    np.testing.assert_allclose(model.share[0, 0], heritability, rtol=1e-4, atol=1e-9)


def _pedigree(generations: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Additive relationship matrix of random matings, by the tabular method (Henderson 1976): inbred too."""
    a = np.eye(size)
    for _ in range(generations):
        for _ in range(size):
            sire, dam = rng.choice(np.arange(max(0, len(a) - 2 * size), len(a)), 2)
            row = (a[sire] + a[dam]) / 2
            a = np.block([[a, row[:, None]], [row[None], 1 + a[sire, dam] / 2]])
    return a


def test_pedigree_next_to_dense_reml() -> None:
    rng = np.random.default_rng(8)
    k = _pedigree(4, 12, rng)
    q = len(k)
    assert np.ptp(np.diag(k)) > 0.1  # inbred animals: an unequal diagonal
    labels = [f"animal{i}" for i in range(q)]
    animal = np.concatenate([np.arange(q), rng.choice(q, 30)])
    u = np.linalg.cholesky(k + 1e-12 * np.eye(q)) @ rng.normal(size=q)
    x = rng.normal(size=len(animal))
    y = 2 + 0.5 * x + u[animal] + 0.8 * rng.normal(size=len(animal))
    order = rng.permutation(q)
    frame = pd.DataFrame({"y": y, "x": x, "id": np.array(labels)[animal]})
    matrix = _named(k, labels).iloc[order, order[::-1]]
    fit = mixflow.fit("y ~ x + (1 | id)", frame, relationship={"id": matrix})
    place = [labels.index(level) for level, _ in fit.model.effect_names["id"]]
    z = np.equal.outer(animal, place).astype(float)
    _compare(fit, Dense(y, np.column_stack([np.ones(len(y)), x]), z, k[np.ix_(place, place)]), "id")
    assert not np.allclose(fit.design.random[0].within.fixed, np.eye(q))


def test_one_value_an_individual_is_enough_and_each_feature_has_its_own_rows() -> None:
    rng = np.random.default_rng(9)
    k = _pedigree(4, 20, rng)
    q = len(k)
    labels = [f"a{i:03d}" for i in range(q)]
    y = (np.linalg.cholesky(k + 1e-9 * np.eye(q)) @ rng.normal(size=(q, 3)) * 1.5 + rng.normal(size=(q, 3))).T
    y[1, ::3] = np.nan
    frame = pd.DataFrame({"id": labels})
    from mixflow.design import build
    from mixflow.formula import parse
    from mixflow.optimise.fitting import fit_features

    design = build(parse("~ 1 + (1 | id)"), frame, relationship={"id": _named(k, labels)})
    fit = fit_features(design, y, ["f0", "f1", "f2"])
    for i in range(3):
        seen = np.isfinite(y[i])
        dense = Dense(y[i][seen], np.ones((seen.sum(), 1)), np.eye(q)[seen], k)
        np.testing.assert_allclose(-2 * fit.loglik[i], dense.best.fun, atol=1e-6)
        np.testing.assert_allclose(fit.sigma[i] ** 2, dense.sigma2, rtol=1e-4)
        # levels that a feature lacks are predicted from their relatives
        np.testing.assert_allclose(fit.modes["id"][i], dense.answers()["modes"], atol=1e-4)


def test_bxd_strains_next_to_dense_reml(shared_data: Path) -> None:
    with gzip.open(shared_data / "gwas" / "BXD_geno.txt.gz", "rt") as lines:
        rows = [line.rstrip().rstrip(",").split(",")[3:] for line in lines]
    genotypes = np.array(rows, dtype=float)[:, : len(rows[0])]
    y = pd.to_numeric(pd.read_csv(shared_data / "gwas" / "BXD_pheno.txt", header=None)[0], errors="coerce")
    centred = genotypes - genotypes.mean(axis=1, keepdims=True)
    k = centred.T @ centred / len(centred)  # GEMMA's centred relatedness
    labels = [f"strain{i}" for i in range(len(k))]
    root = np.linalg.cholesky(k + 1e-10 * np.eye(len(k)))
    rng = np.random.default_rng(10)
    made = root @ rng.normal(size=len(k)) + 0.7 * rng.normal(size=len(k))
    for trait in (y.to_numpy(), np.where(y.isna(), np.nan, made)):  # the real one has a variance of zero here
        frame = pd.DataFrame({"y": trait, "strain": labels}).dropna()
        fit = mixflow.fit("y ~ 1 + (1 | strain)", frame, relationship={"strain": _named(k, labels)})
        place = [labels.index(level) for level, _ in fit.model.effect_names["strain"]]
        z = np.equal.outer(frame.index.to_numpy(), place).astype(float)
        dense = Dense(frame["y"].to_numpy(), np.ones((len(frame), 1)), z, k[np.ix_(place, place)])
        _compare(fit, dense, "strain")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda k: k.drop(index="a1", columns="a1"), "1 of 6 levels are not in the relationship matrix.*a1"),
        (lambda k: k + np.triu(np.full((6, 6), 0.1), 1), "not symmetric"),
        (lambda k: k - 0.5 * np.eye(6), "not positive semidefinite.*smallest eigenvalue -0.2"),
        (lambda k: k.rename(columns={"a1": "b1"}), "have the same labels"),
        (lambda k: k.where(k < 1, np.nan), "not a finite number"),
        (lambda k: k.to_numpy(), "is a table"),
    ],
)
def test_matrices_that_are_refused(change, words: str) -> None:
    labels = [f"a{i}" for i in range(6)]
    k = _named(np.full((6, 6), 0.7) + 0.3 * np.eye(6), labels)
    frame = pd.DataFrame({"y": np.arange(12.0), "id": labels * 2})
    with pytest.raises(MixflowError, match=words):
        mixflow.fit("y ~ 1 + (1 | id)", frame, relationship={"id": change(k)})


def test_groups_and_terms_that_are_refused() -> None:
    labels = [f"a{i}" for i in range(6)]
    frame = pd.DataFrame({"y": np.arange(12.0), "x": np.arange(12) % 5 * 1.0, "id": labels * 2})
    k = {"id": _named(np.eye(6), labels)}
    with pytest.raises(MixflowError, match="for a group of the formula"):
        mixflow.fit("y ~ x + (1 | id)", frame, relationship={"animal": k["id"]})
    for formula in ("y ~ x + (x | id)", "y ~ x + (x || id)", "y ~ (0 + x | id)"):
        with pytest.raises(MixflowError, match="slopes with one are not fitted"):
            mixflow.fit(formula, frame, relationship=k)
