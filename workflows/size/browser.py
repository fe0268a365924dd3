"""Open the report of a study in Chromium: browser.py FOLDER OUT. Needs Chromium, or where it is in $CHROMIUM."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

FLAGS = ["--no-sandbox", "--disable-dev-shm-usage"]


def opened(page: Path) -> dict[str, object]:
    """Seconds until the page says that it is ready, memory of its script (MB), errors, rows and elements."""
    from playwright.sync_api import sync_playwright

    path = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        tab = browser.new_page()
        errors: list[str] = []
        tab.on("pageerror", lambda error: errors.append(str(error)))
        began = time.perf_counter()
        tab.goto(page.resolve().as_uri())
        tab.wait_for_selector("html[data-ready]", timeout=120_000)
        seconds = time.perf_counter() - began
        heap = tab.evaluate("performance.memory ? performance.memory.usedJSHeapSize / 1e6 : 0")
        rows = tab.evaluate("document.querySelectorAll('table tbody tr').length")
        nodes = tab.evaluate("document.querySelectorAll('*').length")
        browser.close()
    return {"seconds": seconds, "heap_mb": heap, "errors": errors, "rows": rows, "elements": nodes}


def main(folder: str, out: str) -> None:
    """Open the one report below the folder's results and write OUT (JSON)."""
    (page,) = Path(folder).glob("results/*/report.html")
    Path(out).write_text(json.dumps(opened(page), indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
