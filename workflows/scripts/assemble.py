"""The stores of all steps -> the one store of the study."""

from pathlib import Path

from mixflow.pipeline import job

with job.of(snakemake, "assemble") as done:
    from mixflow.pipeline import assemble

    study = job.study(snakemake.params.config, snakemake.wildcards)
    models = [Path(path) for path in snakemake.input.models]
    analyses = [Path(path) for path in snakemake.input.analyses]
    data, batch = Path(snakemake.input.data), Path(snakemake.input.batch)
    done(assemble.run(study, data, batch, models, Path(snakemake.output[0]), analyses))
