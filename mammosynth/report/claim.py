"""The CLAIM checklist, filled from the run as far as a run can.

Tejani et al., Checklist for Artificial Intelligence in Medical Imaging (CLAIM): 2024 update, Radiology: Artificial
Intelligence 6(4):e240300. ``claim.json`` has its 44 items by number, each in our own short words, and what a run says
of it as a template, "" where only the authors know; ``#anchor`` is a section of the page.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

ITEMS = json.loads(Path(__file__).with_name("claim.json").read_text(encoding="utf-8"))


def fill(jinja: jinja2.Environment, known: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The items with what the run *known* says of each; None where it is the author's to fill."""
    plain = jinja.overlay(autoescape=False)  # what is written of it into the page is escaped there
    return [item | {"says": plain.from_string(item["says"]).render(known) or None} for item in ITEMS]


def linked(text: str, titles: Mapping[str, str]) -> Markup:
    """A text with its ``#anchor`` as links, by the titles of their sections."""
    parts = re.split(f"#({'|'.join(titles)})\\b", text)
    links = [Markup('<a href="#{}">{}</a>').format(anchor, titles[anchor]) for anchor in parts[1::2]]
    return Markup("").join(part for pair in zip(map(Markup.escape, parts[::2]), [*links, ""]) for part in pair)
