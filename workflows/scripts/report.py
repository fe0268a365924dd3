"""The store of the study -> page, tables, figures and workbook."""

from pathlib import Path

from mixflow.pipeline import job

with job.of(snakemake, "report") as done:
    from mixflow.pipeline import report

    study = job.study(snakemake.params.config, snakemake.wildcards)
    done(report.run(Path(snakemake.input[0]), Path(snakemake.output.html).parent, share=study.report.share))
