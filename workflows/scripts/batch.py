"""Diagnosis of the batch factors; harmonised values."""

from pathlib import Path

from mixflow.pipeline import job

with job.of(snakemake, "batch") as done:
    from mixflow.pipeline import batch

    study = job.study(snakemake.params.config, snakemake.wildcards)
    done(batch.run(study, Path(snakemake.input[0]), Path(snakemake.output[0])))
