"""A matplotlib SVG made fit for the page: small, in the page's colours, with unique ids and a description."""

from __future__ import annotations

import base64
import io
import re
from html import escape

from PIL import Image

PAGE_COLOURS = {
    "#0a0b0c": "currentColor",
    "#d0d1d2": "var(--line)",
    "#d55e00": "var(--up)",  # lighter on a dark page
    "#0072b2": "var(--down)",
}
_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_TAG = re.compile(r"<[^>]+>")  # coordinates are rounded, words (0.015 at an axis) are not
_RUN = re.compile(r'((?:<(?:use|path) [^<>]*? style="([^"]*)"/>)(?:<(?:use|path) [^<>]*? style="\2"/>){2,})')
_IMAGE = re.compile(r"data:image/png;base64,([A-Za-z0-9+/=\s]+)")


def for_page(svg: str, alt: str, prefix: str) -> str:
    """``svg`` without header, comments and unused ids, with ``alt`` as its accessible name."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", body, flags=re.S)
    images = [_small_image(match.group(1)) for match in _IMAGE.finditer(body)]
    body = _IMAGE.sub("@image@", body)
    body = _TAG.sub(lambda tag: _NUMBER.sub(_rounded, tag.group()), body)
    body = _unique_ids(body, prefix)
    body = re.sub(r"font: ([^;\"]*?)'DejaVu Sans'[^;\"]*", r"font: \1var(--font)", body)
    for colour, on_page in PAGE_COLOURS.items():
        body = body.replace(colour, on_page)
    body = re.sub(r"\s*\n\s*", " ", body).replace("> <", "><")
    body = _RUN.sub(_styled_once, body)
    for image in images:
        body = body.replace("@image@", "data:image/png;base64," + image, 1)
    return _described(body, alt)


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number.group()):.2f}".rstrip("0").rstrip(".")


def _styled_once(run: re.Match[str]) -> str:
    """Marks that share a style share it through a group: half the bytes of a scatter."""
    style = run.group(2)
    return f'<g style="{style}">' + run.group(1).replace(f' style="{style}"', "") + "</g>"


def _unique_ids(body: str, prefix: str) -> str:
    """Ids that something refers to get ``prefix``; the others go."""
    used = set(re.findall(r"url\(#([^)]+)\)", body)) | set(re.findall(r'href="#([^"]+)"', body))
    body = re.sub(
        r' id="([^"]+)"', lambda m: f' id="{prefix}-{m.group(1)}"' if m.group(1) in used else "", body
    )
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", body)
    return re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', body)


def _described(body: str, alt: str) -> str:
    """Width and height go (CSS sizes it); the description becomes the image's name."""
    head, rest = body.split(">", 1)
    head = re.sub(r' (width|height)="[^"]*pt"', "", head)
    return f'{head} role="img" aria-label="{escape(alt, quote=True)}">{rest}'


def _small_image(encoded: str) -> str:
    """A picture of points with 32 colours is a fifth of the bytes and looks the same."""
    image = Image.open(io.BytesIO(base64.b64decode(encoded)))
    buffer = io.BytesIO()
    image.quantize(32, method=Image.Quantize.FASTOCTREE).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
