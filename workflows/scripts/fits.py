"""Some small fits of a sweep."""

from mixflow.pipeline import job

with job.of(snakemake, "fits") as done:
    from mixflow.pipeline import fits

    study = job.study(snakemake.params.config)
    done(fits.run(snakemake.params.config, study.name, list(snakemake.params.nodes)))
