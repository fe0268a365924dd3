"""Table, figure and page of the cases: page.py CONFIG WORK PAGE."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))
import agreement
import machine

matplotlib.use("svg")

TEXT = """# How fast mixflow is beside its peers, model by model

Written by `make bench-cases`. Every peer and mixflow on the same simulated or real data, in one run, on the
same {cores} cores (R: forked processes by mclapply; mixflow: one process a core, as shards run), one after the
other. Medians of {repetitions} repetitions (lowest to highest), warm: neither side's start, reading or
compilation is in the times. Peers fit a random subset, others in each repetition. The ratio is the peer's
time a feature over mixflow's.

{table}

![Features a second](cases.svg)

## Generalised models: the same answers

Over the features that both fitted and whose estimates are finite (no separation). A peer's log-likelihood below
mixflow's by more than 0.001 means that it stopped short of its optimum; differences of estimates are counted where
both log-likelihoods agree to 0.001.

{agreement}

## Big outcomes, streaming, start

{big}

## Machine

{machine}
"""
NAMES = {
    "lmertest": "lmerTest", "lme4": "lme4", "pbkrtest": "pbkrtest", "nlme": "nlme::lme",
    "nlme_ar1": "nlme::lme, corAR1", "limma": "limma duplicateCorrelation", "glmmtmb": "glmmTMB",
    "statsmodels": "statsmodels MixedLM", "glmmtmb_nbinom2": "glmmTMB nbinom2",
    "glmmtmb_zi": "glmmTMB nbinom2, ziformula = ~1", "glmer": "lme4::glmer", "glmer_agq9": "lme4::glmer, nAGQ = 9",
    "clmm": "ordinal::clmm",
}  # fmt: skip


def main(config_file: str, work: str, page: str) -> None:
    """Write cases.tsv, cases.svg and cases.md into the folder ``page``."""
    config, folder, out = yaml.safe_load(Path(config_file).read_text()), Path(work), Path(page)
    out.mkdir(parents=True, exist_ok=True)
    measured = {n: c for n, c in config["cases"].items() if (folder / n / "mixflow.json").exists()}
    table = pd.DataFrame([row for name, case in measured.items() for row in rows(name, case, folder)])
    table.to_csv(out / "cases.tsv", sep="\t", index=False, float_format="%.6g", lineterminator="\n")
    found = {path.stem: json.loads(path.read_text()) for path in sorted((folder / "big").glob("*.json"))}
    (out / "big.json").write_text(json.dumps(found, indent=1) + "\n")
    figure(table, out / "cases.svg")
    facts = "\n".join(f"- {key}: {value}" for key, value in machine.description().items())
    text = TEXT.format(
        **{k: config[k] for k in ("cores", "repetitions")},
        table=shown(table),
        agreement=agreement.table(measured, folder, NAMES),
        big=big(found),
        machine=facts,
    )
    (out / "cases.md").write_text(text, encoding="utf-8")


def per_feature(runs: list[dict[str, Any]]) -> np.ndarray:
    """Milliseconds a feature of each repetition."""
    return np.array([1000 * run["seconds"] / run["features"] for run in runs])


def rows(name: str, case: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """One row for mixflow and one for each peer of a case."""
    own = json.loads((folder / name / "mixflow.json").read_text())
    ours = per_feature(own["runs"])
    load = max(own["load"])
    row = {"case": name, "model": case["title"], "what": "mixflow", "ms": np.median(ours), "load": load}
    found = [row | {"low": ours.min(), "high": ours.max(), "ratio": 1.0, "target": np.nan, "version": ""}]
    for place, peer in enumerate(case["peers"]):
        report = json.loads((folder / name / f"{peer}.json").read_text())
        if "missing" in report:
            continue
        times = per_feature(report["runs"])
        target = case.get("target", np.nan) if place == 0 else np.nan
        facts = {"ms": np.median(times), "low": times.min(), "high": times.max(), "target": target}
        ratio = np.median(times) / np.median(ours)
        found.append(row | facts | {"what": NAMES[peer], "ratio": ratio, "version": report["version"]})
    return found


def shown(table: pd.DataFrame) -> str:
    """The table as Markdown."""
    lines = [
        "| model | program | ms a feature | features a second | ratio | target |",
        "|---|---|---|---|---|---|",
    ]
    for r in table.to_dict("records"):
        target = "" if np.isnan(r["target"]) else f"{r['target']:.0f}"
        ratio = "" if r["what"] == "mixflow" else f"{r['ratio']:.0f}"
        spread = f"{r['ms']:.3g} ({r['low']:.3g} to {r['high']:.3g})"
        lines.append(
            f"| {r['model']} | {r['what']} | {spread} | {1000 / r['ms']:,.0f} | {ratio} | {target} |"
        )
    return "\n".join(lines)


def big(found: dict[str, Any]) -> str:
    """What the big runs showed, in sentences."""
    lines = []
    if "insteval" in found and "peer_insteval" in found:
        own, peer = found["insteval"], found["peer_insteval"]
        lines.append(
            f"- InstEval (73,421 ratings, students and lecturers crossed): mixflow {own['seconds']:.1f} s with "
            f"Satterthwaite tests, lme4 {peer['seconds']:.1f} s for the fit alone; restricted log-likelihoods "
            f"{own['loglik']:.4f} and {peer['loglik']:.4f}; peak memory {own['peak_mb']:.0f} MB."
        )
    if "million" in found:
        own = found["million"]
        spread = ", ".join(f"{k} {own['variances'][k]:.3f} (truth {v:.3g})" for k, v in own["truth"].items())
        lines.append(
            f"- 1,000,000 rows, three crossed factors of 50,000, 2,000 and 200 levels: {own['seconds']:.0f} s, "
            f"{own['evaluations']} evaluations, peak memory {own['peak_mb']:.0f} MB; variances {spread}."
        )
    if "stream" in found:
        own = found["stream"]
        few, many = own["features"]["10000"], own["features"]["100000"]
        same = "the same bytes" if own["same_bytes"] else "OTHER bytes"
        lines.append(
            f"- 100,000 features x 200 samples from Zarr to Zarr in one process: {many['seconds']:.0f} s, peak "
            f"memory {many['peak_mb']:.0f} MB; 10,000 features: {few['peak_mb']:.0f} MB. Shards give {same} as "
            "all features at once."
        )
    if "warm" in found:
        own = found["warm"]
        lines.append(
            f"- A warm shard job, from the start of its process to the fits of its first {own['features']} features: "
            f"{own['seconds']:.1f} s (with an empty compilation cache {own['first']:.1f} s)."
        )
    loads = max((max(value["load"]) for value in found.values() if "load" in value), default=0.0)
    return "\n".join([*lines, f"- Highest load average of the machine meanwhile: {loads:.1f}."])


def figure(table: pd.DataFrame, path: Path) -> None:
    """Features a second of each program, on a logarithmic axis, case by case."""
    import matplotlib.pyplot as plt

    matplotlib.rcParams["svg.hashsalt"] = "mixflow"
    height = 0.32 * len(table) + 0.5 * table["case"].nunique() + 0.8
    figure, axes = plt.subplots(figsize=(7.5, height))
    y, ticks, labels = 0.0, [], []
    for _, part in table.groupby("case", sort=False):
        axes.text(
            0.0, y - 0.75, part["model"].iloc[0], transform=axes.get_yaxis_transform(), weight="bold", size=9
        )
        for r in part.to_dict("records"):
            own = r["what"] == "mixflow"
            speed = 1000 / r["ms"]
            axes.barh(y, speed, color="#0072B2" if own else "#BBBBBB", edgecolor="#333333", linewidth=0.6)
            note = f" {speed:,.0f}" if own else f" {speed:,.0f}   mixflow: {r['ratio']:.0f} times"
            axes.text(speed, y, note, va="center", size=8)
            ticks.append(y)
            labels.append(r["what"])
            y += 1.0
        y += 1.2
    axes.set(xscale="log", yticks=ticks, yticklabels=labels, xlabel="features a second (logarithmic)")
    axes.set_xlim(1, 3e6)
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main(*sys.argv[1:])
