"""The names things go by. Each is its own type, so that one cannot stand where another is meant."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NewType

AuthorityCode = NewType("AuthorityCode", str)
"""A London local authority's slug, for example ``camden`` or ``hammersmith-and-fulham``; also its SFTP user name."""

RecipientCode = NewType("RecipientCode", str)
"""A recipient's slug, for example ``dfe`` or ``d2i``; also its SFTP user name."""

CollectionId = NewType("CollectionId", str)
"""A folder under ``validators/``, for example ``riia-quarterly``."""

SubmissionId = NewType("SubmissionId", str)
"""UUIDv7 in its usual text form."""

FileId = NewType("FileId", str)
"""UUIDv7 of one received file; also its name in the spool."""

Digest = NewType("Digest", str)
"""SHA-256, 64 lower-case hexadecimal digits."""

Owner = NewType("Owner", str)
"""Whose home: ``authority:camden`` or ``recipient:dfe``."""

SLUG = re.compile(r"^[a-z][a-z0-9]*(?:-[a-z0-9]+)*\Z")
"""What a slug looks like: lower case, digits and single hyphens, at most 64 characters."""


class Channel(StrEnum):
    """How a drop came in."""

    SFTP = "sftp"
    FOLDER = "folder"
    S3 = "s3"
    CLI = "cli"
    WEB = "web"


def authority_owner(code: AuthorityCode) -> Owner:
    """Return the owner of an authority's home."""
    return Owner(f"authority:{code}")


def recipient_owner(code: RecipientCode) -> Owner:
    """Return the owner of a recipient's home."""
    return Owner(f"recipient:{code}")
