"""Figures: what is drawn is what was measured; layouts do not overlap."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from test_scores import predictions
from test_tables import quality_rows

from mammosynth.arrays.grid import tile
from mammosynth.classifiers.scores import score
from mammosynth.imageset import CLASSES, ImageSet
from mammosynth.quality.novelty import Limits, Nearest
from mammosynth.report import figures
from mammosynth.report.figures_of_gans import (
    EMBEDDED,
    embed,
    plot_closest_pairs,
    plot_embedding,
    plot_quality,
    plot_samples,
    plot_summary_samples,
)
from mammosynth.report.figures_of_predictions import plot_roc
from mammosynth.report.figures_of_scores import plot_differences
from mammosynth.report.figures_of_training import (
    kept_steps,
    plot_classifier_training,
    plot_gan_training,
    read_histories,
)

MIXES = ["real", "sngan", "real+sngan", "real+sngan@2", "real@2", "real+classic"]


@pytest.fixture(scope="module")
def study():
    frame = pd.concat([predictions(0.5 + i / 3, mix, noise=0.3) for i, mix in enumerate(MIXES)])
    return frame, score(frame, 100, 0)


@pytest.fixture(autouse=True)
def _close():
    yield
    figures.plt.close("all")


def image_set(n, seed):
    rng = np.random.default_rng(seed)
    return ImageSet(rng.integers(0, 256, (n, 8, 8)), np.arange(n) % 2, [f"{seed}_{i}" for i in range(n)])


def test_samples_show_each_class_of_each_set_as_it_is():
    real, synthetic = image_set(20, 0), image_set(4, 1)  # fewer than fit
    figure = plot_samples("ultrasound", real, {"sngan": synthetic}, ["busi"], columns=3)
    shown = [axis.images[0].get_array() for axis in figure.axes]
    for grid, members in zip(shown, [real.of_class("benign"), real.of_class("malignant")]):
        np.testing.assert_array_equal(grid, tile(members.images[[0, 4, 9]], 3))
    for grid, members in zip(shown[2:], [synthetic.of_class("benign"), synthetic.of_class("malignant")]):
        np.testing.assert_array_equal(grid, tile(members.images, 3))


def test_the_first_screen_shows_real_rois_above_the_gans_of_each_modality():
    sets = {of: {"real": image_set(20, k), "sngan": image_set(8, k + 2)} for k, of in enumerate(("a", "b"))}
    figure = plot_summary_samples(sets, ["b"], columns=3)
    shown = [axis.images[0].get_array() for axis in figure.axes]
    halves = [(images, pathology) for own in sets.values() for images in own.values() for pathology in CLASSES]
    for grid, (images, pathology) in zip(shown, halves, strict=True):
        members = images.of_class(pathology).images
        np.testing.assert_array_equal(grid, tile(members[[0, len(members) // 2 - (len(members) > 9), -1]], 3))
    assert [axis.get_title(loc="left") for axis in figure.axes[::2]] == ["A, real", "A, SNGAN", "B, real", "B, SNGAN"]
    assert figure.get_suptitle() == "B: phantoms, not clinical data"
    assert plot_summary_samples(sets, []).get_suptitle() == ""


def test_samples_of_phantoms_say_so_and_others_do_not():
    sets = image_set(4, 0), {"sngan": image_set(4, 1)}
    for phantoms, shown in ((["made"], "busi, made (phantoms, not clinical data)"), ([], "busi, made")):
        figure = plot_samples("ultrasound", *sets, ["busi", "made"], phantoms)
        assert figure.get_suptitle().splitlines()[1] == shown


def test_closest_pairs_stand_above_their_rois_and_copies_are_framed():
    train, images = image_set(6, 0).images, image_set(3, 1).images
    nearest = Nearest(
        by_features=np.array([0, 4, 2]),
        distance=np.ones(3),
        relative_distance=np.array([0.2, 0.9, 0.4]),
        by_correlation=np.array([3, 4, 5]),
        correlation=np.array([0.1, 0.8, 0.5]),
    )
    held_out = Nearest(*(values[:1] for values in vars(nearest).values()))  # fewer than fit
    limits = Limits(correlation=0.6, relative_distance=0.3)
    figure = plot_closest_pairs(
        "ultrasound", "sngan", (images, nearest), (images[:1], held_out), train, limits, columns=2
    )
    by_correlation, by_features, *of_held_out = figure.axes
    expected = {
        by_correlation: (images[[1, 2]], train[[4, 5]], ["r 0.80", "r 0.50"], [-0.5]),
        by_features: (images[[0, 2]], train[[0, 2]], ["d 0.20", "d 0.40"], []),
    }
    for axis, (above, below, titles, framed) in expected.items():
        np.testing.assert_array_equal(axis.images[0].get_array(), tile(np.concatenate([above, below]), 2))
        assert [text.get_text() for text in axis.texts] == titles
        assert [frame.get_x() for frame in axis.patches] == framed
    assert [len(axis.texts) for axis in of_held_out] == [1, 1]
    assert "0.60" in figure.get_suptitle()


def test_mixes_stand_in_the_panels_of_their_gans_beside_real():
    groups = figures.mix_groups([*MIXES, "real+cgan+sngan"])
    assert groups["controls"] == ["real", "real@2", "real+classic"]
    assert groups["sngan"] == ["real", "sngan", "real+sngan", "real+sngan@2", "real+cgan+sngan"]
    assert groups["cgan"] == ["real", "real+cgan+sngan"]


def test_a_mix_of_phases_is_in_the_panels_of_its_gans():
    groups = figures.mix_groups(["real", "sngan..real", "real..real+classic", "sngan..cgan"])
    assert groups == {
        "controls": ["real", "real..real+classic"],
        "sngan": ["real", "sngan..real", "sngan..cgan"],
        "cgan": ["real", "sngan..cgan"],
    }
    assert figures.line_of("sngan..real", groups["sngan"], "red")["linestyle"] == "-"
    assert figures.line_of("sngan..cgan", groups["sngan"], "red")["linestyle"] == "--"


def test_roc_panels_draw_every_mix_with_its_area(study):
    frame, scores = study
    figure = plot_roc("ultrasound", "resnet18", frame, scores)
    auroc = scores[scores["measure"] == "AUROC"].set_index("mix")["value"]
    (panel,) = [axis for axis in figure.axes if axis.get_title(loc="left") == "SNGAN"]
    curves = {line.get_label(): line.get_xydata() for line in panel.lines[1:]}
    assert len(curves) == 4
    for label, points in curves.items():
        if label.startswith("real + SNGAN:"):
            assert np.trapezoid(points[:, 1], points[:, 0]) == pytest.approx(auroc["real+sngan"], abs=0.01)
            assert f"{auroc['real+sngan']:.3f}" in label


def test_an_embedding_shows_each_set_where_it_was_put():
    rng = np.random.default_rng(0)
    sets = {
        name: (rng.normal(size=(n, 8)).astype(np.float32), np.arange(n) % 2) for name, n in (("real", 12), ("sngan", 9))
    }
    figure = plot_embedding("ultrasound", "SqueezeNet 1.1", sets["real"], {"sngan": sets["sngan"]})
    positions = embed(np.concatenate([sets["real"][0], sets["sngan"][0]]))
    real, both = ([mark.get_offsets() for mark in axis.collections] for axis in figure.axes)
    for shown in (real, both[:2]):  # benign, malignant
        np.testing.assert_array_equal(shown[0], positions[:12:2])
        np.testing.assert_array_equal(shown[1], positions[1:12:2])
    np.testing.assert_array_equal(both[2], positions[12::2])
    assert figure.axes[0].get_xlim() == figure.axes[1].get_xlim()
    assert f"12 real ROIs and {EMBEDDED} of each GAN at most" in figure.get_suptitle()


def test_an_embedding_keeps_groups_together():
    rng = np.random.default_rng(0)
    group = np.repeat([0, 1], 20)
    positions = embed(rng.normal(size=(40, 30)) + 20 * group[:, None])
    nearest = np.linalg.norm(positions[:, None] - positions[None], axis=2) + np.diag(np.full(40, np.inf))
    assert (group[nearest.argmin(1)] == group).all()


def test_quality_bars_are_the_pooled_values_with_the_real_level(study):
    rows = quality_rows(("sngan", "cgan", "real", "floor"))
    figure = plot_quality("ultrasound", rows)
    heights = [patch.get_height() for patch in figure.axes[0].patches]
    assert heights == [10, 20]
    levels = {line.get_ydata()[0] for line in figure.axes[0].lines if len(set(line.get_ydata())) == 1}
    assert {30.0, 40.0} <= levels


def history(kd=(), classes=("all",), **losses):
    """Four steps of a GAN's history, with evaluations at the last len(kd) of them."""
    evaluations = {} if not kd else {"kd": [np.nan] * (4 - len(kd)) + list(kd)}
    base = {"step": [10, 20, 30, 40], "d_loss": 1.0, "g_loss": 2.0, "d_gradient": 0.0, "g_gradient": 0.5}
    return pd.concat([pd.DataFrame(base | losses | evaluations).assign(**{"class": name}) for name in classes])


