"""How a contrast is told: what is held where, and what is averaged over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mixflow.design.design import Design


def rest(design: Design, compared: str, at: Mapping[str, Any]) -> str:
    """What the comparison assumes of the other variables, beginning with a comma or empty.

    Those that interact with the compared one matter: numbers stand at their mean, factors' levels weigh
    equally. The others cancel: the comparison is adjusted for them.
    """
    partners = interacting(design, compared)
    others = [v for v in design.variables if v.name != compared and v.name not in at]
    said = [f"at {name} = {value}" for name, value in at.items()]
    said += [f"at mean {v.name} {v.mean:.4g}" for v in others if v.kind == "number" and v.name in partners]
    averaged = [v.name for v in others if v.kind == "factor" and v.name in partners]
    said += [f"averaged over the levels of {_and(averaged)}"] if averaged else []
    adjusted = [v.name for v in others if v.name not in partners]
    said += [f"adjusted for {_and(adjusted)}"] if adjusted else []
    return "".join(f", {part}" for part in said)


def interacting(design: Design, name: str) -> frozenset[str]:
    """Variables that share a term of the fixed part with ``name``."""
    shared = (names for names in design.encoding.term_variables if name in names)
    return frozenset().union(*shared) - {name}


def step(name: str, low: float, high: float, linear: bool) -> str:
    """A difference of a number."""
    if linear:
        return f"a difference of {high - low:.6g} in {name}"
    return f"{name} {high:.4g} minus {name} {low:.4g} (not linear: it depends on where it starts)"


def weights(entry: Mapping[str, float]) -> str:
    """A weighted sum of coefficients: ``Days``, ``2 x Days - 1 x (Intercept)``."""
    if list(entry.values()) == [1]:
        return f"coefficient {next(iter(entry))}"
    parts = [f"{'-' if w < 0 else '+'} {abs(w):g} x {name}" for name, w in entry.items()]
    return " ".join(parts).removeprefix("+ ")


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
