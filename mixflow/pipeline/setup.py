"""What the Snakefile asks for while it is parsed: config and sheet only, never the data, jax or xarray."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from mixflow import resources
from mixflow.pipeline import codehash
from mixflow.pipeline.costs import Costs
from mixflow.pipeline.paths import Paths
from mixflow.study import config as config_module
from mixflow.study.columns import fixed_columns, kept_columns, terms_of
from mixflow.study.config import FAMILY_KEYS, Study
from mixflow.study.others import others
from mixflow.study.plan import Plan, load_plan
from mixflow.study.structure import needs_kenward_roger

DEFAULT_CONFIG = Path("config/config.yaml")
SETTINGS: dict[str, tuple[str, ...]] = {
    "check": ("data", "samples", "preprocess", "batch", "models", "few_levels"),
    "ingest": ("data", "samples"),
    "preprocess": ("preprocess",),
    "report": ("title", "report"),
}
"""Keys of the config that a step depends on beyond what its input stores hold; all where not listed."""
PAGES = ("report", "compare")
"""Steps that write a page."""
MEASURED = ("benchmarks", "calibration", "size")
"""What lies in reports/ beside the templates and is no part of a page: tables of measurements."""


IsMade = Callable[[str], bool]
"""Whether a rule makes this file, which Snakemake then looks after."""


class Workflow:
    """A study as the rules see it: paths, models, shards, and what makes a step run again.

    ``is_made``: whether a rule makes a file, asked when all rules are known; none where not given.
    """

    def __init__(
        self,
        study: Study,
        plan: Plan | None = None,
        paths: Paths | None = None,
        is_made: IsMade | None = None,
    ):
        self.study = study
        self.is_made: IsMade = is_made or (lambda path: False)
        self.paths = paths or Paths(study.name)
        self.plan: Plan = plan or load_plan(study)
        self.config = str(study.path)
        self.costs = Costs(study, self.plan, self.paths)

    @property
    def model_pattern(self) -> str:
        """Regular expression of the names of the models."""
        return "|".join(re.escape(name) for name in self.plan.names)

    def inputs(self) -> list[str]:
        """The files of the study that the user gives."""
        data = self.study.data
        optional = [data.features, self.study.samples.file]
        return [str(path) for path in (*data.files, *data.beside, *optional) if path is not None]

    def checked(self) -> list[str]:
        """The files that the check reads: also those of known relationships."""
        known = [path for name in self.plan.names for path in self.relationships(name)]
        return [*self.inputs(), *dict.fromkeys(known)]

    def shards(self, model: str) -> list[str]:
        """The stores of the shards of a model, first to last."""
        count = self.plan.n_shards
        return [str(self.paths.shard(model, i + 1, count)) for i in range(count)]

    def models(self) -> list[str]:
        """The stores of the models, in the order of the report."""
        return [str(self.paths.model(name)) for name in self.plan.names]

    def fit_inputs(self) -> dict[str, str]:
        """Stores that a fit reads: the batch step's only where harmonised values are fitted."""
        found = {"data": str(self.paths.data)}
        if self.study.batch.fit_on == "harmonised":
            found["batch"] = str(self.paths.batch)
        return found

    def relationships(self, model: str) -> list[str]:
        """Files with known relationships that a model reads."""
        return [str(path) for path in self.plan.model(model).relationship.values()]

    def analyses(self) -> list[str]:
        """The stores of the analyses, of the models that have any."""
        return [str(self.paths.analyses(model.name)) for model in self.plan.models if model.analyses]

    def others(self, model: str) -> list[str]:
        """The stores of other models whose tests the analyses of a model read."""
        return [str(self.paths.model(name)) for name in others(self.plan.model(model))]

    def settings(self, step: str) -> str:
        """Hash of the part of the config that ``step`` depends on; another value runs the step again."""
        if step == "batch":
            model = fixed_columns(terms_of(self.study, self.study.headline))
            return _hash([self.study.raw["batch"], kept_columns(self.study), sorted(model)])
        keys = SETTINGS.get(step)
        return _hash(self.study.raw if keys is None else {key: self.study.raw[key] for key in keys})

    def fit_settings(self, model: str) -> str:
        """The same for the fits of a model: not its contrasts, which are tested without a refit."""
        plan = self.plan.model(model)
        structures = [plan.residual, plan.dispersion, sorted(plan.relationship), needs_kenward_roger(plan)]
        structures += [plan.weights, plan.variances, *(getattr(plan, key) for key in FAMILY_KEYS)]
        chosen = [repr(plan.include), repr(plan.exclude)]
        return _hash([plan.formula, plan.reml, *chosen, self.study.batch.fit_on, *structures])

    def gather_settings(self, model: str) -> str:
        """The same for the tests of a model: not its analyses, which are made without testing again."""
        plan = replace(self.plan.model(model), analyses={})
        return _hash([repr(plan), self.study.report.alpha, self.study.raw["samples"]])

    def analyse_settings(self, model: str) -> str:
        """The same for the analyses of a model."""
        return _hash([self.plan.model(model).analyses, self.study.seed, self.gather_settings(model)])


