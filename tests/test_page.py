"""The report: what it says follows from the numbers, and it needs nothing beside it."""

import re
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from test_scores import part_of, predictions
from test_tables import PAPER, quality_rows

from mammosynth.classifiers.paired import compare
from mammosynth.classifiers.scores import score
from mammosynth.findings import conclusions
from mammosynth.findings.names import name_of
from mammosynth.findings.ranks import rank_correlations, rank_generators
from mammosynth.findings.tables import paper_accuracy, paper_quality, table_accuracy, table_decisions, table_quality
from mammosynth.findings.verdicts import Leaks, verdicts
from mammosynth.partition import count_parts
from mammosynth.quality.measures import HELD_OUT, NEAR_COPY
from mammosynth.report import printed
from mammosynth.report.claim import ITEMS
from mammosynth.report.page import SECTIONS, Study, cost, count_exclusions, count_filtered, render, rule_times
from mammosynth.report.tables import grouped

ROOT = Path(__file__).parents[1]
CAPTIONS = sorted((ROOT / "workflow/report").glob("*.rst"))
OF_CLASSIFIERS = (
    "classifier_training", "differences", "doses", "shares", "gains", "roc", "reliability", "confusion", "misses",
)  # fmt: skip
CONFIG = {
    "sources": {
        "phantom_ultrasound": {"reader": "busi", "modality": "ultrasound", "phantoms": {"benign": 8}},
        "busi": {"reader": "busi", "modality": "ultrasound", "root": "busi"},
    },
    "databases": ["phantom_ultrasound"],
    "rois": {"size": 128, "margin": 0.2, "min_side": 16},
    "partition": {"folds": 5, "seed": 0},
    "folds": [0],
    "shares": [100],
    "seeds": [0],
    "gans": ["sngan"],
    "generators": {"sngan": {"method": "sngan"}, "turned": {"method": "cyclegan"}},
    "mixes": ["real", "sngan", "real+sngan", "real@2"],
    "classifiers": {"resnet18": {"method": "resnet18", "steps": 20, "batch": 16}},
    "classify_with": ["resnet18"],
    "statistics": {"resamples": 100, "seed": 0, "equivalence_margin": 0.05},
}


CHARACTERISTICS = pd.DataFrame(
    [("ROIs", "", "30", "10", "20", "60"), ("pathology", "benign", "20 (67 %)", "6", "14", "40")],
    columns=["characteristic", "level", "train", "val", "test", "all"],
)
NO_QUALITY = quality_rows(())[:0].reindex(columns=quality_rows().columns)


def caveats_of(scores, quality=NO_QUALITY, **changes):
    return " ".join(conclusions.caveats(scores, quality, {**CONFIG, "databases": ["busi"], **changes}))


def test_a_narrow_network_is_not_the_published_one():
    scores = scores_of(real=1, hybrid=1)
    narrow = {"resnet18": CONFIG["classifiers"]["resnet18"] | {"width": 16}}
    assert "ResNet-18 has 16 channels in its first layer" in caveats_of(scores, classifiers=narrow)
    assert "channels" not in caveats_of(scores)


def predictions_of(**skills):
    names = {"hybrid": "real+sngan", "alone": "sngan", "real": "real", "doubled": "real@2"}
    return pd.concat([predictions(skill, names[name]) for name, skill in skills.items()])


def scores_of(**skills):
    return score(predictions_of(**skills), 400, 0)


