"""Any images are judged as a study judges its own, and what makes numbers worthless is said first."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from quality_for_tests import image_set

import mammosynth
from mammosynth import exchange, parameters
from mammosynth.assessment import assess
from mammosynth.errors import InputError
from mammosynth.imageset import ImageSet
from mammosynth.networks import NETWORKS, Network
from mammosynth.quality import assess as quality
from mammosynth.quality import measures
from mammosynth.quality.describe import Describer
from mammosynth.quality.measures import AS_INTENDED, HELD_OUT, MEASURES, NEAR_COPY, REAL
from mammosynth.report import assessment as report
from mammosynth.report import scorecard

FEW = {"networks": ("toy",), "resamples": 50}


def load(weights, device):
    """Means and deviations of 16 px blocks: 128 features."""

    def network(images):
        blocks = images[:, 0].float().unfold(1, 16, 16).unfold(2, 16, 16)
        return torch.cat([part.flatten(1) for part in (blocks.mean((3, 4)), blocks.std((3, 4)))], 1)

    return network


@pytest.fixture(autouse=True, scope="module")
def toy(tmp_path_factory):
    """Quick networks, that of the probes too, and no measure of naturalness."""
    folder = tmp_path_factory.mktemp("cache")
    (folder / "weights").write_text("")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("toy", "efficientnet_lite0"):
            patch.setitem(NETWORKS, name, Network(name, 128, {}, __name__))
        patch.setattr(measures, "MEASURES", [m for m in MEASURES if "naturalness" not in m.function])
        patch.setattr(quality, "PAIRS", 20)
        patch.setattr(parameters, "cache", lambda: folder)
        patch.setattr(parameters, "cached", lambda name, declaration: folder / "weights")
        yield


@pytest.fixture(scope="module")
def real():
    return image_set(30, 24, seed=1, per_patient=2)


@pytest.fixture(scope="module")
def synthetic():
    return image_set(24, 20, seed=2)


@pytest.fixture(scope="module")
def held_out():
    return image_set(12, 12, seed=9, per_patient=2)


@pytest.fixture(scope="module")
def found(real, synthetic, held_out):
    return assess(real, synthetic, held_out, **FEW)


def of_study(train, synthetic, held_out, folder):
    """Rows as the rules of a study compute them: describe_real, describe, assess."""
    files = {"toy": folder / "weights"}
    files["toy"].write_text("")
    describer = Describer(["toy"], files, lambda images: images.mean((1, 2)) / 255, folder / "kept")
    table, reference = describer.real(train, held_out)
    tables = {name: own.reset_index() for name, own in table.groupby("generator")}
    real, other = (
        quality.Described(train, tables[REAL], reference.features),
        quality.Described(held_out, tables[HELD_OUT]),
    )
    rows, floor = quality.assess_real(real, other, resamples=50)
    judged = quality.Described(synthetic, *describer.synthetic("synthetic", synthetic, train, reference))
    return pd.concat([quality.assess("synthetic", judged, real, other, floor, resamples=50), rows])


def test_exported_images_of_a_study_get_the_numbers_of_the_study(real, synthetic, held_out, tmp_path):
    """All of them but label accuracy, which a study's first classifier judges, and probes here."""
    expected = of_study(real, synthetic, held_out, tmp_path)
    sets = {"real": real, "synthetic": synthetic, "held_out": held_out}
    for name, images in sets.items():
        exchange.write_folder(images, tmp_path / name)
    rows = assess(*(tmp_path / name for name in sets), **FEW).measures
    same = [table[table["measure"] != AS_INTENDED].reset_index(drop=True) for table in (rows, expected)]
    pd.testing.assert_frame_equal(*same)
    assert {"FD (toy)", "KD (toy)", "recall (toy)", "MS-SSIM, within set", NEAR_COPY} <= set(same[0]["measure"])


def test_the_package_itself_has_the_function(real, synthetic, held_out, found):
    again = mammosynth.assess(real, synthetic, held_out, **FEW)
    pd.testing.assert_frame_equal(again.measures, found.measures)
    pd.testing.assert_frame_equal(again.utility, found.utility)


def test_probes_are_tested_on_the_held_out_images_alone(found, held_out):
    rows = found.utility[found.utility["measure"] == "AUROC"].set_index("mix")
    assert set(rows.index) == {"real", "synthetic", "real+synthetic"}
    assert (rows["n"] == len(held_out)).all()
    assert (rows["n_patients"] == len(set(held_out.patients))).all()


def test_without_held_out_images_every_real_one_is_tested_by_probes_of_other_patients(real, synthetic):
    found = assess(real, synthetic, **FEW)
    rows = found.utility[found.utility["measure"] == "AUROC"]
    assert (rows["n"] == len(real)).all()
    assert any("No held-out real images" in limit for limit in found.limits)
    assert "real images of other patients are near copies" in found.novelty.reason


def test_probes_learn_what_synthetic_images_teach_and_labels_of_the_wrong_class_show():
    """Bright is malignant: synthetic images that say so teach it, those that say the contrary teach that."""

    def bright(n, seed, patients=0, contrary=False):
        images = image_set(n, n, seed, patients)
        sign = np.where((images.labels == 1) ^ contrary, 40, -40)[:, None, None]
        return replace(images, images=np.clip(images.images.astype(int) + sign, 0, 255))

    right, wrong = (assess(bright(20, 1, 2), bright(16, 2, contrary=contrary), **FEW) for contrary in (False, True))
    for found, good in ((right, True), (wrong, False)):
        auroc = found.utility[found.utility["measure"] == "AUROC"].set_index("mix")["value"]
        assert auroc["real"] > 0.9
        assert (auroc["synthetic"] > 0.9) == good
        rows = found.measures.set_index(["generator", "pathology", "measure"])["value"]
        assert (rows["synthetic", "all", AS_INTENDED] > 0.9) == good
        assert rows["held_out", "all", AS_INTENDED] > 0.9


