"""Numbers for the page's JavaScript, small: arrays as bytes, gzipped together, base64.

Up to `PRECISE` tests estimates travel as float32. Above, as 16-bit logarithms in steps of 0.1 % (three
significant digits, which is what the page shows; the full numbers are in tables/): 20,000 features x 20
contrasts are then 3.4 MB.
"""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import numpy as np

PRECISE = 100_000
STEP = 0.001
NAN = 65535


class Pack:
    """Collects arrays; `header` says where each one lies and how it is coded."""

    def __init__(self) -> None:
        self.header: dict[str, dict[str, Any]] = {}
        self._parts: list[bytes] = []
        self._at = 0

    def _add(self, name: str, data: bytes, **facts: Any) -> None:
        self.header[name] = {"at": self._at, "n": len(data), **facts}
        self._parts.append(data)
        self._at += len(data)

    def text(self, name: str, value: Any) -> None:
        """Anything JSON."""
        self._add(name, json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode(), kind="json")

    def small(self, name: str, values: np.ndarray) -> None:
        """Whole numbers under 65,536."""
        self._add(name, _planes(np.asarray(values).astype("<u2")), kind="u2")

    def floats(self, name: str, values: np.ndarray) -> None:
        """float32."""
        self._add(name, _planes(np.asarray(values, dtype="<f4")), kind="f4")

    def logs(self, name: str, values: np.ndarray, step: float = STEP) -> None:
        """Sign and logarithm in 16 bits: relative error ``step`` / 2; 14 decades under the top is zero."""
        values = np.asarray(values, dtype=float)
        size = np.abs(values)
        used = np.isfinite(values) & (size > 0)
        top = float(np.log(size[used].max())) if used.any() else 0.0
        depth = np.zeros(values.shape)
        depth[used] = np.round((top - np.log(size[used])) / step)
        code = np.where(used & (depth < 32766), depth + 1, 0).astype(np.int64)
        code[values < 0] += 32768 * (code[values < 0] > 0)
        code[~np.isfinite(values)] = NAN
        self._add(name, _planes(code.astype("<u2")), kind="l2", top=top, step=step)

    def rows(self, name: str, values: np.ndarray) -> None:
        """A matrix in 16 bits, linear between each row's own least and largest value."""
        values = np.atleast_2d(np.asarray(values, dtype=float))
        seen = np.isfinite(values)
        low = np.where(seen, values, np.inf).min(axis=1, initial=np.inf)
        high = np.where(seen, values, -np.inf).max(axis=1, initial=-np.inf)
        low, high = np.where(np.isfinite(low), low, 0.0), np.where(np.isfinite(high), high, 0.0)
        span = np.where(high > low, high - low, 1.0)
        with np.errstate(invalid="ignore"):
            code = np.round((values - low[:, None]) / span[:, None] * (NAN - 1))
        code = np.where(seen, code, NAN).astype("<u2")
        ends = np.concatenate([low, span]).astype("<f4")
        self._add(name, ends.tobytes() + _planes(code), kind="r2", rows=values.shape[0], cols=values.shape[1])

    def encoded(self) -> str:
        """All arrays as base64 text of gzip."""
        return base64.b64encode(gzip.compress(b"".join(self._parts), 9, mtime=0)).decode("ascii")


def _planes(values: np.ndarray) -> bytes:
    """All first bytes, then all second bytes ...: alike bytes lie together, so gzip finds them."""
    flat = np.ascontiguousarray(values).ravel()
    return flat.view(np.uint8).reshape(-1, flat.itemsize).T.tobytes()