def novelty_tables(*copies):
    """By fold, lines of 200 synthetic images of which the first *copies* are near copies, and of 40 held-out ROIs."""
    images, real = [], []
    for fold, found in enumerate(copies):
        where = {"modality": "ultrasound", "fold": fold}
        images.append(pd.DataFrame({**where, "generator": "sngan", "seed": 3, NEAR_COPY: np.arange(200) < found}))
        real.append(pd.DataFrame({**where, "generator": HELD_OUT, NEAR_COPY: [0.0] * 40}))
    return pd.concat(images).astype({NEAR_COPY: float}), pd.concat(real)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    drawn = '<svg xmlns="http://www.w3.org/2000/svg" width="600" height="400"><rect width="300" height="9"/></svg>'
    (folder / "figure.svg").write_text(drawn)
    Image.new("L", (60, 40), 99).save(folder / "figure.png")
    (folder / "benchmarks" / "partition" / "ultrasound").mkdir(parents=True)
    for fold in (0, 4):  # 4 of an earlier study
        (folder / "benchmarks" / "partition" / "ultrasound" / f"fold{fold}.tsv").write_text("s\tmax_rss\n2.5\t-\n")
    test = part_of(predictions(1.0))
    partition = test[["modality", "fold", "lesion_id", "patient_id", "database", "pathology"]].assign(
        part=["train"] * 30 + ["val"] * 10 + ["test"] * 20, split="fold0"
    )
    rois = partition.assign(excluded=["label conflict <b>"] + [float("nan")] * 59)
    predicted = predictions_of(real=0.8, alone=0.2, hybrid=0.9, doubled=0.8)
    scores = score(predicted, 400, 0)
    quality = quality_rows(("sngan", "real", "floor"))
    quality = quality[quality["modality"] == "ultrasound"]
    kinds = (
        "flow",
        "samples",
        "embedding",
        "quality",
        "ranks",
        "gan_training",
        "contact_sheet",
    )
    ranks = rank_generators(quality)
    of_gans, of_classifiers = {"SNGAN": folder / "figure.png"}, {"ResNet-18": folder / "figure.png"}
    return Study(
        config=CONFIG,
        parts=count_parts(partition),
        rois=rois,
        scores=scores,
        quality=quality,
        characteristics={"ultrasound": CHARACTERISTICS},
        paper_quality=paper_quality(quality, PAPER),
        paper_accuracy=paper_accuracy(scores, PAPER),
        accuracy=table_accuracy(scores),
        decisions=table_decisions(scores),
        comparisons=compare(predicted),
        quality_table=table_quality(quality),
        ranks=ranks,
        correlations=rank_correlations(ranks),
        verdicts=verdicts(*novelty_tables(60)),
        paper=PAPER,
        devices=["CPU (test)"],
        times=rule_times(
            {
                "rois": {"partition": [folder / f"benchmarks/partition/ultrasound/fold{fold}.tsv" for fold in (0, 1)]},
                "gans": {"train_gan": [folder / "none.tsv"]},
            }
        ),
        figures={kind: {"ultrasound": folder / "figure.png"} for kind in kinds}
        | {kind: {"ultrasound": of_gans} for kind in ("progress", "closest")}
        | {"summary_samples": {"": folder / "figure.png"}, "summary_forest": {"": folder / "figure.svg"}}
        | {kind: {"ultrasound": of_classifiers} for kind in OF_CLASSIFIERS},
        captions={path.stem: path.read_text(encoding="utf-8").strip() for path in CAPTIONS},
    )


class Balance(HTMLParser):
    """Checks that tags close in order; collects ids and links."""

    VOID = {"meta", "img", "br", "link"}  # noqa: RUF012

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links, self.headings, self.alts = [], set(), set(), [], []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.ids.add(values.get("id"))
        self.links |= {values[name] for name in ("href", "src") if name in values}
        self.headings += [int(tag[1])] if re.fullmatch("h[1-6]", tag) else []
        self.alts += [values.get("alt")] if tag == "img" else []
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_and_stands_alone(study):
    page = render(study)
    parser = Balance()
    parser.feed(page)
    assert not parser.open
    inside = {link[1:] for link in parser.links if link.startswith("#")}
    assert inside
    assert inside <= parser.ids
    assert [link for link in parser.links if not link.startswith(("#", "data:image/webp;base64,", "../"))] == []
    assert "label conflict &lt;b&gt;" in page


def test_a_screen_reader_finds_its_way(study):
    """Each picture says what it shows; headings go down by one level, and there is one of the first."""
    parser = Balance()
    parser.feed(render(study))
    assert len(parser.alts) > 15
    assert all(parser.alts)
    assert parser.headings.count(1) == 1
    assert all(below - above <= 1 for above, below in pairwise([0, *parser.headings]))


def test_text_stands_out_from_its_ground():
    """By 4.5 to 1 at least (WCAG 2.1, 1.4.3), in each pair of colours that pages have."""
    style = (ROOT / "mammosynth/report/style.css.jinja").read_text(encoding="utf-8")
    colours = dict(re.findall(r"--(\w+): (#\w+);", style)) | {"white": "#ffffff"}

    def luminance(name):
        channels = np.array([int(colours[name][k : k + 2], 16) for k in (1, 3, 5)]) / 255
        return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4) @ (
            0.2126,
            0.7152,
            0.0722,
        )

    pairs = [(text, ground) for text in ("ink", "soft", "accent") for ground in ("white", "wash", "reported")]
    for text, ground in (*pairs, ("warn", "warnwash"), ("white", "accent")):
        dark, light = sorted((luminance(text), luminance(ground)))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground)


def test_sections_are_in_the_navigation_and_those_for_reviewers_are_folded(study):
    page = render(study)
    for section in SECTIONS:
        assert f'<li><a href="#{section.anchor}">{section.title}</a></li>' in page
        start = page.index(f'<section id="{section.anchor}">')
        assert ("<details>" in page[start : start + 60]) == section.folded
    assert [section.anchor for section in SECTIONS if not section.folded] == ["answer", "tables", "conclusions"]


def test_the_first_screen_is_an_answer_a_picture_and_a_forest_plot(study):
    page = unescape(render(study))
    first = page[page.index('id="answer"') : page.index('id="tables"')]
    sentences = conclusions.in_short("ultrasound", study.scores)
    assert all(sentence in first for sentence in sentences)
    assert [name for name, text in study.captions.items() if text in first] == ["summary_forest", "summary_samples"]
    assert first.count("<img") == 2
    assert "<table" not in first


