"""Config, files and sheet are looked at as a whole, with all problems told at once."""

from pathlib import Path

from mixflow.pipeline import job

with job.of(snakemake, "check") as done:
    from mixflow.pipeline import check

    study = job.study(snakemake.params.config)
    done(check.run(study, Path(snakemake.output[0])))
