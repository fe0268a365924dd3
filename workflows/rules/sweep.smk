"""Combinations of a sweep, or studies of one table. Steps are those of the other rules; what combinations share is
one job, found by the hash of what it follows from; light steps of many combinations are one job."""


wildcard_constraints:
    combination=SWEEP.name_pattern,


use rule check as sweep_check with:
    input:
        local(SWEEP.inputs()),
    output:
        SWEEP.folder / "checked.txt",
    log:
        PATHS.logs / "sweep" / "check.log",
    benchmark:
        PATHS.benchmarks / "sweep" / "check.jsonl"
    resources:
        **SWEEP.costs.asked_of_all("check", SWEEP.names),
    params:
        config=SWEEP.config,
        settings=SWEEP.combine_settings(SWEEP.names),
        upstream=SWEEP.before("check", SWEEP.names),
        code=setup.code("check"),


use rule ingest as sweep_ingest with:
    input:
        lambda wildcards: local(SWEEP.at(wildcards.node).inputs()),
    output:
        directory(SWEEP.folder / "shared" / "ingest" / "{node}.zarr"),
    log:
        PATHS.logs / "sweep" / "ingest" / "{node}.log",
    benchmark:
        PATHS.benchmarks / "sweep" / "ingest" / "{node}.jsonl"
    wildcard_constraints:
        node=SWEEP.pattern("ingest"),
    resources:
        **SWEEP.costs.asked("ingest"),
    params:
        config=SWEEP.config,
        upstream=lambda wildcards: SWEEP.behind("ingest", wildcards.node),
        code=setup.code("ingest"),


use rule preprocess as sweep_preprocess with:
    input:
        lambda wildcards: SWEEP.shared("ingest", SWEEP.key("ingest", wildcards.node)),
    output:
        directory(SWEEP.folder / "shared" / "preprocess" / "{node}.zarr"),
    log:
        PATHS.logs / "sweep" / "preprocess" / "{node}.log",
    benchmark:
        PATHS.benchmarks / "sweep" / "preprocess" / "{node}.jsonl"
    wildcard_constraints:
        node=SWEEP.pattern("preprocess"),
    resources:
        **SWEEP.costs.asked("preprocess"),
    params:
        config=SWEEP.config,
        upstream=lambda wildcards: SWEEP.behind("preprocess", wildcards.node),
        code=setup.code("preprocess"),


use rule batch as sweep_batch with:
    input:
        lambda wildcards: SWEEP.shared("preprocess", SWEEP.key("preprocess", wildcards.node)),
    output:
        directory(SWEEP.folder / "shared" / "batch" / "{node}.zarr"),
    log:
        PATHS.logs / "sweep" / "batch" / "{node}.log",
    benchmark:
        PATHS.benchmarks / "sweep" / "batch" / "{node}.jsonl"
    wildcard_constraints:
        node=SWEEP.pattern("batch"),
    resources:
        **SWEEP.costs.asked("batch"),
    params:
        config=SWEEP.config,
        upstream=lambda wildcards: SWEEP.behind("batch", wildcards.node),
        code=setup.code("batch"),


use rule fit as sweep_fit with:
    input:
        unpack(lambda wildcards: SWEEP.node_inputs(wildcards.node)),
        relationships=lambda wildcards: local(SWEEP.at(wildcards.node).relationships(wildcards.model)),
    output:
        directory(SWEEP.folder / "shared" / "fit" / "{node}" / "{model}" / "{shard}.zarr"),
    log:
        PATHS.logs / "sweep" / "fit" / "{node}.{model}.{shard}.log",
    benchmark:
        PATHS.benchmarks / "sweep" / "fit" / "{node}.{model}.{shard}.jsonl"
    wildcard_constraints:
        node=SWEEP.pattern("fit"),
        model=SWEEP.model_pattern,
    resources:
        **SWEEP.costs.asked("fit"),
    params:
        config=SWEEP.config,
        upstream=lambda wildcards: SWEEP.behind("fit", wildcards.node),
        code=setup.code("fit"),


