"""The report for print, as a PDF: what stands unfolded on the page, and its main figures.

By typst, which needs no system library and no browser; ``report.typ`` says how it looks.
"""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import typst

from mammosynth.report.page import Picture, Study, context, pictures
from mammosynth.report.tables import grouped

FIGURES = ("flow", "samples", "quality", "ranks", "differences", "roc", "reliability")


def write(study: Study, path: str | Path) -> None:
    """Write the report of *study* as a PDF to *path*."""
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder, "told.json")
        told.write_text(json.dumps(content(study), ensure_ascii=False), encoding="utf-8")
        template = str(Path(__file__).with_name("report.typ"))
        typst.compile(template, output=str(path), root="/", sys_inputs={"file": str(told)})


def content(study: Study) -> dict[str, Any]:
    """What ``report.typ`` shows."""
    known = context(study)
    return {
        "title": known["title"],
        "subtitle": f"{known['subtitle']} · mammosynth {known['versions']['mammosynth']}",
        "phantoms": f"Phantoms, not clinical data: {', '.join(known['phantoms'])}" if known["phantoms"] else "",
        "answers": [
            {
                "title": modality.capitalize(),
                "answers": [vars(answer) for answer in known["groups"][0]["answers"][modality]],
            }
            for modality in known["modalities"]
        ],
        "reading": known["reading"],
        "summary": [_picture(of) for kind in ("summary_samples", "summary_forest") for of in pictures(study, kind)],
        "tables": [
            _table(study.paper_quality, "measure", study.captions["paper_quality"]),
            _table(study.paper_accuracy, "mix", study.captions["paper_accuracy"]),
        ],
        "caveats": known["caveats"],
        "pictures": [_picture(of) for kind in FIGURES for of in pictures(study, kind)],
    }


def _picture(shown: Picture) -> Mapping[str, str]:
    return {"path": str(shown.path.resolve()), "alt": shown.alt, "caption": shown.caption}


def _table(table: pd.DataFrame, row: str, caption: str) -> dict[str, Any]:
    return {
        "caption": caption,
        "columns": list(table.columns[table.columns.get_loc(row) :]),
        "groups": [{"heading": heading, "rows": rows} for heading, rows in grouped(table, row)],
    }
