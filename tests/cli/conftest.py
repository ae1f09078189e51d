"""The command line in this process, and small pictures to give to it."""

import json
import shutil
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest

from velatura.cli import main
from velatura.imaging import Picture

VOID = {"meta", "img", "input", "br"}


@pytest.fixture
def velatura(capsys):
    """Calls the command line; gives its exit status and what it wrote."""

    def call(*words):
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(word) for word in words])
        written = capsys.readouterr()
        return SimpleNamespace(status=stop.value.code, out=written.out, err=written.err)

    return call


@pytest.fixture
def refused(velatura):
    """Calls the command line, which must answer with one line and exit status 2; gives the line."""

    def call(*words):
        answer = velatura(*words)
        assert (answer.status, answer.out) == (2, ""), answer
        assert answer.err.startswith("velatura: ")
        assert answer.err.count("\n") == 1, answer.err
        return answer.err.removeprefix("velatura: ").rstrip("\n")

    return call


@pytest.fixture
def photo(tmp_path):
    """40x32 pixels of smooth colour, as PNG."""
    rows, columns = np.mgrid[:32, :40]
    pixels = np.stack([columns / 39, rows / 31, (rows + columns) / 70], axis=2)
    Picture.of(pixels.astype(np.float32)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture
def painting(tmp_path):
    """32x32 pixels of coloured grain, as PNG."""
    Picture.of(np.random.default_rng(0).random((32, 32, 3), np.float32)).save(tmp_path / "painting.png")
    return tmp_path / "painting.png"


@pytest.fixture
def stylize(velatura, photo, painting, tmp_path):
    """``velatura stylize`` of two steps, into ``out.png`` unless told otherwise."""

    def call(*words, content=photo, style=painting, output=tmp_path / "out.png", steps=2):
        return velatura("stylize", content, style, "-o", output, "--steps", steps, *words)

    return call


@pytest.fixture
def stylize_refused(refused, photo, painting, tmp_path):
    """The same, where it must be refused."""

    def call(*words, content=photo, style=painting, output=tmp_path / "out.png"):
        return refused("stylize", content, style, "-o", output, "--steps", 2, *words)

    return call


@pytest.fixture(scope="session")
def browser():
    """A real browser, for the pages that the command line writes."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


class Page(HTMLParser):
    """Tags with their attributes, text, and whether every element is closed where it was opened."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.words, self.data = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "script" in self.open or "style" in self.open:
            if self.tags[-1] == ("script", {"type": "application/json"}):
                self.data.append(json.loads(data))
        else:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def figures(self):
        """Names of the pictures that are shown."""
        return [attributes["data-name"] for attributes in self.all("figure") if "data-name" in attributes]


@pytest.fixture
def report(velatura, tmp_path):
    """Calls ``velatura report``, which must succeed, and takes the page apart."""

    def call(source, *words):
        answer = velatura("report", source, "-o", tmp_path / "page" / "report.html", "-q", *words)
        assert answer.status == 0, answer
        text = (tmp_path / "page" / "report.html").read_text(encoding="utf-8")
        return SimpleNamespace(**vars(answer), page=Page(text), html=text)

    return call
