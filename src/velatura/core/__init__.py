"""Errors, settings, registries and types: what every other floor stands on. Imports no torch."""
