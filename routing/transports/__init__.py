"""How a delivery reaches its recipient: one file a transport, each behind ``routing.ports.Transport``."""