def test_the_second_screen_is_the_papers_tables_and_nothing_else(study):
    page = unescape(render(study))
    second = page[page.index('id="tables"') : page.index('id="conclusions"')]
    assert second.count("<table") == 2
    assert "<img" not in second
    assert "AUROC" not in second
    assert second.index(study.captions["paper_quality"]) < second.index(study.captions["paper_accuracy"])


def test_the_pdf_says_what_the_page_says(study, tmp_path):
    told = printed.content(study)
    [answer] = told["answers"][0]["answers"]
    assert answer["in_short"] == conclusions.in_short("ultrasound", study.scores)
    page = unescape(render(study))
    pictures = [*told["summary"], *told["pictures"]]
    said = [
        told["title"],
        told["subtitle"].rpartition(" · ")[0],
        told["reading"],
        *told["caveats"],
        *answer["sentences"],
    ]
    said += [text for picture in pictures for text in (picture["alt"], picture["caption"])]
    assert [text for text in said if text not in page] == []
    assert [len(table["groups"][0]["rows"]) for table in told["tables"]] == [7, 4]
    assert told["phantoms"] in page
    for path in (tmp_path / "a.pdf", tmp_path / "b.pdf"):
        printed.write(study, path)
        assert path.read_bytes().startswith(b"%PDF")
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()


def test_a_tables_rows_stand_under_what_they_are_of_with_a_header_each():
    table = pd.DataFrame([("a", "x", "1 [0, 2]"), ("b", "x", "–"), ("a", "y", "3")], columns=["of", "mix", "AUROC"])
    assert list(grouped(table, "mix")) == [("A", [["x", "1 [0, 2]"], ["y", "3"]]), ("B", [["x", "–"]])]
    assert list(grouped(table[["mix"]], "mix")) == [("", [["x"], ["x"], ["y"]])]


def test_claim_has_44_items_filled_from_the_run_or_left_to_the_author(study):
    page = unescape(render(study))
    claim = page[page.index('id="claim"') : page.index('id="run"')]
    assert [item["item"] for item in ITEMS] == list(range(1, 45))
    assert len(re.findall(r'<th scope="row">\d+</th>', claim)) == 44
    left = [item["item"] for item in ITEMS if not item["says"]]
    assert claim.count("<em>the author’s to fill</em></td>") == len(left)
    assert {2, 16, 34, 44} <= set(left), "what no run knows"
    assert "Not done: the study names no external database." in claim
    assert "5 folds (seed 0), of which fold 0 is tested" in claim
    assert '<a href="#data">Data</a>' in claim
    real = render(Study(**{**vars(study), "config": {**CONFIG, "databases": ["busi"]}}))
    assert real.count("<em>the author’s to fill</em></td>") == len(left) + 3, "of phantoms a run knows more"


def test_a_wide_table_widens_no_page():
    """A track of ``1fr`` is as wide as its widest content at least: the phone's page once was four times its screen."""
    tracks = [
        track
        for file in (ROOT / "mammosynth/report").glob("*.jinja")
        for track in re.findall(r"grid-template-columns:([^;]*)", file.read_text(encoding="utf-8"))
    ]
    assert len(tracks) > 3
    assert not [track for track in tracks if "fr" in re.sub(r"minmax\((0|min\(100%, \w+\)), \dfr\)", "", track)]


def test_figures_and_tables_are_captioned_as_in_the_report_of_snakemake(study):
    page = unescape(render(study))
    for kind in (*study.figures, "table_quality", "table_accuracy", "table_decisions", "comparisons"):
        assert study.captions[kind] in page
        assert not re.search("[{}`]", study.captions[kind]), "the page takes captions as they are"


def test_tests_of_two_networks_are_shown_of_one_run_alone_and_decide_no_answer(study):
    page = unescape(render(study))
    assert page.index(study.captions["table_decisions"]) < page.index(study.captions["comparisons"])
    several = Study(**{**vars(study), "scores": study.scores.assign(runs=2, sd=0.01)})
    assert study.captions["comparisons"] not in unescape(render(several))
    alone = Study(**{**vars(study), "comparisons": study.comparisons[:0]})
    assert "p (DeLong)" in page
    assert "p (DeLong)" not in render(alone)
    summary = page[page.index('id="answer"') : page.index('id="data"')]
    assert "DeLong" not in summary
    assert "McNemar" not in summary


def test_phantoms_are_announced_in_every_section_and_only_where_there_are(study):
    page = render(study)
    assert page.count('class="phantom"') == page.count("<section")
    assert "@top-center" in page  # and on every printed page
    real = render(Study(**{**vars(study), "config": {**CONFIG, "databases": ["busi"]}}))
    assert "not clinical data" not in real


