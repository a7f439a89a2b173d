"""What the numbers of a study support: tables, ranks, verdicts, sentences."""
