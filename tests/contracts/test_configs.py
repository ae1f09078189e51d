"""Every registered part is a frozen config that says everything about itself, once."""

import dataclasses
import json
from typing import get_type_hints

import pytest
from pydantic import TypeAdapter

from velatura.colors import colors
from velatura.core.config import Setting, to_mapping
from velatura.core.errors import ConfigError
from velatura.engine.train.schedules import schedules
from velatura.initializations import initializations
from velatura.losses import losses
from velatura.metrics import metrics
from velatura.networks import networks
from velatura.optimizers import optimizers

REGISTRIES = (losses, optimizers, initializations, colors, metrics, networks, schedules)
PARTS = [
    pytest.param(registry, name, id=f"{registry.kind}-{name}") for registry in REGISTRIES for name in registry
]


@pytest.mark.parametrize(("registry", "name"), PARTS)
def test_builds_from_defaults_and_round_trips(registry, name):
    part = registry[name]()
    mapping = json.loads(json.dumps(to_mapping(part)))
    assert mapping.pop("name") == name
    assert TypeAdapter(registry[name]).validate_python(mapping) == part


@pytest.mark.parametrize(("registry", "name"), PARTS)
def test_is_frozen_and_keyword_only(registry, name):
    part = registry[name]()
    for field in dataclasses.fields(part):
        assert field.kw_only
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(part, field.name, getattr(part, field.name))
    assert hash(part) == hash(registry[name]())


@pytest.mark.parametrize(("registry", "name"), PARTS)
def test_every_field_carries_its_help(registry, name):
    hints = get_type_hints(registry[name], include_extras=True)
    for field in dataclasses.fields(registry[name]):
        help_texts = [mark.help for mark in _marks(hints[field.name]) if isinstance(mark, Setting)]
        assert len(help_texts) == 1, field.name
        assert help_texts[0].strip()


@pytest.mark.parametrize(("registry", "name"), PARTS)
def test_has_a_docstring_of_its_own(registry, name):
    docstring = registry[name].__doc__ or ""
    assert not docstring.startswith(f"{registry[name].__name__}("), "only the one that dataclass writes"
    assert docstring.strip()


@pytest.mark.parametrize(("registry", "name"), PARTS)
def test_a_misspelt_name_is_answered_with_the_nearest(registry, name):
    with pytest.raises(ConfigError, match=f"unknown {registry.kind} '{name}q'; did you mean '{name}'"):
        registry[name + "q"]


def _marks(annotation):
    return getattr(annotation, "__metadata__", ())