def of_classifiers(study, *names, gans=("sngan",)):
    """The study with these classifiers, each with the same predictions, and their places on its page."""
    frame = [
        predictions(skill, mix, classifier=name)
        for name in names for mix, skill in (("real", 0.8), ("sngan", 0.2), ("real+sngan", 0.9), ("real@2", 0.8))
    ]  # fmt: skip
    scores = score(pd.concat(frame), 50, 0)
    config = CONFIG | {"classify_with": list(names), "classifiers": {name: {"method": name} for name in names}}
    config |= {"gans": list(gans), "generators": {gan: {"method": gan} for gan in gans}}
    path = study.figures["samples"]["ultrasound"]
    figures = study.figures | {kind: {"ultrasound": {name_of(n): path for n in names}} for kind in OF_CLASSIFIERS}
    changed = {"config": config, "scores": scores, "accuracy": table_accuracy(scores), "figures": figures}
    return render(Study(**{**vars(study), **changed}))


def test_screens_stand_under_a_heading_of_their_own_below_trained_networks(study):
    page = of_classifiers(study, "probe", "resnet18", "probe_squeezenet")
    answer, screens = page.index('id="answer"'), page.index("<h3>Screens</h3>")
    shown = {name: [found.start() for found in re.finditer(re.escape(f"Ultrasound, {name}. AUROC of each mix"), page)]
             for name in map(name_of, ("probe", "resnet18", "probe_squeezenet"))}  # fmt: skip
    assert all(screens < at for name in ("probe", "probe_squeezenet") for at in shown[name_of(name)])
    assert all(answer < at < screens for at in shown[name_of("resnet18")])
    assert all(shown.values())
    concluded = page[answer:screens]
    assert "probe" not in concluded[: concluded.index('id="conclusions"')]
    for name in ("probe", "probe_squeezenet"):
        assert page.index(f"<strong>{name_of(name)}:</strong>") > screens
        assert page.index(f"<span>Ultrasound, {name_of(name)}</span>") > screens
    assert "<h3>Screens</h3>" not in of_classifiers(study, "resnet18")
    alone = of_classifiers(study, "probe")
    assert "<h3>Screens</h3>" in alone
    assert alone.count("Trained on real ROIs alone, the classifier reaches") == 1


def test_a_network_that_a_gan_learnt_against_is_named_with_the_other_beside_it(study):
    def said(*names, gans=("projected_gan",)):
        found = re.search("[^>]* learnt against [^<]*", of_classifiers(study, *names, gans=gans))
        return unescape(found[0]) if found else ""

    both = said("probe", "probe_squeezenet")
    assert both.startswith("Projected GAN learnt against the features of EfficientNet-Lite0, the start of probe (Effi")
    assert both.endswith("read probe (SqueezeNet 1.1) beside it.")
    assert said("efficientnet_lite0").endswith("classify with another network beside it.")
    assert said("resnet18", "probe_squeezenet") == said("probe", gans=["sngan"]) == ""


def test_numbers_of_parts_and_exclusions(study):
    page = " ".join(render(study).split())
    rows = [page.index(f'<th scope="row">{name}</th>') for name in ("training", "validation", "test")]
    assert rows == sorted(rows)
    assert study.parts["patients"].tolist() == [15, 5, 10]
    outcomes = count_exclusions(study.rois).set_index("outcome")["lesions"]
    assert outcomes.to_dict() == {"label conflict <b>": 1, "used": 59}


def test_wall_times_are_gathered_by_rule_from_the_jobs_of_this_study(study):
    [row] = study.times.to_dict("records")
    assert (row["stage"], row["rule"], row["jobs"], row["total"]) == ("rois", "partition", 1, 2.5)
    assert rule_times({"rois": {"partition": ["no/such/file.tsv"]}}).empty
    assert cost(rule_times({})).empty


def test_cost_is_summed_by_stage():
    times = pd.DataFrame(
        [("rois", "crop", 2, 3.0, 2.0, 10.0), ("gans", "train", 1, 9.0, 9.0, np.nan), ("rois", "part", 1, 1, 1, 30)],
        columns=["stage", "rule", "jobs", "total", "longest", "memory"],
    )
    table = cost(times).set_index(["stage", "stage or rule"])
    assert table.loc[("all stages", "ROIs")].tolist() == [3, "4.0", "2.0", "30"]
    assert table.loc[("GANs", "train")].tolist() == [1, "9.0", "9.0", "–"]
    assert len(table) == 5


def test_a_generator_that_gives_back_its_training_rois_is_named(study):
    assert "Ultrasound, SNGAN: memorising" in render(study)
    clean = Study(**{**vars(study), "verdicts": verdicts(*novelty_tables(0))})
    assert "Ultrasound, SNGAN." in render(clean)
    assert "SNGAN: memorising" not in render(clean)


