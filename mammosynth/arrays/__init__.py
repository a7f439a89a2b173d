"""What works on arrays alone: scores, comparisons of methods, calibration, distances between sets of features, likeness."""
