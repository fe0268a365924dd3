"""One model on one shard of the features."""

from pathlib import Path

from mixflow.pipeline import job

gpu = bool(snakemake.resources.get("gpu", 0))
with job.of(snakemake, "fit", gpu) as done:
    from mixflow.pipeline import fit

    study = job.study(snakemake.params.config, snakemake.wildcards)
    batch = snakemake.input.get("batch")
    done(
        fit.run(
            study,
            snakemake.wildcards.model,
            snakemake.wildcards.shard,
            Path(snakemake.input.data),
            Path(batch) if batch else None,
            Path(snakemake.output[0]),
        )
    )
