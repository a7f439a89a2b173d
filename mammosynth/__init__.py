"""mammosynth: does GAN-made data help a breast-mass classifier?  The domain code; it never imports Snakemake."""

__version__ = "0.1.0"
