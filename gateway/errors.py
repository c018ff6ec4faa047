"""Every failure of ours by name. Two families never mix: these go to the operator; findings go to the authority."""

from __future__ import annotations

from gateway.domain.failure import GatewayError

__all__ = [
    "AlreadyExistsError",
    "DatabaseUnavailableError",
    "DeliveryError",
    "GatewayError",
    "KeyMissingError",
    "NotAllowedError",
    "NotFoundError",
    "NoticeError",
    "OvertakenError",
    "RecordAlteredError",
    "ScannerUnavailableError",
    "SettingsError",
    "SpoolFullError",
    "StorageError",
    "TamperedError",
]


class SettingsError(GatewayError):
    """``settings.toml`` or the environment holds something the gateway cannot start with."""


class NotFoundError(GatewayError):
    """Something named by a person or a row does not exist."""


class AlreadyExistsError(GatewayError):
    """Something is there already and is never overwritten."""


class NotAllowedError(GatewayError):
    """A person may not do this (for example approve their own proposal)."""


class DatabaseUnavailableError(GatewayError):
    """The database is full, locked or away. Always passing: nothing was changed, and it is tried again."""


class KeyMissingError(GatewayError):
    """A key that is needed is not here, is expired or is revoked."""


class TamperedError(GatewayError):
    """Sealed bytes do not open: altered, cut short, reordered, or sealed to another key."""


class StorageError(GatewayError):
    """Storage is down, slow, full or answered nonsense. Usually passing."""


class SpoolFullError(GatewayError):
    """There is no room to receive more."""


class OvertakenError(GatewayError):
    """Somebody else has gone on with it meanwhile; whoever was at it before may do no more."""


class ScannerUnavailableError(GatewayError):
    """A malware scanner is configured and does not answer. Nothing passes until it does."""


class DeliveryError(GatewayError):
    """An extract could not be handed over."""


class NoticeError(GatewayError):
    """A notice could not be handed to its channel."""


class RecordAlteredError(GatewayError):
    """The ledger does not agree with itself or with a signed checkpoint."""
