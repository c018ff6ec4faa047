"""Encrypts to a recipient and opens again: keys, the container, recipients' formats, signatures. See docs/format.md."""
