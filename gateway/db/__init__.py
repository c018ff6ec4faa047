"""The tables: what must be remembered and found again. Each change and its ledger event are one transaction."""
