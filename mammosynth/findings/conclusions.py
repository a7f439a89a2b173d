"""Sentences that a study's numbers support, and no others."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from mammosynth import study
from mammosynth.classifiers import WIDTH
from mammosynth.classifiers.mixes import parse_mix
from mammosynth.classifiers.scores import pooled
from mammosynth.findings.names import name_of, name_of_mix
from mammosynth.findings.tables import decimals, number, p_value, quality_cell, summarise_quality
from mammosynth.findings.verdicts import Leaks
from mammosynth.gans import METHODS
from mammosynth.networks import NETWORKS
from mammosynth.partition import EXTERNAL
from mammosynth.quality.measures import OF_SOURCE, OfFloor, find

SIGNIFICANCE = 0.05
# What synthetic ROIs are to the real ones of a mix.
ADDED, IN_PHASES, ALONE = "added to the real ones", "in phases with the real ones", "in place of the real ones"


def _joined(parts: list[str]) -> str:
    return "".join(parts) if len(parts) < 2 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _auroc(row: pd.Series) -> str:
    interval = "" if pd.isna(row["low"]) else f" [{decimals(row['low'])}, {decimals(row['high'])}]"
    return f"{decimals(row['value'])}{interval}"


def _difference(row: pd.Series) -> str:
    text = decimals(row["difference"], plus=True)
    if not pd.isna(row["difference_low"]):
        ends = (decimals(row[f"difference_{end}"], plus=True) for end in ("low", "high"))
        text += " [{}, {}]".format(*ends)
    return f"{text}, p {p_value(row['p_holm'])}"


def _of(scores: pd.DataFrame, modality: str, measure: str = "AUROC", part: str = "test") -> pd.DataFrame:
    chosen = (scores["modality"] == modality) & (scores["part"] == part) & (scores["measure"] == measure)
    return pooled(scores[chosen]).set_index("mix")


def verdict(row: pd.Series) -> str:
    """``better``, ``worse``, ``no different`` or ``cannot tell``: a mix beside real ROIs alone.

    It differs if its interval leaves out 0 and its p, adjusted for all mixes of the classifier and modality, is below
    SIGNIFICANCE.  Else it is no different if it is shown to be within the study's margin, by such a p.
    """
    low, high = row["difference_low"], row["difference_high"]
    if not pd.isna(low) and row["p_holm"] < SIGNIFICANCE and not low <= 0 <= high:
        return "better" if low > 0 else "worse"
    return "no different" if row["equivalence_p"] < SIGNIFICANCE else "cannot tell"


def added(mix: str) -> bool:
    """Whether a mix has synthetic ROIs beside the real ones, or in phases with them: what the answer is about."""
    return _use_of_synthetic(mix) in (ADDED, IN_PHASES)


def _use_of_synthetic(mix: str) -> str:
    """How a mix uses synthetic ROIs, or "" if it does not."""
    read = parse_mix(mix)
    if not read.gans:
        return ""
    return ALONE if not read.holds_real else IN_PHASES if len(read.phases) > 1 else ADDED


@dataclass(frozen=True)
class Answer:
    """What the study says of one modality and classifier: in two sentences, and at length.

    classifier: its name if the study has several, else "".
    """

    classifier: str
    in_short: tuple[str, str]
    sentences: list[str]


def answers(modality: str, scores: pd.DataFrame) -> list[Answer]:
    """The answers for one modality, one a classifier; what holds on external test databases stands last."""
    own, several = scores[scores["modality"] == modality], scores["classifier"].nunique() > 1
    found = []
    for classifier, of_classifier in own.groupby("classifier", sort=False):
        name = [name_of(str(classifier))] if several else []
        sentences = answer(modality, of_classifier, *name)
        if elsewhere := outside(modality, of_classifier):
            sentences.append(elsewhere)
        found.append(Answer("".join(name), in_short(modality, of_classifier), sentences))
    return found


def in_short(modality: str, scores: pd.DataFrame) -> tuple[str, str]:
    """The answer for one modality in two sentences: do synthetic ROIs beside the real ones help, and how sure is that?

    scores: of one classifier.
    """
    auroc = _of(scores, modality)
    uses = auroc.index.map(_use_of_synthetic)
    hybrid, real = auroc[auroc.index.map(added)], auroc.loc["real"]
    reached = (
        f"Real ROIs alone reach an AUROC of {_auroc(real)} on {real['n']} ROIs of {real['n_patients']} patients"
        + (f", the mean of {real['runs']} runs" if real["runs"] > 1 else "")
    )
    if hybrid.empty:
        return "No mix of real and synthetic ROIs was tried.", f"{reached}."
    beside = "beside the real ones" + (" or in phases with them" if IN_PHASES in uses else "")
    return _finding(hybrid, beside, int(real["n_patients"])), f"{reached}; {_certainty(hybrid)}."


def _finding(hybrid: pd.DataFrame, beside: str, patients: int) -> str:
    """What came of mixes of real and synthetic ROIs, in one sentence."""
    verdicts = hybrid.apply(verdict, axis=1)
    better, worse, alike = (hybrid[verdicts == kind] for kind in ("better", "worse", "no different"))
    n = len(hybrid)
    if better.empty and worse.empty and alike.empty:
        best = hybrid["difference"].idxmax()
        most = f"the most favourable of {n} mixes, {name_of_mix(best)}," if n > 1 else name_of_mix(best)
        return (
            f"It cannot be told whether synthetic ROIs {beside} help or harm: {most} changes the AUROC by "
            f"{_difference(hybrid.loc[best])}."
        )
    if _once(hybrid):
        parts = [f"{_share_of(better, n)} were better"] if len(better) else []
        parts += [f"{_share_of(worse, n, least=True)} were worse"] if len(worse) else []
        return (
            f"Of this one run's networks that saw synthetic ROIs {beside}, {' and '.join(parts)} on these {patients} "
            "patients than the one of real ROIs alone."
        )
    parts = [f"helped in {_share_of(better, n)}"] if len(better) else []
    parts += [f"harmed in {_share_of(worse, n, least=True)}"] if len(worse) else []
    if len(alike):
        margin = decimals(alike["margin"].iloc[0])
        parts.append(f"changed the AUROC by less than {margin}, as is shown, in {len(alike)} of {n}")
    unsaid = "" if len(better) or len(alike) == n else "; for none is it shown that they help"
    return f"Synthetic ROIs {beside} {_joined(parts)}{unsaid}."


def _certainty(hybrid: pd.DataFrame) -> str:
    """How far what is found of these mixes goes, as the end of a sentence."""
    if _once(hybrid):
        return "one training of each mix cannot tell whether a GAN helps or harms"
    unsure = hybrid[hybrid.apply(verdict, axis=1) == "cannot tell"]
    n, all_of_them = len(unsure), len(unsure) == len(hybrid)
    if not n:
        return "intervals and p cover which patients are tested and how trainings went"
    smallest = _could_have_shown(unsure)
    if all_of_them:
        return smallest or "for none of its mixes can this study tell"
    return f"for {n} of {len(hybrid)} mixes it cannot be told" + (f", as {smallest}" if smallest else "")


def _could_have_shown(mixes: pd.DataFrame) -> str:
    """The smallest difference that such a study would have shown, or "" where one run tells nothing of methods."""
    if mixes["smallest_difference"].isna().all():
        return ""
    smallest = decimals(mixes["smallest_difference"].median())
    return (
        f"a study like this one shows a difference of {smallest} in AUROC four times of five, and smaller ones seldom"
    )


def _once(mixes: pd.DataFrame) -> bool:
    """Whether each classifier was trained once, so that the chance of training is in every difference."""
    return bool((mixes["runs"] == 1).all())


def _share_of(mixes: pd.DataFrame, n: int, least: bool = False) -> str:
    """``2 of 4 (most with real + SNGAN, +0.031 …)``: how many of *n* mixes these are, and the farthest from 0."""
    farthest = mixes["difference"].idxmin() if least else mixes["difference"].idxmax()
    return f"{len(mixes)} of {n} (most with {name_of_mix(farthest)}, {_difference(mixes.loc[farthest])})"


def answer(modality: str, scores: pd.DataFrame, classifier: str = "the classifier") -> list[str]:
    """Does GAN-made data help, with which GAN, by how much, how certainly: sentences for one modality.

    scores: of one classifier, which is so called.
    """
    auroc = _of(scores, modality)
    real = auroc.loc["real"]
    sentences = [
        f"Trained on real ROIs alone, {classifier} reaches an AUROC of {_auroc(real)} on the test part "
        f"({real['n']} ROIs of {real['n_patients']} patients)."
    ]
    uses = auroc.index.map(_use_of_synthetic)
    families = ((use, auroc[uses == use]) for use in (ADDED, IN_PHASES, ALONE))
    return sentences + [_compare(mixes, use, "Synthetic ROIs") for use, mixes in families if len(mixes)]


def outside(modality: str, scores: pd.DataFrame) -> str:
    """What holds on the external test databases of a modality, in one sentence, or "" if it has none."""
    own = scores[(scores["modality"] == modality) & (scores["part"] == EXTERNAL)]
    if not (names := [name for name in own["database"].unique() if name != "all"]):
        return ""
    auroc = _of(scores, modality, part=EXTERNAL)
    real, mixes = auroc.loc["real"], auroc[auroc.index.map(_use_of_synthetic) != ""]
    start = (
        f"On {_joined(names)} ({real['n']} ROIs of {real['n_patients']} patients), of which no training and no choice "
        f"saw any, real ROIs alone reach an AUROC of {_auroc(real)}"
    )
    if mixes.empty:
        return f"{start}."
    verdicts = mixes.apply(verdict, axis=1)
    found = []
    for kind in ("better", "worse"):
        shown = [f"{name_of_mix(mix)} ({_difference(row)})" for mix, row in mixes[verdicts == kind].iterrows()]
        found += [f"{_joined(shown)} {kind}"] if shown else []
    alike, unsure = (int((verdicts == kind).sum()) for kind in ("no different", "cannot tell"))
    margin = decimals(mixes["margin"].max())
    if alike == len(mixes):
        return f"{start}; synthetic ROIs are shown to change it by less than {margin} there."
    if unsure == len(mixes):
        return f"{start}; whether synthetic ROIs help or harm there cannot be told."
    of, networks = f"of {len(mixes)} mixes with synthetic ROIs", "the networks of one run of " if _once(mixes) else ""
    rest = f", {networks}{_joined(found)}" if found else ""
    rest += f"; {alike} {of} are shown to change it by less than {margin}" if alike else ""
    rest += f"; for the other {unsure} {of} it cannot be told" if unsure else ""
    return f"{start}{rest}."


def _compare(mixes: pd.DataFrame, how: str, subject: str) -> str:
    """One sentence on a family of mixes against real ROIs alone."""
    verdicts = mixes.apply(verdict, axis=1)
    shown = {mix: f"{name_of_mix(mix)} ({_difference(row)})" for mix, row in mixes.iterrows()}
    better, worse = ([shown[mix] for mix in mixes.index[verdicts == kind]] for kind in ("better", "worse"))
    alike, unsure = (int((verdicts == kind).sum()) for kind in ("no different", "cannot tell"))
    margin = decimals(mixes["margin"].max())
    rest = f"; {alike} of {len(mixes)} are shown to change the AUROC by less than {margin}" if alike else ""
    rest += f"; for the other {unsure} of {len(mixes)} this test part cannot tell" if unsure else ""
    if (better or worse) and _once(mixes):
        parts = [f"better by those of {_joined(better)}"] if better else []
        parts += [f"worse by those of {_joined(worse)}"] if worse else []
        return (
            f"With {subject[0].lower()}{subject[1:]} {how}, these patients were ranked {_joined(parts)}, than by the "
            f"network of real ROIs alone{rest}."
        )
    parts = [f"raised the AUROC with {_joined(better)}"] if better else []
    if worse:
        parts.append(f"lowered it with {_joined(worse)}" if better else f"lowered the AUROC with {_joined(worse)}")
    if parts:
        return f"{subject} {how} {_joined(parts)}{rest}."
    if alike == len(mixes):
        return f"{subject} {how} are shown to change the AUROC by less than {margin}: {_joined([*shown.values()])}."
    row = mixes.loc[mixes["difference"].idxmax()]
    text = f"{subject} {how}: it cannot be told whether they help or harm; the most favourable difference in AUROC is "
    text += f"that of {shown[row.name]}"
    if not pd.isna(row["difference_low"]):
        text += _reach(row["difference_low"], row["difference_high"])
    could = _could_have_shown(mixes[verdicts == "cannot tell"])
    return f"{text}. {could[:1].upper()}{could[1:]}." if could else f"{text}."


def _reach(low: float, high: float) -> str:
    """What the interval of a difference that is not called better or worse still allows, as shown: to three digits."""
    low, high = round(low, 3), round(high, 3)
    if low < 0 < high:
        return f", which fits a loss of up to {decimals(-low)} as well as a gain of up to {decimals(high)}"
    kind = "gain" if high > 0 else "loss"
    near, far = sorted((abs(low), abs(high)))
    if far == 0:
        return ", and no resample of the patients shows another"
    if near == 0:
        return f", which fits a {kind} of up to {decimals(far)} as well as no difference"
    reason = "its p, adjusted for the number of mixes, is not below 0.05"
    return f", which fits a {kind} of {decimals(near)} to {decimals(far)}, but {reason}"


def by_nearness(modality: str, quality: pd.DataFrame, config: Mapping[str, Any]) -> pd.Series:
    """floor/FD of a modality's GANs, from near to far; its name is that of the measure. Empty where there is none.

    It is the one distance that no unequal n tilts.  The features are the first that no GAN of the study was trained
    against.
    """
    seen = set(study.trained_against(config).values())
    rows = summarise_quality(quality[(quality["modality"] == modality) & (quality["pathology"] == "all")])
    measures = {name: find(name) for name in rows["measure"].unique()}
    ratios = [name for name, (of, network) in measures.items() if isinstance(of, OfFloor) and network not in seen]
    if not ratios:
        return pd.Series(dtype=float)
    values = rows[rows["measure"] == ratios[0]].set_index("generator")["value"]
    return values.sort_values(ascending=False).rename(ratios[0])


def nearest(modality: str, quality: pd.DataFrame, config: Mapping[str, Any]) -> str:
    """Which GAN's ROIs are nearest to the real ones, in words; see `by_nearness`."""
    values = by_nearness(modality, quality, config)
    if values.empty:
        return ""
    listed = ", ".join(f"{name_of(str(gan))} {number(value)}" for gan, value in values.items())
    return (
        f"In order of {values.name}, from near to far: {listed}. 1 is as near as real ROIs of other patients. "
        "It says nothing of use for a classifier."
    )


