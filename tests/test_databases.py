"""The readers: what they find in phantoms and in real data, and what they refuse, by name and with a mend."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from databases_for_tests import COUNTS, phantoms, real, settings
from PIL import Image
from workflow_for_tests import snakemake

from mammosynth.curation import read_lesions
from mammosynth.databases import busi, mini_mias, open_source, read_database
from mammosynth.databases.pixels import read_image
from mammosynth.errors import InputError
from mammosynth.fingerprint import fingerprint


def read(reader, root, **more):
    return read_database(open_source("db", settings(reader, root, **more)))


def save(array, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


@pytest.fixture
def small_busi(tmp_path):
    """Two benign images, one malignant with two masks, one normal; every mask a known box."""
    rng = np.random.default_rng(0)
    boxes = {"benign (1)": [(10, 20, 30, 50)], "benign (2)": [(0, 0, 5, 5)]}
    boxes["malignant (1)"] = [(5, 6, 10, 12), (40, 30, 44, 33)]
    for stem, of_image in boxes.items():
        folder = tmp_path / stem.split()[0]
        save(rng.integers(0, 256, (60, 80), dtype=np.uint8), folder / f"{stem}.png")
        for k, (x0, y0, x1, y1) in enumerate(of_image):
            mask = np.zeros((60, 80), dtype=np.uint8)
            mask[y0:y1, x0:x1] = 255
            save(mask, folder / f"{stem}_mask{f'_{k}' if k else ''}.png")
    save(rng.integers(0, 256, (60, 80), dtype=np.uint8), tmp_path / "normal/normal (1).png")
    save(np.zeros((60, 80), dtype=np.uint8), tmp_path / "normal/normal (1)_mask.png")
    return tmp_path


ROWS = """\
INFORMATION
mdb is the name of a film

=====
mdb001 G CIRC B 535 425 197
mdb003 D NORM
mdb005 F CIRC B 477 133 30
mdb005 F SPIC M 500 1004 26
mdb006 G CALC M *NOTE 3*
mdb008 G MISC M *NOTE 3*
mdb010 G ARCH B 100 100 50