def _hash(part: Any) -> str:
    return hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()[:16]


def load(config: Mapping[str, Any], files: Sequence[str], is_made: IsMade | None = None) -> Workflow:
    """The workflow of the study given to Snakemake: ``config`` as it holds it, from the last of ``files``.

    One study is one file. Where ``config`` is not what the file says (a module's own config, or --config), it
    is written to results/<study>/config.yaml and read from there, with the files that the original finds.
    """
    path = Path(files[-1]) if files else DEFAULT_CONFIG
    if not (path.is_file() and _read(path) == _plain(config)):
        path = _written(_found_from(path, _plain(config)) if path.is_file() else config)
    return Workflow(config_module.load(_relative(path)), is_made=is_made)


def code(step: str) -> str:
    """Hash of the code that ``step`` runs (for pages also templates and style)."""
    own = codehash.of(f"mixflow.pipeline.{step}")
    return own + codehash.of_files(resources.root() / "reports", skip=MEASURED)[:8] if step in PAGES else own


def _read(path: Path) -> Any:
    """The file as Snakemake reads it."""
    from snakemake.common.configfile import load_configfile

    return _plain(load_configfile(str(path)))


def _plain(config: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(config, default=str, sort_keys=True))


def _found_from(origin: Path, config: dict[str, Any]) -> dict[str, Any]:
    """``config`` with absolute paths where it would find other files than beside ``origin``."""
    data, samples = config.get("data"), config.get("samples")
    if not isinstance(data, dict):
        return config  # the check of the config says so
    was = config_module._Finder(origin, str(data.get("data_root", ".")))
    data["data_root"] = str(was.folders[0].resolve())
    now = config_module._Finder(Paths(str(config.get("study"))).results / "config.yaml", data["data_root"])

    def same(name: Any) -> Any:
        if isinstance(name, list):
            return [same(each) for each in name]
        if not isinstance(name, str) or now(name).resolve() == was(name).resolve():
            return name
        return str(was(name).resolve())

    for part, key in ((data, "files"), (data, "features"), (samples, "file")):
        if isinstance(part, dict) and key in part:
            part[key] = same(part[key])
    models = config.get("models")
    for model in models.values() if isinstance(models, dict) else ():
        if isinstance(model, dict) and isinstance(model.get("relationship"), dict):
            model["relationship"] = {group: same(name) for group, name in model["relationship"].items()}
    for key in config_module.BESIDE:  # a table of combinations or studies
        table = config.get(key)
        if isinstance(table, str) and (origin.parent / table).is_file():
            config[key] = str((origin.parent / table).resolve())
    return config


def _written(config: Mapping[str, Any]) -> Path:
    from mixflow.store import atomic

    path = Paths(str(config.get("study", "study"))).results / "config.yaml"
    text = yaml.safe_dump(json.loads(json.dumps(config, default=str)), sort_keys=False, allow_unicode=True)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        atomic.write_text(path, text)
    return path


def _relative(path: Path) -> Path:
    """Below the working folder as a relative path, so that moving the whole study runs nothing again."""
    try:
        return path.resolve().relative_to(Path.cwd().resolve())
    except ValueError:
        return path
