"""What works on arrays alone: scores, comparisons of methods, calibration, distances of features, likeness."""
