"""The light steps of some combinations of a sweep."""

from mixflow.pipeline import job

with job.of(snakemake, "combine") as done:
    from mixflow.pipeline import combine

    study = job.study(snakemake.params.config)
    done(combine.run(snakemake.params.config, study.name, list(snakemake.params.names)))
