"""Fits by model and shard; their number follows from the config and the size of the files, never from cores."""


rule fit:
    input:
        **STUDY.fit_inputs(),
        relationships=lambda wildcards: local(STUDY.relationships(wildcards.model)),
    output:
        directory(PATHS.work / "shards" / "{model}" / "{shard}.zarr"),
    log:
        PATHS.logs / "fit" / "{model}.{shard}.log",
    benchmark:
        PATHS.benchmarks / "fit" / "{model}.{shard}.jsonl"
    conda:
        "../envs/mixflow.yaml"
    resources:
        **STUDY.costs.asked("fit"),
    params:
        config=STUDY.config,
        settings=lambda wildcards: STUDY.fit_settings(wildcards.model),
        upstream=before("fit"),
        code=setup.code("fit"),
    script:
        "../scripts/fit.py"


rule gather:
    input:
        **STUDY.fit_inputs(),
        shards=lambda wildcards: STUDY.shards(wildcards.model),
    output:
        directory(PATHS.work / "models" / "{model}.zarr"),
    log:
        PATHS.logs / "gather" / "{model}.log",
    benchmark:
        PATHS.benchmarks / "gather" / "{model}.jsonl"
    conda:
        "../envs/mixflow.yaml"
    resources:
        **STUDY.costs.asked("gather"),
    params:
        config=STUDY.config,
        settings=lambda wildcards: STUDY.gather_settings(wildcards.model),
        upstream=before("gather"),
        code=setup.code("gather"),
    script:
        "../scripts/gather.py"


rule analyse:
    input:
        **STUDY.fit_inputs(),
        model=rules.gather.output[0],
        others=lambda wildcards: STUDY.others(wildcards.model),
    output:
        directory(PATHS.work / "analyses" / "{model}.zarr"),
    log:
        PATHS.logs / "analyse" / "{model}.log",
    benchmark:
        PATHS.benchmarks / "analyse" / "{model}.jsonl"
    conda:
        "../envs/mixflow.yaml"
    resources:
        **STUDY.costs.asked("analyse"),
    params:
        config=STUDY.config,
        settings=lambda wildcards: STUDY.analyse_settings(wildcards.model),
        upstream=before("analyse"),
        code=setup.code("analyse"),
    script:
        "../scripts/analyse.py"


rule assemble:
    input:
        data=rules.preprocess.output[0],
        batch=rules.batch.output[0],
        models=STUDY.models(),
        analyses=STUDY.analyses(),
    output:
        directory(PATHS.store),
    log:
        PATHS.logs / "assemble.log",
    benchmark:
        PATHS.benchmarks / "assemble.jsonl"
    conda:
        "../envs/mixflow.yaml"
    resources:
        **STUDY.costs.asked("assemble"),
    params:
        config=STUDY.config,
        settings=STUDY.settings("assemble"),
        upstream=before("assemble"),
        code=setup.code("assemble"),
    script:
        "../scripts/assemble.py"
