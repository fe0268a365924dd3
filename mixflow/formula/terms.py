"""What a formula says, without data: `Terms` with its `RandomTerm`s and `Smooth`s."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RandomTerm:
    """One random term ``(columns | group)``.

    ``columns``: right-hand side for formulaic, intercept implied unless removed, e.g. ``1 + time``.
    ``group``: factors whose observed combinations are the levels, e.g. ``("site", "transect")``.
    ``covariance``: ``us`` (unstructured) or ``diag`` (independent columns).
    ``text``: the term as the user wrote it (an expanded term keeps the text it came from).
    """

    columns: str
    group: tuple[str, ...]
    covariance: str
    text: str

    @property
    def group_name(self) -> str:
        """The group as it is shown: ``site:transect``."""
        return ":".join(self.group)


@dataclass(frozen=True)
class Smooth:
    """One smooth ``s(x, k = 10, by = g)``: x an expression, ``k`` its number of columns if given.

    ``text``: the term as the user wrote it.
    """

    variable: str
    k: int | None
    by: str | None
    text: str

    @property
    def name(self) -> str:
        """As its group is shown: ``s(age)`` or ``s(age):sex``."""
        plain = self.variable[1:-1] if self.variable.count("`") == 2 and self._quoted else self.variable
        return f"s({plain})" if self.by is None else f"s({plain}):{self.by}"

    @property
    def _quoted(self) -> bool:
        return self.variable.startswith("`") and self.variable.endswith("`")


@dataclass(frozen=True)
class Terms:
    """A parsed formula: response, fixed part, random terms, offsets and smooths; knows nothing of data.

    ``response``: expression on the left, or None when every feature is the response.
    ``fixed``: right-hand side for formulaic, intercept implied unless removed.
    ``offset``: expressions whose sum is added to the linear predictor.
    ``variables``: every column the formula names.
    ``thresholds``: the intercept codes the factors but has no coefficient, since thresholds take its place.
    """

    text: str
    response: str | None
    fixed: str
    random: tuple[RandomTerm, ...]
    offset: tuple[str, ...]
    variables: frozenset[str]
    smooths: tuple[Smooth, ...] = ()
    thresholds: bool = False

    def __str__(self) -> str:
        return self.text
