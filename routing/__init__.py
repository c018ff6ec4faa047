"""Who may have it, and how does it reach them? Policy, register, extracts and delivery.

* ``policy`` decides, ``register`` keeps the decisions, ``recipe`` and ``extract`` cut what was allowed, ``deliver``
  hands it over.
* Of the gateway it knows only the words (``gateway.domain``). Storage, sealing and homes are handed in (``ports``).
"""
