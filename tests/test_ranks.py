"""Ranks of generators: known orders, fairness, and what a handful of generators can show."""

import numpy as np
import pandas as pd
import pytest

from mammosynth.findings.ranks import agreement, disagreements, rank_correlations, rank_generators, table_ranks
from mammosynth.findings.tables import NONE
from mammosynth.report import figures
from mammosynth.report.ranks import plot_ranks

GANS = ["wgan_gp", "cyclegan", "cgan", "sngan", "projected_gan"]


def quality(values, real=None, seeds=(0,)):
    """Tidy rows: values by measure in the order of GANS; the real set's own by measure."""
    rows = []
    for measure, numbers in values.items():
        owners = [*zip(GANS, numbers), ("real", (real or {}).get(measure, np.nan))]
        owners += [("held_out", 0.0), ("floor", 0.0)]
        rows += [
            {
                "modality": "ultrasound", "fold": 0, "generator": owner, "seed": seed, "pathology": pathology,
                "measure": measure, "value": (value if pathology == "all" else -value) + seed, "low": np.nan,
                "high": np.nan, "n": 30, "n_reference": 30, "failures": 0,
            }
            for owner, value in owners
            for seed in seeds
            for pathology in ("benign", "malignant", "all")
        ]  # fmt: skip
    return pd.DataFrame(rows)


def order(ranks, measure):
    return ranks[ranks["measure"] == measure].set_index("generator")["rank"].loc[GANS].tolist()


def test_the_first_is_best_by_the_direction_of_the_measure_and_ties_share_their_ranks():
    ranks = rank_generators(quality({"FID": [5, 1, 3, 3, 9], "recall (SqueezeNet 1.1)": [0.5, 0, 0.2, 0.1, 0.9]}))
    assert order(ranks, "FID") == [4, 1, 2.5, 2.5, 5]
    assert order(ranks, "recall (SqueezeNet 1.1)") == [2, 5, 3, 4, 1]
    assert ranks["criterion"].unique().tolist() == ["lowest", "highest"]
    assert set(ranks["generator"]) == set(GANS)  # no real ROIs compete


def test_without_a_direction_the_nearest_to_the_real_set_is_first():
    values = {"MS-SSIM, within set": [0.1, 0.2, 0.3, 0.9, 0.25], "SSIM, source": [0.1, 0.2, 0.3, 0.4, 0.5]}
    ranks = rank_generators(quality(values, real={"MS-SSIM, within set": 0.26}))
    assert order(ranks, "MS-SSIM, within set") == [4, 3, 2, 5, 1]
    assert np.isnan(order(ranks, "SSIM, source")).all()
    criteria = ranks.groupby("measure")["criterion"].first()
    assert criteria["MS-SSIM, within set"] == "nearest to the real set"
    assert criteria["SSIM, source"] == "left out: neither way is better"


@pytest.mark.parametrize("measure", ["BRISQUE", "NIQE", "NIQE refitted", "PIQE", "AuthPct", "density (SqueezeNet 1.1)"])
def test_better_than_real_is_not_better(measure):
    """The smoothest, the most crowded and the farthest from all real ROIs come last, as far off as they are."""
    rows = quality({measure: [10, 40, 29, 80, 32]}, real={measure: 30})
    mark = {"AuthPct": "held_out", "density (SqueezeNet 1.1)": "floor"}.get(measure, "real")
    rows.loc[rows["generator"].isin(["real", "held_out", "floor"]), "value"] = 99.0
    rows.loc[rows["generator"] == mark, "value"] = 30.0
    ranks = rank_generators(rows)
    assert order(ranks, measure) == [4, 3, 1, 5, 2]
    named = {"real": "the real set", "held_out": "held-out real ROIs", "floor": "real ROIs of other patients"}
    assert ranks["criterion"].unique().tolist() == [f"nearest to {named[mark]}"]
    assert table_ranks(ranks)["measure"].tolist() == [measure], "no arrow says that one way is better"


@pytest.mark.parametrize("network", ["FID", "FD (SqueezeNet 1.1)", "FD (EfficientNet-Lite0)"])
def test_a_distance_and_its_ratio_to_the_floor_are_no_two_witnesses(network):
    values = np.array([5.0, 1, 3, 2, 9])
    ranks = rank_generators(quality({network: values, f"floor/{network}": 1 / values, "KID": values[::-1]}))
    assert order(ranks, network) == order(ranks, f"floor/{network}")
    found = rank_correlations(ranks)
    assert found[["measure", "other"]].values.tolist() == [[f"floor/{network}", "KID"]]
    figure = plot_ranks("ultrasound", ranks, found)
    assert [label.get_text() for label in figure.axes[1].get_xticklabels()] == ["2", "3"], "numbers of the rows beside"
    alone = rank_correlations(rank_generators(quality({network: values, "KID": values[::-1]})))
    assert alone[["measure", "other"]].values.tolist() == [[network, "KID"]]


def test_runs_are_averaged_and_classes_left_out():
    one = rank_generators(quality({"FID": [5, 1, 3, 2, 9]}))
    both = rank_generators(quality({"FID": [5, 1, 3, 2, 9]}, seeds=(0, 2)))
    assert order(one, "FID") == order(both, "FID")
    assert (both["value"] - one["value"]).tolist() == [1] * len(GANS)


