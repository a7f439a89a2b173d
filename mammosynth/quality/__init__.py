"""Quality of synthetic images: fidelity, similarity, naturalness, labels and novelty, beside what real ones reach."""

HELD_OUT = "held_out"  # the validation part, where its real ROIs take the place of a generator's
# Measures of single images, by which tables of images are read again.
AS_INTENDED, NEAR_COPY, AUTHENTIC = "label accuracy", "near copies", "AuthPct"
NIQE_REFITTED = "NIQE refitted"
