"""Curation: near-duplicates are found, conflicts excluded, and nothing that belongs together is split."""

import logging
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from databases_for_tests import phantom_lesions, real_busi, real_busi_hashes, settings
from PIL import Image, ImageDraw, ImageFont
from quality_for_tests import textures
from scipy import ndimage

from mammosynth.arrays import likeness
from mammosynth.arrays.likeness import correlate
from mammosynth.curation import (
    ALIKE,
    REVIEWED,
    curate,
    hash_images,
    join_alike,
    join_groups,
    link,
    load_lesions,
    near_duplicates,
    read_lesions,
)
from mammosynth.curation import save_lesions as save
from mammosynth.databases import Lesion, busi
from mammosynth.errors import InputError
from mammosynth.imageset import CLASSES, ImageSet


def flipped(bits, n):
    bits = bits.copy()
    bits[:n] ^= True
    return bits


def clusters_of(hashes, bits, **more):
    return link(len(hashes), near_duplicates(hashes, bits, **more))


def test_near_duplicates_are_single_linkage_clusters():
    a, b = np.random.default_rng(0).integers(0, 2, (2, 256)).astype(bool)
    chain = [a, flipped(a, 30), flipped(a, 60)]  # first and last differ in 60, linked by the middle one
    clusters = clusters_of(np.array([*chain, b]), np.full(4, 32))
    assert clusters[0] == clusters[1] == clusters[2] != clusters[3]
    assert len(set(clusters_of(np.array([*chain, b]), np.full(4, 29)))) == 4


def test_near_duplicates_do_not_depend_on_the_block():
    rng = np.random.default_rng(1)
    base = rng.integers(0, 2, (12, 256)).astype(bool)
    hashes = np.array([flipped(base[i % 12], int(rng.integers(0, 20))) for i in range(60)])
    whole = clusters_of(hashes, np.full(60, 20))
    parts = clusters_of(hashes, np.full(60, 20), block=7)
    assert np.array_equal(whole[:, None] == whole, parts[:, None] == parts)
    assert len(set(whole)) == 12


def test_two_databases_are_held_to_the_smaller_number_of_bits():
    a = np.zeros(256, dtype=bool)
    hashes = np.array([a, flipped(a, 10)])
    assert near_duplicates(hashes, np.array([10, 32])).tolist() == [[0, 1]]
    assert near_duplicates(hashes, np.array([9, 32])).tolist() == []


def test_the_hash_is_that_of_imagehash_and_survives_a_change_of_gain(tmp_path):
    rng = np.random.default_rng(0)
    image = np.kron(rng.integers(40, 200, (12, 15)), np.ones((20, 20))).astype(np.uint8)
    other = np.kron(rng.integers(40, 200, (12, 15)), np.ones((20, 20))).astype(np.uint8)
    brighter = (image * 1.1 + 5).astype(np.uint8)
    for name, pixels in {"a": image, "b": brighter, "c": other, "d": image.astype(np.uint16) * 200}.items():
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    a, b, c, d = hash_images([tmp_path / f"{name}.png" for name in "abcd"])
    assert (a != b).sum() <= 32
    assert (a != d).sum() <= 32  # 16 bits
    assert (a != c).sum() > 64


def table(rows):
    lesions = pd.DataFrame(rows, columns=["lesion_id", "database", "patient_id", "image", "pathology"])
    return lesions.assign(excluded="", x0=20, y0=20, x1=44, y1=44)


def test_groups_are_joined_by_patient_by_image_and_by_near_duplicates():
    lesions = table(
        [
            ("d/1", "d", "A", "1.png", "benign"),
            ("d/2", "d", "A", "2.png", "benign"),
            ("d/3", "d", "B", "3.png", "benign"),  # near-duplicate of 2
            ("d/4", "d", "", "4.png", "benign"),
            ("d/5", "d", "", "4.png", "malignant"),  # the same image
            ("d/6", "d", "", "6.png", "benign"),
            ("e/1", "e", "A", "1e.png", "benign"),  # another database's patient A
        ]
    )
    cluster = pd.Series([np.nan, 7, 7, np.nan, np.nan, np.nan, np.nan])
    assert list(join_groups(lesions, cluster)) == ["d/A", "d/A", "d/A", "d/4", "d/4", "d/6", "e/A"]