def phantoms_of(config: Mapping[str, Any], modality: str | None = None) -> list[str]:
    """Names of the selected databases, of all modalities or of one, external ones too, that are phantoms."""
    names = study.selected(config) if modality is None else study.sources_of(config, modality)
    return [name for name in names if "phantoms" in config["sources"][name]]


def on_phantoms(config: Mapping[str, Any]) -> list[str]:
    """What numbers from phantoms say nothing about: modalities of phantoms alone, then those with real ROIs too."""
    alone = [m for m in study.modalities(config) if set(study.databases_of(config, m)) <= set(phantoms_of(config))]
    sentences = []
    if alone:
        drawn = [name for modality in alone for name in phantoms_of(config, modality)]
        sentences.append(
            f"{_are_phantoms(drawn)}. No number of {_joined(alone)} on this page says anything about the clinic."
        )
    for modality in study.modalities(config):
        phantoms = phantoms_of(config, modality)
        if modality not in alone and (drawn := [name for name in phantoms if name in config["databases"]]):
            others = [name for name in study.databases_of(config, modality) if name not in drawn]
            sentences.append(
                f"{_are_phantoms(drawn)}. In {modality} they stand beside {_joined(others)}: its GANs and classifiers "
                "learn from both, and its pooled numbers are none of the clinic."
            )
        if modality not in alone and (drawn := [name for name in phantoms if name not in config["databases"]]):
            sentences.append(f"{_are_phantoms(drawn)}. What classifiers reach on it is none of the clinic.")
    return sentences


