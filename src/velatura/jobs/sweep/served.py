"""What the server of processes imports, so that processes begin with it: nothing else should import this."""

from __future__ import annotations

import contextlib
import gc

from velatura.core.memory import importing

__all__: list[str] = []

with importing():
    import velatura.jobs.sweep.outputs
    import velatura.jobs.sweep.pool  # noqa: F401

    with contextlib.suppress(ImportError):
        # Half of what it takes to draw a figure.
        import matplotlib.backends.backend_agg
        import matplotlib.figure  # noqa: F401

# Not looked through by any process for garbage, and so not copied into it either.
gc.freeze()
