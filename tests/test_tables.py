"""The tables that a paper would print."""

import re
import shutil
import subprocess
from itertools import product

import numpy as np
import pandas as pd
import pytest
from test_scores import predictions, row
from workflow_for_tests import snakemake

from mammosynth.classifiers.paired import compare
from mammosynth.classifiers.scores import score
from mammosynth.findings.names import name_of_mix
from mammosynth.findings.tables import (
    NONE,
    REPORTED,
    SIZES,
    TYPESET,
    number,
    paper_accuracy,
    paper_quality,
    summarise_quality,
    table_accuracy,
    table_comparisons,
    table_decisions,
    table_quality,
    to_latex,
    with_interval,
)

PAPER = pd.DataFrame(
    [
        ("mammography", "quality", "sngan", "FID", 52.89, "doi"),
        ("ultrasound", "quality", "cgan", "FID", 116.03, "doi"),
        ("ultrasound", "accuracy", "real", "benign accuracy", 93.1, "doi"),
    ],
    columns=["modality", "table", "item", "measure", "value", "source"],
)
MEASURES = ("FD (EfficientNet-Lite0)", "SSIM, random real")


def quality_rows(generators=("sngan", "cgan", "real", "floor"), measures=MEASURES, seeds=(0,)):
    return pd.DataFrame(
        [
            {
                "modality": modality, "fold": 0, "generator": generator, "seed": seed, "pathology": pathology,
                "measure": measure, "value": 10.0 * (i + 1) + seed, "low": 9.0, "high": 60.0, "n": 40,
                "n_reference": 80, "failures": 0,
            }
            for modality in ("ultrasound", "mammography")
            for i, generator in enumerate(generators)
            for seed in seeds
            for pathology in ("benign", "malignant", "all")
            for measure in measures
        ]
    )  # fmt: skip


@pytest.fixture(scope="module")
def predicted():
    mixes = ["real", "sngan", "real+sngan@0.5"]
    return pd.concat([predictions(i / 2 + 0.5, mix) for i, mix in enumerate(mixes)])


@pytest.fixture(scope="module")
def scores(predicted):
    return score(predicted, 100, 0)


def test_all_measures_stand_beside_what_real_rois_reach():
    table = table_quality(quality_rows())
    ours = table[table["measure"] == "FD (EfficientNet-Lite0) ↓"]
    assert list(table.columns) == ["modality", "class", "measure", SIZES, "real set", "real vs real", "SNGAN", "CGAN"]
    assert ours["SNGAN"].iloc[0] == "10.0 [9.00, 60.0]"


OF_THE_PAPER = ("FID", "KID", "SSIM, random real", "MS-SSIM, within set", "BRISQUE", "NIQE", "PIQE")


def test_the_papers_table_is_its_seven_measures_of_each_modality_and_nothing_else():
    others = ("precision (EfficientNet-Lite0)", "FD (SqueezeNet 1.1)", "FID∞", "SSIM, nearest real", "NIQE refitted")
    table = paper_quality(quality_rows(measures=(*others, *OF_THE_PAPER)), PAPER)
    assert list(table.columns) == ["modality", "measure", SIZES, "SNGAN", "CGAN", REPORTED]
    for modality, reported in (("ultrasound", "CGAN 116.03"), ("mammography", "SNGAN 52.89")):
        own = table[table["modality"] == modality]
        assert [name.split(" ↓")[0] for name in own["measure"]] == list(OF_THE_PAPER)
        assert own[REPORTED].tolist() == [reported] + [NONE] * 6
    assert table["SNGAN"].iloc[0] == "10.0 [9.00, 60.0]"


def test_distances_of_other_features_stand_in_for_fid_and_kid_under_their_own_names():
    networks = ("EfficientNet-Lite0", "SqueezeNet 1.1")
    rows = quality_rows(("sngan", "projected_gan"), [f"{name} ({of})" for of in networks for name in ("KD", "FD")])
    seen = {"projected_gan": "efficientnet_lite0"}
    table = paper_quality(rows, PAPER, seen)
    first = table[table["modality"] == "ultrasound"].set_index("measure")
    assert list(first.index)[:3] == ["FD (SqueezeNet 1.1) ↓", "KD (SqueezeNet 1.1) ↓", "SSIM"]
    assert first[REPORTED].iloc[0] == "CGAN FID 116.03", "no one may take it for the value of this distance"
    assert (first.loc["SSIM":, ["SNGAN", "Projected GAN", SIZES]] == NONE).all(axis=None)
    only = paper_quality(rows[rows["measure"].str.contains("Lite0")], PAPER, seen)
    assert only["Projected GAN"].iloc[0].endswith("†")
    assert not only["SNGAN"].iloc[0].endswith("†")


