"""A study as its config describes it: frozen dataclasses, paths resolved but not checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mixflow.study import schema, yamlfile

ContrastSpec = dict[str, Any]
"""{column: [first, second] | "all pairs" | "versus reference" | "omnibus" | number, at: {column: level}}."""


@dataclass(frozen=True)
class Data:
    """Where the measurements are and how they are read. Paths are resolved, not checked."""

    files: tuple[Path, ...]
    format: str
    scale: str | None
    unit: str | None
    options: dict[str, Any]
    features: Path | None
    drop_contaminants: bool
    contaminant_patterns: tuple[str, ...]
    unmatched: str

    @property
    def beside(self) -> tuple[Path, ...]:
        """Files that options of the reader name (the channels of TMT); they lie beside the data."""
        name = self.options.get("channels")
        return (self.files[0].parent / name,) if isinstance(name, str) else ()


@dataclass(frozen=True)
class Column:
    """A declared column of the sheet; `levels` as they stand in the sheet, `labels` as they are shown."""

    name: str
    type: str
    levels: tuple[str, ...] | None = None
    labels: tuple[str, ...] | None = None
    reference: str | None = None
    unit: str | None = None
    label: str | None = None


@dataclass(frozen=True)
class Derived:
    """A column made from `source` ("id" is the sample id) by the regular expression `pattern`."""

    name: str
    source: str
    pattern: str


@dataclass(frozen=True)
class Role:
    """The column of roles and, for qc, blank, reference (and sample), the values that mean each."""

    column: str
    values: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Samples:
    """The sample sheet."""

    file: Path | None
    id: str | None
    id_map: dict[str, str]
    derive: tuple[Derived, ...]
    columns: dict[str, Column]
    role: Role | None
    unit: str | None
    allow_repeats: bool
    sheet: str | None = None
    """Worksheet of an .xlsx `file`; None is the first."""


@dataclass(frozen=True)
class ObservedBy:
    """Filter: least `fraction` of samples with a value in `any` or `all` groups of `factor`."""

    factor: str
    fraction: float
    groups: str


@dataclass(frozen=True)
class Filters:
    """Filters of features; fractions lie in 0..1."""

    min_observed: float
    min_observed_by: ObservedBy | None
    min_prevalence: float
    min_abundance: float
    near_zero_variance: bool
    min_precursors: int = 1
    min_runs: int = 1


@dataclass(frozen=True)
class Summarise:
    """Precursors to proteins (docs/proteins-input.md)."""

    to: str
    method: str
    shared: str
    column: str | None


@dataclass(frozen=True)
class Preprocess:
    """Transform, normalisation, the zero rule of clr, filters, roll-up, reference channels of TMT."""

    transform: str
    normalise: str
    pseudocount: float | None
    filters: Filters
    summarise: Summarise | None = None
    reference_within: str | None = None
    level: str | None = None
    """Rank or column of the features' annotation to which raw values are summed."""

    @property
    def rows_fitted(self) -> bool:
        """Whether models may read the rows of a protein, precursor by run."""
        return self.summarise is not None and self.summarise.method == "none"


@dataclass(frozen=True)
class Batch:
    """Batch factors, method of harmonisation, and what models read. `keep` None: see plan.kept_columns.

    ``order``: the column with the order of injection, along which drift is looked for; None: nowhere.
    """

    factors: tuple[str, ...]
    method: str
    keep: tuple[str, ...] | None
    fit_on: str
    accept_anticonservative: bool
    order: str | None = None


GAUSSIAN = "gaussian"
FAMILY_KEYS = ("family", "link", "response", "trials", "limit", "zi", "nagq", "prior", "thresholds")
"""Keys of a model that say which distribution of which response is fitted, and how."""


@dataclass(frozen=True)
class ModelConfig:
    """One configured model."""

    name: str
    formula: str
    title: str
    reml: bool
    contrasts: dict[str, ContrastSpec]
    adjust: str
    min_values: int
    include: dict[str, tuple[str, ...]]
    exclude: dict[str, tuple[str, ...]]
    compare_to: str | None
    df: str = "satterthwaite"
    residual: str | None = None
    dispersion: str | None = None
    weights: str | None = None
    variances: str | None = None
    relationship: dict[str, Path] = field(default_factory=dict)
    analyses: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Options of each analysis by the name of its table; the option `analysis` where it has another name."""
    family: str = "gaussian"
    link: str | None = None
    response: str = "values"
    trials: str | None = None
    limit: str | None = None
    zi: str | None = None
    nagq: int | str = 1
    prior: dict[str, Any] | None = None
    thresholds: str | None = None

    @property
    def generalised(self) -> bool:
        """Whether it is no linear mixed model: fitted by maximum likelihood, tested by z."""
        return self.family != GAUSSIAN


@dataclass(frozen=True)
class Report:
    """What the report shows."""

    features: tuple[str, ...]
    top: int
    share: bool
    alpha: float
    label: str


@dataclass(frozen=True)
class Study:
    """A checked config. `raw` is the whole config with its defaults (plain JSON types, for provenance)."""

    name: str
    title: str
    path: Path
    data: Data
    samples: Samples
    preprocess: Preprocess
    batch: Batch
    models: tuple[ModelConfig, ...]
    few_levels: str
    report: Report
    shards: int | None
    seed: int
    raw: dict[str, Any] = field(repr=False)
    lines: Mapping[yamlfile.Path_, int] = field(repr=False, compare=False)

    @property
    def headline(self) -> ModelConfig:
        """The first model."""
        return self.models[0]

    def place(self, *keys: str) -> dict[str, Any]:
        """file, row and column of a key of the config, as fields of a Problem."""
        return {
            "file": str(self.path),
            "row": schema.line_of(dict(self.lines), keys),
            "column": yamlfile.dotted(keys),
        }
