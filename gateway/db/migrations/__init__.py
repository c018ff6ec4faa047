"""The steps that bring older tables to the form of today, in order."""
