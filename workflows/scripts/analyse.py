"""The fits of a model -> the tables of its analyses."""

from pathlib import Path

from mixflow.pipeline import job

with job.of(snakemake, "analyse") as done:
    from mixflow.pipeline import analyse

    study = job.study(snakemake.params.config, snakemake.wildcards)
    batch = snakemake.input.get("batch")
    done(
        analyse.run(
            study,
            snakemake.wildcards.model,
            Path(snakemake.input.model),
            Path(snakemake.input.data),
            Path(snakemake.output[0]),
            Path(batch) if batch else None,
            [Path(other) for other in snakemake.input.others],
        )
    )
