"""Loops: how a picture or a network is optimised."""