def runs(*frames):
    """Histories of (GAN, fold, seed) as `read_histories` returns them."""
    of_runs = [frame.assign(gan=gan, fold=fold, seed=seed) for (gan, fold, seed), frame in frames]
    return pd.concat(of_runs, ignore_index=True)


def panels(figure):
    """Axes of a training figure by the title of their column, from the upper row to the lower."""
    columns = {}
    for axis in figure.axes:
        columns.setdefault(axis.get_subplotspec().colspan.start, []).append(axis)
    return {axes[0].get_title(loc="left").partition(" ")[0]: axes for axes in columns.values()}


def test_histories_are_told_apart_by_their_places(tmp_path):
    files = [tmp_path / "results/ultrasound/fold3/gans" / gan / "seed7.csv" for gan in ("sngan", "cyclegan")]
    for file in files:
        file.parent.mkdir(parents=True)
    history().to_csv(files[0], index=False)
    history(kd=(5.0, 4.0), cycle_loss=0.5).to_csv(files[1], index=False)
    histories = read_histories(files, "gan")
    assert set(histories.groupby(["gan", "fold", "seed"]).groups) == {("sngan", 3, 7), ("cyclegan", 3, 7)}
    assert kept_steps(histories)["step"].tolist() == [40]


def test_the_step_of_the_least_kd_is_marked_for_each_run_and_class():
    histories = runs(
        (("sngan", 0, 0), history(kd=(9.0, 2.0, 3.0))),
        (("sngan", 0, 1), history(kd=(9.0, 8.0, -1.0), classes=["benign", "malignant"])),
        (("cgan", 0, 0), history(kd=(4.0, 4.0))),  # alike: the training keeps the first
    )
    axes = panels(plot_gan_training("ultrasound", histories, "SqueezeNet 1.1"))["KD"]
    marks = [sorted(map(tuple, axis.lines[-1].get_xydata())) for axis in axes]
    assert marks == [[(30, 2.0), (40, -1.0), (40, -1.0)], [(30, 4.0)]]
    assert axes[0].lines[0].get_xydata().tolist() == [[20, 9.0], [30, 2.0], [40, 3.0]]
    assert "SqueezeNet 1.1" in axes[0].get_title(loc="left")