def write_images(folder, twins, seed=0):
    """Random images; *twins* maps a name to the name that it is a copy of, but for a pixel."""
    rng = np.random.default_rng(seed)
    pixels = {}
    for name, of in twins.items():
        pixels[name] = pixels[of].copy() if of else rng.integers(0, 256, (64, 64), dtype=np.uint8)
        pixels[name][0, 0] ^= 1
        Image.fromarray(pixels[name]).save(folder / name)


def test_conflicting_labels_exclude_and_an_exclusion_settles_the_conflict(tmp_path):
    twins = {"1": None, "2": "1", "3": None, "4": "3", "5": None, "6": "5", "7": None}
    write_images(tmp_path, {f"{k}.png": v and f"{v}.png" for k, v in twins.items()})
    rows = [(f"d/{k}", "d", "", str(tmp_path / f"{k}.png")) for k in "123457"]
    labels = ["benign", "malignant", "benign", "benign", "malignant", "malignant"]
    lesions = table([(*row, label) for row, label in zip(rows, labels)])
    normals = pd.DataFrame({"database": ["d"], "image": [str(tmp_path / "6.png")]})
    found, clear = curate(lesions, normals, {"d": 32})
    conflict = "near-duplicates with different labels (benign, malignant)"
    assert list(found["excluded"]) == [
        conflict, conflict, "", "", "near-duplicates with different labels (malignant, normal)", "",
    ]  # fmt: skip
    assert list(found["duplicates"]) == ["1", "1", "2", "2", "3", ""]
    assert list(clear["duplicates"]) == ["3"]
    assert list(found["group"]) == ["d/1", "d/1", "d/3", "d/3", "d/5", "d/7"]
    settled, _ = curate(lesions.assign(excluded=["exclusion list: x"] + [""] * 5), normals, {"d": 32})
    assert list(settled["excluded"][:2]) == ["exclusion list: x", ""]
    off, _ = curate(lesions, normals, {"d": None})
    assert (off["excluded"] == "").all()
    assert off["group"].nunique() == 6


def dark_frame(rng, content=8, gain=1.0):
    """A dark scan of its own below the same bright text and grey wedge of a machine."""
    frame = Image.new("L", (320, 240))
    draw = ImageDraw.Draw(frame)
    font = ImageFont.load_default(size=22)
    draw.text((5, 4), "12L-RS  B 12 MHz  MI .9", fill=255, font=font)
    draw.text((5, 205), "Gn 54  D 3.0 cm", fill=255, font=font)
    for step in range(8):
        draw.rectangle((296, 30 + 20 * step, 312, 48 + 20 * step), fill=30 * step + 20)
    sector = np.zeros((240, 320))
    texture, shade = (ndimage.gaussian_filter(rng.normal(size=sector.shape), sigma) for sigma in (1.5, 25))
    scan = 1 + 0.35 * texture / texture.std() + 0.6 * shade / shade.std()
    sector[34:200, 60:280] = (content * scan.clip(0))[34:200, 60:280]
    return np.maximum(np.asarray(frame), sector * gain).astype(np.uint8)


