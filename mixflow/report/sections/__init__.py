"""The report's sections, in the order of the page."""

from __future__ import annotations

from mixflow.report import analyses
from mixflow.report.section import Section
from mixflow.report.sections import beside, closing, data, results, summary
from mixflow.report.view import View


def sections(view: View) -> list[Section]:
    """Every section of a study."""
    return [
        summary.summary(view),
        data.design(view),
        data.quality(view),
        data.batch(view),
        results.results(view),
        results.one_group(view),
        results.variance(view),
        *beside.sections(view),
        *analyses.sections(view),
        results.feature(view),
        closing.status(view),
        closing.methods_section(view),
        closing.provenance(view),
    ]
