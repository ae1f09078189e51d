"""The errors: one tree, and the nearest name."""

import pytest

from velatura.core import errors
from velatura.core.errors import ConfigError, VelaturaError, unknown_name


@pytest.mark.parametrize("name", [name for name in errors.__all__ if not name.islower()])
def test_every_error_is_one_of_ours(name):
    assert issubclass(getattr(errors, name), VelaturaError)


def test_a_wrong_setting_is_a_value_error():
    assert issubclass(ConfigError, ValueError)
    assert not issubclass(errors.WeightsError, ValueError)


@pytest.mark.parametrize(
    ("name", "known", "message"),
    [
        ("grm", ["moments", "gram"], "unknown loss 'grm'; did you mean 'gram'? (known: gram, moments)"),
        ("zzz", ["moments", "gram"], "unknown loss 'zzz' (known: gram, moments)"),
        ("gram", [], "unknown loss 'gram' (known: )"),
    ],
)
def test_the_nearest_name(name, known, message):
    error = unknown_name("loss", name, known)
    assert isinstance(error, ConfigError)
    assert str(error) == message