=====
mdb999 is not a row
"""


@pytest.fixture
def small_mias(tmp_path):
    for number in (1, 5, 8):
        save(np.full((1024, 1024), number, dtype=np.uint8), tmp_path / f"mdb{number:03d}.pgm")
    (tmp_path / "Info.txt").write_text(ROWS)
    return tmp_path


@pytest.fixture
def small_rois(tmp_path):
    rng = np.random.default_rng(0)
    for label in ("b", "m"):
        for part in ("train", "val"):
            save(
                rng.integers(0, 256, (40, 40), dtype=np.uint8), tmp_path / part / label / f"x_P_{part[0]}{label}_1.png"
            )
    return tmp_path


ROIS = {"benign": "*/b", "malignant": "*/m", "patient": r"(P_\w\w)"}


def test_busi_boxes_are_half_open_and_masks_united(small_busi):
    reading = read("busi", small_busi)
    boxes = {lesion.lesion_id: (lesion.x0, lesion.y0, lesion.x1, lesion.y1) for lesion in reading.lesions}
    assert boxes == {
        "db/benign (1)": (10, 20, 30, 50),
        "db/benign (2)": (0, 0, 5, 5),
        "db/malignant (1)": (5, 6, 44, 33),
    }
    assert [path.name for path in reading.normals] == ["normal (1).png"]
    assert reading.lesions[2].mask.count(";") == 1


def test_busi_is_found_below_its_root(small_busi, tmp_path_factory):
    above = tmp_path_factory.mktemp("above")
    shutil.copytree(small_busi, above / busi.FOLDER)
    assert len(read("busi", above).lesions) == 3


def test_busi_takes_patients_from_a_sidecar(small_busi):
    rows = ["image,patient_id"] + [
        f"{n},{p}"
        for n, p in {
            "benign/benign (1).png": "007",
            "benign/benign (2).png": "007",
            "malignant/malignant (1).png": "8",
            "normal/normal (1).png": "9",
        }.items()
    ]
    (small_busi / "patients.csv").write_text("\n".join(rows))
    assert [lesion.patient_id for lesion in read("busi", small_busi).lesions] == ["007", "007", "8"]
    (small_busi / "patients.csv").write_text("\n".join(rows[:3]))
    with pytest.raises(InputError, match=r'no patient_id for "malignant/malignant \(1\).png"'):
        read("busi", small_busi)
    (small_busi / "patients.csv").write_text("\n".join([*rows, "benign/benign (1).png,3"]))
    with pytest.raises(InputError, match=r"names .benign/benign \(1\).png. twice \(line 6\)"):
        read("busi", small_busi)


def test_masks_in_other_modes_are_read(small_busi):
    mask = np.zeros((60, 80, 4), dtype=np.uint8)
    mask[..., 3] = 255
    mask[20:50, 10:30, :3] = 255
    save(mask, small_busi / "benign/benign (1)_mask.png")  # RGBA, as two masks of BUSI
    lesion = read("busi", small_busi).lesions[0]
    assert (lesion.x0, lesion.y0, lesion.x1, lesion.y1) == (10, 20, 30, 50)


def test_every_bad_busi_file_is_named_in_one_error(small_busi):
    save(np.full((60, 79), 255, dtype=np.uint8), small_busi / "benign/benign (1)_mask.png")
    save(np.zeros((60, 80), dtype=np.uint8), small_busi / "benign/benign (2)_mask.png")
    save(np.full((60, 80), 255, dtype=np.uint8), small_busi / "malignant/malignant (7)_mask.png")
    bytes_ = (small_busi / "malignant/malignant (1)_mask.png").read_bytes()
    (small_busi / "malignant/malignant (1)_mask.png").write_bytes(bytes_[: len(bytes_) // 2])
    with pytest.raises(InputError) as error:
        read("busi", small_busi)
    lines = str(error.value).splitlines()
    for line, (name, fault) in zip(
        lines,
        [
            ("malignant (7)_mask.png", "is a mask for no image"),
            ("benign (1)_mask.png", "is 79×60 but its image 80×60"),
            ("benign (2)_mask.png", "marks no pixel"),
            ("malignant (1)_mask.png", "cannot be read as an image"),
        ],
        strict=True,
    ):
        assert name in line
        assert fault in line
        assert "exclusions" in line or "remove the mask" in line


def test_an_excluded_busi_image_is_not_opened_and_kept_with_its_reason(small_busi, tmp_path):
    (small_busi / "benign/benign (1).png").write_bytes(b"not an image")
    (small_busi / "benign/benign (2)_mask.png").unlink()
    with pytest.raises(InputError, match="has no mask: add"):
        read("busi", small_busi)
    (tmp_path / "exclusions.csv").write_text(
        "image,reason\nbenign/benign (1).png,broken\nbenign/benign (2).png,\nnormal/normal (1).png,x\n"
    )
    reading = read("busi", small_busi, exclusions=str(tmp_path / "exclusions.csv"))
    assert [lesion.excluded for lesion in reading.lesions] == [
        "exclusion list: broken",
        "exclusion list: no reason given",
        "",
    ]
    assert reading.normals == []
    (tmp_path / "exclusions.csv").write_text("image,reason\nbenign (1).png,broken\n")
    with pytest.raises(InputError, match=r'exclusion list of db names "benign \(1\).png", .* such as "benign/'):
        read("busi", small_busi, exclusions=str(tmp_path / "exclusions.csv"))


@pytest.mark.parametrize("name", ["benign 3.png", "malignant (3).png", "benign (3)_msk.png"])
def test_a_busi_file_of_another_name_is_refused(small_busi, name):
    save(np.zeros((60, 80), dtype=np.uint8), small_busi / "benign" / name)
    with pytest.raises(InputError, match="is not named as BUSI names its files"):
        read("busi", small_busi)


def test_busi_suffixes_may_be_capitals(small_busi):
    before = read("busi", small_busi)
    for name in ("benign (1).png", "benign (2)_mask.png"):
        (small_busi / "benign" / name).rename(small_busi / "benign" / name.replace(".png", ".PNG"))
    (small_busi / "normal/normal (1).png").rename(small_busi / "normal/normal (1).PNG")
    after = read("busi", small_busi)
    assert [(x.lesion_id, x.x0, x.y1) for x in after.lesions] == [(x.lesion_id, x.x0, x.y1) for x in before.lesions]
    assert [path.name for path in after.normals] == ["normal (1).PNG"]
    shutil.copy(small_busi / "benign/benign (1).PNG", small_busi / "benign/benign (1).png")
    with pytest.raises(InputError, match=r"benign \(1\)\.png and .*benign \(1\)\.PNG share one name"):
        read("busi", small_busi)


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".bmp", ".tif", ".dcm"])
def test_busi_images_of_another_format_are_refused(small_busi, suffix):
    for number in (3, 4):
        (small_busi / f"benign/benign ({number}){suffix}").write_bytes(b"")
    (small_busi / "benign/notes.txt").write_text("no image")
    with pytest.raises(InputError, match=rf"benign \(3\)\{suffix} and 1 more would not be read, .* convert to PNG"):
        read("busi", small_busi)


@pytest.mark.parametrize("what", ["sidecar", "exclusions"])
def test_a_list_that_is_not_utf_8_is_refused(small_busi, tmp_path, what):
    name, header = ("patients.csv", "image,patient_id") if what == "sidecar" else ("list.csv", "image,reason")
    path = small_busi / name
    path.write_bytes(f"{header}\nbenign/benign (1).png,Mü\n".encode("latin-1"))
    with pytest.raises(InputError, match=rf"{name} is not UTF-8 \(line 2\): save it as CSV in UTF-8"):
        read("busi", small_busi, **({} if what == "sidecar" else {"exclusions": str(path)}))


def test_a_truncated_image_is_refused_before_any_roi(small_busi):
    path = small_busi / "benign/benign (1).png"
    path.write_bytes(path.read_bytes()[:-1500])
    (small_busi / "normal/normal (1).png").write_bytes(b"")
    with pytest.raises(InputError) as error:
        read_lesions({"db": settings("busi", small_busi)})
    assert "benign (1).png cannot be read" in str(error.value)
    assert "normal (1).png cannot be read" in str(error.value)


def test_mias_rows(small_mias):
    lesions = read("mini_mias", small_mias).lesions
    assert [(lesion.lesion_id, lesion.patient_id, lesion.pathology, lesion.view) for lesion in lesions] == [
        ("db/mdb001-1", "1", "benign", "R MLO"),
        ("db/mdb005-1", "3", "benign", "R MLO"),
        ("db/mdb005-2", "3", "malignant", "R MLO"),
        ("db/mdb008-1", "4", "malignant", "L MLO"),
    ]
    assert [lesion.excluded for lesion in lesions] == ["", "", "", "no coordinates"]
    # y from the bottom: row = 1024 − 133 = 891; the last circle crosses the upper border
    assert (lesions[1].x0, lesions[1].y0, lesions[1].x1, lesions[1].y1) == (447, 861, 508, 922)
    assert (lesions[2].y0, lesions[2].y1) == (-6, 47)
    assert lesions[3].x0 is None


def test_every_bad_mias_row_is_named_by_its_line(small_mias):
    text = ROWS.replace("mdb003 D NORM", "mdb003 D NRM").replace("477 133 30", "477 13E 30").replace("100 100 50", "")
    text = text.replace("mdb006 G CALC M *NOTE 3*", "mdb001 G  CIRC B 535 425 197").replace("1004 26", "1025 26")
    (small_mias / "Info.txt").write_text(text)
    with pytest.raises(InputError) as error:
        read("mini_mias", small_mias)
    lines = str(error.value).splitlines()
    for line, words in zip(
        lines,
        [
            'line 6 does not parse ("mdb003 D NRM")',
            "line 7 does not parse",
            "line 8 has no circle",
            "line 9 repeats line 5",
        ],
        strict=True,
    ):
        assert f"Info.txt, {words}" in line


def test_a_mangled_first_row_is_no_prose(small_mias):
    (small_mias / "Info.txt").write_text(ROWS.replace("mdb001 G", "mbd001 G"))
    with pytest.raises(InputError, match="line 5 does not parse"):
        read("mini_mias", small_mias)


def test_bad_films_are_refused(small_mias, tmp_path):
    (small_mias / "mdb001.pgm").unlink()
    save(np.zeros((512, 1024), dtype=np.uint8), small_mias / "mdb005.pgm")
    save(np.zeros((1024, 1024), dtype=np.uint8), small_mias / "mdb300.pgm")
    (small_mias / "mdb008.pgm").write_bytes(b"P6 nonsense")
    with pytest.raises(InputError) as error:
        read("mini_mias", small_mias)
    for words in (
        "mdb300.pgm has no row in Info.txt",
        "mdb001.pgm is named by Info.txt but does not exist",
        "mdb005.pgm is 1024×512",
        "mdb008.pgm cannot be read",
    ):
        assert words in str(error.value)


def test_a_truncated_film_is_unreadable(small_mias):
    path = small_mias / "mdb001.pgm"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"mdb001\.pgm cannot be read as an image .*exclusions"):
        read_image(path)


@pytest.mark.parametrize(("kind", "white"), [("P5", 255), ("P5", 100), ("P2", 255)])
def test_greys_of_a_pgm_are_those_of_pillow(tmp_path, kind, white):
    greys = np.random.default_rng(0).integers(0, white + 1, (30, 20), dtype=np.uint8)
    body = greys.tobytes() if kind == "P5" else " ".join(map(str, greys.ravel())).encode()
    path = tmp_path / "a.pgm"
    path.write_bytes(f"{kind}\n# a comment\n20 30\n{white}\n".encode() + body)
    assert np.array_equal(read_image(path), np.asarray(Image.open(path)))
    assert np.abs(read_image(path) - greys * (255 / white)).max() < 0.501


def test_rois_are_whole_images_with_patients(small_rois):
    lesions = read("rois", small_rois, **ROIS).lesions
    assert [(lesion.lesion_id, lesion.patient_id, lesion.pathology) for lesion in lesions] == [
        ("db/train/b/x_P_tb_1", "P_tb", "benign"),
        ("db/val/b/x_P_vb_1", "P_vb", "benign"),
        ("db/train/m/x_P_tm_1", "P_tm", "malignant"),
        ("db/val/m/x_P_vm_1", "P_vm", "malignant"),
    ]
    assert {(lesion.x0, lesion.y0, lesion.x1, lesion.y1) for lesion in lesions} == {(0, 0, 40, 40)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"benign": "*/none"}, r'holds no benign image in a folder like "\*/none", .* mend root or benign of db'),
        ({"patient": r"Q_(\d)"}, r'x_P_tb_1.png does not match "Q_\(\\d\)", patient of db'),
        ({"patient": "("}, r'sources\.db\.patient: "\(" is no regular expression'),
        ({"malignant": "*/b"}, "are both benign and malignant"),
    ],
)
def test_rois_refuse(small_rois, change, message):
    with pytest.raises(InputError, match=message):
        read("rois", small_rois, **{**ROIS, **change})


@pytest.mark.parametrize("suffix", [".PNG", ".jpg", ".JPEG", ".bmp", ".TIF", ".tiff", ".pgm"])
def test_rois_may_be_of_any_common_format(small_rois, suffix):
    save(np.zeros((30, 20), dtype=np.uint8), small_rois / f"val/b/x_P_vb_2{suffix}")
    assert {(x.lesion_id, x.x1, x.y1) for x in read("rois", small_rois, **ROIS).lesions} >= {
        ("db/val/b/x_P_vb_2", 20, 30)
    }


@pytest.mark.parametrize("suffix", [".dcm", ".gif", ".WEBP"])
def test_rois_of_a_format_that_is_not_read_are_refused(small_rois, suffix):
    (small_rois / f"val/b/x_P_vb_2{suffix}").write_bytes(b"")
    with pytest.raises(InputError, match=rf"x_P_vb_2\{suffix} would not be read, .* convert to PNG, or take out"):
        read("rois", small_rois, **ROIS)


def test_two_rois_of_one_name_are_refused(small_rois):
    shutil.copy(small_rois / "val/b/x_P_vb_1.png", small_rois / "val/b/x_P_vb_1.bmp")
    with pytest.raises(InputError, match="share one name"):
        read("rois", small_rois, **ROIS)


@pytest.mark.parametrize("reader", ["busi", "mini_mias", "rois"])
def test_a_root_that_is_missing_or_empty_is_refused(tmp_path, reader):
    more = ROIS if reader == "rois" else {}
    with pytest.raises(InputError, match="nowhere is no folder: mend sources: db: root"):
        read(reader, tmp_path / "nowhere", **more)
    with pytest.raises(InputError, match=f"{tmp_path} holds no "):
        read(reader, tmp_path, **more)


def test_all_databases_at_fault_are_named_at_once(tmp_path):
    with pytest.raises(InputError) as error:
        read_lesions({name: settings("busi", tmp_path / name) for name in ("here", "there")})
    assert "sources: here: root" in str(error.value)
    assert "sources: there: root" in str(error.value)


def test_the_same_reader_reads_busi_phantoms():
    reading = read("busi", phantoms("busi"))
    count = {label: sum(lesion.pathology == label for lesion in reading.lesions) for label in COUNTS}
    assert count == COUNTS
    assert sum(";" in lesion.mask for lesion in reading.lesions) == 1


def test_the_same_reader_reads_mias_phantoms():
    lesions = read("mini_mias", phantoms("mini_mias")).lesions
    assert {label: sum(lesion.pathology == label for lesion in lesions) for label in COUNTS} == COUNTS
    assert [lesion.excluded for lesion in lesions if lesion.excluded] == ["no coordinates"]
    rows = (phantoms("mini_mias") / "patients.csv").read_text().split()[1:]
    sidecar = dict(row.split(",") for row in rows)
    assert {Path(lesion.image).name: lesion.patient_id for lesion in lesions} == sidecar


def test_real_busi_counts():
    reading = read("busi", real("busi"))
    count = {label: sum(lesion.pathology == label for lesion in reading.lesions) for label in COUNTS}
    assert count == {"benign": 437, "malignant": 210}
    assert sum(";" in lesion.mask for lesion in reading.lesions) == 17  # images with several masks
    assert len(reading.normals) == 12


def test_real_mias_counts():
    lesions = read("mini_mias", real("mini-mias")).lesions
    assert {label: sum(lesion.pathology == label for lesion in lesions) for label in COUNTS} == {
        "benign": 39,
        "malignant": 20,
    }
    assert [(lesion.lesion_id, lesion.excluded) for lesion in lesions if lesion.excluded] == [
        ("db/mdb059-1", "no coordinates")
    ]
    assert len({lesion.image for lesion in lesions}) == 56


def test_real_cbis_ddsm_rois_have_patients():
    lesions = read(
        "rois",
        real("cbis-ddsm-mass-rois-128"),
        benign="*/is_benign_true",
        malignant="*/is_benign_false",
        patient=r"(P_\d+)",
    ).lesions
    assert len(lesions) == 1296
    assert all(lesion.patient_id.startswith("P_0") for lesion in lesions)


def contrast(image, x, row, radius):
    """Mean grey of a disc less that of the ring about it, of 1.3 to 2 radii; air is left out."""
    top, left = max(int(row - 2 * radius), 0), max(int(x - 2 * radius), 0)
    near = image[top : int(row + 2 * radius) + 1, left : int(x + 2 * radius) + 1]
    y, column = np.ogrid[: near.shape[0], : near.shape[1]]
    away = np.hypot(y + top - row, column + left - x) / radius
    disc, ring = near[(away < 0.7) & (near > 20)], near[(away > 1.3) & (away < 2) & (near > 20)]
    return disc.mean() - ring.mean() if len(disc) and len(ring) else -np.inf


@pytest.mark.parametrize("database", ["phantoms", "real"])
def test_circles_land_on_the_masses(database):
    root = phantoms("mini_mias") / "all-mias" if database == "phantoms" else real("mini-mias") / "all-mias"
    rows = [row for row in mini_mias.parse_info(root / "Info.txt") if row.kind in mini_mias.MASSES and row.circle]
    right, wrong = [], []
    for row in rows:
        image = read_image(root / f"{row.film}.pgm").astype(np.float32)
        x, y, radius = row.circle
        x0, y0, x1, y1 = mini_mias.circle_box(x, y, radius)
        right.append(contrast(image, (x0 + x1 - 1) / 2, (y0 + y1 - 1) / 2, radius) > 0)
        wrong.append(contrast(image, x, y, radius) > 0)
    assert np.mean(right) > 0.9
    assert np.mean(right) > np.mean(wrong) + 0.2


def add(root):
    (root / "a/new.png").write_bytes(b"")


def remove(root):
    (root / "a/one.png").unlink()


def rename(root):
    (root / "a/one.png").rename(root / "a/other.png")


def touch(root):
    os.utime(root / "a/one.png", ns=(0, 1))


def lengthen(root):
    (root / "a/one.png").write_bytes(b"12")
    os.utime(root / "a/one.png", ns=(0, 0))


def change_behind_a_link(root):
    (root.parent / "elsewhere/two.png").write_bytes(b"12")


@pytest.mark.parametrize("change", [add, remove, rename, touch, lengthen, change_behind_a_link])
def test_a_change_below_a_root_changes_its_fingerprint(tmp_path, change):
    root = tmp_path / "root"
    for path in (root / "a/one.png", tmp_path / "elsewhere/two.png"):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"1")
        os.utime(path, ns=(0, 0))
    (root / "b").symlink_to(tmp_path / "elsewhere")
    (root / "circle").symlink_to(root)
    (root / "dead").symlink_to(root / "nowhere")
    before = fingerprint(str(root))
    assert before == fingerprint(str(root)) != ""
    change(root)
    assert fingerprint(str(root)) != before


def test_data_that_moved_have_another_fingerprint(tmp_path):
    (tmp_path / "one/busi").mkdir(parents=True)
    (tmp_path / "one/busi/a.png").write_bytes(b"")
    shutil.copytree(tmp_path / "one", tmp_path / "two")  # times of change too: only the paths differ
    assert fingerprint(str(tmp_path / "one/busi")) != fingerprint(str(tmp_path / "two/busi"))


def test_a_root_that_is_missing_has_an_empty_fingerprint(tmp_path):
    assert fingerprint(str(tmp_path / "nowhere")) == ""


def test_a_fingerprint_needs_no_heavy_import():
    code = "import sys, mammosynth.fingerprint; print(*{'numpy', 'pandas', 'PIL', 'scipy'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == ""


def test_the_workflow_reads_changed_data_again(small_busi, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    lesions = "results/ultrasound/lesions.csv"
    source = {"reader": "busi", "modality": "ultrasound", "root": "$SOME_PLACE"}
    study = {"sources": {"here": source}, "databases": ["here"]}

    def call(*options: str) -> str:
        run = snakemake(folder, lesions, *options, study=study, SOME_PLACE=str(small_busi))
        assert run.returncode == 0, run.stdout
        return run.stdout

    call()
    assert "Nothing to be done" in call("--dry-run")
    shutil.copy(small_busi / "normal/normal (1).png", small_busi / "normal/normal (2).png")
    plan = call("--dry-run")
    assert "rule read_lesions" in plan
    assert "Params have changed" in plan
