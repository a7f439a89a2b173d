"""Classifiers: what they are trained on (mixes), how, what they predict, and how certain their scores are."""
