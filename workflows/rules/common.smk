"""The study, its plan and its paths; config and sample sheet are read here, the data never."""

from snakemake.exceptions import WorkflowError

from mixflow.errors import MixflowError
from mixflow.pipeline import setup, sweeps, upstream


def is_made(path):
    """Whether this file is made by the workflow, for instance by one that has this workflow as a module."""
    return any(rule.is_producer(path) for rule in workflow.rules)


try:
    STUDY = setup.load(config, workflow.overwrite_configfiles or workflow.configfiles, is_made)
    SWEEP = sweeps.load(STUDY)
except MixflowError as error:
    raise WorkflowError(f"The study cannot be run:\n{error}") from None

PATHS = STUDY.paths


wildcard_constraints:
    model=STUDY.model_pattern,
    shard=r"\d+-of-\d+",


def all_cores(wildcards):
    """Every core of this machine; one where the job is sent to another, which `workflow.cores` does not know."""
    return workflow.resource_settings.cores or 1 if workflow.local_exec and not workflow.remote_exec else 1


def before(step):
    """What stands before a step, as a function: asked when all rules are known."""

    def found(wildcards):
        return upstream.of(STUDY, step, getattr(wildcards, "model", ""))

    return found