@pytest.mark.parametrize("content", [4, 14])
def test_dark_frames_with_a_machines_text_are_told_apart(tmp_path, content, caplog):
    """16 scans of both classes, the first lesion at the text and the last two one small lesion, and three of none."""
    rng = np.random.default_rng(0)
    frames = [dark_frame(rng, content) for _ in range(19)]
    frames[15] = np.clip(frames[14] * 1.05 + rng.normal(size=frames[14].shape), 0, 255)[3:, 4:]
    for n, frame in enumerate(frames):
        save_picture(frame, tmp_path / f"{n}.png")
    hashes = hash_images([tmp_path / f"{n}.png" for n in range(16)])
    assert np.bincount(clusters_of(hashes, np.full(16, 32))).max() > 12, "the hash sees the text"
    lesions = table([(f"d/{n}", "d", "", str(tmp_path / f"{n}.png"), CLASSES[n % 2]) for n in range(16)])
    lesions = lesions.assign(x0=120, y0=80, x1=180, y1=130)
    boxes = ["x0", "y0", "x1", "y1"]
    lesions.loc[0, boxes], lesions.loc[14, boxes], lesions.loc[15, boxes] = (
        (66, 36, 90, 60), (160, 100, 168, 107), (156, 97, 164, 104),
    )  # fmt: skip
    normals = pd.DataFrame({"database": "d", "image": [str(tmp_path / f"{n}.png") for n in (16, 17, 18)]})
    with caplog.at_level(logging.WARNING):
        found, clear = curate(lesions, normals, {"d": 32})
    assert found["duplicates"].tolist() == [""] * 14 + ["1", "1"]
    assert found["group"].nunique() == 15
    assert clear["duplicates"].tolist() == [""] * 3
    assert found["excluded"].tolist() == [""] * 14 + ["near-duplicates with different labels (benign, malignant)"] * 2
    assert not caplog.records


def test_a_group_too_large_to_be_believed_is_said(tmp_path, caplog):
    rng = np.random.default_rng(0)
    frame = dark_frame(rng, 60)
    for n in range(12):
        save_picture(frame + rng.integers(0, 2, frame.shape), tmp_path / f"{n}.png")
    lesions = table([(f"d/{n}", "d", "", str(tmp_path / f"{n}.png"), "benign") for n in range(12)])
    with caplog.at_level(logging.WARNING):
        found, _ = curate(lesions, pd.DataFrame(columns=["database", "image"]), {"d": 32})
    assert found["group"].nunique() == 1
    assert "a group of near-duplicates has 12 images, such as" in caplog.text


def save_picture(pixels, path):
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)


LEFT, RIGHT, BESIDE = (4, 20, 24, 44), (40, 20, 60, 44), (20, 20, 42, 44)


@pytest.mark.parametrize(
    ("first", "second", "conflict"),
    [
        ({"benign": LEFT, "malignant": RIGHT}, {"benign": LEFT, "malignant": RIGHT}, False),
        ({"benign": LEFT, "malignant": RIGHT}, {"benign": (6, 22, 27, 45), "malignant": (37, 18, 60, 40)}, False),
        ({"benign": LEFT, "malignant": RIGHT}, {"benign": RIGHT, "malignant": LEFT}, True),
        ({"benign": LEFT, "malignant": RIGHT}, {"benign": LEFT, "malignant": LEFT}, False),
        ({"benign": LEFT, "malignant": BESIDE}, {"benign": LEFT, "malignant": BESIDE}, False),  # they touch
        ({"benign": LEFT, "malignant": RIGHT}, {"malignant": LEFT}, True),
        ({"benign": LEFT}, {"malignant": LEFT}, True),
        ({"benign": LEFT}, {"malignant": RIGHT}, True),
        ({"benign": LEFT}, {"benign": RIGHT}, False),
        ({"malignant": LEFT}, {}, True),
    ],
)  # fmt: skip
def test_a_conflict_is_one_lesion_with_different_labels(tmp_path, first, second, conflict):
    write_images(tmp_path, {"1.png": None, "2.png": "1.png"})
    Image.open(tmp_path / "2.png").resize((128, 128)).save(tmp_path / "2.png")  # boxes are in pixels of their image
    rows = [
        (f"d/{n}-{label}", "d", "", str(tmp_path / f"{n}.png"), label, "", *(edge * n for edge in box))
        for n, lesions in enumerate((first, second), start=1)
        for label, box in lesions.items()
    ]
    columns = ["lesion_id", "database", "patient_id", "image", "pathology", "excluded", "x0", "y0", "x1", "y1"]
    normals = pd.DataFrame({"database": "d", "image": [str(tmp_path / "2.png")] * (not second)})
    found, _ = curate(pd.DataFrame(rows, columns=columns), normals, {"d": 32})
    assert (found["duplicates"] == "1").all()
    assert (found["excluded"] != "").tolist() == [conflict] * len(found)


