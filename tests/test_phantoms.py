"""Phantoms: made as physics says, the same for the same seed, and with cues that do not decide alone."""

import hashlib

import numpy as np
import pytest
from databases_for_tests import COUNTS, phantoms
from PIL import Image

from mammosynth.databases.phantoms import lesion_model, make_phantoms, mammography, ultrasound
from mammosynth.errors import InputError


def test_speckle_is_rayleigh():
    rng = np.random.default_rng(0)
    one = ultrasound.draw_speckle(np.zeros((400, 400), dtype=np.float32), 1.4, 3.3, 1, rng)
    assert one.mean() / one.std() == pytest.approx(1.91, abs=0.06)
    four = ultrasound.draw_speckle(np.zeros((400, 400), dtype=np.float32), 1.4, 3.3, 4, rng)
    assert four.mean() / four.std() == pytest.approx(2 * 1.91, abs=0.15)  # √looks


def test_twenty_decibels_are_a_factor_of_ten():
    rng = np.random.default_rng(0)
    echo = np.zeros((200, 400), dtype=np.float32)
    echo[:, 200:] = -20
    speckle = ultrasound.draw_speckle(echo, 1.4, 3.3, 3, rng)
    assert speckle[:, :180].mean() / speckle[:, 220:].mean() == pytest.approx(10, rel=0.05)


def test_compression_spreads_the_dynamic_range():
    envelope = np.array([[1.0, 10.0], [100.0, 1000.0]])  # 20 dB apart
    grey = ultrasound.compress(envelope, dynamic_range=80, mean=128).astype(int)
    assert np.diff(grey.ravel()) == pytest.approx(255 * 20 / 80, abs=1)
    assert grey.mean() == pytest.approx(128, abs=1)


@pytest.mark.parametrize("sigma", [0.05, 0.2])
def test_contours_vary_as_much_as_asked(sigma):
    rng = np.random.default_rng(0)
    contours = np.array([lesion_model.draw_contour((2, 14), sigma, rng) for _ in range(400)])
    assert contours.mean() == pytest.approx(1, abs=0.01)
    assert np.log(contours).std() == pytest.approx(sigma, rel=0.05)


def test_a_contour_is_met_at_its_angles():
    contour = np.linspace(1, 2, lesion_model.ANGLES).astype(np.float32)
    angle = 2 * np.pi * np.arange(lesion_model.ANGLES) / lesion_model.ANGLES
    assert lesion_model.radius_at(contour, np.cos(angle), np.sin(angle)) == pytest.approx(contour, abs=1e-3)


@pytest.mark.parametrize("beta", [2.2, 2.9])
def test_texture_has_its_power_law(beta):
    rng = np.random.default_rng(0)
    slopes = []
    for _ in range(5):
        texture = lesion_model.power_law((512, 512), beta, rng)
        power = np.abs(np.fft.fft2(texture)) ** 2
        frequency = np.hypot(np.fft.fftfreq(512)[:, None], np.fft.fftfreq(512)[None])
        used = (frequency > 0.01) & (frequency < 0.3)
        slopes.append(np.polyfit(np.log(frequency[used]), np.log(power[used]), 1)[0])
    assert np.mean(slopes) == pytest.approx(-beta, abs=0.05)
    assert (texture.mean(), texture.std()) == pytest.approx((0, 1), abs=1e-3)


def test_cues_are_flipped_one_time_in_four():
    rng = np.random.default_rng(0)
    for malignant in (False, True):
        flips = [lesion_model.flip_cues(malignant, ("a", "b"), rng)["a"] != malignant for _ in range(2000)]
        assert np.mean(flips) == pytest.approx(0.25, abs=0.03)


def test_patients_add_up():
    rng = np.random.default_rng(0)
    for n in (1, 7, 200):
        sizes = lesion_model.draw_patients(n, (0.6, 0.3, 0.1), rng)
        assert sum(sizes) == n
        assert set(sizes) <= {1, 2, 3}
    assert len(set(sizes)) == 3


