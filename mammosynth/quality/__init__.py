"""Quality of synthetic images: fidelity, similarity, naturalness, labels and novelty, beside what real ones reach."""