for number, keys in enumerate(SWEEP.fit_batches, start=1):

    rule:
        name:
            f"fits_{number}"
        input:
            SWEEP.fits_inputs(keys),
        output:
            [directory(store) for store in SWEEP.fits_outputs(keys)],
        log:
            PATHS.logs / "sweep" / f"fits_{number}.log",
        benchmark:
            PATHS.benchmarks / "sweep" / f"fits_{number}.jsonl"
        conda:
            "../envs/mixflow.yaml"
        resources:
            **SWEEP.costs.asked_of_fits(keys),
        params:
            config=SWEEP.config,
            nodes=keys,
            upstream=SWEEP.before("fits", [SWEEP.nodes[key].combination for key in keys]),
            code=setup.code("fits"),
        script:
            "../scripts/fits.py"


# A rule for each batch, since the outputs of a batch are no function of one wildcard.
for number, names in enumerate(SWEEP.batches, start=1):

    rule:
        name:
            f"combine_{number}"
        input:
            SWEEP.combine_inputs(names),
        output:
            [directory(folder) for folder in SWEEP.folders(names)],
            SWEEP.files(names),
        log:
            PATHS.logs / "sweep" / f"combine_{number}.log",
        benchmark:
            PATHS.benchmarks / "sweep" / f"combine_{number}.jsonl"
        conda:
            "../envs/mixflow.yaml"
        resources:
            **SWEEP.costs.asked_of_all("combine", names),
        params:
            config=SWEEP.config,
            names=names,
            settings=SWEEP.combine_settings(names),
            upstream=SWEEP.before("combine", names),
            code=setup.code("combine"),
        script:
            "../scripts/combine.py"


rule compare:
    input:
        tests=[SWEEP.tests(name) for name in SWEEP.names],
        checked=rules.sweep_check.output[0],
    output:
        html=report(
            PATHS.results / "comparison.html",
            caption="../../reports/captions/comparison.rst",
            category="Results",
        ),
        tables=directory(PATHS.results / "comparison"),
    log:
        PATHS.logs / "sweep" / "compare.log",
    benchmark:
        PATHS.benchmarks / "sweep" / "compare.jsonl"
    conda:
        "../envs/mixflow.yaml"
    resources:
        **SWEEP.costs.asked_of_all("compare", SWEEP.names),
    params:
        config=SWEEP.config,
        settings=SWEEP.combine_settings(SWEEP.names),
        code=setup.code("compare"),
    script:
        "../scripts/compare.py"


# A whole store and report of one combination, made when asked for: mixflow run CONFIG results/.../report.html
use rule assemble as sweep_assemble with:
    input:
        unpack(lambda wildcards: SWEEP.assembled(wildcards.combination)),
    output:
        directory(SWEEP.paths("{combination}").store),
    log:
        SWEEP.paths("{combination}").logs / "assemble.log",
    benchmark:
        SWEEP.paths("{combination}").benchmarks / "assemble.jsonl"
    resources:
        **SWEEP.costs.asked("assemble"),
    params:
        config=SWEEP.config,
        settings=lambda wildcards: SWEEP.combine_settings([wildcards.combination]),
        upstream=lambda wildcards: SWEEP.upstream("combine", [wildcards.combination]),
        code=setup.code("assemble"),


use rule report as sweep_report with:
    input:
        rules.sweep_assemble.output,
        rules.sweep_check.output,
    output:
        html=report(
            SWEEP.paths("{combination}").report,
            caption="../../reports/captions/report.rst",
            category="Results",
        ),
        tables=directory(SWEEP.paths("{combination}").results / "tables"),
        figures=directory(SWEEP.paths("{combination}").results / "figures"),
        xlsx=SWEEP.paths("{combination}").results / "results.xlsx",
    log:
        SWEEP.paths("{combination}").logs / "report.log",
    benchmark:
        SWEEP.paths("{combination}").benchmarks / "report.jsonl"
    resources:
        **SWEEP.costs.asked("report"),
    params:
        config=SWEEP.config,
        settings=lambda wildcards: SWEEP.combine_settings([wildcards.combination]),
        code=setup.code("report"),


rule reports:
    input:
        [SWEEP.paths(name).report for name in SWEEP.names],
