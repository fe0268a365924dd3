"""Raw files and sample sheet -> the values as read."""

from pathlib import Path

from mixflow.pipeline import job

with job.of(snakemake, "ingest") as done:
    from mixflow.pipeline import ingest

    study = job.study(snakemake.params.config, snakemake.wildcards)
    done(ingest.run(study, Path(snakemake.output[0])))
