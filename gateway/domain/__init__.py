"""The words of the field as frozen values, and the pure rules between them. Imports nothing of ours."""
