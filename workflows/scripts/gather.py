"""All shards of a model -> its fits and tests."""

from pathlib import Path

from mixflow.pipeline import job

with job.of(snakemake, "gather") as done:
    from mixflow.pipeline import gather

    study = job.study(snakemake.params.config, snakemake.wildcards)
    shards = [Path(path) for path in snakemake.input.shards]
    batch = snakemake.input.get("batch")
    done(
        gather.run(
            study,
            snakemake.wildcards.model,
            shards,
            Path(snakemake.input.data),
            Path(snakemake.output[0]),
            Path(batch) if batch else None,
        )
    )