def test_the_papers_accuracies_are_of_both_classes_of_the_test_part_alone(scores):
    outside = scores.assign(part="external", database="b")
    table = paper_accuracy(pd.concat([scores, outside]), PAPER)
    assert list(table) == ["modality", "mix", "n B / M", "% B", "% M", f"% B {REPORTED}", f"% M {REPORTED}"]
    table = table.set_index("mix")
    assert len(table) == 3
    assert table.loc["real", "n B / M"] == "40 / 20"
    for column, measure in (("% B", "benign accuracy"), ("% M", "malignant accuracy")):
        ours = row(scores, mix="sngan", measure=measure, threshold="Youden")
        low, high = (f"{100 * ours[end]:.1f}" for end in ("low", "high"))
        assert table.loc["SNGAN", column] == f"{100 * ours['value']:.1f} [{low}, {high}]"
    assert table.loc["real", f"% B {REPORTED}"] == "93.1"
    assert (table.drop(columns=[f"% B {REPORTED}"])[f"% M {REPORTED}"] == NONE).all()
    assert table.loc["SNGAN", f"% B {REPORTED}"] == NONE


def test_several_runs_are_averaged_and_show_their_spread():
    rows = quality_rows(seeds=(0, 2))
    summary = summarise_quality(rows)
    assert summary["value"].iloc[0] == 11
    assert summary["runs"].unique().tolist() == [2]
    assert summary["sd"].iloc[0] == pytest.approx(np.sqrt(2))
    assert table_quality(rows)["SNGAN"].iloc[0] == "11.0 ± 1.4"


def test_every_measure_says_how_many_rois_it_looks_at_and_on_how_many_it_failed():
    rows = quality_rows(("sngan", "cgan", "real"))
    ssim = (rows["measure"] == "SSIM, random real") & (rows["pathology"] == "all")
    table = table_quality(rows)
    assert table.loc[table["measure"].str.startswith("SSIM"), SIZES].eq("40 / 80").all()
    rows.loc[ssim & (rows["generator"] == "cgan"), ["n", "failures"]] = 38, 2
    # A measure of single images compares with none: the real ones are those of the real set.
    rows.loc[ssim, "n_reference"] = 0
    rows.loc[ssim & (rows["generator"] == "real"), "n"] = 70
    table = table_quality(rows).set_index(["measure", "class"])[SIZES]
    assert table["SSIM, random real", "all"].eq("38–40 / 70; failed: CGAN 2").all()
    assert table["SSIM, random real", "benign"].eq("40 / 80").all()


def test_accuracies_are_percentages_with_intervals(scores):
    table = table_accuracy(scores).set_index("mix")
    ours = row(scores, mix="real", measure="benign accuracy", threshold="Youden")
    assert table.loc["real", "benign accuracy %"].startswith(f"{100 * ours['value']:.1f} [")
    assert table.loc["real", "ΔAUROC to real"] == NONE
    assert table.loc["real + SNGAN ×0.5", "ΔAUROC to real"].startswith("+")
    assert table.loc["real", "n (patients)"] == "60 (30)"
    assert not {"database", "classifier"} & set(table)


def test_decisions_are_those_of_the_sensitive_threshold_and_probabilities_stand_beside(scores):
    table, differ = table_decisions(scores).set_index("mix"), set()
    names = {"sensitivity": "malignant accuracy", "specificity": "benign accuracy", "PPV": "PPV", "NPV": "NPV"}
    for mix, (name, measure) in product(("real", "sngan", "real+sngan@0.5"), names.items()):
        ours, youden = (
            row(scores, mix=mix, measure=measure, threshold=threshold) for threshold in ("sensitivity 95 %", "Youden")
        )
        assert table.loc[name_of_mix(mix), f"{name} %"].startswith(f"{100 * ours['value']:.1f}")
        differ |= {name} if ours["value"] != youden["value"] else set()
    assert differ == set(names), "else either threshold would do"
    brier = row(scores, mix="real", measure="Brier score")
    assert table.loc["real", "Brier score"] == f"{brier['value']:.3f} [{brier['low']:.3f}, {brier['high']:.3f}]"
    assert table.loc["real", "malignant / n"] == "20 / 60"
    assert list(table) == [
        "modality", "malignant / n", "sensitivity %", "specificity %", "PPV %", "NPV %", "Brier score",
        "calibration slope", "calibration intercept",
    ]  # fmt: skip
    assert len(table) == 3


