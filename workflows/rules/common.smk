"""The study, its plan and its paths; config and sample sheet are read here, the data never."""

from snakemake.exceptions import WorkflowError

from mixflow.errors import MixflowError
from mixflow.pipeline import setup

try:
    STUDY = setup.load(config, workflow.overwrite_configfiles or workflow.configfiles)
except MixflowError as error:
    raise WorkflowError(f"The study cannot be run:\n{error}") from None

PATHS = STUDY.paths


wildcard_constraints:
    model=STUDY.model_pattern,
    shard=r"\d+-of-\d+",
