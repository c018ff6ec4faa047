"""Periods, due dates and expectations: what is due, and what is late. Pure functions: no clock, no disk."""