def _are_phantoms(names: list[str]) -> str:
    return f"{_joined(names)} {'is' if len(names) == 1 else 'are'} phantoms: drawn by a program, not taken of patients"


def on_features(config: Mapping[str, Any]) -> list[str]:
    """Which GANs had the features of a measure for a teacher."""
    return [
        f"{name_of(gan)} was trained against the features of {NETWORKS[network].title}: its values on these, "
        "marked †, are flattered, and GANs are put in order on other features."
        for gan, network in study.trained_against(config).items()
    ]


def on_translations(quality: pd.DataFrame, config: Mapping[str, Any]) -> list[str]:
    """How near the images of GANs that translate real ones are to their sources, a sentence a GAN."""
    rows = summarise_quality(quality[(quality["measure"] == OF_SOURCE) & (quality["pathology"] == "all")])
    sentences = []
    for gan in study.trained(config):
        measured = rows[rows["generator"] == gan]
        if measured.empty and not METHODS[config["generators"][gan]["method"]].translates:
            continue
        values = _joined(
            [f"{quality_cell(row)} in {row['modality']} (n = {row['n']})" for _, row in measured.iterrows()]
        )
        sentences.append(
            f"Each synthetic ROI of {name_of(gan)} is a translation of a real training ROI of the other class and "
            f"resembles it{f': SSIM of the two {values}' if values else ''}. It shows no new patient, and its "
            "nearness to real ROIs is partly that of its source."
        )
    return sentences