def test_a_table_of_lesions_survives_its_file(tmp_path):
    lesions = phantom_lesions("mini_mias")
    save(lesions, tmp_path / "lesions.csv")
    pd.testing.assert_frame_equal(load_lesions(tmp_path / "lesions.csv"), lesions, check_dtype=False)
    assert {*Lesion.__dataclass_fields__, "group", "duplicates"} == set(lesions)


def test_ids_keep_their_zeros(tmp_path):
    (tmp_path / "l.csv").write_text("lesion_id,patient_id,x0,y0,x1,y1,excluded\n001,NA,1,2,3,,\n")
    row = load_lesions(tmp_path / "l.csv").iloc[0]
    assert (row["lesion_id"], row["patient_id"], row["excluded"]) == ("001", "NA", "")
    assert pd.isna(row["y1"])


def test_phantoms_hold_what_curation_is_to_find():
    lesions = phantom_lesions("busi")
    groups = lesions[lesions["duplicates"] != ""].groupby("duplicates")
    # a near-duplicate of either class, and a conflict; nothing else looks alike
    assert sorted("/".join(sorted(labels.unique())) for _, labels in groups["pathology"]) == [
        "benign", "benign/malignant", "malignant",
    ]  # fmt: skip
    assert (groups.size() == 2).all()
    assert (groups["patient_id"].nunique() == 2).all()  # under another patient's id, so that only the hash finds them
    assert (groups["group"].nunique() == 1).all()
    assert (lesions["excluded"] != "").sum() == 2
    assert lesions["group"].nunique() < lesions["patient_id"].nunique() < len(lesions)


def test_bits_of_the_config_come_before_the_readers(tmp_path):
    folder = tmp_path / "b"
    folder.mkdir()
    write_images(folder, {"1.png": None, "2.png": "1.png"})
    (tmp_path / "m").mkdir()
    write_images(tmp_path / "m", {"3.png": None}, seed=1)
    one = settings("rois", tmp_path, benign="b", malignant="m")
    assert read_lesions({"db": one})["group"].nunique() == 2
    assert read_lesions({"db": {**one, "near_duplicates": None}})["group"].nunique() == 3


@pytest.mark.parametrize("lesions", [lambda: phantom_lesions("busi"), real_busi], ids=["phantoms", "real"])
def test_no_group_splits_a_patient_or_near_duplicates(lesions):
    lesions = lesions()
    for column in ("patient_id", "duplicates", "image"):
        known = lesions[lesions[column] != ""]
        assert (known.groupby(column)["group"].nunique() == 1).all()


def test_real_busi_has_the_near_duplicates_that_are_known():
    paths, hashes = zip(*real_busi_hashes().items())
    assert len(paths) == 437 + 210 + 12
    frame = pd.DataFrame(
        {
            "cluster": clusters_of(np.array(hashes), np.full(len(paths), busi.DATABASE.near_duplicates)),
            "label": [path.parent.name for path in paths],
        }
    )
    groups = frame.groupby("cluster").filter(lambda members: len(members) > 1).groupby("cluster")
    assert (groups.ngroups, groups.size().sum(), groups.size().max()) == (106, 229, 4)
    assert (groups["label"].nunique() > 1).sum() == 6


