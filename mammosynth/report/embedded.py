"""Figures inside pages: small, and sharp at twice the width at which they are shown; the files beside are whole."""

import base64
import io
from pathlib import Path

import typst
from PIL import Image

WIDTH, PAIRED_WIDTH = 1100, 800  # pixels that a picture has at most, and one of two in a row
QUALITY = 70  # of pictures; drawings are kept as they are
DENSITY = 144  # pixels an inch of a drawing


def data_uri(path: str | Path, width: int = WIDTH) -> str:
    """An SVG or PNG file as a URI that holds it as WebP, *width* pixels wide at most.

    A drawing is drawn as pixels, which are a third of its SVG, and kept without loss.
    """
    drawn = Path(path).suffix == ".svg"
    opened = Image.open(io.BytesIO(draw(path)) if drawn else path)
    image = opened.convert("L" if opened.mode == "L" else "RGB")
    if image.width > width and not drawn:
        image = image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    image.save(content, "webp", lossless=drawn, quality=QUALITY, method=4)
    return f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode()}"


def draw(path: str | Path, density: float = DENSITY) -> bytes:
    """An SVG file as PNG with *density* pixels an inch."""
    page = str(Path(__file__).with_name("drawing.typ"))
    return typst.compile(page, root="/", sys_inputs={"file": str(Path(path).resolve())}, format="png", ppi=density)
