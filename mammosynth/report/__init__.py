"""What a study ends with: tables, figures and one page that says what can be concluded."""