def on_elsewhere(config: Mapping[str, Any], leaks: Mapping[str, Mapping[str, Leaks]]) -> list[str]:
    """What is not known of generators whose images were made elsewhere, and what was found of it, for each.

    leaks: see `mammosynth.findings.verdicts.leaks`; none where it was not looked for.
    """
    sentences = []
    for gan in study.made_elsewhere(config):
        name = name_of(gan)
        sentences.append(
            f"The images of {name} were made elsewhere, and nothing is known of how: it cannot be ruled out that what "
            "made them saw validation or test ROIs, which would flatter what classifiers reach with them. The same "
            "images stand for all folds and seeds: the chance of the training that made them is in no interval."
        )
        sentences += [
            f"In {modality}, {name}: {of_modality[name].sentence}"
            for modality, of_modality in leaks.items()
            if name in of_modality and of_modality[name].found
        ]
    return sentences


def _on_resamples(compared: pd.Series, resamples: int) -> list[str]:
    """Where the least p that so few resamples can give is not below SIGNIFICANCE once adjusted.

    compared: by modality, the number of mixes of a classifier that are compared with real ROIs alone.
    """
    mixes = int(compared.max())
    needed = round(2 * mixes / SIGNIFICANCE)
    if resamples >= needed:
        return []
    least = 2 / (resamples + 1)
    where = _joined(list(compared.index[compared * 2 / SIGNIFICANCE > resamples]))
    return [
        f"In {where}, no mix can be called better or worse, whatever the truth: with {resamples} resamples the "
        f"smallest p is {p_value(least)}, and adjusted for {mixes} mixes (Holm) {p_value(min(1.0, mixes * least))}. "
        f"Set statistics.resamples to {needed} or more."
    ]


