"""Values as read -> the values that are fitted."""

from pathlib import Path

from mixflow.pipeline import job

with job.of(snakemake, "preprocess") as done:
    from mixflow.pipeline import preprocess

    study = job.study(snakemake.params.config, snakemake.wildcards)
    done(preprocess.run(study, Path(snakemake.input[0]), Path(snakemake.output[0])))