def test_leaks_among_given_images_are_said_beside_novelty_and_in_what_can_be_concluded(study):
    config = CONFIG | {"gans": ["theirs"], "generators": {"theirs": {"method": "images"}}}
    found = {"ultrasound": {"theirs": Leaks(True, "Test ROIs are <among> them.")}}
    none = {"progress": {"ultrasound": {}}, "gan_training": {}}  # nothing was trained
    changed = {"config": config, "leaks": found, "figures": study.figures | none}
    page = render(Study(**{**vars(study), **changed}))
    assert "Ultrasound, theirs, made elsewhere.</strong> Test ROIs are &lt;among&gt; them." in page
    concluded = page[page.index('id="conclusions"') : page.index('id="data"')]
    assert "The images of theirs were made elsewhere" in concluded
    assert "In ultrasound, theirs: Test ROIs are &lt;among&gt; them." in concluded
    assert "made elsewhere" not in render(study)


def test_one_training_that_memorised_marks_its_gan():
    (hidden,) = verdicts(*novelty_tables(0, 0, 20, 0, 0, 0))["ultrasound"].values()
    assert hidden.memorising
    assert (hidden.share, hidden.n) == (20 / 1200, 1200)
    assert hidden.reason == (
        "1.7 % of the 1200 synthetic images of 6 runs and 0.0 % of the 240 held-out real ROIs are near copies of "
        "training ROIs. Memorising, each run judged by itself: fold 2, seed 3 (10.0 % of 200)."
    )
    (even,) = verdicts(*novelty_tables(12, 12, 12, 12, 12, 12))["ultrasound"].values()
    assert even.memorising
    assert even.reason.count("6.0 % of 200") == 6
    for trainings in ((0,), (2, 2, 3, 2), (0, 0, 9, 0, 0, 0)):
        (clean,) = verdicts(*novelty_tables(*trainings))["ultrasound"].values()
        assert not clean.memorising
    assert "by itself: none. A share of less than" in clean.reason
    (ninth,) = verdicts(*novelty_tables(9))["ultrasound"].values()
    assert ninth.memorising
    (among,) = verdicts(*novelty_tables(9), trainings=6)["ultrasound"].values()
    assert not among.memorising, "one of six trainings of the study, though the others are not shown here"
    assert "judged as one of 6 runs" in among.reason
    (alone,) = verdicts(*novelty_tables(20))["ultrasound"].values()
    assert alone.memorising
    assert "by itself" not in alone.reason


def test_what_the_filter_dropped_is_counted_only_where_there_is_one(study):
    outcomes = pd.DataFrame(
        {"modality": "ultrasound", "generator": "sngan", "pathology": "benign", "dropped": ["a"] * 3 + [np.nan]}
    )
    counts = count_filtered(outcomes).set_index("outcome")
    assert counts["synthetic ROIs"].to_dict() == {"a": 3, "passed": 1}
    assert counts["% of the class"].to_dict() == {"a": "75.0", "passed": "25.0"}
    assert "let classifiers see" not in render(study)
    assert "let classifiers see" in render(Study(**{**vars(study), "filtered": outcomes}))


def test_an_interval_that_holds_zero_cannot_tell():
    scores = scores_of(real=0.8, hybrid=0.81, alone=0.79)
    assert "cannot be told" in conclusions.in_short("ultrasound", scores)[0]
    sentences = conclusions.answer("ultrasound", scores)
    assert "cannot be told" in sentences[1]
    assert "cannot be told" in sentences[2]
    assert not re.search("raised|lowered", " ".join(sentences))


def test_several_classifiers_are_answered_for_by_name():
    first = scores_of(real=1.0, hybrid=4.0, doubled=1.0)
    other = scores_of(real=0.8, hybrid=0.81, doubled=-4.0).assign(classifier="probe_of_mine")
    scores = pd.concat([first, other], ignore_index=True)
    gain, unsure = conclusions.answers("ultrasound", scores)
    assert (gain.classifier, unsure.classifier) == ("ResNet-18", "probe of mine")
    assert gain.in_short[0].startswith("Of this one run's networks")
    assert unsure.in_short[0].startswith("It cannot be told whether synthetic ROIs beside the real ones help or harm:")
    assert gain.sentences[0].startswith("Trained on real ROIs alone, ResNet-18 reaches")
    assert unsure.sentences[0].startswith("Trained on real ROIs alone, probe of mine reaches")
    said = caveats_of(scores)
    assert "changes the AUROC of ResNet-18 by +0.000" in said
    assert "changes the AUROC of probe of mine by −0." in said
    assert "In ultrasound with probe of mine, 2 of 3 classifiers (real, real + SNGAN) are not distinguishable" in said
    [alone] = conclusions.answers("ultrasound", first)
    assert alone.classifier == ""
    assert alone.sentences[0].startswith("Trained on real ROIs alone, the classifier reaches")


