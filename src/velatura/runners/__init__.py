"""Where jobs run. One entry serves every door."""

from velatura.runners.local import run

__all__ = ["run"]
