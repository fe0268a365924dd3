"""Some small fits of a sweep."""

from mixflow.pipeline import job

with job.running(snakemake.log[0], snakemake.threads, "fits") as done:
    from mixflow.pipeline import fits

    study = job.study(snakemake.params.config)
    done(fits.run(snakemake.params.config, study.name, list(snakemake.params.nodes)))