def test_real_busi_keeps_all_but_the_conflicts_that_are_known():
    lesions = real_busi()
    excluded = lesions[lesions["excluded"] != ""]
    conflicts = ["b42", "b131", "m51", "b85", "b164", "m52", "b399", "m93", "b406", "m94", "b433", "m145", "b269"]
    names = {"b": "busi/benign ({})", "m": "busi/malignant ({})"}
    assert set(excluded["lesion_id"]) == {names[c[0]].format(c[1:]) for c in conflicts}
    kept = lesions[lesions["excluded"] == ""]
    assert kept["pathology"].value_counts().to_dict() == {"benign": 429, "malignant": 205}


def rois_of(images, labels, groups):
    names = np.array([f"lesion {i}" for i in range(len(images))])
    table = pd.DataFrame({"lesion_id": names, "database": "busi", "image": names, "group": groups, "excluded": ""})
    table["modality"] = "ultrasound"
    return ImageSet(images, np.array(labels), names, np.array(groups)), table


def test_rois_that_show_one_lesion_are_one_group():
    """The second is the first in another field of view, the third the second mirrored and brighter."""
    first, *others = textures(5, seed=3)
    again = np.pad(first, 6, mode="reflect")[4:132, 8:136]
    images = np.stack([first, again, np.clip(again[:, ::-1] * 0.8 + 40, 0, 255).astype(np.uint8), *others])
    rois, table = rois_of(images, [0, 0, 0, 0, 1, 0, 1], list("abcdefg"))
    joined, found, pairs = join_alike(rois, table, ["busi"])
    assert found["group"].tolist() == joined.patients.tolist() == ["a", "a", "a", "d", "e", "f", "g"]
    assert (found["excluded"] == "").all()
    assert {tuple(pair) for pair in pairs[["first", "second"]].to_numpy()} == {
        ("lesion 0", "lesion 1"), ("lesion 0", "lesion 2"), ("lesion 1", "lesion 2"),
    }  # fmt: skip
    assert pairs["joined"].all()
    apart, found, pairs = join_alike(rois, table, [])
    assert pairs.empty
    assert found["group"].tolist() == apart.patients.tolist() == list("abcdefg")


def test_one_lesion_with_two_labels_is_excluded():
    images = textures(3, seed=3)[[0, 0, 1, 2]]
    rois, table = rois_of(images, [0, 1, 0, 1], list("abcd"))
    kept, found, _ = join_alike(rois, table, ["busi"])
    assert kept.ids.tolist() == ["lesion 2", "lesion 3"]
    assert found["excluded"].tolist() == ["the same lesion with different labels"] * 2 + ["", ""]


def test_a_class_without_a_roi_that_is_not_in_conflict_is_refused():
    images = textures(3, seed=3)[[0, 0, 1, 2]]
    with pytest.raises(InputError, match="ultrasound: all ROIs of malignant lesions show lesions that are labelled"):
        join_alike(*rois_of(images, [0, 1, 0, 0], list("abcd")), ["busi"])


def lesions_shown_again():
    """12 lesions, each thrice: as it is; moved, noisy, the more the later, and with black bands; and moved farther.

    Of those with bands the middle is found in the plain ones, but less of these in those.
    """
    wide = textures(12, seed=1, side=160).astype(float)
    first, again, later = (wide[:, 16:144, left : left + 128] for left in (16, 21, 26))
    again = again + np.linspace(60, 180, 12)[:, None, None] * np.random.default_rng(0).normal(size=again.shape)
    again[:, :, :5] = again[:, :, -5:] = 0
    return np.clip(np.concatenate([first, again, later]), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("batch", "step"), [(1, 1), (5, 1), (5, -1), (35, 1), (35, -1)])
