"""The report, made from the one store of the study."""


rule report:
    input:
        rules.assemble.output,
        rules.check.output,
    output:
        html=report(
            PATHS.report,
            caption="../../reports/captions/report.rst",
            category="Results",
        ),
        tables=report(
            directory(PATHS.results / "tables"),
            patterns=["{table}.tsv"],
            caption="../../reports/captions/tables.rst",
            category="Tables",
        ),
        figures=directory(PATHS.results / "figures"),
        xlsx=PATHS.results / "results.xlsx",
    log:
        PATHS.logs / "report.log",
    benchmark:
        PATHS.benchmarks / "report.jsonl"
    conda:
        "../envs/mixflow.yaml"
    resources:
        **STUDY.costs.asked("report"),
    params:
        config=STUDY.config,
        settings=STUDY.settings("report"),
        upstream=before("report"),
        code=setup.code("report"),
    script:
        "../scripts/report.py"