def test_a_plain_gain_and_a_plain_loss_are_named_with_their_numbers():
    scores = scores_of(real=1.0, hybrid=4.0, alone=-1.0)
    gain, certainty = conclusions.in_short("ultrasound", scores)
    assert "1 of 1 (most with real + SNGAN, +0." in gain
    assert ") were better on these 30 patients" in gain
    real = scores[(scores["measure"] == "AUROC") & (scores["mix"] == "real")].iloc[0]
    assert certainty.startswith(f"Real ROIs alone reach an AUROC of {real['value']:.3f} [{real['low']:.3f}, ")
    harmed, _ = conclusions.in_short("ultrasound", scores_of(real=1.0, hybrid=-1.0))
    assert ") were worse on these 30 patients" in harmed
    hybrid, alone = conclusions.answer("ultrasound", scores)[1:]
    assert "ranked better by those of real + SNGAN (+0." in hybrid
    assert "ranked worse by those of SNGAN (−0." in alone
    several = pd.concat([scores.assign(runs=2), scores_of(real=1.0)[:0]])
    hybrid, alone = conclusions.answer("ultrasound", several)[1:]
    assert "raised the AUROC with real + SNGAN (+0." in hybrid
    assert "lowered the AUROC with SNGAN (−0." in alone


def mixes(differences, runs):
    """Scores of hybrid mixes that differ plainly from real ROIs alone by so much, or not at all by 0."""
    names = [f"real+sngan@{k + 1}" for k in range(1, len(differences) + 1)]
    scores = pd.DataFrame({"mix": ["real", *names], "difference": [np.nan, *differences], "runs": runs})
    scores = scores.assign(
        modality="ultrasound", measure="AUROC", part="test", database="all", n_patients=30, n=40, value=0.8
    )
    scores["p_holm"] = np.where(scores["difference"] == 0, 1, 0.01)
    return scores.assign(
        difference_low=scores["difference"] - 0.01,
        difference_high=scores["difference"] + 0.01,
        low=0.7,
        high=0.9,
        margin=0.05,
        equivalence_p=np.nan,
        smallest_difference=0.04 if runs > 1 else np.nan,
    )


REACHED = "Real ROIs alone reach an AUROC of 0.800 [0.700, 0.900] on 40 ROIs of 30 patients"
FOUR_OF_FIVE = "a study like this one shows a difference of 0.040 in AUROC four times of five, and smaller ones seldom"


def in_two(differences, runs=6, alike=()):
    """The two sentences on hybrid mixes, of which those at the positions *alike* are shown to be no different."""
    scores = mixes(differences, runs)
    scores.loc[[position + 1 for position in alike], "equivalence_p"] = 0.01
    return conclusions.in_short("ultrasound", scores)


def test_a_gain_in_two_sentences():
    assert in_two([0.03, 0.0]) == (
        "Synthetic ROIs beside the real ones helped in 1 of 2 (most with real + SNGAN ×2, +0.030 [+0.020, +0.040], "
        "p 0.010).",
        f"{REACHED}, the mean of 6 runs; for 1 of 2 mixes it cannot be told, as {FOUR_OF_FIVE}.",
    )
    assert in_two([0.03])[1] == (
        f"{REACHED}, the mean of 6 runs; intervals and p cover which patients are tested and how trainings went."
    )


def test_a_harm_in_two_sentences():
    harm, certainty = in_two([0.0, -0.02])
    assert harm == (
        "Synthetic ROIs beside the real ones harmed in 1 of 2 (most with real + SNGAN ×3, −0.020 [−0.030, −0.010], "
        "p 0.010); for none is it shown that they help."
    )
    assert certainty.endswith(f"; for 1 of 2 mixes it cannot be told, as {FOUR_OF_FIVE}.")


def test_help_and_harm_are_named_beside_each_other():
    both = in_two([0.03, -0.02, -0.05, -0.04])[0]
    assert "helped in 1 of 4 (most with real + SNGAN ×2, +0.030 " in both
    assert "and harmed in 3 of 4 (most with real + SNGAN ×4, −0.050 " in both
    assert "for none" not in both
    assert "harm" not in in_two([0.03, 0.0])[0]


def test_undecided_in_two_sentences():
    assert in_two([0.0, 0.0]) == (
        "It cannot be told whether synthetic ROIs beside the real ones help or harm: the most favourable of 2 mixes, "
        "real + SNGAN ×2, changes the AUROC by +0.000 [−0.010, +0.010], p 1.000.",
        f"{REACHED}, the mean of 6 runs; {FOUR_OF_FIVE}.",
    )
    assert "help or harm: real + SNGAN ×2 changes the AUROC by +0.000" in in_two([0.0])[0]
    unknown = mixes([0.0], runs=6).assign(smallest_difference=np.nan)
    assert conclusions.in_short("ultrasound", unknown)[1].endswith("; for none of its mixes can this study tell.")


