"""The reader of a user's own table: what it takes, and each mistake by its line and with a mend."""

import shutil
from itertools import product

import numpy as np
import pytest
from databases_for_tests import BOXES, mask_of, picture, real, save, save_csv, settings, small_table
from PIL import Image

from mammosynth.curation import read_lesions
from mammosynth.databases import open_source, read_database
from mammosynth.databases.pixels import read_size
from mammosynth.errors import InputError
from mammosynth.rois import crop_rois

HEAD = "image,mask,x0,y0,x1,y1,pathology,patient,view"


def read(root, **more):
    return read_database(open_source("db", settings("table", root, **more)))


def boxes(lesions):
    return [(lesion.x0, lesion.y0, lesion.x1, lesion.y1) for lesion in lesions]


@pytest.fixture
def folder(tmp_path):
    """An image a.png with the mask m.png, and no table."""
    save(picture(1), tmp_path / "a.png")
    save(picture(2), tmp_path / "below/b.png")
    save(mask_of(BOXES[0]), tmp_path / "m.png")
    return tmp_path


def write(folder, *rows, head=HEAD, encoding="utf-8"):
    (folder / "lesions.csv").write_text("\n".join([head, *rows]), encoding=encoding)
    return folder


def test_masks_boxes_views_and_normals(tmp_path):
    small_table(tmp_path)
    reading = read(tmp_path)
    assert [(x.lesion_id, x.patient_id, x.pathology, x.view) for x in reading.lesions] == [
        ("db/left/ä (1).png-1", "Łucja", "benign", "L"),
        ("db/b.png-1", "007", "malignant", "R"),
        ("db/c.tif-1", "P3", "benign", ""),
        ("db/c.tif-2", "P3", "malignant", ""),
    ]
    assert boxes(reading.lesions) == BOXES
    assert [path.name for path in reading.normals] == ["d.pgm"]


def test_the_five_lines_of_the_readme(tmp_path):
    """Four columns are enough."""
    save(picture(1), tmp_path / "scans/1.png")
    save(mask_of(BOXES[0]), tmp_path / "scans/1_mask.png")
    save(picture(2), tmp_path / "scans/2.png")
    save(mask_of(BOXES[1]), tmp_path / "scans/2_mask.png")
    rows = ["scans/1.png,scans/1_mask.png,benign,P1", "scans/2.png,scans/2_mask.png,malignant,P2"]
    lesions = read_lesions({"db": settings("table", write(tmp_path, *rows, head="image,mask,pathology,patient"))})
    images, table = crop_rois(lesions, size=128, margin=0.2, min_side=16)
    assert list(images.patients) == ["db/P1", "db/P2"]
    assert list(images.labels) == [0, 1]
    assert (table["excluded"] == "").all()


def test_columns_may_stand_in_any_order_and_others_are_not_read(folder):
    write(folder, "P1,a.png,Ä,m.png,Benign,4c,52", head="patient,image,Herkunft,mask,pathology,birads,age")
    (lesion,) = read(folder).lesions
    assert (lesion.birads, lesion.age, lesion.view) == ("4c", "52", "")
    assert (lesion.patient_id, lesion.pathology, boxes([lesion])) == ("P1", "benign", BOXES[:1])


def test_several_masks_are_one_lesion(folder):
    save(mask_of((60, 40, 64, 44)), folder / "m2.png")
    write(folder, "a.png,m.png; m2.png,,,,,benign,P,")
    assert boxes(read(folder).lesions) == [(10, 20, 64, 50)]


@pytest.mark.parametrize(
    "name", ["below/b.png", "./below/b.png", "below\\b.png", "below/../below/b.png", "{root}/below/b.png"]
)
def test_ways_to_name_a_file_below_the_root(folder, name):
    write(folder, f"{name.format(root=folder)},,5,5,40,40,benign,P,")
    (lesion,) = read(folder).lesions
    assert (lesion.lesion_id, lesion.image) == ("db/below/b.png-1", str(folder / "below/b.png"))


@pytest.mark.parametrize("name", ["../secret.png", "below/../../secret.png", "{root}/../secret.png", "/etc/passwd.png",
                                  "..\\secret.png", "{root}-other/x.png"])  # fmt: skip
@pytest.mark.parametrize("column", ["image", "mask"])
def test_a_file_beyond_the_root_is_refused(folder, name, column):
    save(picture(1), folder.parent / "secret.png")
    name = name.format(root=folder)
    write(folder, f"{name},m.png,,,,,benign,P," if column == "image" else f"a.png,{name},,,,,benign,P,")
    with pytest.raises(
        InputError, match=r"line 2 names .*, which is no file below .*: write its path below that folder"
    ):
        read(folder)


def test_accents_may_be_composed_in_either_way(folder):
    save(picture(3), folder / "M\u0075\u0308ller.png")  # as a Mac writes it
    write(folder, "M\u00fcller.png,,5,5,40,40,benign,P,")
    assert read(folder).lesions[0].image.endswith("M\u0075\u0308ller.png")


