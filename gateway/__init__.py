"""The gateway: London's 33 local authorities drop a return; it is checked, sealed, stored, routed and receipted."""

__version__ = "0.1.0"
