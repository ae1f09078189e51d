import json

import pytest
from PIL import Image

from velatura.core.errors import ConfigError, OutputError
from velatura.runners import run


def test_a_saved_result_carries_its_record(job, tmp_path):
    result = run(job())
    result.save(tmp_path / "again.png", bits=16)
    with Image.open(tmp_path / "again.png") as image:
        assert json.loads(image.text["velatura"]) == json.loads(json.dumps(result.record))


def test_saving_refuses_what_it_cannot_do(job, tmp_path):
    result = run(job())
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(ConfigError, match="no 16 bits"):
        result.save(tmp_path / "again.jpg", bits=16)
    with pytest.raises(OutputError, match="it is a folder"):
        result.save(tmp_path / "folder.png")


def test_a_notebook_shows_the_picture(job):
    assert run(job())._repr_png_().startswith(b"\x89PNG")
