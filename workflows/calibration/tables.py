"""Tables and figure of the calibration study: tables.py CONFIG WORK REPORTS.

Writes rates.csv (rejections, coverage, power), peers.csv (beside lmerTest and pbkrtest, feature by feature),
conditional.csv (rejections by the true intraclass correlation), variances.csv and rejections.svg.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import yaml
from matplotlib.figure import Figure
from measure import CONTRASTS, METHODS

from mixflow.report.pictures.base import COLOURS, MARKERS

BINS = {"0": (-1, 0), "0 to 0.15": (0, 0.15), "0.15 to 0.35": (0.15, 0.35), "0.35 to 0.5": (0.35, 0.5)}


def rates(found: dict[str, np.ndarray], level: float) -> pd.DataFrame:
    """Rejections of null hypotheses, coverage of zero and power, for each contrast and method."""
    rows = []
    for k, contrast in enumerate(CONTRASTS):
        for method in METHODS:
            p = found[f"{method}/p_value"][:, k]
            tested = np.isfinite(p)
            rejected, n = (p[tested] < level).mean(), int(tested.sum())
            low, high = (found[f"{method}/{end}"][tested, k] for end in ("conf_low", "conf_high"))
            rows.append(
                {
                    "contrast": contrast,
                    "method": method,
                    "features": n,
                    "rejected": rejected,
                    "rejected_se": np.sqrt(rejected * (1 - rejected) / n),
                    "coverage": ((low <= 0) & (high >= 0)).mean(),
                    "median_interval": np.median(high - low),
                    "power": _share(found[f"power/{method}"][:, k], level),
                }
            )
    return pd.DataFrame(rows)


def _share(p: np.ndarray, level: float) -> float:
    """Share of the tests made that reject."""
    return float((p[np.isfinite(p)] < level).mean())


def beside_peers(found: dict[str, np.ndarray], peer: pd.DataFrame, level: float) -> pd.DataFrame:
    """Rejections of the same features by the peers and by mixflow, and how far their p-values lie apart."""
    rows = []
    for (contrast, method), part in peer.groupby(["contrast", "method"], sort=False):
        k, i = CONTRASTS.index(str(contrast)), part["feature"].to_numpy()
        ours = found[f"{method}/p_value"][i, k]
        apart = np.abs(ours - part["p_value"].to_numpy())
        # lmer may stop beside the boundary, where it answers with other degrees of freedom than on it.
        same = (part["theta"].to_numpy() < 1e-4) == (found["theta"][i] == 0)
        df = np.abs(found[f"{method}/df"][i, k] / part["df"].to_numpy() - 1)
        ours_rejected, theirs = ours < level, part["p_value"].to_numpy() < level
        rows.append(
            {
                "contrast": contrast,
                "method": method,
                "features": len(part),
                "mixflow_rejected": ours_rejected.mean(),
                "peer_rejected": theirs.mean(),
                "decisions_differ": int((ours_rejected != theirs).sum()),
                "median_p_difference": np.median(apart),
                "largest_p_difference": apart.max(),
                "largest_df_difference_relative": df.max(),
                "boundary_differs": int((~same).sum()),
                "largest_p_difference_otherwise": apart[same].max(),
            }
        )
    return pd.DataFrame(rows)


def conditional(found: dict[str, np.ndarray], icc: np.ndarray, level: float) -> pd.DataFrame:
    """Rejections among features of one true intraclass correlation: levels hold on average over features."""
    rows = []
    for name, (low, high) in BINS.items():
        inside = (icc > low) & (icc <= high)
        for k, contrast in enumerate(CONTRASTS):
            row: dict[str, Any] = {"icc": name, "contrast": contrast, "features": int(inside.sum())}
            row |= {m: float((found[f"{m}/p_value"][inside, k] < level).mean()) for m in METHODS}
            rows.append(row)
    return pd.DataFrame(rows)


def variances(found: dict[str, np.ndarray], truth: dict[str, np.ndarray]) -> pd.DataFrame:
    """Errors of estimated variances over the mean true residual variance: of each feature alone, moderated."""
    unit = truth["residual_variance"].mean()
    rows = []
    for k, name in enumerate(("group_variance", "residual_variance")):
        columns = {"alone": found["plain"][:, k], "moderated": found["moderated"][:, k]}
        columns["limma"] = found["residual_limma"] if k else np.full(len(found["plain"]), np.nan)
        row: dict[str, Any] = {"variance": name}
        for method, estimate in columns.items():
            error = (estimate - truth[name])[np.isfinite(estimate)] / unit
            row[f"rmse_{method}"] = float(np.sqrt((error**2).mean())) if len(error) else np.nan
            row[f"mean_error_{method}"] = float(np.abs(error).mean()) if len(error) else np.nan
        rows.append(row | {"estimates_at_zero": float((columns["alone"] == 0).mean())})
    return pd.DataFrame(rows)


def figure(table: pd.DataFrame, path: Path) -> None:
    """Rejections by method and scenario, a panel for each contrast, with the nominal level."""
    drawn = Figure(figsize=(183 / 25.4, 80 / 25.4), layout="constrained")
    scenarios = list(dict.fromkeys(table["scenario"]))
    for axes, contrast in zip(drawn.subplots(1, 2, sharex=True, sharey=True), CONTRASTS, strict=True):
        part = table[table["contrast"] == contrast].pivot(
            index="method", columns="scenario", values="rejected"
        )
        axes.axvline(5, color="#8b93a0", linewidth=0.8)
        for i, scenario in enumerate(scenarios):
            places = np.arange(len(METHODS)) + 0.12 * (i - (len(scenarios) - 1) / 2)
            label = scenario.replace("icc_", "ICC ")
            axes.plot(
                100 * part.loc[list(METHODS), scenario],
                places,
                MARKERS[i],
                color=COLOURS[i],
                markersize=4,
                label=label,
            )
        axes.set_yticks(range(len(METHODS)), METHODS)
        axes.set_xlim(left=0)
        axes.set_title(f"contrast {contrast} groups", loc="left", fontsize=8)
        axes.set_xlabel("true null hypotheses rejected at the 5 % level (%)", fontsize=8)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    axes.invert_yaxis()
    axes.legend(frameon=False, fontsize=8)
    with mpl.rc_context({"svg.hashsalt": "calibration"}):  # the same names in the file each time
        drawn.savefig(path, metadata={"Date": None})


def main(config_file: str, work: str, reports: str) -> None:
    """Write all tables and the figure."""
    config, folder, out = yaml.safe_load(Path(config_file).read_text()), Path(work), Path(reports)
    out.mkdir(parents=True, exist_ok=True)
    level = config["level"]
    tables: dict[str, list[pd.DataFrame]] = {"rates": [], "peers": [], "conditional": [], "variances": []}
    for scenario, icc in config["scenarios"].items():
        found = dict(np.load(folder / f"{scenario}.tests.npz"))
        truth = dict(np.load(folder / f"{scenario}.npz"))
        named = lambda table, scenario=scenario: table.assign(scenario=scenario)  # noqa: E731
        tables["rates"].append(named(rates(found, level)))
        peer = pd.read_csv(folder / f"{scenario}.peer.csv")
        tables["peers"].append(named(beside_peers(found, peer, level)))
        tables["variances"].append(
            named(variances(dict(np.load(folder / f"{scenario}.variances.npz")), truth))
        )
        if icc is None:
            tables["conditional"].append(named(conditional(found, truth["icc"], level)))
    for name, parts in tables.items():
        table = pd.concat(parts, ignore_index=True)
        table = table[["scenario", *(c for c in table if c != "scenario")]]
        table.to_csv(out / f"{name}.csv", index=False, float_format="%.6g")
        if name == "rates":
            figure(table, out / "rejections.svg")


if __name__ == "__main__":
    main(*sys.argv[1:])
