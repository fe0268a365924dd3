"""The report's pictures: each is drawn once, for the page and for files at journal widths."""