def test_shown_to_be_no_different_in_two_sentences():
    same, certainty = in_two([0.0, 0.0], alike=[0, 1])
    assert same == "Synthetic ROIs beside the real ones changed the AUROC by less than 0.050, as is shown, in 2 of 2."
    assert certainty.endswith("; intervals and p cover which patients are tested and how trainings went.")
    one, certainty = in_two([0.0, 0.0], alike=[0])
    assert one.endswith("as is shown, in 1 of 2; for none is it shown that they help.")
    assert "; for 1 of 2 mixes it cannot be told, as" in certainty
    scores = mixes([0.0, 0.0], runs=6).assign(equivalence_p=[np.nan, 0.01, 0.01])
    at_length = conclusions.answer("ultrasound", scores)[1]
    assert "are shown to change the AUROC by less than 0.050: real + SNGAN" in at_length


@pytest.mark.parametrize("differences", [[0.03, -0.02, -0.05, -0.04], [0.03, 0.04], [-0.03, 0.0], [0.0, 0.0]])
def test_one_run_is_of_networks_and_patients_and_never_of_a_method(differences):
    found, certainty = in_two(differences, runs=1)
    sentences = conclusions.answer("ultrasound", mixes(differences, runs=1))
    assert certainty == f"{REACHED}; one training of each mix cannot tell whether a GAN helps or harms."
    assert not re.search("helped|harmed|raised|lowered", " ".join([found, certainty, *sentences]))
    better, worse = (sum(sign * d > 0 for d in differences) for sign in (1, -1))
    assert ("networks" in found and "on these 30 patients" in found) == bool(better or worse)
    assert (f"{better} of {len(differences)} (most" in found) == bool(better)
    assert (f"{worse} of {len(differences)} (most" in found) == bool(worse)


def test_a_study_without_hybrid_mixes_says_so():
    assert conclusions.in_short("ultrasound", scores_of(real=0.8, alone=0.2))[0] == (
        "No mix of real and synthetic ROIs was tried."
    )


def test_phases_are_a_family_of_their_own():
    scores = mixes([0.03, -0.02, 0.05, 0.04], runs=6)
    named = {
        "real+sngan@3": "sngan..real",
        "real+sngan@4": "sngan=30..real+sngan@balance",
        "real+sngan@5": "sngan..cgan",
    }
    scores = scores.assign(mix=scores["mix"].replace(named))
    headline, _ = conclusions.in_short("ultrasound", scores)
    assert headline.startswith(
        "Synthetic ROIs beside the real ones or in phases with them helped in 2 of 3 (most with "
    )
    assert "(most with SNGAN (30 %) → real + SNGAN to balance (70 %), +0.050 " in headline
    added, in_phases, alone = conclusions.answer("ultrasound", scores)[1:]
    assert added.startswith("Synthetic ROIs added to the real ones raised the AUROC with real + SNGAN ×2 (+0.030")
    assert in_phases.startswith("Synthetic ROIs in phases with the real ones raised the AUROC with SNGAN (30 %) → real")
    assert "and lowered it with SNGAN → real (−0.020" in in_phases
    assert alone.startswith("Synthetic ROIs in place of the real ones raised the AUROC with SNGAN → CGAN (+0.040")
    beside = scores[~scores["mix"].str.contains(r"\.\.real", regex=True)]
    said = [*conclusions.in_short("ultrasound", beside), *conclusions.answer("ultrasound", beside)]
    assert "phases" not in " ".join(said)


def test_balance_and_phases_are_explained_where_a_study_has_them(study):
    assert not re.search("“to balance”|“→”", render(study))
    config = CONFIG | {"mixes": ["real", "sngan..real+sngan@balance"]}
    page = render(Study(**{**vars(study), "config": config}))
    assert "“to balance”: as many synthetic ROIs of the smaller class as it lacks" in page
    assert "“→”: trained on what stands left of it first" in page


def test_a_perfect_score_is_not_sold_as_certain():
    scores = scores_of(real=40, hybrid=40)
    assert "cannot be told" in conclusions.answer("ultrasound", scores)[1]
    text = caveats_of(scores)
    assert "separate the test part without error" in text


def test_what_an_interval_does_not_cover_is_said():
    once = caveats_of(scores_of(real=1, doubled=1.2), databases=["phantom_ultrasound"])
    assert "trained once" in once
    assert "phantoms: drawn by a program" in once
    assert "Doubling the real ROIs" in once
    frame = pd.concat([predictions(1), predictions(1, seed=1, noise=1)])
    twice = caveats_of(score(frame, 50, 0))
    assert "means over 2 runs" in twice
    assert "phantom" not in twice


def test_the_nearest_gan_is_the_one_whose_ratio_to_the_floor_is_largest():
    measures = ("FD (EfficientNet-Lite0)", "floor/FD (EfficientNet-Lite0)")
    rows = quality_rows(("sngan", "cgan"), measures)
    text = conclusions.nearest("ultrasound", rows, CONFIG)
    assert "In order of floor/FD (EfficientNet-Lite0), from near to far: CGAN 20.0, SNGAN 10.0. 1 is" in text
    assert conclusions.nearest("ultrasound", quality_rows(), CONFIG) == ""


