"""From raw files to the values that are fitted."""


# No other rule but the report waits for the file of the check, since a contrast that changed is checked again and
# must not read and fit everything anew. Priority and all cores let it come first nevertheless.
rule check:
    input:
        local(STUDY.checked()),
    output:
        PATHS.checked,
    log:
        PATHS.logs / "check.log",
    benchmark:
        PATHS.benchmarks / "check.jsonl"
    priority: 100
    conda:
        "../envs/mixflow.yaml"
    threads: all_cores
    resources:
        **STUDY.costs.asked("check"),
    params:
        config=STUDY.config,
        settings=STUDY.settings("check"),
        upstream=before("check"),
        code=setup.code("check"),
    script:
        "../scripts/check.py"


rule ingest:
    input:
        local(STUDY.inputs()),
    output:
        directory(PATHS.raw),
    log:
        PATHS.logs / "ingest.log",
    benchmark:
        PATHS.benchmarks / "ingest.jsonl"
    conda:
        "../envs/mixflow.yaml"
    resources:
        **STUDY.costs.asked("ingest"),
    params:
        config=STUDY.config,
        settings=STUDY.settings("ingest"),
        upstream=before("ingest"),
        code=setup.code("ingest"),
    script:
        "../scripts/ingest.py"


rule preprocess:
    input:
        rules.ingest.output,
    output:
        directory(PATHS.data),
    log:
        PATHS.logs / "preprocess.log",
    benchmark:
        PATHS.benchmarks / "preprocess.jsonl"
    conda:
        "../envs/mixflow.yaml"
    resources:
        **STUDY.costs.asked("preprocess"),
    params:
        config=STUDY.config,
        settings=STUDY.settings("preprocess"),
        upstream=before("preprocess"),
        code=setup.code("preprocess"),
    script:
        "../scripts/preprocess.py"


rule batch:
    input:
        rules.preprocess.output,
    output:
        directory(PATHS.batch),
    log:
        PATHS.logs / "batch.log",
    benchmark:
        PATHS.benchmarks / "batch.jsonl"
    conda:
        "../envs/mixflow.yaml"
    resources:
        **STUDY.costs.asked("batch"),
    params:
        config=STUDY.config,
        settings=STUDY.settings("batch"),
        upstream=before("batch"),
        code=setup.code("batch"),
    script:
        "../scripts/batch.py"
