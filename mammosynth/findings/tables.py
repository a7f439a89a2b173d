"""Tables to read: the paper's two, and all measures of the synthetic images and all scores of the classifiers.

The tidy files beside them, ``quality.csv`` and ``scores.csv``, hold every number for machines.
"""

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd

from mammosynth.arrays.statistics import OF_PROBABILITIES
from mammosynth.classifiers.validation import AT_SENSITIVITY, YOUDEN
from mammosynth.findings.names import NAMES_OF_PARTS, name_of, name_of_mix
from mammosynth.quality.measures import BASELINES, find

# What a clinician calls the scores of calls.
CLINICAL = {"sensitivity": "malignant accuracy", "specificity": "benign accuracy", "PPV": "PPV", "NPV": "NPV"}
REPORTED = "reported by the paper"
# The paper's seven measures, and ours of the same kind where it has another name. Of which pairs it takes SSIM and
# MS-SSIM is our choice: of random pairs of a class, and within a set, as it reads a low MS-SSIM as diversity.
PAPER_MEASURES = {
    "FID": "FD",
    "KID": "KD",
    "SSIM": "SSIM, random real",
    "MS-SSIM": "MS-SSIM, within set",
    "BRISQUE": "BRISQUE",
    "NIQE": "NIQE",
    "PIQE": "PIQE",
}
PAPER_ACCURACIES = {"% B": "benign accuracy", "% M": "malignant accuracy"}
SIZES = "n synthetic / n real"
NONE = "–"
TYPESET = {
    **{character: f"\\{character}" for character in "%&#_${}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
    "Δ": r"$\Delta$",
    "−": "$-$",
    "–": "--",
    "×": r"$\times$",
    "→": r"$\to$",
    "±": r"$\pm$",
    "†": r"$\dagger$",
    "∞": r"$\infty$",
    "<": "$<$",
    ">": "$>$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "ρ": r"$\rho$",
}


def summarise_quality(quality: pd.DataFrame) -> pd.DataFrame:
    """Average tidy quality rows over folds and seeds.

    Returns a row a modality, generator, pathology and measure, in order of appearance: value, low, high (of the run's
    interval, NaN for several runs), runs, sd (over runs, NaN for one), n, n_reference (smallest of the runs), failures.
    """
    keys = ["modality", "generator", "pathology", "measure"]
    groups = quality.groupby(keys, sort=False)
    summary = groups.agg(
        value=("value", "mean"),
        low=("low", "mean"),
        high=("high", "mean"),
        runs=("value", "size"),
        sd=("value", "std"),
        n=("n", "min"),
        n_reference=("n_reference", "min"),
        failures=("failures", "sum"),
    ).reset_index()
    summary.loc[summary["runs"] > 1, ["low", "high"]] = np.nan
    return summary


def number(value: float, digits: int = 3) -> str:
    """A value with *digits* significant digits and at least the digits before the point; a dash for NaN."""
    if pd.isna(value):
        return NONE
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - int(np.floor(np.log10(abs(value)))))
    return f"{value:.{min(decimals, 6)}f}".replace("-", "−")


def with_interval(value: str, low: str, high: str) -> str:
    """``value [low, high]`` of texts; the value alone where it has no interval, or is none itself."""
    return value if NONE in (value, low, high) else f"{value} [{low}, {high}]"


def quality_cell(row: pd.Series) -> str:
    """``value [low, high]`` of one run, ``value ± sd`` of several."""
    if row["runs"] > 1 and not pd.isna(row["sd"]):
        return f"{number(row['value'])} ± {number(row['sd'], 2)}"
    return with_interval(*(number(row[column]) for column in ("value", "low", "high")))