def test_gans_are_not_put_in_order_on_features_that_one_was_trained_against():
    measures = ("floor/FD (EfficientNet-Lite0)", "floor/FD (SqueezeNet 1.1)")
    rows = quality_rows(generators=("sngan", "projected_gan"), measures=measures)
    config = CONFIG | {"gans": ["sngan", "projected_gan"]}
    config["generators"] = CONFIG["generators"] | {"projected_gan": {"method": "projected_gan"}}
    assert "In order of floor/FD (SqueezeNet 1.1)" in conclusions.nearest("ultrasound", rows, config)
    assert "In order of floor/FD (EfficientNet-Lite0)" in conclusions.nearest("ultrasound", rows, CONFIG)
    table = table_quality(rows, {"projected_gan": "efficientnet_lite0"}).set_index("measure")
    assert table["Projected GAN"].str.endswith("†").tolist() == [m.startswith(measures[0]) for m in table.index]
    assert not table["SNGAN"].str.endswith("†").any()


def test_phantoms_beside_real_databases_are_told_apart_by_modality():
    scores = scores_of(real=1, hybrid=1.2)
    assert "No number of ultrasound on this page" in caveats_of(scores, databases=["phantom_ultrasound"])
    sources = {**CONFIG["sources"], "inbreast": {"modality": "mammography", "root": "inbreast"}}
    beside = caveats_of(scores, sources=sources, databases=["phantom_ultrasound", "inbreast"])
    assert "No number of ultrasound on this page" in beside
    assert "mammography" not in beside
    mixed = caveats_of(scores, databases=["phantom_ultrasound", "busi"])
    assert "No number" not in mixed
    assert "In ultrasound they stand beside busi" in mixed


def test_guessing_and_worse_than_guessing_are_told_apart():
    scores = scores_of(real=3.0, hybrid=0.3, alone=-1.0)
    auroc = scores[scores["measure"] == "AUROC"].set_index("mix")
    assert auroc.loc["real+sngan", "low"] < 0.5 < auroc.loc["real+sngan", "high"]
    assert auroc.loc["sngan", "high"] < 0.5
    text = caveats_of(scores)
    assert "1 of 3 classifiers (real + SNGAN) are not distinguishable from guessing" in text
    assert "1 of 3 classifiers (SNGAN) are worse than guessing" in text
    assert "guessing" not in caveats_of(scores_of(real=3.0))


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (-0.575, 0.1, "fits a loss of up to 0.575 as well as a gain of up to 0.100"),
        (-0.575, 0.0, "fits a loss of up to 0.575 as well as no difference"),
        (0.0004, 0.2, "fits a gain of up to 0.200 as well as no difference"),
        (-0.3, -0.1, "fits a loss of 0.100 to 0.300, but its p, adjusted for the number of mixes, is not below 0.05"),
        (0.1, 0.3, "fits a gain of 0.100 to 0.300, but its p, adjusted"),
    ],
)
def test_what_an_unsure_interval_allows(low, high, text):
    scores = scores_of(real=0.8, hybrid=0.9)
    mix = (scores["mix"] == "real+sngan") & (scores["measure"] == "AUROC")
    scores.loc[mix, ["difference_low", "difference_high", "p_holm"]] = low, high, 0.2
    assert text in conclusions.answer("ultrasound", scores)[1]
    assert "0.000 " not in conclusions.answer("ultrasound", scores)[1].partition("fits")[2]


def test_too_few_resamples_for_any_mix_to_differ_are_named():
    scores = scores_of(real=0.8, hybrid=0.9, alone=0.2)
    # Of two mixes compared, p times two is 4 / (resamples + 1), and below 0.05 from 80 on.
    for resamples, too_few in ((20, True), (79, True), (80, False)):
        text = caveats_of(scores, statistics={"resamples": resamples, "seed": 0})
        assert ("Set statistics.resamples to 80 or more" in text) == too_few
    assert "resamples" not in caveats_of(scores_of(real=0.8), statistics={"resamples": 1, "seed": 0})


def test_translations_of_real_rois_are_said_to_be_such():
    scores = scores_of(real=0.8)
    rows = quality_rows(("turned", "sngan"), ["SSIM, source"])
    rows = rows[(rows["modality"] == "ultrasound")]
    assert "translation" not in caveats_of(scores)
    plain = caveats_of(scores, gans=["turned"])  # by its method, whatever its name
    assert "Each synthetic ROI of turned is a translation of a real training ROI of the other class" in plain
    assert "SSIM" not in plain
    rows = rows[rows["generator"] == "turned"]
    measured = caveats_of(scores, rows, gans=["turned"])
    assert "resembles it: SSIM of the two 10.0 [9.00, 60.0] in ultrasound (n = 40)" in measured
