"""Raw breast-imaging databases -> ROIs -> GANs -> synthetic ROIs -> quality -> classifiers -> report."""

import re

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version, validate

from mammosynth import studyfile
from mammosynth.errors import InputError

min_version("9.20")


configfile: f"{workflow.basedir}/config.yaml"


try:
    studyfile.refuse_misread(workflow.configfiles)
    studyfile.refuse_renamed(config)
except InputError as error:
    raise WorkflowError(str(error))
config |= studyfile.with_numbers(config)
validate(config, "workflow/schemas/config.schema.yaml")


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"


wildcard_constraints:
    modality="|".join(MODALITIES),
    source="|".join(config["databases"] + config["external"]),
    gan="|".join(GANS),
    classifier="|".join(CLASSIFIERS),
    mix="|".join(map(re.escape, MIXES)),
    split="|".join(SPLITS),
    seed=r"\d+",


# On a cluster these run where Snakemake was started: the first two may need a way out to the web, which its nodes need
# not have, and all others are jobs of seconds.
localrules:
    download_database,
    get_parameters,
    make_phantoms,
    partition,
    set_external_apart,
    count_parts,
    plot_contact_sheet,
    summarise_curation,
    write_datacard,
    draw_images,
    filter_synthetic,
    write_model_cards,
    tabulate,
    paper_tables,
    plot_samples,
    plot_summary,
    plot_gan_training,
    plot_quality,
    plot_classifier,
    rank_generators,
    write_scorecards,
    write_report,


include: "workflow/rules/databases.smk"
include: "workflow/rules/rois.smk"
include: "workflow/rules/curation.smk"
include: "workflow/rules/gans.smk"
include: "workflow/rules/quality.smk"
include: "workflow/rules/classifiers.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        "results/report/report.html",
        expand("results/{modality}/curation/data_card.html", modality=MODALITIES),
        expand("results/{modality}/scorecards/{gan}.html", modality=MODALITIES, gan=GANS),
        expand("results/figures/ranks_{modality}.svg", modality=MODALITIES),
        expand(
            "results/{modality}/{split}/classifiers/{classifier}/{mix}/seed{seed}.md",
            modality=MODALITIES,
            split=SPLITS,
            classifier=CLASSIFIERS,
            mix=MIXES,
            seed=SEEDS,
        ),


onsuccess:
    if (page := Path("results/report/report.html")).exists():
        print(f"\nThe study's report: {page.resolve()}")
