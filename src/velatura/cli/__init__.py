"""The command line: words into jobs, progress and errors into lines. No mathematics."""

from velatura.cli.app import main

__all__ = ["main"]
