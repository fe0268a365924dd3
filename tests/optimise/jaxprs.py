"""What stands in a compiled kernel."""

from __future__ import annotations

from collections.abc import Iterator

LAPACK = {"cholesky", "triangular_solve", "lu", "qr", "eigh", "eig", "svd", "schur", "householder_product"}


def equations_of(jaxpr) -> Iterator:
    """Every equation of a jaxpr and of those within it."""
    for equation in jaxpr.eqns:
        yield equation
        for value in equation.params.values():
            for inner in value if isinstance(value, tuple | list) else (value,):
                if hasattr(inner, "jaxpr"):
                    yield from equations_of(inner.jaxpr)
                elif hasattr(inner, "eqns"):
                    yield from equations_of(inner)