def test_comparisons_are_of_each_mix_with_real(predicted):
    comparisons = compare(predicted)
    table = table_comparisons(comparisons).set_index("mix")
    assert list(table.index) == ["SNGAN", "real + SNGAN ×0.5"]
    ours = row(comparisons, mix="sngan")
    assert table.loc["SNGAN", "ΔAUROC to real"].startswith(f"+{ours['difference']:.3f} [")
    shown = f"{ours['only_mix_right']} / {ours['only_real_right']}"
    assert table.loc["SNGAN", "right: this mix alone / real alone"] == shown
    assert table.loc["SNGAN", "p (McNemar)"] == f"{ours['p_mcnemar']:.3f}"
    assert list(table) == [
        "modality", "n (patients)", "ΔAUROC to real", "p (DeLong)", "right: this mix alone / real alone", "p (McNemar)",
    ]  # fmt: skip


def test_several_classifiers_have_rows_of_their_own(scores):
    other = scores.assign(classifier="probe_of_mine", value=0.5)
    table = table_accuracy(pd.concat([scores, other])).set_index(["classifier", "mix"])
    assert table.loc[("probe of mine", "SNGAN"), "AUROC"].startswith("0.500 [")
    assert not table.loc[("ResNet-18", "SNGAN"), "AUROC"].startswith("0.500 [")


def test_latex_is_balanced_and_escaped(scores):
    text = to_latex(table_accuracy(scores), "Accuracy in % of R&D", "tab:accuracy")
    assert text.count(r"\begin{") == text.count(r"\end{") == 2
    assert r"\toprule" in text
    assert r"Accuracy in \% of R\&D" in text
    tabular = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    rows = [line for line in tabular.splitlines() if line.endswith(r"\\")]
    assert len({line.count("&") for line in rows}) == 1
    assert not set(text) - {chr(i) for i in range(128)}


def test_latex_names_each_modality_once_with_a_rule_between():
    text = to_latex(table_quality(quality_rows()), "Quality", "tab:quality")
    assert text.count("ultrasound") == text.count("mammography") == 1
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("mammography"))
    assert lines[start - 1] == r"\midrule"


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex on the PATH (texlive-latex-recommended)")
def test_latex_compiles(scores, tmp_path):
    """The paper's tables, and names with each character that is written in a way of its own."""
    odd = pd.DataFrame({"modality": ["ultrasound"], "mix": [f"a_b & 50 % #1 ~ ^ {{}} \\ {''.join(TYPESET)} é µ"]})
    tables = {
        "quality": paper_quality(quality_rows(measures=OF_THE_PAPER, seeds=(0, 2)), PAPER, {"sngan": "inception"}),
        "accuracy": paper_accuracy(scores, PAPER),
        "odd": odd,
    }
    parts = [to_latex(table, f"Caption of {name}: ≥ 95 %", f"tab:{name}") for name, table in tables.items()]
    start = "\\documentclass{article}\n\\usepackage{booktabs}\n\\usepackage[landscape,margin=1cm]{geometry}\n"
    text = start + "\\begin{document}\n" + "\n".join(parts) + "\\end{document}\n"
    (tmp_path / "tables.tex").write_text(text, encoding="utf-8")
    run = subprocess.run(
        ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "tables.tex"], cwd=tmp_path, capture_output=True
    )
    log = run.stdout.decode(errors="replace")
    assert run.returncode == 0, log[-2000:]
    assert "Missing character" not in log
    assert "Overfull" not in log, "wider than a landscape page"


def test_the_papers_tables_need_neither_figures_nor_pages(tmp_path):
    plan = snakemake(tmp_path, "--dry-run", "paper_tables").stdout
    jobs = set(re.findall(r"^(?:rule|localrule|checkpoint) (\w+):", plan, re.MULTILINE))
    assert {"train_gan", "train_classifier", "assess", "tabulate", "paper_tables"} <= jobs
    assert not [job for job in jobs if job.startswith(("plot_", "write_", "rank_", "summarise_"))]


def test_numbers_keep_their_significant_digits():
    assert [number(v) for v in (116.03, 52.891, 0.012345, -1.5, 0, 1234.6, np.nan)] == [
        "116", "52.9", "0.0123", "−1.50", "0", "1235", NONE,
    ]  # fmt: skip


def test_what_has_no_value_has_no_interval():
    assert with_interval("1", "0", "2") == "1 [0, 2]"
    assert with_interval("1", NONE, NONE) == "1"
    assert with_interval(NONE, "0", "2") == NONE


def test_names():
    assert name_of_mix("real+sngan@0.25+classic") == "real + SNGAN ×0.25 + classic"
    assert name_of_mix("my_gan") == "my gan"
    assert name_of_mix("real+sngan@balance") == "real + SNGAN to balance"
    assert name_of_mix("sngan..real+classic") == "SNGAN → real + classic"
    assert name_of_mix("sngan=30..real@2") == "SNGAN (30 %) → real ×2 (70 %)"
    assert r"SNGAN (30 \%) $\to$ real" in to_latex(
        pd.DataFrame({"modality": ["ultrasound"], "mix": [name_of_mix("sngan=30..real")]}), "Mixes", "mixes"
    )
