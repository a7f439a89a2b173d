"""Images made elsewhere: read as real ROIs are, drawn by seed, refused by name; and the settings that find them."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from quality_for_tests import textures

from mammosynth import study
from mammosynth.curation import read_lesions
from mammosynth.errors import InputError
from mammosynth.gans.elsewhere import collect, draw
from mammosynth.gans.settings import check, resolve
from mammosynth.imageset import ImageSet
from mammosynth.paths import plain
from mammosynth.rois import crop_rois

ROOT = Path(__file__).parents[1]
SIZE, LEAST = 128, 16


def put(folder: Path, images, suffix: str = ".png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{i:03d}{suffix}")


@pytest.fixture
def theirs(tmp_path) -> dict[str, str]:
    """A folder of both classes, and the settings that name it."""
    put(tmp_path / "benign", textures(5, 1))
    put(tmp_path / "malignant", textures(4, 2))
    return {"method": "images", "root": str(tmp_path), "benign": "benign", "malignant": "malignant"}


def collected(settings, modality="ultrasound", **changes) -> ImageSet:
    return collect("theirs", settings, modality, SIZE, LEAST, **changes)


def kinds(folder: Path) -> None:
    """Files of every kind that there may be, in two classes."""
    x = textures(6, 3)
    for label in ("benign", "malignant"):
        put(folder / label, x[:2])
        deep = x[2].astype(np.uint16) * 16 + 40
        Image.fromarray(deep).save(folder / label / "deep.png")
        Image.fromarray(np.stack([x[3], x[4], x[5]], axis=2)).save(folder / label / "colour.png")
        Image.fromarray(x[3]).resize((200, 200)).save(folder / label / "large.png")
        Image.fromarray(x[4]).resize((60, 60)).save(folder / label / "small.tif")
        Image.fromarray(x[5][:, :90]).save(folder / label / "narrow.bmp")
        Image.fromarray(x[5]).save(folder / label / "lossy.jpg")


@pytest.mark.parametrize("modality", ["ultrasound", "mammography"])
def test_a_file_becomes_the_roi_that_it_would_be_among_real_ones(modality, tmp_path):
    kinds(tmp_path)
    settings = {"root": str(tmp_path), "benign": "benign", "malignant": "malignant"}
    lesions = read_lesions({"theirs": {"reader": "rois", "modality": modality, "near_duplicates": None, **settings}})
    real, _ = crop_rois(lesions, SIZE, 0.2, LEAST)
    found = collected(settings, modality, threads=2)
    assert found.ids.tolist() == real.ids.tolist()
    assert np.array_equal(found.images, real.images)
    assert np.array_equal(found.labels, real.labels)
    assert set(found.patients) == set(found.sources) == {""}
    as_it_is = found.images[found.ids.tolist().index("theirs/benign/000")]
    assert np.array_equal(as_it_is, np.array(Image.open(tmp_path / "benign/000.png")))


def test_classes_may_be_told_by_the_names_of_files(tmp_path):
    put(tmp_path, textures(2), "_b.png")
    put(tmp_path, textures(3), "_m.png")
    (tmp_path / "._000_b.png").write_bytes(b"of a Mac")
    found = collected({"root": str(tmp_path), "benign": "*_b.png", "malignant": "*_m.png"})
    assert found.labels.tolist() == [0, 0, 1, 1, 1]


def test_an_image_of_a_single_grey_is_what_its_maker_made(theirs):
    put(Path(theirs["root"], "benign"), [np.full((SIZE, SIZE), 7, np.uint8)])
    assert (collected(theirs).images[0] == 7).all()


def spoilt(root: Path, what: str) -> None:
    if what == "cut":
        file = root / "malignant/001.png"
        file.write_bytes(file.read_bytes()[:200])
    elif what == "text":
        (root / "malignant/001.png").write_text("no image")
    elif what == "tiny":
        Image.fromarray(textures(1)[0][:15, :15]).save(root / "benign/002.png")
    elif what == "narrow":
        Image.fromarray(textures(1)[0][:, :40]).save(root / "benign/002.png")
    elif what == "dicom":
        (root / "benign/002.dcm").write_bytes(bytes(200))
    elif what == "empty":
        for file in (root / "malignant").iterdir():
            file.unlink()


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("cut", r"malignant/001\.png cannot be read as an image"),
        ("text", r"malignant/001\.png cannot be read as an image"),
        ("tiny", r"benign/002\.png is of 15×15 pixels, .* has 16: take it out of the folder, or lower rois: min_side"),
        ("narrow", r"benign/002\.png is of 40×128 pixels, and more than 0\.5 of its square would be padded"),
        ("dicom", r"benign/002\.dcm would not be read"),
        ("empty", r'holds no malignant image in a folder like "malignant", nor one so named: mend root or malignant'),
    ],
)
def test_a_file_that_cannot_stand_is_refused_by_name(what, message, theirs):
    spoilt(Path(theirs["root"]), what)
    with pytest.raises(InputError, match=message):
        collected(theirs, max_padded=0.5)


def test_all_files_at_fault_are_named_at_once(theirs):
    root = Path(theirs["root"])
    for label in ("benign", "malignant"):
        file = root / label / "002.png"
        file.write_bytes(file.read_bytes()[:-400])
    with pytest.raises(InputError) as error:
        collected(theirs)
    assert all(f"{label}/002.png" in str(error.value) for label in ("benign", "malignant"))


def test_a_root_that_is_not_there_and_one_file_of_both_classes_are_refused(theirs, tmp_path):
    with pytest.raises(InputError, match="no folder: mend generators: theirs: root"):
        collected(theirs | {"root": str(tmp_path / "none")})
    with pytest.raises(InputError, match="both benign and malignant: mend the globs benign and malignant of theirs"):
        collected(theirs | {"malignant": "*"})


def test_a_modality_in_the_root_or_in_the_patterns_is_filled_in(theirs, tmp_path):
    whole = {"root": str(tmp_path.parent / "{modality}"), "benign": "benign", "malignant": "malignant"}
    (tmp_path.parent / "ultrasound").symlink_to(tmp_path)
    assert len(collected(theirs | whole)) == 9
    parts = {"benign": "{modality}/benign", "malignant": "{modality}/malignant", "root": str(tmp_path.parent)}
    assert len(collected(theirs | parts)) == 9


def test_draws_are_without_replacement_by_seed_and_nested():
    images = ImageSet(textures(30, side=16), np.repeat([0, 1], [18, 12]), np.arange(30))
    few, many, other = draw("theirs", images, 5, 0), draw("theirs", images, 10, 0), draw("theirs", images, 5, 1)
    assert few.labels.tolist() == [0] * 5 + [1] * 5
    assert len(set(many.ids)) == 20
    assert set(few.ids) < set(many.ids)
    assert few.ids.tolist() == draw("theirs", images, 5, 0).ids.tolist()
    assert set(few.ids) != set(other.ids)
    assert set(draw("theirs", images, 12, 3).of_class("malignant").ids) == set(images.of_class("malignant").ids)


def test_too_few_are_counted_and_what_is_needed_is_said():
    images = ImageSet(textures(30, side=16), np.repeat([0, 1], [18, 12]), np.arange(30))
    with pytest.raises(InputError, match="theirs has 18 benign and 12 malignant images, and 13 of each class are nee"):
        draw("theirs", images, 13, 0)


SETTINGS = {"method": "images", "root": "$PLACE/{modality}", "benign": "b", "malignant": "m"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"root": None}, r"theirs has no root, which it needs: folder of the images"),
        ({"malignant": None}, r"theirs has no malignant, which it needs"),
        ({"benign": ""}, r"theirs\.benign: '' (is too short|should be non-empty)"),
        ({"steps": 5}, r"theirs\.steps: images has no such setting; it has method, root, benign, malignant"),
        ({"preset": "reference"}, r"theirs\.preset: images has no such setting"),
        ({"lecam": 0.3}, r"lecam: images has no use for it \(it is for wgan_gp"),
        ({"beningn": "b"}, r"did you mean benign\?"),
    ],
)
def test_settings_that_are_missing_or_of_no_use_are_refused_by_key(change, message):
    given = {key: value for key, value in (SETTINGS | change).items() if value is not None}
    with pytest.raises(InputError, match=message):
        resolve("theirs", given)
    assert resolve("theirs", SETTINGS) == SETTINGS


def test_a_folder_is_no_setting_of_a_gan():
    with pytest.raises(InputError, match=r"mine\.root: sngan has no use for it \(it is for images\)"):
        check("mine", {"method": "sngan", "preset": "few-images", "root": "/data"})


@pytest.fixture
def config() -> dict:
    config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    config |= {"gans": ["projected_gan", "theirs"], "mixes": ["real", "real+theirs"]}
    return config | {"generators": config["generators"] | {"theirs": SETTINGS}}


def test_of_which_modality_images_are_must_be_said_where_there_are_two(config):
    study.check(config)
    for said in ({"root": "r"}, {"root": "r", "benign": "{modality}"}):
        config["generators"]["theirs"] = SETTINGS | said
        with pytest.raises(InputError, match=re.escape("ultrasound and mammography: write {modality} in root or in")):
            study.check(config)
        study.check(config | {"databases": ["phantom_ultrasound"]})
    config["generators"]["theirs"] = SETTINGS | {"root": "r", "benign": "{modality}/b", "malignant": "{modality}/m"}
    study.check(config)


def test_it_is_trained_by_nobody_and_its_root_may_hold_variables(config, monkeypatch):
    assert study.trained(config) == ["projected_gan"]
    assert study.made_elsewhere(config) == ["theirs"]
    assert study.trained_against(config) == {"projected_gan": "efficientnet_lite0"}
    defaults = {"downloads": "databases", "parameters": None}
    monkeypatch.setenv("PLACE", "/data")
    assert plain(config | defaults, ROOT)["generators"]["theirs"]["root"] == "/data/{modality}"
    monkeypatch.delenv("PLACE")
    with pytest.raises(InputError, match=r"generators\.theirs\.root is .* variable PLACE is not set"):
        plain(config | defaults, ROOT)
