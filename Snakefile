"""mixflow: from a raw table to a report. Rules stand in workflows/rules, the code they call in mixflow/pipeline."""

from snakemake.utils import min_version

min_version("9.19")

# Only where none is given: Snakemake merges config files, and no key of one study may reach another.
if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


include: "workflows/rules/common.smk"
include: "workflows/rules/data.smk"
include: "workflows/rules/models.smk"
include: "workflows/rules/report.smk"


if SWEEP:

    include: "workflows/rules/sweep.smk"


rule all:
    default_target: True
    input:
        SWEEP.target() if SWEEP else rules.report.output,


rule stores:
    input:
        rules.assemble.output,
