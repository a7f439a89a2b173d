"""Curation: near-duplicates are found, conflicts excluded, and nothing that belongs together is split."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from databases_for_tests import phantom_lesions, real_busi, real_busi_hashes, settings
from PIL import Image
from quality_for_tests import textures

from mammosynth.curation import (
    ALIKE,
    curate,
    hash_images,
    join_alike,
    join_groups,
    load_lesions,
    near_duplicates,
    read_lesions,
)
from mammosynth.curation import save_lesions as save
from mammosynth.databases import Lesion
from mammosynth.databases.busi import NEAR_DUPLICATES
from mammosynth.imageset import ImageSet
from mammosynth.quality.novelty import correlate


def flipped(bits, n):
    bits = bits.copy()
    bits[:n] ^= True
    return bits


def test_near_duplicates_are_single_linkage_clusters():
    a, b = np.random.default_rng(0).integers(0, 2, (2, 256)).astype(bool)
    chain = [a, flipped(a, 30), flipped(a, 60)]  # first and last differ in 60, linked by the middle one
    clusters = near_duplicates(np.array([*chain, b]), np.full(4, 32))
    assert clusters[0] == clusters[1] == clusters[2] != clusters[3]
    assert len(set(near_duplicates(np.array([*chain, b]), np.full(4, 29)))) == 4


def test_near_duplicates_do_not_depend_on_the_block():
    rng = np.random.default_rng(1)
    base = rng.integers(0, 2, (12, 256)).astype(bool)
    hashes = np.array([flipped(base[i % 12], int(rng.integers(0, 20))) for i in range(60)])
    whole = near_duplicates(hashes, np.full(60, 20))
    parts = near_duplicates(hashes, np.full(60, 20), block=7)
    assert np.array_equal(whole[:, None] == whole, parts[:, None] == parts)
    assert len(set(whole)) == 12


def test_two_databases_are_held_to_the_smaller_number_of_bits():
    a = np.zeros(256, dtype=bool)
    hashes = np.array([a, flipped(a, 10)])
    assert len(set(near_duplicates(hashes, np.array([10, 32])))) == 1
    assert len(set(near_duplicates(hashes, np.array([9, 32])))) == 2


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
    return lesions.assign(excluded="")


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
            "cluster": near_duplicates(np.array(hashes), np.full(len(paths), NEAR_DUPLICATES)),
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
    table = pd.DataFrame({"lesion_id": names, "database": "busi", "group": groups, "excluded": ""})
    return ImageSet(images, np.array(labels), names, np.array(groups)), table


def test_rois_that_show_one_lesion_are_one_group():
    """The second is the first in another field of view, the third the second mirrored and brighter."""
    first, *others = textures(5, seed=3)
    again = np.pad(first, 6, mode="reflect")[4:132, 8:136]
    images = np.stack([first, again, np.clip(again[:, ::-1] * 0.8 + 40, 0, 255).astype(np.uint8), *others])
    rois, table = rois_of(images, [0, 0, 0, 0, 1, 0, 1], list("abcdefg"))
    joined, found = join_alike(rois, table, ["busi"])
    assert found["group"].tolist() == joined.patients.tolist() == ["a", "a", "a", "d", "e", "f", "g"]
    assert (found["excluded"] == "").all()
    apart, found = join_alike(rois, table, [])
    assert found["group"].tolist() == apart.patients.tolist() == list("abcdefg")


def test_one_lesion_with_two_labels_is_excluded():
    images = textures(3, seed=3)[[0, 0, 1, 2]]
    rois, table = rois_of(images, [0, 1, 0, 1], list("abcd"))
    kept, found = join_alike(rois, table, ["busi"])
    assert kept.ids.tolist() == ["lesion 2", "lesion 3"]
    assert found["excluded"].tolist() == ["the same lesion with different labels"] * 2 + ["", ""]


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
    labels = np.arange(len(images)) == 7
    rois, table = rois_of(images, labels, [f"group {i}" for i in range(len(images))])
    alike = correlate(images, images) > ALIKE
    assert (alike != alike.T).any(), "each way round counts"
    group = np.arange(len(images))
    while (joined := np.where(alike | alike.T, group, len(images)).min(axis=1)).tolist() != group.tolist():
        group = joined
    assert 12 < len(set(group)) < 20
    monkeypatch.setattr("mammosynth.quality.novelty.BATCH", batch)
    kept, found = join_alike(rois, table, ["busi"])
    same = found["group"].to_numpy()[:, None] == found["group"].to_numpy()
    assert (same == (group[:, None] == group)).all()
    conflict = (alike | alike.T) & (labels[:, None] != labels)
    assert ((found["excluded"] != "") == conflict.any(axis=1)).all()
    assert kept.ids.tolist() == rois.ids[~conflict.any(axis=1)].tolist()


def test_joining_rois_takes_no_table_of_all_pairs(monkeypatch):
    monkeypatch.setattr("mammosynth.quality.novelty.BATCH", 20)
    peaks = []
    for n in (60, 240):
        rois, table = rois_of(textures(n, side=48), np.zeros(n, int), [f"group {i}" for i in range(n)])
        tracemalloc.start()
        join_alike(rois, table, ["busi"])
        peaks.append(tracemalloc.get_traced_memory()[1] - 2 * rois.images.nbytes)  # those of the databases, those kept
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_a_patient_with_lesions_of_both_classes_is_kept():
    images = textures(3, seed=3)
    rois, table = rois_of(images, [0, 1, 0], list("aab"))
    kept, found = join_alike(rois, table, ["busi"])
    assert len(kept) == 3
    assert found["group"].tolist() == list("aab")
