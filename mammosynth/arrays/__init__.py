"""What works on arrays alone: statistics, distances between sets of features, the likeness of images."""
