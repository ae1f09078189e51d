"""``python -m velatura``."""

from velatura.cli import main

main()
