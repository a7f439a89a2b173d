"""Readers: what they declare is checked and shown, and one more is one file and one line."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from additions_for_tests import ENTRIES, FILES, said_by, workflow_with
from databases_for_tests import SMALL, real, settings

from mammosynth import code
from mammosynth.databases import READERS, database_of, miscounted, open_source, read_database, resolve
from mammosynth.databases.catalogue import describe
from mammosynth.databases.readers import module_of
from mammosynth.databases.settings import COMMON
from mammosynth.errors import InputError

ROOT = Path(__file__).parents[1]
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
CONFIGURE = """
import json
import yaml
from mammosynth import study
from mammosynth.errors import InputError

config = yaml.safe_load(open(f"{ROOT}/config.yaml", encoding="utf-8"))


def said(**setting):
    config["sources"] = {"mine": {"reader": "toy", "modality": "ultrasound", "root": "raw"} | setting}
    config["databases"] = ["mine"]
    try:
        study.check(config)
        return study.resolve_sources(config)["mine"]["narrowest"]
    except InputError as error:
        return str(error)


print(json.dumps([said(), said(narrowest=40), said(narrowest=0), said(widest=9)]))
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A copy of the workflow to which a reader was added; see test_additions for a study of it."""
    name, registry = "databases/toy.py", "databases/readers.py"
    house = tmp_path_factory.mktemp("readers") / "workflow"
    return workflow_with(house, {name: FILES[name]}, {registry: ENTRIES[registry]})


def test_settings_of_an_added_reader_are_checked_and_have_their_default(house, tmp_path):
    ((default, given, *refused),) = said_by(CONFIGURE, house, tmp_path)
    assert (default, given) == (20, 40)
    assert "config: sources.mine.narrowest: 0 is less than the minimum of 1; Narrower images are" in refused[0]
    assert "config: sources.mine.widest: reader toy has no such setting; it has narrowest, modality, root" in refused[1]


def test_one_more_reader_leaves_the_code_of_the_others_as_it_is(house, monkeypatch):
    def digests() -> list[str]:
        for cached in (code.digest, code._tree, code._imported, code._sum):
            cached.cache_clear()
        files = [code.module(module_of("busi")), code.PACKAGE.parent / "workflow/scripts/read_lesions.py"]
        return [code.digest(file) for file in files]

    before = digests()
    monkeypatch.setattr(code, "PACKAGE", house / "mammosynth")
    assert digests() == before
    file = house / "mammosynth/databases/busi.py"
    text = file.read_text()
    file.write_text(text.replace('SUFFIX = ".png"', 'SUFFIX = ".bmp"'))
    assert [new == old for new, old in zip(digests(), before)] == [False, True]
    file.write_text(text)


@pytest.mark.parametrize("reader", READERS)
def test_a_reader_declares_what_is_needed(reader):
    database = database_of(reader)
    assert not set(database.settings) & set(COMMON)
    assert all(setting.description.endswith(".") for setting in database.settings.values())
    given = {name: SMALL_VALUES[name] for name, setting in database.settings.items() if setting.required}
    resolved = resolve("x", {"reader": reader, "modality": "ultrasound", **given})
    assert resolved == resolve("x", resolved)  # defaults are among what may be set


SMALL_VALUES = {"benign": "b", "malignant": "m"}


def test_the_settings_that_all_sources_have_are_the_schemas():
    assert tuple(SCHEMA["properties"]["sources"]["additionalProperties"]["properties"]) == COMMON


def test_the_page_of_readers_is_what_they_declare():
    page = (ROOT / "docs/readers.md").read_text(encoding="utf-8")
    assert page == describe(), "run python -m mammosynth.databases.catalogue > docs/readers.md"


@pytest.mark.parametrize(
    ("reader", "given", "message"),
    [
        ("bussi", {}, r"sources\.x\.reader: bussi is not one of breast_lesions_usg, bus_bra, busi"),
        ("bus_bra", {"official_folds": 7}, r"sources\.x\.official_folds: 7 is not one of \[5, 10\]; Keep to the folds"),
        (
            "busi",
            {"official_folds": 5},
            r"sources\.x\.official_folds: reader busi has no such setting; it has modality",
        ),
        ("busi", {"patient": "x"}, r"sources\.x\.patient: reader busi has no such setting"),
        ("cbis_ddsm", {"abnormalities": ["mass", "lump"]}, r"abnormalities\[1\]: 'lump' is not one of \['mass'"),
        ("cbis_ddsm", {"abnormalities": []}, r"abnormalities: \[\] should be non-empty"),
        ("inbreast", {"birads": {"benign": [2]}}, r"birads: 'malignant' is a required property; The BI-RADS"),
        ("inbreast", {"birads": {"benign": [7], "malignant": [5]}}, r"birads\.benign\[0\]: 7 is not one of"),
        (
            "inbreast",
            {"birads": {"benign": [4], "malignant": ["4", 5]}},
            r"birads: 4 stands in both lists: take it out",
        ),
        ("rois", {"benign": "b"}, r"sources\.x has no malignant, which reader rois needs: Malignant ROIs"),
        ("rois", {**SMALL_VALUES, "patient": "("}, r'sources\.x\.patient: "\(" is no regular expression \(missing'),
        ("rois", {**SMALL_VALUES, "patient": "P", "exclusion": "x"}, r"sources\.x\.exclusion: reader rois has no such"),
    ],
)
def test_a_setting_that_a_reader_cannot_take_is_refused_by_name(reader, given, message):
    with pytest.raises(InputError, match=message):
        resolve("x", {"reader": reader, "modality": "ultrasound", "root": "/x", **given})


def test_all_settings_at_fault_are_named_at_once():
    with pytest.raises(InputError) as error:
        resolve("x", {"reader": "rois", "modality": "ultrasound", "root": "/x", "patient": "(", "folds": 3})
    for key in ("sources.x.patient", "sources.x.folds", "no benign", "no malignant"):
        assert key in str(error.value)


def test_a_default_is_not_shared_by_two_sources():
    first, second = (resolve("x", {"reader": "cbis_ddsm", "modality": "mammography"}) for _ in range(2))
    first["abnormalities"].append("calcification")
    assert second["abnormalities"] == ["mass"]


def test_lesions_that_are_not_as_many_as_known_are_told(tmp_path, caplog):
    SMALL["busi"](tmp_path)
    reading = read_database(open_source("db", settings("busi", tmp_path)))
    count = {label: sum(x.pathology == label for x in reading.lesions) for label in ("benign", "malignant")}
    told = f"{count['benign']} benign lesions of the 437 known and {count['malignant']} malignant lesions of the 210"
    assert f"db: {told}" in caplog.text
    assert miscounted({"reader": "busi", "phantoms": {}}, count) == ""
    assert miscounted({"reader": "table"}, count) == ""
    masses = {"benign": 912, "malignant": 784}
    assert miscounted({"reader": "cbis_ddsm"}, masses) == ""
    assert miscounted({"reader": "cbis_ddsm", "abnormalities": ["mass"]}, count) != ""
    assert miscounted({"reader": "cbis_ddsm", "abnormalities": ["calcification"]}, count) == ""
    assert miscounted({"reader": "bus_bra", "official_folds": 5}, {"benign": 1268, "malignant": 607}) == ""


@pytest.mark.parametrize(("reader", "folder"), [("busi", "busi"), ("mini_mias", "mini-mias")])
def test_the_real_databases_have_the_lesions_that_their_readers_declare(reader, folder, caplog):
    read_database(open_source("db", settings(reader, real(folder))))
    assert "known" not in caplog.text


def test_the_masses_of_cbis_ddsm_are_as_many_as_its_reader_declares():
    tables = [pd.read_csv(path) for path in real("cbis-ddsm").glob("mass_case*.csv")]
    malignant = int(np.sum([(table["pathology"] == "MALIGNANT").sum() for table in tables]))
    found = {"benign": sum(map(len, tables)) - malignant, "malignant": malignant}
    assert database_of("cbis_ddsm").lesions == found
