"""Plot a contact sheet of a modality's ROIs."""

from mammosynth.imageset import ImageSet
from mammosynth.job import started
from mammosynth.report.contact import plot_contact_sheet

if __name__ == "__main__":
    with started(snakemake):
        plot_contact_sheet(
            ImageSet.load(snakemake.input[0]),
            snakemake.wildcards.modality,
            snakemake.params.databases,
            snakemake.params.external,
            snakemake.params.phantoms,
            snakemake.output[0],
        )
