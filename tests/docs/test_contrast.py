"""Code can be read: each colour of the two styles has enough contrast on its background (WCAG AA)."""

from __future__ import annotations

import runpy

import pytest
from book import ROOT
from pygments.styles import get_style_by_name

ENOUGH = 4.5


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour such as `0d1117` or `fff`."""
    digits = colour.lstrip("#")
    if len(digits) == 3:
        digits = "".join(digit * 2 for digit in digits)
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, from 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def faint(style_name: str) -> list[str]:
    """Return the tokens of a style that cannot be read well."""
    style = get_style_by_name(style_name)
    return [
        str(token)
        for token, look in style
        if look["color"]
        and contrast(look["color"], look["bgcolor"] or style.background_color) < ENOUGH
    ]


@pytest.mark.parametrize("theme", ["pygments_style", "pygments_dark_style"])
def test_every_colour_of_code_has_enough_contrast(theme: str) -> None:
    assert faint(runpy.run_path(str(ROOT / "conf.py"))[theme]) == []


def test_a_style_that_cannot_be_read_well_is_found() -> None:
    assert "Token.Literal.String" in faint("tango")
    assert contrast("#000", "ffffff") == pytest.approx(21)
