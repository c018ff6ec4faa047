"""Descriptor, checks, findings, report: is this return good? The only home of frictionless."""
