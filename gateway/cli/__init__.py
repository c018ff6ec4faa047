"""The command line: thin commands, a file a group. Every read has ``--json``; every failure says what to do next."""

from gateway.cli.app import main

__all__ = ["main"]
