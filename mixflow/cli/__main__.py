"""`python -m mixflow.cli`."""

from mixflow.cli import main

main()