def test_nobody_is_ranked_on_features_that_one_was_trained_against():
    measures = {"FD (EfficientNet-Lite0)": range(5), "FD (SqueezeNet 1.1)": range(5)}
    ranks = rank_generators(quality(measures), {"projected_gan": "efficientnet_lite0"})
    taught = ranks[ranks["measure"] == "FD (EfficientNet-Lite0)"]
    assert taught["rank"].isna().all()
    assert taught["criterion"].unique().tolist() == ["left out: Projected GAN trained on its features"]
    assert order(ranks, "FD (SqueezeNet 1.1)") == [1, 2, 3, 4, 5]
    elsewhere = rank_generators(quality(measures), {"fastgan": "efficientnet_lite0"})  # not among these
    assert elsewhere["rank"].notna().all()


def test_a_measure_that_lacks_a_value_ranks_nobody():
    ranks = rank_generators(quality({"NIQE": [1, 2, np.nan, 3, 4], "FID": range(5)}, real={"NIQE": 0}))
    assert np.isnan(order(ranks, "NIQE")).all()
    table = table_ranks(ranks).set_index("measure")
    assert table.loc["NIQE", ["WGAN-GP", "CGAN"]].tolist() == [NONE, NONE]
    assert table.loc["NIQE", "best"] == "left out: no value for 1 of 5 generators"
    assert table.loc["FID ↓", ["WGAN-GP", "CGAN", "Projected GAN"]].tolist() == ["1", "3", "5"]


def test_spearman_of_known_orders_with_exact_permutation_p():
    measures = {"FID": [1, 2, 3, 4, 5], "KID": [5, 4, 3, 2, 1], "NIQE": [1, 2, 3, 5, 4], "PIQE": [1, 1, 1, 1, 1]}
    found = rank_correlations(rank_generators(quality(measures, {"NIQE": 0, "PIQE": 0}))).set_index(
        ["measure", "other"]
    )
    assert found.loc[("FID", "KID"), "rho"] == pytest.approx(-1)
    assert found.loc[("FID", "KID"), "p"] == pytest.approx(2 / 120)  # of 5! orders, this one and its reverse
    # 1 − 6 Σd² / (n (n² − 1)) with Σd² = 2, which 4 swaps of neighbours have; equal orders are 1 more.
    assert found.loc[("FID", "NIQE"), "rho"] == pytest.approx(0.9)
    assert found.loc[("FID", "NIQE"), "p"] == pytest.approx(2 * 5 / 120)
    assert np.isnan(found.loc[("FID", "PIQE"), "rho"])
    assert len(found) == 6
    assert (found["generators"] == 5).all()


def test_disagreement_is_named_with_how_little_it_is_worth():
    measures = {
        "FID": [1, 2, 3, 4, 5],
        "KID": [5, 4, 3, 1, 2],
        "NIQE": [1, 2, 3, 5, 4],
        "recall (SqueezeNet 1.1)": [5, 4, 3, 2, 1],
    }
    found = rank_correlations(rank_generators(quality(measures, {"NIQE": 0})))
    first, *rest = disagreements(found)
    assert first == "KID and NIQE: ρ −1.00, p 0.017 (n = 5 generators)"
    assert rest[0] == "FID and KID: ρ −0.90, p 0.083 (n = 5 generators)"
    assert len(rest) == 2
    how_many, caution = agreement(found)
    assert how_many.startswith("3 of 6 pairs of measures put the 5 generators rather in opposite orders")
    assert "hardly certain" in caution
    assert "for 2 of these pairs, 1 of them with ρ below 0" in caution  # FID and recall agree
    agreed = rank_correlations(rank_generators(quality({"FID": range(5), "KID": range(5)})))
    assert disagreements(agreed) == []
    assert "depends on the measure" not in agreement(agreed)[0]


@pytest.mark.parametrize(
    ("kept", "text"), [(2, "Fewer than 3 generators"), (4, "even for two equal orders p is 0.083")]
)
def test_few_generators_show_nothing(kept, text):
    rows = quality({"FID": range(5), "KID": range(5)})
    found = rank_correlations(rank_generators(rows[rows["generator"].isin(GANS[:kept])]))
    assert text in " ".join(agreement(found))


@pytest.mark.parametrize("generators", [1, 5])
def test_the_figure_shows_every_rank_and_says_who_is_not_ranked(tmp_path, generators):
    values = {"FID": range(5), "KID": [2, 1, 3, 4, 0], "NIQE": [1, 1, 1, 1, 1], "SSIM, source": range(5)}
    rows = quality(values, {"NIQE": 0})
    ranks = rank_generators(rows[rows["generator"].isin([*GANS[:generators], "real"])])
    figure = plot_ranks("ultrasound", ranks, rank_correlations(ranks))
    axes = figure.axes
    assert len(axes) == (2 if generators > 1 else 1)
    assert len(axes[0].texts) == 3 * generators
    assert figure.get_supxlabel() == "Not ranked by: SSIM, source (neither way is better)"
    if generators > 1:
        assert len(axes[1].texts) == 2  # FID with KID and KID with FID: NIQE has all tied
    figures.save(figure, tmp_path / "ranks.svg")