def _on_narrow_networks(config: Mapping[str, Any]) -> list[str]:
    """What classifiers of fewer channels than the published network's cannot say of it."""
    widths = {name: config["classifiers"][name].get("width", WIDTH) for name in config["classify_with"]}
    return [
        f"{name_of(name)} has {width} channels in its first layer, for speed, and not the {WIDTH} of the published "
        "network: what it gains or loses need not hold for that one."
        for name, width in widths.items()
        if width < WIDTH
    ]


def caveats(
    scores: pd.DataFrame,
    quality: pd.DataFrame,
    config: Mapping[str, Any],
    leaks: Mapping[str, Mapping[str, Leaks]] | None = None,
) -> list[str]:
    """What the study cannot conclude, from how it was run and what came out.

    scores, quality: the tidy tables; config: as resolved for the study; leaks: see `on_elsewhere`.
    """
    auroc = scores[(scores["part"] == "test") & (scores["measure"] == "AUROC") & (scores["database"] == "all")]
    several = auroc["classifier"].nunique() > 1
    keys = ["modality", "classifier"]
    once = auroc[auroc["runs"] == 1]  # of several runs, p is of no resamples
    compared = once.groupby(keys, sort=False)["p_holm"].count().groupby("modality", sort=False).max()
    sentences = [*on_phantoms(config), *_on_narrow_networks(config), *on_elsewhere(config, leaks or {})]
    if len(compared):
        sentences += _on_resamples(compared, config["statistics"]["resamples"])
    if (auroc["runs"] == 1).all():
        sentences.append(
            "Each classifier and GAN was trained once (one fold, one seed). The intervals cover the choice of test "
            "patients only, not the chance of training: another seed may move a result by more than its interval."
        )
    else:
        largest = auroc.loc[auroc["sd"].idxmax()]
        of = f"{name_of(largest['classifier'])}, " if several else ""
        sentences.append(
            f"Results are means over {auroc['runs'].max()} runs (folds × seeds). Intervals, p and verdicts cover both "
            "chances, which patients are tested and how trainings went; not which patients were trained on, as folds "
            f"share most of them. Runs differ by a standard deviation of at most {decimals(largest['sd'])} in AUROC "
            f"({of}{name_of_mix(largest['mix'])}, {largest['modality']})."
        )
    for (modality, classifier), rows in auroc.groupby(keys, sort=False):
        name = name_of(classifier)
        of, where = (f" of {name}", f"{modality} with {name}") if several else ("", modality)
        if (duplicated := rows[rows["mix"] == "real@2"]).shape[0]:
            sentences.append(
                f"Doubling the real ROIs of {modality}, which adds no information, changes the AUROC{of} by "
                f"{decimals(duplicated['difference'].iloc[0], plus=True)}: a difference of that size needs no GAN."
            )
        perfect = rows[rows["value"] > 1 - 1e-9]
        if len(perfect):
            sentences.append(
                f"In {where}, {_joined([name_of_mix(m) for m in perfect['mix']])} separate the test part without "
                f"error. With {perfect['n_patients'].iloc[0]} patients that bounds no error rate tightly, resampling "
                "gives no interval, and better classifiers could not be told apart."
            )
        if (chance := rows[(rows["low"] <= 0.5) & (rows["high"] >= 0.5)]).shape[0]:
            sentences.append(
                f"In {where}, {len(chance)} of {len(rows)} classifiers "
                f"({', '.join(map(name_of_mix, chance['mix']))}) are not distinguishable from guessing (their interval "
                "holds 0.5): they were trained too briefly, on too little, or on images that do not tell the classes "
                "apart."
            )
        if (wrong := rows[rows["high"] < 0.5]).shape[0]:
            sentences.append(
                f"In {where}, {len(wrong)} of {len(rows)} classifiers "
                f"({', '.join(map(name_of_mix, wrong['mix']))}) are worse than guessing (their interval lies below "
                "0.5): they rank benign ROIs above malignant ones more often than not."
            )
    sentences += on_features(config)
    sentences += on_translations(quality, config)
    sentences.append(
        "Databases, network sizes, steps and all other settings are our choice, not those of the paper, which we "
        "found in no public text. Its reported values stand in columns of their own, for orientation and not for "
        "matching."
    )
    return sentences