def test_whole_numbers_may_have_a_point(folder):
    write(folder, "a.png,,5.0,6.0,40.,50.00,benign,P,")  # as tables with gaps are often saved
    assert boxes(read(folder).lesions) == [(5, 6, 40, 50)]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (",m.png,,,,,benign,P,", "line 3 has no image: fill it in"),
        ("a.png,m.png,,,,,,P,", "line 3 has no pathology: fill it in, or remove the row"),
        ("a.png,m.png,,,,,cancer,P,", 'line 3: pathology is "cancer", not benign'),
        ("a.png,m.png,,,,,benign,,", "line 3 has no patient: .* write the image's name there"),
        ("a.png,,,,,,benign,P,", "line 3 has neither mask nor box: give a mask, or x0, y0, x1 and y1"),
        ("a.png,,1,2,3,,benign,P,", "line 3 has x0, y0, x1: give a mask, or x0, y0, x1 and y1, and not both"),
        ("a.png,m.png,1,2,30,40,benign,P,", "line 3 has mask, x0, y0, x1, y1: give a mask, or"),
        ("a.png,m.png,,,,,normal,P,", "line 3 is normal but has mask"),
        ("a.png,,1,2,thirty,40,benign,P,", 'line 3: x1 is "thirty", not a whole number'),
        ("a.png,,1.5,2,30,40,benign,P,", 'line 3: x0 is "1.5", not a whole number'),
        ("a.png,,30,2,1,40,benign,P,", "line 3: the box 30, 2, 1, 40 is empty or not inside its image of 80×60"),
        ("a.png,,1,2,81,40,benign,P,", "line 3: the box 1, 2, 81, 40 is empty or not inside"),
        ("a.png,,-1,2,30,40,benign,P,", "line 3: the box -1, 2, 30, 40 is empty or not inside"),
        (
            "c.png,m.png,,,,,benign,P,",
            "line 3 names c.png, which does not exist in .*: add the file, or remove the row",
        ),
        ("a.png,n.png,,,,,benign,P,", "line 3 names n.png, which does not exist"),
        ("a.svg,m.png,,,,,benign,P,", r"line 3 names a.svg, which would not be read, as only \.png, .*: convert it"),
        ("a.png,m.jpg,,,,,benign,P,", "line 3 names m.jpg, which would not be read"),
        ("a.png,m.png,,,,,benign,P", "line 3 has 8 cells where the first line has 9: complete it, or quote texts"),
        ("a.png,m.png,,,,,benign,P,L,x", "line 3 has 10 cells where the first line has 9"),
        ("below/b.png,,2,2,30,30,benign,Q,", 'line 3 gives patient "Q" to an image that line 2 gives to "B": mend one'),
        ("below/b.png,,1,1,20,20,benign,B,", "line 3 repeats the lesion of line 2: keep one of them"),
        ("below/b.png,,1,1,20,20,malignant,B,", "line 3 repeats the lesion of line 2: keep one of them"),
        ("below/b.png,,,,,,normal,B,", "line 3 names the image of line 2, and one says normal"),
    ],
)
def test_each_mistake_is_named_by_its_line(folder, row, message):
    write(folder, "below/b.png,,1,1,20,20,benign,B,", row)
    with pytest.raises(InputError, match=message) as error:
        read(folder)
    assert f"{folder / 'lesions.csv'}, line 3" in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("image,mask,pathology", "has no column patient: its first line must name image, pathology, patient"),
        ("picture,mask,pathology,patient", 'has no column image: .* and is "picture,mask,pathology,patient"'),
        ("image;mask;pathology;patient", "separates its columns by semicolons: save it anew as CSV in UTF-8, with"),
        ('"image";"mask";"pathology";"patient"', "separates its columns by semicolons"),
        ("image\tmask\tpathology\tpatient", "separates its columns by tabs: save it anew"),
        ("image,pathology,patient", "has no column mask, nor x0, y0, x1, y1"),
        ("image,mask,pathology,patient,mask", 'has two columns "mask"'),
    ],
)
def test_a_table_without_its_columns_is_refused(folder, head, message):
    write(folder, ",".join("x" for _ in head.split(",")), head=head)
    with pytest.raises(InputError, match=message):
        read(folder)


def test_all_mistakes_are_named_at_once(folder):
    write(folder, "a.png,m.png,,,,,bening,P,", "c.png,m.png,,,,,benign,P,", "../x.png,m.png,,,,,benign,P,")
    with pytest.raises(InputError) as error:
        read(folder)
    assert [n for n in range(2, 6) if f"line {n}" in str(error.value)] == [2, 3, 4]


@pytest.mark.parametrize(("encoding", "refused"), [("utf-8-sig", False), ("utf-16", True), ("latin-1", True)])
def test_encodings(folder, encoding, refused):
    write(folder, "a.png,m.png,,,,,benign,Müller,", encoding=encoding)
    if refused:
        with pytest.raises(InputError, match=r"lesions\.csv is not UTF-8 \(line \d\): save it as CSV in UTF-8"):
            read(folder)
    else:
        assert read(folder).lesions[0].patient_id == "Müller"


