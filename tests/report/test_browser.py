"""The page in a real browser: filled, sorted, searched, downloaded, hovered, and read by axe."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: the page is not opened"
)

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no Chromium at {CHROMIUM}: the page is not opened"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield opened
        opened.close()


class Page:
    """A page that was opened, and what its console said."""

    def __init__(self, browser: Any, path: Path, **options: Any):
        self.said: list[str] = []
        self.asked: list[str] = []
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        self.page = self.context.new_page()
        self.page.on(
            "console", lambda m: self.said.append(m.text) if m.type in ("error", "warning") else None
        )
        self.page.on("pageerror", lambda e: self.said.append(str(e)))
        self.page.on("request", lambda r: self.asked.append(r.url))
        self.page.goto(path.as_uri())
        if options.get("java_script_enabled", True):
            self.page.wait_for_selector("html[data-ready]", timeout=20_000)


@pytest.fixture(scope="module")
def opened(browser: Any, report: Path) -> Iterator[Page]:
    page = Page(browser, report / "report.html", accept_downloads=True)
    yield page
    page.context.close()


@pytest.fixture
def page(opened: Page) -> Any:
    """The open page, its controls as at the start."""
    opened.page.fill("#x-search", "")
    opened.page.select_option("#x-contrast", "0")
    opened.page.select_option("#x-model", "0")
    opened.page.uncheck("#x-hits")
    opened.page.wait_for_timeout(200)
    return opened.page


def rows(page: Any, column: int) -> list[str]:
    return page.eval_on_selector_all(
        "#x-table tbody tr", f"rows => rows.map(r => r.children[{column}].innerText)"
    )


def test_sections_are_filled_and_nothing_is_asked_of_the_network(opened: Page) -> None:
    for section in opened.page.query_selector_all("main > section"):
        assert len(section.inner_text()) > 100, section.get_attribute("id")
    assert opened.page.locator("main > section").count() == 14
    assert [u for u in opened.asked if not u.startswith(("file:", "blob:", "data:"))] == []


def test_the_table_shows_the_store(page: Any, report: Path) -> None:
    table = pd.read_csv(report / "tables/results_mixed_high-vs-control.tsv", sep="\t").sort_values("p_value")
    assert rows(page, 1) == list(table["feature"][:25])
    assert rows(page, 2)[0] == f"{table['estimate'].iloc[0]:#.3g}"
    low, high = table["conf_low"].iloc[0], table["conf_high"].iloc[0]
    assert rows(page, 3)[0] == f"{low:#.3g} to {high:#.3g}"


def test_headers_sort_by_mouse_and_by_keyboard(page: Any) -> None:
    page.click("#x-table th[data-key=name] button")
    names = rows(page, 0)
    assert page.get_attribute("#x-table th[data-key=name]", "aria-sort") == "ascending"
    assert names[0] == "=SUM(A1)" and names[1] == "2-Mar"
    page.focus("#x-table th[data-key=estimate] button")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert page.get_attribute("#x-table th[data-key=estimate]", "aria-sort") == "descending"
    values = [float(v.replace("−", "-")) for v in rows(page, 2)]
    assert values == sorted(values, reverse=True)
    page.click("#x-table th[data-key=log10_p] button")


def test_search_and_hits_only_filter_rows_and_are_told(page: Any) -> None:
    page.fill("#x-search", "protein number 15")
    page.wait_for_function("document.querySelectorAll('#x-table tbody tr').length < 25")
    assert all(name.startswith("GENE15") for name in rows(page, 0))
    assert re.search(r"; \d+ shown\.$", page.inner_text("#x-count"))
    page.fill("#x-search", "")
    page.check("#x-hits")
    page.wait_for_timeout(200)
    told = int(page.inner_text("#x-count").split(": ")[-1].split(" of")[0])
    assert len(rows(page, 0)) == min(told, 25)


def test_contrast_and_model_are_chosen(page: Any, report: Path) -> None:
    page.select_option("#x-contrast", "2")
    page.select_option("#x-model", "3")
    table = pd.read_csv(report / "tables/results_without-Delft_week-4-vs-baseline.tsv", sep="\t")
    assert rows(page, 1)[0] == table.sort_values("p_value")["feature"].iloc[0]
    assert "week 4 minus baseline" in page.inner_text("#x-count")


def test_download_gives_what_is_shown(page: Any, report: Path, tmp_path: Path) -> None:
    page.check("#x-hits")
    with page.expect_download() as caught:
        page.click("#x-download")
    path = tmp_path / "got.tsv"
    caught.value.save_as(path)
    got = pd.read_csv(path, sep="\t").set_index("feature")
    full = pd.read_csv(report / "tables/results_mixed_high-vs-control.tsv", sep="\t").set_index("feature")
    full = full[full["q_value"] < 0.05]
    assert set(got.index) == set(full.index)
    for column in ("estimate", "p_value", "q_value", "conf_low", "conf_high"):
        pd.testing.assert_series_equal(got[column], full.loc[got.index, column], rtol=1e-4)
    assert caught.value.suggested_filename == "made-up_mixed_high-vs-control.tsv"


def test_hover_names_a_point_and_click_opens_its_feature(page: Any) -> None:
    page.locator("#x-volcano").scroll_into_view_if_needed()
    best = page.evaluate(
        """() => { const v = mixflow.volcano;
        const i = v.rows.reduce((best, r, k) => (r.log10_p < v.rows[best].log10_p ? k : best), 0);
        const box = v.canvas.getBoundingClientRect();
        return [v.rows[i].name, box.left + v.places[i][0], box.top + v.places[i][1]]; }"""
    )
    page.mouse.move(best[1], best[2])
    assert page.is_visible("#x-tip") and page.inner_text("#x-tip").startswith(best[0])
    page.mouse.click(best[1], best[2])
    assert page.inner_text("#f-view h3") == best[0]
    assert page.evaluate("document.activeElement.id") == "h-feature"


def test_a_feature_shows_values_pairs_fit_and_modes(page: Any) -> None:
    page.fill("#f-search", "GENE8")
    page.keyboard.press("Enter")
    page.select_option("#f-axis", "1")
    assert page.inner_text("#f-view h3") == "GENE8"
    assert page.locator("#f-view svg").first.locator("path title").count() > 40
    assert page.locator("#f-view polyline").count() > 10
    assert "What each site adds" in page.inner_text("#f-view")
    described = page.locator("#f-view svg").first.get_attribute("aria-label")
    assert "baseline: observed mean" in described and "model mean" in described


def test_a_feature_without_values_says_where_they_are(page: Any) -> None:
    unnamed = "mixflow.features.id.findIndex((_, i) => !mixflow.facts.named.includes(i))"
    name = page.evaluate(f"mixflow.features.name[{unnamed}]")
    page.fill("#f-search", name)
    page.keyboard.press("Enter")
    assert page.inner_text("#f-view h3") == name and "--feature" in page.inner_text("#f-view")


def test_an_analysis_is_searched_filtered_and_sorted(page: Any, report: Path) -> None:
    table = pd.read_csv(report / "tables/mixed.terms.tsv", sep="\t")
    home = page.locator('[data-analysis="analysis-mixed-terms"]')
    first = "r => r.map(e => e.children[0].innerText)"
    assert home.locator("tbody tr").evaluate_all(first) == list(table["name"][:10])
    assert home.locator("tbody tr").first.inner_text().split("\t")[6] == "<1e−300"
    moderator = page.locator('[data-analysis="analysis-mixed-slopes-by"] tbody td:nth-child(3)')
    assert set(moderator.all_inner_texts()) == {"40 (mean - sd)", "50 (mean)"}
    home.locator("select").select_option("time")
    assert home.locator("tbody tr").evaluate_all(first) == list(table["name"][1:20:2])
    home.locator("th[data-key=statistic] button").press("Enter")
    assert home.locator("th[data-key=statistic]").get_attribute("aria-sort") == "ascending"
    assert home.locator("tbody tr").first.locator("th").inner_text() == table["name"].iloc[-1]
    home.locator("input").fill(table["name"][6])
    page.wait_for_timeout(200)
    assert "of the" in home.locator("p.note").inner_text()
    home.locator("tbody button").first.click()
    assert page.inner_text("#f-view h3") == home.locator("tbody th").first.inner_text()


def test_nothing_lies_over_the_head_of_the_page_at_any_place(page: Any) -> None:
    """The head stays in place when the page is scrolled; no picture or table may stay with it."""
    assert (
        page.evaluate(
            """() => [...document.querySelectorAll("main *")].filter(
            (e) => getComputedStyle(e).position === "sticky" && !e.closest("thead")).map((e) => e.className)"""
        )
        == []
    )
    page.locator("#x-table").scroll_into_view_if_needed()
    page.evaluate("document.querySelector('#x-volcano').getBoundingClientRect().top > 0 && scrollBy(0, 200)")
    assert page.evaluate("document.elementFromPoint(innerWidth / 2, 8).closest('header') !== null")


def test_the_section_that_is_read_is_marked_in_the_navigation(page: Any) -> None:
    for name in ("methods", "results"):
        link = page.locator("nav a").filter(has_text=re.compile(name, re.IGNORECASE)).first
        target = link.get_attribute("href")
        page.evaluate("at => document.querySelector(at).scrollIntoView({behavior: 'instant'})", target)
        page.wait_for_selector(f"nav a[href='{target}'][aria-current]")


def test_the_theme_is_switched_and_named(page: Any) -> None:
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
    page.click("#theme")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == before


def test_the_first_tab_skips_to_the_results(page: Any) -> None:
    page.evaluate("window.scrollTo(0, 0); document.activeElement.blur()")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") in ("skip", "brand", "")
    assert page.locator("a.skip").get_attribute("href") == "#main"


def test_the_console_is_silent(opened: Page) -> None:
    assert opened.said == []


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("dark", 390)])
def test_axe_finds_nothing_serious(browser: Any, report: Path, scheme: str, width: int) -> None:
    axe = Path(os.environ.get("AXE_JS", ROOT / "node_modules/axe-core/axe.min.js"))
    if not axe.is_file():
        pytest.skip("axe-core is not here: npm install axe-core, or set AXE_JS to axe.min.js")
    size = {"width": width, "height": 900}
    page = Page(browser, report / "report.html", color_scheme=scheme, viewport=size, bypass_csp=True)
    page.page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    page.page.add_script_tag(path=str(axe))
    found = page.page.evaluate("axe.run(document).then((r) => r.violations)")
    grave = [
        (v["id"], v["nodes"][0]["html"][:160], v["nodes"][0]["failureSummary"][:200])
        for v in found
        if v["impact"] in ("serious", "critical")
    ]
    assert grave == []
    assert page.page.evaluate("document.documentElement.scrollWidth") <= width
    page.context.close()


def test_the_page_is_readable_with_scripts_off(browser: Any, report: Path) -> None:
    page = Page(browser, report / "report.html", java_script_enabled=False)
    for selector in (
        "#static-results table",
        "#results svg",
        "#static-feature svg",
        "#methods-text",
        "#analysis-mixed-terms table",
    ):
        assert page.page.locator(selector).first.is_visible(), selector
    assert not page.page.locator("#explorer").is_visible() and not page.page.locator("#theme").is_visible()
    page.context.close()


def test_the_copy_to_share_works_too(browser: Any, shared_report: Path) -> None:
    page = Page(browser, shared_report / "report.html")
    assert "This copy has no values of single samples" in page.page.inner_text("#feature")
    assert page.page.locator("#f-view svg").first.is_visible()
    assert page.said == []
    page.context.close()
