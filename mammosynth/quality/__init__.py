"""Quality of synthetic images: fidelity, similarity and naturalness, each beside what real images reach."""
