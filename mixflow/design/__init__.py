"""Terms met with a sample sheet (`build`), and what differs by feature."""

from mixflow.design.design import Design, RandomColumns, build

__all__ = ["Design", "RandomColumns", "build"]
