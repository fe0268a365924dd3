"""The tests of all combinations of a sweep -> what holds, and which choice matters."""

from pathlib import Path

from mixflow.pipeline import job

with job.of(snakemake, "compare") as done:
    from mixflow.pipeline import compare

    study = job.study(snakemake.params.config)
    html, tables = Path(snakemake.output.html), Path(snakemake.output.tables)
    done(compare.run(snakemake.params.config, study, html, tables))
