"""A study's store -> one self-contained HTML file, full tables and figures for a journal."""