def test_images_without_classes_are_judged_as_one_set(real, synthetic):
    found = assess(real.images, synthetic.images, **FEW)
    assert set(found.measures["pathology"]) == {"all"}
    assert found.utility is None
    assert AS_INTENDED not in set(found.measures["measure"])
    assert any("each image counts as one" in limit for limit in found.limits)


def test_classes_that_one_set_does_not_say_are_not_looked_at(real, synthetic):
    found = assess(real, synthetic.images, **FEW)
    assert not found.labelled
    assert any("classes of the array are not known" in limit for limit in found.limits)


def test_one_class_alone_is_judged_beside_its_own(real, synthetic):
    found = assess(real, synthetic.of_class("malignant"), **FEW)
    assert found.real.images.classes == ["malignant"]
    assert "only malignant ones are judged" in found.warnings[0]
    assert found.utility is None


def test_fewer_synthetic_images_than_half_of_the_real_ones_are_judged_beside_as_many(real, synthetic):
    few = synthetic[np.r_[0:6, 24:30]]
    found = assess(real, few, **FEW)
    rows = found.measures.set_index(["generator", "pathology", "measure"])
    assert rows.loc[("synthetic", "benign", "FD (toy)"), ["n", "n_reference"]].tolist() == [6, 6]
    assert rows.loc[("floor", "benign", "FD (toy)"), "n"] == 6
    assert any("only 6" in limit for limit in found.limits)


def test_the_same_images_twice_are_no_perfect_score(real):
    found = assess(real, replace(real, patients=None), **FEW)
    assert "the same images twice, and a perfect score is no finding" in found.warnings[0]
    assert found.novelty.memorising


def test_real_images_among_the_synthetic_are_named(real, synthetic):
    stray = replace(real[[3]], patients=None)
    found = assess(real, ImageSet.concatenate([synthetic, stray]), **FEW)
    assert found.warnings[0].startswith("1 of 45 synthetic images are, to the pixel, real ones")
    assert real.ids[3] in found.warnings[0]
    assert assess(real, synthetic, **FEW).warnings == []


def test_repeated_synthetic_images_are_counted(real, synthetic):
    repeated = replace(synthetic, images=synthetic.images[np.r_[0:23, 22, 24:44]])
    assert "1 of 44 synthetic images repeat another one" in assess(real, repeated, **FEW).warnings[0]


@pytest.mark.parametrize("role", ["real", "synthetic", "held-out real"])
def test_too_few_images_are_refused_with_how_many_are_needed(role, real, synthetic, held_out):
    few = {"real": real, "synthetic": synthetic, "held-out real": held_out}
    few[role] = few[role][np.r_[0:3, -3:0]]
    with pytest.raises(InputError, match=rf"3 {role} benign images, and [48] are needed to judge any"):
        assess(*few.values(), **FEW)


def test_images_of_other_sizes_are_refused(real, synthetic):
    with pytest.raises(InputError, match="128×128 px and those of the array 64×64: crop them alike"):
        assess(real, synthetic.images[:, :64, :64], **FEW)
    with pytest.raises(InputError, match="of 16×16 px are too small"):
        assess(real.images[:, :16, :16], synthetic.images[:, :16, :16], **FEW)


def test_held_out_images_that_the_generator_was_trained_on_are_refused(real, synthetic):
    with pytest.raises(InputError, match=r"54 held-out images .* are also in"):
        assess(real, synthetic, real, **FEW)


def test_no_common_class_is_refused(real, synthetic):
    with pytest.raises(InputError, match="no class in common"):
        assess(real.of_class("benign"), synthetic.of_class("malignant"), **FEW)


def test_medmnists_other_parts_are_held_out(real, synthetic, held_out, found, tmp_path):
    exchange.write_medmnist({"train": real, "test": held_out}, tmp_path / "x.npz")
    again = assess(tmp_path / "x.npz", synthetic, **FEW)
    pd.testing.assert_frame_equal(again.measures, found.measures)


def test_the_scorecard_holds_every_number_and_needs_nothing_beside_it(found, tmp_path):
    report.write(found, tmp_path)
    card = json.loads((tmp_path / "scorecard.json").read_text())
    with pytest.raises(InputError, match=r"measures\[0\]\.n is not"):
        scorecard.check_measures([card["measures"][0] | {"n": -1}])
    page = (tmp_path / "scorecard.html").read_text()
    assert "://" not in page.replace("http://www.w3.org", "")
    for sentence in card["findings"]:
        assert sentence.split(" [")[0] in page
    table = report.table(found)
    assert len(table) == len({measure["measure"] for measure in card["measures"]})
    floor = found.measures.set_index(["generator", "pathology", "measure"]).loc[("floor", "all", "FD (toy)")]
    (shown,) = table.loc[table["measure"] == "FD (toy) ↓", "real images"]
    assert shown.startswith(report.number(floor["value"]))
