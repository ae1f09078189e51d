"""Makes the notebooks from their sources: ``python examples/build.py [NAME ...]``.

A source is a script of cells in jupytext's percent format. Its notebook has the same cells and what they
give: pictures as JPEG, so that it stays small. ``--clear`` makes them without, in no time.
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import tempfile
import warnings
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from PIL import Image

HERE = Path(__file__).parent
SOURCES = sorted(path for path in HERE.glob("*.py") if path.name != Path(__file__).name)
QUALITY = 88
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
    picture = Image.open(io.BytesIO(png))
    jpeg, palette = io.BytesIO(), io.BytesIO()
    picture.convert("RGB").save(jpeg, "JPEG", quality=QUALITY, subsampling=0, optimize=True)
    # Curves on white have few colours.
    picture.convert("RGB").quantize(64).save(palette, "PNG", optimize=True)
    is_plot = len(picture.convert("RGB").resize((64, 64)).getcolors(4096) or ()) < 400
    kind, data = ("image/png", palette) if is_plot else ("image/jpeg", jpeg)
    return kind, base64.b64encode(data.getvalue()).decode()


def build(source: Path, *, clear: bool = False) -> Path:
    """Writes the notebook beside its source."""
    notebook = notebook_of(source)
    if not clear:
        execute(notebook)
        shrink(notebook)
    path = source.with_suffix(".ipynb")
    nbformat.write(notebook, path)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", default=[source.stem for source in SOURCES])
    parser.add_argument("--clear", action="store_true", help="without outputs")
    options = parser.parse_args()
    for name in options.names:
        path = build(HERE / f"{name}.py", clear=options.clear)
        print(f"{path} {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    with warnings.catch_warnings():
        main()