def test_a_gan_without_evaluations_says_so():
    evaluated, without = (("sngan", 0, 0), history(kd=(2.0, 1.0))), (("cgan", 0, 0), history())
    axes = panels(plot_gan_training("ultrasound", runs(evaluated, without), "SqueezeNet 1.1"))["KD"]
    assert [[text.get_text() for text in axis.texts] for axis in axes] == [
        [],
        ["not evaluated:\nthe last step is kept"],
    ]
    figure = plot_gan_training("ultrasound", runs(without), "SqueezeNet 1.1")
    assert set(panels(figure)) == {"losses", "gradient"}
    assert "step that is kept" not in [text.get_text() for text in figure.legends[0].texts]


def test_training_curves_are_running_means_of_any_losses():
    noisy = pd.concat(
        [history(d_loss=[0.0, 2.0, 0.0, 2.0]).assign(step=lambda h, i=i: h.step + 40 * i) for i in range(20)]
    )
    noisy = runs((("cyclegan", 0, 0), noisy.assign(cycle_loss=0.5)))
    axis = panels(plot_gan_training("ultrasound", noisy, ""))["losses"][0]
    values = [line.get_ydata() for line in axis.lines]
    assert len(values) == 2 * 3  # all values, and their means
    assert values[0].tolist() == [0, 2] * 40
    np.testing.assert_allclose(values[1][2:-2], 1)  # of a twentieth, four rows
    several = pd.concat([noisy, noisy.assign(seed=1)], ignore_index=True)
    axis = panels(plot_gan_training("ultrasound", several, ""))["losses"][0]
    assert len(axis.lines) == 2 * 3  # the means of both


def test_classifiers_curves_are_means_over_runs():
    histories = pd.DataFrame(
        [
            {"mix": mix, "fold": 0, "seed": seed, "step": step, "loss": 0.5 + seed, "val_auroc": 0.6}
            for mix in MIXES for seed in (0, 1) for step in (5, 10)
        ]
    )  # fmt: skip
    figure = plot_classifier_training("ultrasound", "probe_of_mine", histories)
    assert figure.axes[0].lines[0].get_ydata().tolist() == [1.0, 1.0]  # the mean over seeds
    assert figure.get_suptitle() == "Training of the classifiers: ultrasound, probe of mine"


def test_a_grey_picture_is_written_in_grey_and_another_in_colour(tmp_path):
    for colour in ("black", "red"):
        figure, axis = figures.plt.subplots(figsize=(1, 1))
        axis.plot([0, 1], color=colour)
        figures.save(figure, tmp_path / f"{colour}.png")
    images = {colour: Image.open(tmp_path / f"{colour}.png") for colour in ("black", "red")}
    assert {colour: image.mode for colour, image in images.items()} == {"black": "L", "red": "RGB"}
    assert images["red"].size == (150, 150)


def test_the_same_figure_gives_the_same_file(study, tmp_path):
    first, second = ([tmp_path / f"{name}.{suffix}" for suffix in ("svg", "png", "pdf")] for name in "ab")
    for files in (first, second):
        figures.save(plot_differences("ultrasound", "resnet18", study[1]), *files)
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in second]
