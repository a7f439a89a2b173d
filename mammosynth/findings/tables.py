"""The paper-shaped tables: quality of the synthetic images, accuracy of the classifiers and what it means in use.

Our values and those that the paper reports stand in columns of their own.  The tidy files beside them, ``quality.csv``
and ``scores.csv``, hold every number for machines.
"""

import re
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
SIZES = "n synthetic / n real"
NONE = "–"
TYPESET = {
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
    """``value [low, high]`` of texts; the value alone where it has no interval."""
    return value if NONE in (low, high) else f"{value} [{low}, {high}]"


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


def table_quality(quality: pd.DataFrame, paper: pd.DataFrame, seen: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Modality, class, measure and n by generator, with what the paper reports in the last column.

    quality: tidy rows of all folds and seeds; paper: rows of ``resources/paper.csv``; seen: the feature network that a
    generator was trained against, whose values on those features carry a † as they say little of its images.  n is of
    one run, the smallest where they differ; the images on which a measure failed stand beside it.  The generators
    ``real``, ``held_out`` (real ROIs that no GAN was trained on) and ``floor`` (two halves of the real set against each
    other) come first: what synthetic images would have to reach.
    """
    summary = summarise_quality(quality)
    generators = [g for g in BASELINES if g in set(summary["generator"])]
    generators += [g for g in summary["generator"].unique() if g not in BASELINES]
    reported = paper[paper["table"] == "quality"]
    rows = []
    for modality, of_modality in summary.groupby("modality", sort=False):
        for pathology in ("all", "benign", "malignant"):
            of_class = of_modality[of_modality["pathology"] == pathology]
            ours = list(of_class["measure"].unique())
            theirs = reported[(reported["modality"] == modality) & (pathology == "all")]
            for measure in ours + [m for m in theirs["measure"].unique() if m not in ours]:
                cells = of_class[of_class["measure"] == measure].set_index("generator")
                known, network = find(measure)
                row = {
                    "modality": modality,
                    "class": pathology,
                    "measure": f"{measure} {known.arrow}".strip(),
                    SIZES: _sizes(cells),
                }
                for generator in generators:
                    cell = quality_cell(cells.loc[generator]) if generator in cells.index else NONE
                    taught = seen is not None and network is not None and seen.get(generator) == network
                    row[name_of(generator)] = f"{cell} †" if taught and cell != NONE else cell
                values = theirs[theirs["measure"] == measure]
                row[REPORTED] = (
                    "; ".join(f"{name_of(i)} {v:g}" for i, v in zip(values["item"], values["value"])) or NONE
                )
                rows.append(row)
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


def table_accuracy(scores: pd.DataFrame, paper: pd.DataFrame) -> pd.DataFrame:
    """Modality, part, classifier, database and mix by score, with what the paper reports in the last columns.

    scores: what :func:`mammosynth.classifiers.scores.score` returns.  Accuracies in %, at Youden's threshold; brackets
    are 95 % intervals; a classifier or a database that is the only one has no column.
    """
    reported = paper[paper["table"] == "accuracy"].set_index(["modality", "item", "measure"])["value"]
    rows = []
    for key, of in _by_mix(scores, YOUDEN):
        auroc, row = of.loc["AUROC"], _where(key)
        row["n (patients)"] = f"{auroc['n']} ({auroc['n_patients']})"
        for measure in ("benign accuracy", "malignant accuracy", "balanced accuracy"):
            row[f"{measure} %"] = _cell(of.loc[measure], percent)
        row["AUROC"] = _cell(auroc, decimals)
        row["ΔAUROC to real"] = _cell(auroc, partial(decimals, plus=True), "difference")
        row["p (Holm)"] = p_value(auroc["p_holm"])
        for measure in ("benign accuracy", "malignant accuracy"):
            value = reported.get((key["modality"], key["mix"], measure)) if _is_test(key) else None
            row[f"{measure} % {REPORTED}"] = NONE if value is None else f"{value:.1f}"
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


def _is_test(key: Mapping[str, str]) -> bool:
    return (key["part"], key["database"]) == ("test", "all")


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
    text = re.sub(r"([%&#_$])", r"\\\1", text)
    for character, command in TYPESET.items():
        text = text.replace(character, command)
    return text
