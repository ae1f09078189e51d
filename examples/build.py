"""Makes the notebooks from their sources: ``python examples/build.py [NAME ...]``.

A source is a script of cells in jupytext's percent format. Its notebook has the same cells and what they
give: pictures as JPEG, so that it stays small. ``--text`` renews the text alone and keeps the pictures.
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import tempfile
from pathlib import Path

import jupytext
import nbformat
import numpy as np
from nbclient import NotebookClient
from PIL import Image

HERE = Path(__file__).parent
SOURCES = sorted(path for path in HERE.glob("*.py") if path.name != Path(__file__).name)
QUALITY = 85
_PLOT = 0.6  # Share of white; curves stay sharp, with few colours.
TIMEOUT_S = 3600
# The kernel's own code warns when it is shut down; that is no concern of the cells.
_STRICT = """import warnings
warnings.simplefilter("error")
warnings.filterwarnings("ignore", module="ipykernel")"""


def notebook_of(source: Path) -> nbformat.NotebookNode:
    """The notebook of a source, without outputs; the same bytes each time."""
    notebook = jupytext.read(source)
    for number, cell in enumerate(notebook.cells, start=1):
        cell["id"] = f"cell-{number:02}"
        cell["metadata"] = {}
    notebook["metadata"] = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def execute(notebook: nbformat.NotebookNode, *, timeout_s: int = TIMEOUT_S) -> None:
    """Runs the cells in a kernel of this Python, in an empty folder, with no weights but those that ship.

    Warnings are errors in the cells.

    Raises:
        CellExecutionError: A cell failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        surroundings = {
            "VELATURA_OFFLINE": "1",
            "VELATURA_CACHE": folder,
            "TORCH_HOME": folder,
            "IPYTHONDIR": folder,
            "JUPYTER_RUNTIME_DIR": folder,
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        }
        before = {name: os.environ.get(name) for name in (*surroundings, "VELATURA_WEIGHTS")}
        os.environ.update(surroundings)
        os.environ.pop("VELATURA_WEIGHTS", None)
        strict = nbformat.v4.new_code_cell(_STRICT)
        notebook.cells.insert(0, strict)
        try:
            client = NotebookClient(
                notebook,
                timeout=timeout_s,
                startup_timeout=timeout_s,
                kernel_name="python3",
                # It warns that it talks to this process unencrypted, on this machine.
                extra_arguments=["--IPKernelApp.log_level=ERROR"],
                resources={"metadata": {"path": folder}},
            )
            client.execute()
        finally:
            notebook.cells.remove(strict)
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def shrink(notebook: nbformat.NotebookNode) -> None:
    """Pictures as JPEG where that is smaller, and nothing that differs from run to run but the results."""
    count = 0
    for cell in notebook.cells:
        cell["metadata"] = {}
        if cell.cell_type != "code":
            continue
        count += 1
        cell["execution_count"] = count
        for output in cell.outputs:
            if "execution_count" in output:
                output["execution_count"] = count
            data = output.get("data", {})
            if "image/png" in data:
                kind, text = _smaller(base64.b64decode(data.pop("image/png")))
                data[kind] = text
                output["metadata"] = {}


def _smaller(png: bytes) -> tuple[str, str]:
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    white = (np.asarray(picture) == 255).all(axis=2).mean()
    buffer = io.BytesIO()
    if white > _PLOT:
        kind = "image/png"
        picture.quantize(64).save(buffer, "PNG", optimize=True)
    else:
        kind = "image/jpeg"
        picture.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return kind, base64.b64encode(buffer.getvalue()).decode()


def with_outputs_of(notebook: nbformat.NotebookNode, kept: nbformat.NotebookNode) -> None:
    """Takes over what the same code gave before.

    Raises:
        ValueError: It is other code.
    """
    ours, theirs = ([cell for cell in one.cells if cell.cell_type == "code"] for one in (notebook, kept))
    if [cell.source for cell in ours] != [cell.source for cell in theirs]:
        raise ValueError("the code has changed; run the notebook, without --text")
    for cell, old in zip(ours, theirs, strict=True):
        cell["outputs"], cell["execution_count"] = old.outputs, old.execution_count


def build(source: Path, *, text_only: bool = False) -> Path:
    """Writes the notebook beside its source."""
    notebook, path = notebook_of(source), source.with_suffix(".ipynb")
    if text_only:
        with_outputs_of(notebook, nbformat.read(path, as_version=4))
    else:
        execute(notebook)
        shrink(notebook)
    nbformat.write(notebook, path)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", default=[source.stem for source in SOURCES])
    parser.add_argument("--text", action="store_true", help="renew the text and keep what the cells gave")
    options = parser.parse_args()
    for name in options.names:
        path = build(HERE / f"{name}.py", text_only=options.text)
        print(f"{path} {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
