"""Figures inside pages: small, and as they are."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from mammosynth.report.embedded import WIDTH, data_uri

SVG = """<svg xmlns="http://www.w3.org/2000/svg" width="360pt" height="180pt" viewBox="0 0 360 180">
<rect width="360" height="180" fill="white"/><rect width="180" height="90" fill="#d55e00"/></svg>"""


def opened(uri):
    start, _, content = uri.partition(",")
    assert start == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(content)))


def test_a_drawing_has_two_pixels_a_point_and_loses_nothing(tmp_path):
    path = tmp_path / 'a "name" #1.svg'
    path.write_text(SVG)
    image = opened(data_uri(path))
    assert image.size == (720, 360)
    pixels = np.asarray(image.convert("RGB"))
    assert pixels[1, 1].tolist() == [0xD5, 0x5E, 0x00]
    assert pixels[-2, -2].tolist() == [255, 255, 255]


@pytest.mark.parametrize(("side", "width"), [(2 * WIDTH, WIDTH), (300, 300)])
def test_a_picture_is_no_wider_than_it_is_shown_and_a_fraction_of_its_file(side, width, tmp_path):
    steps = np.linspace(0, 40, side)
    noise = np.random.default_rng(0).normal(0, 6, (side // 2, side))
    grey = (120 + 80 * np.sin(steps) * np.cos(steps[: side // 2, None]) + noise).clip(0, 255).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "a.png")
    uri = data_uri(tmp_path / "a.png")
    image = opened(uri)
    assert image.size == (width, width // 2)
    assert len(uri) < (tmp_path / "a.png").stat().st_size / 2
    shown = np.asarray(Image.fromarray(grey).resize(image.size, Image.Resampling.LANCZOS), float)
    assert np.abs(np.asarray(image.convert("L")) - shown).mean() < 5, "the same picture"
