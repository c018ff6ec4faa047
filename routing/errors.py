"""What goes wrong when something is decided, cut or handed over. All go to the operator."""

from __future__ import annotations

from gateway.domain.failure import GatewayError


class RoutingError(GatewayError):
    """Base of every failure of this room."""


class NotAllowedError(RoutingError):
    """A person may not do this, for example approve their own proposal."""


class NotFoundError(RoutingError):
    """A recipient, an authorisation, an extract or a delivery that was named does not exist."""


class ProposalError(RoutingError):
    """A proposed decision contradicts itself or names what does not exist."""


class RecipeError(RoutingError):
    """An extract's folder holds something that cannot be used."""


class ExtractError(RoutingError):
    """An extract could not be cut from the returns at hand."""


class DeliveryError(RoutingError):
    """An extract could not be handed over."""