def test_malignant_ultrasound_lesions_cast_shadows_and_benign_ones_do_not():
    rng = np.random.default_rng(0)
    behind = {}
    for malignant in (False, True):
        cues = dict.fromkeys(ultrasound.CUES, malignant)
        found = []
        for scan in ultrasound.scan_patient(cues, 4, rng):
            rows, columns = np.flatnonzero(scan.mask.any(axis=1)), np.flatnonzero(scan.mask.any(axis=0))
            middle = (columns[0] + columns[-1]) // 2
            below = scan.image[rows[-1] + 8 : rows[-1] + 40]
            found.append(below[:, middle - 8 : middle + 9].mean() - below.mean())
            inside = scan.image[scan.mask].mean()
            assert inside < scan.image.mean()
        behind[malignant] = np.mean(found)
    assert behind[True] < -10 < 10 < behind[False]


def test_masses_are_drawn_where_the_circle_says():
    rng = np.random.default_rng(0)
    breast = mammography.draw_breast(rng)
    cues = dict.fromkeys(mammography.CUES, False)
    for left in (True, False):
        pixels, circles = mammography.draw_film(breast, [cues, cues], left, rng)
        assert pixels.shape == (1024, 1024)
        wall, air = (pixels[:, :50], pixels[:, -50:]) if left else (pixels[:, -50:], pixels[:, :50])
        assert air.max() < 10 < wall[400:600].mean()
        for kind, x, y, radius in circles:
            row = 1024 - y
            assert kind == "CIRC"
            mass = pixels[row - radius // 3 : row + radius // 3, x - radius // 3 : x + radius // 3]
            beside = pixels[row - 2 * radius : row + 2 * radius, x - 2 * radius : x + 2 * radius]
            assert mass.mean() > np.median(beside) + 8


def test_a_near_duplicate_moves_with_its_mask():
    rng = np.random.default_rng(0)
    mask = np.zeros((60, 60), dtype=bool)
    mask[20:40, 25:45] = True
    image = np.where(mask, 200, 50).astype(np.uint8)
    again = ultrasound.rescan(ultrasound.Scan(image, mask), rng)
    assert again.mask.sum() == mask.sum()
    assert again.image[again.mask].mean() > 3 * again.image[~again.mask].mean()


def digests(root):
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("reader", ["busi", "mini_mias"])
def test_the_seed_decides_and_no_file_of_an_earlier_run_stays(tmp_path, reader):
    few = {"benign": 5, "malignant": 5}
    made = []
    for name, seed, counts in [("a", 0, few), ("b", 1, {"benign": 6, "malignant": 5}), ("b", 0, few)]:
        make_phantoms(reader, {**counts, "seed": seed}, tmp_path / name)
        made.append(digests(tmp_path / name))
    assert made[0] == made[2]
    assert made[0] != made[1]


def test_the_sidecar_names_every_ultrasound_image():
    root = phantoms("busi")
    rows = [row.split(",") for row in (root / "patients.csv").read_text().splitlines()[1:]]
    images = {
        path.relative_to(root / "Dataset_BUSI_with_GT").as_posix()
        for path in root.rglob("*.png")
        if "mask" not in path.name
    }
    assert len(rows) == len(images) == sum(COUNTS.values())
    assert {row[0] for row in rows} == images
    assert len({row[1] for row in rows}) < len(rows)  # some patients have several


def test_ultrasound_phantoms_have_the_greys_of_busi():
    greys = [np.asarray(Image.open(path)) for path in phantoms("busi").rglob("*.png") if "mask" not in path.name]
    assert np.mean([grey.mean() for grey in greys]) == pytest.approx(90, abs=15)  # real: 84 and 52
    assert np.mean([grey.std() for grey in greys]) == pytest.approx(50, abs=12)


def test_there_are_no_phantoms_of_another_layout(tmp_path):
    with pytest.raises(InputError, match="no phantoms for reader rois: use one of busi, mini_mias"):
        make_phantoms("rois", {"benign": 5, "malignant": 5, "seed": 0}, tmp_path)
