"""Studies of five designs, simulated with known truth: their sheets, values, and the files under config/studies.

    python workflows/designs/simulate.py            # writes values.tsv, samples.tsv and SOURCE.md of each study

Every feature has a random stream of its own, so that the features written are the first of any larger number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

SEED = 20261121
WRITTEN = 24
"""Features in the files; the tests draw more."""
MISSING = 0.08
FOLDER = Path(__file__).parents[2] / "config" / "studies"
Draw = Callable[[np.random.Generator, pd.DataFrame, int], tuple[np.ndarray, dict[str, np.ndarray]]]


@dataclass(frozen=True)
class Simulated:
    """A study: its sheet, its truth in numbers and in words, and one feature's values with its true effects."""

    name: str
    what: str
    sheet: pd.DataFrame
    truth: dict[str, float]
    draw: Draw

    def features(self, count: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Values (count, samples), ``MISSING`` of them NaN, and what was drawn (count, ...) by name."""
        number = STUDIES.index(self.name)
        rows, drawn = [], []
        for i in range(count):
            rng = np.random.default_rng([SEED, number, i])
            values, effects = self.draw(rng, self.sheet, i)
            values[rng.random(len(values)) < MISSING] = np.nan
            rows.append(values.round(3))
            drawn.append(effects)
        return np.array(rows), {key: np.array([d[key] for d in drawn]) for key in drawn[0]}


def sample_ids(sheet: pd.DataFrame) -> pd.DataFrame:
    """The sheet with ids in front."""
    sheet.insert(0, "sample", [f"x{i:03d}" for i in range(len(sheet))])
    return sheet


# Cross-over: 24 subjects in two sequences, six periods each, logarithms of a concentration.
CROSSOVER = {
    "log_ratio_even": float(np.log(1.02)),
    "log_ratio_odd": float(np.log(1.25)),
    "learning": 0.03,
    "sequence": 0.0,
    "sd_subject": 0.4,
    "sd_residual": 0.2,
    "rho": 0.5,
}


def crossover_sheet() -> pd.DataFrame:
    """24 subjects in six periods."""
    subject = np.repeat(np.arange(24), 6)
    period = np.tile(np.arange(6), 24)
    sequence = np.where(subject % 2 == 0, "TRRTTR", "RTTRRT")
    treatment = [order[p] for order, p in zip(sequence, period, strict=True)]
    columns = {"subject": [f"p{s:02d}" for s in subject], "period": period, "sequence": sequence}
    return sample_ids(pd.DataFrame(columns | {"treatment": treatment}))


def crossover(rng: np.random.Generator, sheet: pd.DataFrame, i: int) -> tuple[np.ndarray, dict]:
    """Subject, treatment, a common learning slope, residuals of an AR(1)."""
    t, ratio = CROSSOVER, CROSSOVER["log_ratio_odd" if i % 2 else "log_ratio_even"]
    noise = rng.normal(size=(24, 6))
    for p in range(1, 6):
        noise[:, p] = t["rho"] * noise[:, p - 1] + np.sqrt(1 - t["rho"] ** 2) * noise[:, p]
    level = np.repeat(rng.normal(4, t["sd_subject"], 24), 6)
    effect = ratio * (sheet["treatment"] == "T").to_numpy() + t["learning"] * sheet["period"].to_numpy()
    return level + effect + t["sd_residual"] * noise.ravel(), {"log_ratio": np.array(ratio)}


# Cluster-randomised trial: 24 practices of 4 to 16 patients, half of them treated.
CLUSTER = {"effect": 0.4, "age": 0.02, "sd_cluster": 0.3, "sd_residual": 1.0, "icc": 0.09 / 1.09}


def cluster_sheet() -> pd.DataFrame:
    """24 practices of unequal size; ages are the same for every feature."""
    sizes = np.tile([4, 6, 7, 8, 9, 10, 10, 11, 12, 13, 14, 16], 2)
    cluster = np.repeat(np.arange(24), sizes)
    age = np.random.default_rng([SEED, 100]).normal(60, 8, len(cluster)).round(1)
    columns = {
        "cluster": [f"practice{c:02d}" for c in cluster],
        "arm": np.where(cluster < 12, "control", "treated"),
    }
    return sample_ids(pd.DataFrame(columns | {"age": age}))


def cluster_trial(rng: np.random.Generator, sheet: pd.DataFrame, i: int) -> tuple[np.ndarray, dict]:
    """Treatment of whole practices, age, practice, residual."""
    number = sheet["cluster"].str[-2:].astype(int).to_numpy()
    effect = CLUSTER["effect"] * (sheet["arm"] == "treated") + CLUSTER["age"] * (sheet["age"] - 60)
    level = rng.normal(0, CLUSTER["sd_cluster"], 24)[number]
    return effect.to_numpy() + level + rng.normal(0, CLUSTER["sd_residual"], len(sheet)), {
        "arm": np.array(CLUSTER["effect"])
    }


# Stepped wedge: 12 clinics, five periods, three clinics cross to the treatment at each step.
WEDGE = {"effect": 0.5, "sd_cluster": 0.5, "sd_effect": 0.4, "sd_residual": 1.0, "trend": 0.1}


def wedge_sheet() -> pd.DataFrame:
    """Three of 12 clinics cross over before each of the periods t1 to t4."""
    rows = [(c, t, int(t > c // 3)) for c in range(12) for t in range(5) for _ in range(4)]
    clinic, period, treated = map(np.array, zip(*rows, strict=True))
    columns = {"clinic": [f"clinic{c:02d}" for c in clinic], "period": [f"t{t}" for t in period]}
    return sample_ids(pd.DataFrame(columns | {"treated": treated}))


def wedge(rng: np.random.Generator, sheet: pd.DataFrame, i: int) -> tuple[np.ndarray, dict]:
    """A trend in time, clinics that differ in level and in what the treatment does."""
    clinic = sheet["clinic"].str[-2:].astype(int).to_numpy()
    level, effect = (
        rng.normal(0, WEDGE["sd_cluster"], 12),
        rng.normal(WEDGE["effect"], WEDGE["sd_effect"], 12),
    )
    time = WEDGE["trend"] * sheet["period"].str[-1].astype(int).to_numpy() ** 1.5
    noise = rng.normal(0, WEDGE["sd_residual"], len(sheet))
    return level[clinic] + effect[clinic] * sheet["treated"].to_numpy() + time + noise, {"effect": effect}


# Test-retest: 30 patients, each measured by four devices.
RETEST = {
    "var_patient": 0.7,
    "var_device": 0.1,
    "var_residual": 0.2,
    "agreement": 0.7,
    "consistency": 0.7 / 0.9,
}


def retest_sheet() -> pd.DataFrame:
    """30 patients by four devices."""
    pairs = [(f"p{i:02d}", f"device{j}") for i in range(30) for j in range(4)]
    return sample_ids(pd.DataFrame(pairs, columns=["patient", "device"]))


def retest(rng: np.random.Generator, sheet: pd.DataFrame, i: int) -> tuple[np.ndarray, dict]:
    """Patient, device, residual."""
    sd = {key[4:]: np.sqrt(value) for key, value in RETEST.items() if key.startswith("var_")}
    patient, device = rng.normal(5, sd["patient"], 30), rng.normal(0, sd["device"], 4)
    return np.repeat(patient, 4) + np.tile(device, 30) + rng.normal(0, sd["residual"], 120), {
        "device": device
    }


# Benchmarking: 30 hospitals with 2 to 30 patients; age and severity differ between hospitals.
HOSPITALS = {"age": 0.03, "severity": 0.5, "sd_hospital": 0.35, "sd_residual": 1.0}


def hospital_sheet() -> pd.DataFrame:
    """Sizes from 2 to 30; older and sicker patients in some hospitals, the same for every feature."""
    rng = np.random.default_rng([SEED, 101])
    sizes = np.round(np.geomspace(2, 30, 30)).astype(int)
    hospital = np.repeat(np.arange(30), sizes)
    age = rng.normal(65, 4, 30)[hospital] + rng.normal(0, 8, len(hospital))
    severity = rng.normal(0, 0.5, 30)[hospital] + rng.normal(0, 1, len(hospital))
    columns = {
        "hospital": [f"h{h:02d}" for h in hospital],
        "age": age.round(1),
        "severity": severity.round(2),
    }
    return sample_ids(pd.DataFrame(columns))


def hospitals(rng: np.random.Generator, sheet: pd.DataFrame, i: int) -> tuple[np.ndarray, dict]:
    """Age, severity, hospital, residual."""
    number = sheet["hospital"].str[1:].astype(int).to_numpy()
    effect = rng.normal(0, HOSPITALS["sd_hospital"], 30)
    case = HOSPITALS["age"] * (sheet["age"] - 65) + HOSPITALS["severity"] * sheet["severity"]
    return effect[number] + case.to_numpy() + rng.normal(0, HOSPITALS["sd_residual"], len(sheet)), {
        "hospital": effect
    }


STUDIES = ["crossover", "cluster-trial", "stepped-wedge", "test-retest", "hospitals"]


def study(name: str) -> Simulated:
    """One of ``STUDIES``."""
    what, sheet, truth, draw = {
        "crossover": (
            "Cross-over trial of a test and a reference formulation: 24 subjects, six periods in the sequences "
            "TRRTTR and RTTRRT; natural logarithms. Even features (f00, f02, ...) are equivalent, odd ones lie on "
            "the bound 1.25.",
            crossover_sheet,
            CROSSOVER,
            crossover,
        ),
        "cluster-trial": (
            "Cluster-randomised trial: 24 practices of 4 to 16 patients, 12 of them treated.",
            cluster_sheet,
            CLUSTER,
            cluster_trial,
        ),
        "stepped-wedge": (
            "Stepped-wedge trial: 12 clinics, five periods, four patients each time; three clinics cross to the "
            "treatment at each step, and its effect differs between clinics.",
            wedge_sheet,
            WEDGE,
            wedge,
        ),
        "test-retest": (
            "Test-retest study: 30 patients, each by four devices.",
            retest_sheet,
            RETEST,
            retest,
        ),
        "hospitals": (
            "Patients of 30 hospitals of 2 to 30 patients, whose age and severity differ between hospitals.",
            hospital_sheet,
            HOSPITALS,
            hospitals,
        ),
    }[name]
    return Simulated(name, what, sheet(), truth, draw)


def files(simulated: Simulated) -> dict[str, str]:
    """Names and text of the study's files."""
    values, _ = simulated.features(WRITTEN)
    ids = [f"f{i:02d}" for i in range(WRITTEN)]
    table = pd.DataFrame(values, index=pd.Index(ids, name="feature"), columns=simulated.sheet["sample"])
    truth = "\n".join(f"| `{name}` | {value:.4g} |" for name, value in simulated.truth.items())
    source = (
        f"# Simulated: {simulated.name}\n\n{simulated.what}\n\nNothing here was measured. Written by "
        f"`python workflows/designs/simulate.py` with seed {SEED}: {WRITTEN} features, {100 * MISSING:.0f} % of the "
        f"values missing at random.\n\n| truth | value |\n|---|---|\n{truth}\n"
    )
    return {
        "values.tsv": table.to_csv(sep="\t", float_format="%.3f", lineterminator="\n"),
        "samples.tsv": simulated.sheet.to_csv(sep="\t", index=False, lineterminator="\n"),
        "SOURCE.md": source,
    }


if __name__ == "__main__":
    for each in STUDIES:
        (FOLDER / each).mkdir(exist_ok=True)
        for file, text in files(study(each)).items():
            (FOLDER / each / file).write_text(text, encoding="utf-8")
