"""The record that cannot be quietly changed: proofs, signed checkpoints, receipts. Pure; rows are read elsewhere."""