def _sizes(cells: pd.DataFrame) -> str:
    """Synthetic and real ROIs behind a measure, and failures: ``58 / 70; failed: CGAN 2``; a dash for none.

    cells: rows of :func:`summarise_quality` by generator.  A measure of single images compares with none; the real ROIs
    are then those of the real set, whose value stands beside.
    """
    synthetic, baselines = cells.drop(index=[*BASELINES], errors="ignore"), cells[cells.index.isin(BASELINES)]
    real = [n for n in cells["n_reference"] if n > 0] or list(baselines["n"])
    text = f"{_range(synthetic['n'])} / {_range(real)}" if len(cells) else NONE
    failed = cells[cells["failures"] > 0]["failures"]
    return text + ("; failed: " + ", ".join(f"{name_of(g)} {n}" for g, n in failed.items()) if len(failed) else "")


def _range(counts: Sequence[int]) -> str:
    """The one count, or the smallest and the largest."""
    return "–".join(str(int(n)) for n in sorted({min(counts), max(counts)})) if len(counts) else NONE


def table_quality(quality: pd.DataFrame, seen: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Modality, class, measure and n by generator.

    quality: tidy rows of all folds and seeds; seen: the feature network that a generator was trained against, whose
    values on those features carry a † as they say little of its images.  n is of one run, the smallest where they
    differ; the images on which a measure failed stand beside it.  The generators ``real``, ``held_out`` (real ROIs that
    no GAN was trained on) and ``floor`` (two halves of the real set against each other) come first: what synthetic
    images would have to reach.
    """
    summary = summarise_quality(quality)
    generators = [g for g in BASELINES if g in set(summary["generator"])]
    generators += [g for g in summary["generator"].unique() if g not in BASELINES]
    rows = []
    for modality, of_modality in summary.groupby("modality", sort=False):
        for pathology in ("all", "benign", "malignant"):
            of_class = of_modality[of_modality["pathology"] == pathology]
            for measure, cells in of_class.groupby("measure", sort=False):
                cells = cells.set_index("generator")
                row = {"modality": modality, "class": pathology} | _measured(measure, cells)
                rows.append(row | {name_of(g): _quality_of(g, measure, cells, seen or {}) for g in generators})
    return pd.DataFrame(rows)


def _measured(measure: str, cells: pd.DataFrame) -> dict[str, str]:
    """The columns of a row of quality that say of what its values are."""
    return {"measure": f"{measure} {find(measure)[0].arrow}".strip(), SIZES: _sizes(cells)}


def _quality_of(generator: str, measure: str, cells: pd.DataFrame, seen: Mapping[str, str]) -> str:
    """The value of a generator, with a † where it was trained against these features; a dash for none."""
    if generator not in cells.index:
        return NONE
    network = find(measure)[1]
    return quality_cell(cells.loc[generator]) + (" †" if network and seen.get(generator) == network else "")


def paper_quality(quality: pd.DataFrame, paper: pd.DataFrame, seen: Mapping[str, str] | None = None) -> pd.DataFrame:
    """The paper's table of quality: modality and each of its seven measures by GAN, and what it reports.

    quality, seen: as of :func:`table_quality`; paper: rows of ``resources/paper.csv``.  Both classes pooled.  FID and
    KID are of Inception's features; where a study has none, the same distances of the first network that no GAN was
    trained against (else of the first) stand in their place, under their own names, and what the paper reports says
    what it is of.
    """
    summary = summarise_quality(quality[quality["pathology"] == "all"])
    summary = summary[~summary["generator"].isin(BASELINES)]
    gans, taught = summary["generator"].unique(), set((seen or {}).values())
    names = dict.fromkeys(summary["measure"])
    known = sorted(names, key=lambda name: (name not in PAPER_MEASURES, find(name)[1] in taught))  # stable
    reported = paper[paper["table"] == "quality"]
    rows = []
    for modality, of_modality in summary.groupby("modality", sort=False):
        for theirs, kind in PAPER_MEASURES.items():
            ours = next((name for name in known if theirs == name or find(name)[0].name == kind), theirs)
            cells = of_modality[of_modality["measure"] == ours].set_index("generator")
            row = {"modality": modality} | _measured(ours, cells)
            row |= {name_of(gan): _quality_of(gan, ours, cells, seen or {}) for gan in gans}
            values = reported[(reported["modality"] == modality) & (reported["measure"] == theirs)]
            of = "" if ours == theirs else f"{theirs} "
            shown = [f"{name_of(item)} {of}{value:g}" for item, value in zip(values["item"], values["value"])]
            rows.append(row | {REPORTED: "; ".join(shown) or NONE})
    return pd.DataFrame(rows)


def percent(value: float) -> str:
    """A share as a percentage with one decimal; a dash for NaN."""
    return NONE if pd.isna(value) else f"{100 * value:.1f}".replace("-", "−")


def decimals(value: float, plus: bool = False) -> str:
    """Three decimals, with a plus sign if asked for; a dash for NaN."""
    return NONE if pd.isna(value) else f"{value:{'+' if plus else ''}.3f}".replace("-", "−")


def p_value(value: float) -> str:
    """A p with three decimals, or "< 0.001"; a dash for NaN."""
    return NONE if pd.isna(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"


def table_accuracy(scores: pd.DataFrame) -> pd.DataFrame:
    """Modality, part, classifier, database and mix by score.

    scores: what :func:`mammosynth.classifiers.scores.score` returns.  Accuracies in %, at Youden's threshold; brackets
    are 95 % intervals; a classifier or a database that is the only one has no column.
    """
    rows = []
    for key, of in _by_mix(scores, YOUDEN):
        auroc, row = of.loc["AUROC"], _where(key)
        row["n (patients)"] = f"{auroc['n']} ({auroc['n_patients']})"
        for measure in ("benign accuracy", "malignant accuracy", "balanced accuracy"):
            row[f"{measure} %"] = _cell(of.loc[measure], percent)
        row["AUROC"] = _cell(auroc, decimals)
        row["ΔAUROC to real"] = _cell(auroc, partial(decimals, plus=True), "difference")
        row["p (Holm)"] = p_value(auroc["p_holm"])
        rows.append(row)
    return _without_constant(pd.DataFrame(rows))


def paper_accuracy(scores: pd.DataFrame, paper: pd.DataFrame) -> pd.DataFrame:
    """The paper's table of classifiers: modality and mix by accuracy of each class, and what it reports.

    scores: as of :func:`table_accuracy`, of which those of the test part are taken; paper: rows of
    ``resources/paper.csv``.  B: benign, M: malignant; n is of one test part, or of all folds'.
    """
    reported = paper[paper["table"] == "accuracy"].set_index(["modality", "item", "measure"])["value"]
    rows = []
    for key, of in _by_mix(scores[(scores["part"] == "test") & (scores["database"] == "all")], YOUDEN):
        of_classes = [of.loc[measure] for measure in PAPER_ACCURACIES.values()]
        row = _where(key) | {"n B / M": " / ".join(str(accuracy["n"]) for accuracy in of_classes)}
        row |= {name: _cell(accuracy, percent) for name, accuracy in zip(PAPER_ACCURACIES, of_classes)}
        for name, measure in PAPER_ACCURACIES.items():
            value = reported.get((key["modality"], key["mix"], measure))
            row[f"{name} {REPORTED}"] = NONE if value is None else f"{value:.1f}"
        rows.append(row)
    return _without_constant(pd.DataFrame(rows))


def table_decisions(scores: pd.DataFrame) -> pd.DataFrame:
    """Modality, part, classifier, database and mix by what a clinician would ask of decisions and probabilities.

    scores: as of :func:`table_accuracy`.  Sensitivity, specificity, PPV and NPV in %, at the threshold of 95 %
    sensitivity on the validation part; then scores of the calibrated probabilities.
    """
    rows = []
    for key, of in _by_mix(scores, AT_SENSITIVITY):
        row = _where(key) | {"malignant / n": f"{of.loc['malignant accuracy', 'n']} / {of.loc['AUROC', 'n']}"}
        for name, measure in CLINICAL.items():
            row[f"{name} %"] = _cell(of.loc[measure], percent)
        for measure in OF_PROBABILITIES:
            row[measure] = _cell(of.loc[measure], decimals)
        rows.append(row)
    return _without_constant(pd.DataFrame(rows))


def table_comparisons(comparisons: pd.DataFrame) -> pd.DataFrame:
    """Modality, part, classifier and mix by what tests of two networks say: of one run.

    comparisons: what :func:`mammosynth.classifiers.paired.compare` returns.
    """
    rows = []
    for _, pair in comparisons.iterrows():
        row = _where({**pair, "database": "all"}) | {"n (patients)": f"{pair['n']} ({pair['n_patients']})"}
        row["ΔAUROC to real"] = _cell(pair, partial(decimals, plus=True), "difference")
        row["p (DeLong)"] = p_value(pair["p"])
        row["right: this mix alone / real alone"] = f"{pair['only_mix_right']} / {pair['only_real_right']}"
        rows.append(row | {"p (McNemar)": p_value(pair["p_mcnemar"])})
    return _without_constant(pd.DataFrame(rows)) if rows else pd.DataFrame()


def _by_mix(scores: pd.DataFrame, threshold: str) -> Iterator[tuple[dict[str, str], pd.DataFrame]]:
    """What scores are of, and those at a threshold, and those that need none, by measure."""
    keys = ["modality", "part", "classifier", "database", "mix"]
    chosen = scores[scores["threshold"].isna() | (scores["threshold"] == threshold)]
    for key, group in chosen.groupby(keys, sort=False):
        yield dict(zip(keys, key)), group.set_index("measure")


def _where(key: Mapping[str, str]) -> dict[str, str]:
    """The first columns of a row of classifiers' scores."""
    row = {"modality": key["modality"], "part": NAMES_OF_PARTS[key["part"]], "classifier": name_of(key["classifier"])}
    return row | {"database": key["database"], "mix": name_of_mix(key["mix"])}


def _cell(row: pd.Series, show: Callable[[float], str], column: str = "") -> str:
    """A value of a row, or what stands in another *column* of it, with its interval."""
    columns = (column or "value", f"{column}_low".strip("_"), f"{column}_high".strip("_"))
    return with_interval(*(show(row[name]) for name in columns))


def _without_constant(table: pd.DataFrame) -> pd.DataFrame:
    """Without the columns of what there is one of."""
    return table.drop(columns=[name for name in ("part", "classifier", "database") if table[name].nunique() == 1])


def to_latex(table: pd.DataFrame, caption: str, label: str) -> str:
    """A LaTeX table for a landscape page, with the package booktabs.

    Each modality is named once, with a rule between them.
    """
    shown = table.astype(str)
    first = ~shown["modality"].duplicated()
    shown["modality"] = shown["modality"].where(first, "")
    shown = shown.map(_typeset)
    shown.columns = [
        r"\shortstack[l]{" + r"\\".join(map(_typeset, textwrap.wrap(name, 13))) + "}" for name in shown.columns
    ]
    text = shown.to_latex(index=False, escape=False, caption=_typeset(caption), label=label, position="tbp")
    lines = text.replace(
        r"\begin{tabular}", "\\scriptsize\n\\setlength{\\tabcolsep}{3pt}\n\\begin{tabular}"
    ).splitlines()
    body = lines.index(r"\midrule") + 1
    for row in np.flatnonzero(first)[:0:-1]:
        lines.insert(body + int(row), r"\midrule")
    return "% Needs \\usepackage{booktabs}; wide: for a landscape page.\n" + ("\n".join(lines) + "\n")


def _typeset(text: str) -> str:
    """Text for LaTeX: its special characters escaped, ours as commands."""
    return "".join(TYPESET.get(character, character) for character in text)
