import pytest

from velatura.core.errors import ConfigError
from velatura.jobs.sweep.reading import read_document


@pytest.fixture
def read(tmp_path):
    def read(text):
        (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
        return read_document(tmp_path / "a.yaml", name="a.yaml")

    return read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e4", 10000.0),
        ("1e-3", 0.001),
        (".5", 0.5),
        ("010", 10),
        ("-3", -3),
        ("true", True),
        ("no", "no"),
        ("null", None),
        ("~", None),
        ("'1e4'", "1e4"),
        ('"true"', "true"),
        ("relu1_1", "relu1_1"),
        ("1e", "1e"),
        ("2020-01-01", "2020-01-01"),
        ("[1, 2.5, a]", [1, 2.5, "a"]),
        ("{a: 1, b.c: [x]}", {"a": 1, "b.c": ["x"]}),
    ],
)
def test_scalars_are_those_of_yaml_1_2(read, text, value):
    found = read(f"x: {text}").content["x"]
    assert found == value
    assert type(found) is type(value)


def test_every_key_and_item_has_its_line(read):
    document = read("title: x\naxes:\n  # a comment\n  strength:\n    - 1\n    - 2\n")
    assert document.lines["axes",] == 2
    assert document.lines["axes", "strength"] == 4
    assert document.lines["axes", "strength", 1] == 6
    assert str(document.error(("axes", "strength", 1), "too much")) == "a.yaml:6: too much"
    # What is not there is said at what holds it.
    assert str(document.error(("axes", "other"), "missing")).startswith("a.yaml:2:")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2\n", r"^a.yaml:2: 'a' stands here a second time"),
        ("a: [1, 2\nb: 3\n", r"^a.yaml:2: this is no YAML"),
        ("a: &x 1\nb: *x\n", r"^a.yaml:2: aliases such as \*x are not read"),
        ("- 1\n- 2\n", r"^a.yaml:1: expected fields"),
        ("", r"^a.yaml:1: expected fields"),
        ("a: 1\n[1]: 2\n", r"^a.yaml:2: expected a name"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_line(read, text, message):
    with pytest.raises(ConfigError, match=message):
        read(text)


def test_a_file_that_is_not_there_or_no_text(tmp_path):
    with pytest.raises(ConfigError, match=r"^cannot read .*No such file"):
        read_document(tmp_path / "none.yaml")
    (tmp_path / "b.yaml").write_bytes(b"a: \xff\xfe")
    with pytest.raises(ConfigError, match="no text in UTF-8"):
        read_document(tmp_path / "b.yaml")
