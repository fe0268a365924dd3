"""At 20,000 features x 20 contrasts the page has at most 5 MB."""

from __future__ import annotations

from mixflow.report.build import page
from tests.report.big import big


def test_twenty_thousand_features_and_twenty_contrasts_fit_into_five_megabytes() -> None:
    text = page(big())
    assert len(text.encode()) <= 5_000_000
    assert "20,000 features" in text and text.count('<article class="contrast"') == 20