def test_an_empty_table_is_refused(folder):
    with pytest.raises(InputError, match=r"holds no lesions\.csv: write one with columns image, pathology, patient"):
        read(folder)
    with pytest.raises(InputError, match=r"lesions\.csv has no row but the first"):
        read(write(folder, "", ",,,,,,,,"))


def test_an_excluded_image_is_not_opened(folder):
    (folder / "a.png").unlink()
    write(folder, "a.png,m.png,,,,,benign,P,", "below/b.png,,1,1,20,20,benign,B,")
    save_csv([["image", "reason"], ["a.png", "lost"]], folder / "exclusions.csv")
    lesions = read(folder, exclusions=str(folder / "exclusions.csv")).lesions
    assert [lesion.excluded for lesion in lesions] == ["exclusion list: lost", ""]


@pytest.mark.parametrize(
    ("suffix", "bits"), [*product([".png", ".pgm", ".tif", ".TIFF"], [8, 16]), (".jpg", 8), (".JPEG", 8)]
)
def test_formats_and_depths(folder, suffix, bits):
    pixels = picture(5).astype(np.uint8 if bits == 8 else np.uint16) * (1 if bits == 8 else 200)
    Image.fromarray(pixels).save(folder / f"c{suffix}")
    write(folder, f"c{suffix},m.png,,,,,benign,P,", "a.png,,5,5,40,40,malignant,Q,")
    lesions = read_lesions({"db": settings("table", folder)})
    images, _ = crop_rois(lesions, size=128, margin=0.2, min_side=16)
    save(picture(5), folder / f"c{suffix}")
    plain, _ = crop_rois(lesions, size=128, margin=0.2, min_side=16)
    assert np.abs(images.images[0].astype(int) - plain.images[0]).max() <= 2  # whatever its depth, it looks the same


def test_a_file_of_several_images_is_refused(folder):
    pages = [Image.fromarray(picture(n)) for n in (5, 6)]
    pages[0].save(folder / "c.tif", save_all=True, append_images=pages[1:])
    write(folder, "c.tif,m.png,,,,,benign,P,", "a.png,c.tif,,,,,malignant,Q,")
    with pytest.raises(InputError, match=r"c\.tif cannot be read as an image \(it holds 2 images: save the one"):
        read(folder)


def test_dicom(folder):
    write_dicom = pytest.importorskip("dicom_for_tests", reason="no DICOM is read").write_dicom
    greys = picture(5).astype(np.uint16) * 16
    write_dicom(folder / "c.dcm", greys, bits=12)
    write_dicom(folder / "inverted.DCM", 4095 - greys, bits=12, photometric="MONOCHROME1")
    write_dicom(folder / "mask.dcm", mask_of(BOXES[1]))
    write(folder, "c.dcm,mask.dcm,,,,,benign,P,", "inverted.DCM,,5,6,35,46,malignant,Q,")
    lesions = read_lesions({"db": settings("table", folder, near_duplicates=None)})
    assert lesions[["x0", "y0", "x1", "y1"]].to_numpy(dtype=int).tolist() == [list(BOXES[1])] * 2
    images, _ = crop_rois(lesions, size=128, margin=0.2, min_side=16)
    assert np.array_equal(*images.images)
    assert images.images.std() > 20


def test_real_dicom_crops_by_a_table(tmp_path):
    pytest.importorskip("pydicom", reason="no DICOM is read")
    crops = sorted(real("cbis-ddsm").rglob("*.dcm"))
    rows = []
    for number, path in enumerate(crops):
        (tmp_path / f"{number}.dcm").symlink_to(path)
        width, height = read_size(path)
        label = "malignant" if number % 2 else "benign"  # the label is the table's, whatever the folder says
        rows.append([f"{number}.dcm", 0, 0, width, height, label, f"P{number}"])
    save_csv([["image", "x0", "y0", "x1", "y1", "pathology", "patient"], *rows], tmp_path / "lesions.csv")
    lesions = read_lesions({"db": settings("table", tmp_path, near_duplicates=None)})
    images, table = crop_rois(lesions, size=128, margin=0.2, min_side=16)
    assert len(images) == len(crops) == 5
    assert (table["scale"] > 1).all()
    assert images.images.std(axis=(1, 2)).min() > 10


def test_real_films_by_a_table_are_what_their_reader_finds(tmp_path):
    films = read_database(open_source("db", settings("mini_mias", real("mini-mias") / "all-mias"))).lesions
    films = [
        film for film in films if not film.excluded and min(film.x0, film.y0) >= 0 and max(film.x1, film.y1) <= 1024
    ]
    films = films[:6]
    for film in films:
        shutil.copy(film.image, tmp_path)
    rows = [
        [film.image.rpartition("/")[2], *boxes([film])[0], film.pathology, film.patient_id, film.view] for film in films
    ]
    save_csv([["image", "x0", "y0", "x1", "y1", "pathology", "patient", "view"], *rows], tmp_path / "lesions.csv")
    lesions = read(tmp_path).lesions
    assert len(lesions) == 6
    names = ("x0", "y0", "x1", "y1", "pathology", "patient_id", "view")
    assert [[getattr(x, name) for name in names] for x in lesions] == [
        [getattr(x, name) for name in names] for x in films
    ]