def test_rois_are_joined_and_excluded_alike_batch_by_batch(batch, step, monkeypatch):
    images = lesions_shown_again()[::step]
    alike = correlate(images, images) > ALIKE
    alone = np.flatnonzero((alike | alike.T).sum(axis=1) == 1)
    labels = np.isin(np.arange(len(images)), [7, alone[0]])
    rois, table = rois_of(images, labels, [f"group {i}" for i in range(len(images))])
    assert (alike != alike.T).any(), "each way round counts"
    group = np.arange(len(images))
    while (joined := np.where(alike | alike.T, group, len(images)).min(axis=1)).tolist() != group.tolist():
        group = joined
    assert 12 < len(set(group)) < 20
    monkeypatch.setattr("mammosynth.arrays.likeness.BATCH", batch)
    kept, found, _ = join_alike(rois, table, ["busi"])
    same = found["group"].to_numpy()[:, None] == found["group"].to_numpy()
    assert (same == (group[:, None] == group)).all()
    conflict = (alike | alike.T) & (labels[:, None] != labels)
    assert ((found["excluded"] != "") == conflict.any(axis=1)).all()
    assert kept.ids.tolist() == rois.ids[~conflict.any(axis=1)].tolist()


def test_joining_rois_takes_no_table_of_all_pairs(monkeypatch):
    monkeypatch.setattr("mammosynth.arrays.likeness.BATCH", 20)
    peaks = []
    for n in (60, 700):  # a table of these would take 2 MB
        rois, table = rois_of(textures(n, side=48), np.zeros(n, int), [f"group {i}" for i in range(n)])
        tracemalloc.start()
        join_alike(rois, table, ["busi"])
        kept = 2 * rois.images.nbytes  # those of the databases, those kept
        sketched = 4 * n * (likeness.GRID**2 + 2 * likeness.SKETCH)  # of each ROI its structure, and its sketches
        peaks.append(tracemalloc.get_traced_memory()[1] - kept - sketched)
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_two_rois_of_one_image_are_two_lesions():
    """They overlap, as do those of a second picture; but two pictures of one ROI each are of one lesion."""
    one, other, *others = textures(4, seed=3)
    rois, table = rois_of(np.stack([one, one, one, one, *others, other]), [0, 1, 0, 1, 0, 1, 0], list("aabbcde"))
    table["image"] = ["1.png", "1.png", "2.png", "2.png", "3.png", "4.png", "5.png"]
    kept, found, pairs = join_alike(rois, table, ["busi"])
    assert len(kept) == 7
    assert (found["excluded"] == "").all()
    assert found["group"].tolist() == list("aaaacde")
    assert len(pairs) == 4  # those of the two groups
    table["image"] = ["1.png", "1.png", "2.png", "6.png", "3.png", "4.png", "5.png"]
    _, found, _ = join_alike(rois, table, ["busi"])
    assert (found["excluded"] != "").tolist() == [False, False, True, True, False, False, False]


def test_pairs_for_a_persons_review_reach_below_what_is_joined():
    first, second, *others = textures(4, seed=3).astype(float)
    images = np.stack([first, 0.48 * first + 0.52 * second, *others]).astype(np.uint8)
    value = correlate(images[:1], images[1:2]).item()
    assert REVIEWED < value < ALIKE
    rois, table = rois_of(images, [0, 0, 0, 1], list("abcd"))
    kept, found, pairs = join_alike(rois, table, ["busi"])
    assert pairs[["first", "second", "joined"]].to_numpy().tolist() == [["lesion 0", "lesion 1", False]]
    assert pairs["correlation"].item() == pytest.approx(value, abs=0.01)
    assert found["group"].tolist() == list("abcd")
    assert len(kept) == 4
    _, _, pairs = join_alike(*rois_of(images, [0, 0, 0, 1], list("aacd")), ["busi"])
    assert pairs.empty  # one patient's


def test_a_patient_with_lesions_of_both_classes_is_kept():
    images = textures(3, seed=3)
    rois, table = rois_of(images, [0, 1, 0], list("aab"))
    kept, found, _ = join_alike(rois, table, ["busi"])
    assert len(kept) == 3
    assert found["group"].tolist() == list("aab")
