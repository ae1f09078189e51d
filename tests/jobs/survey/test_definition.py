"""The survey's id, and the seal that hides the methods."""

import base64
import dataclasses
import json
import zlib

import pytest

from velatura.core.errors import ConfigError
from velatura.jobs.survey.definition import Origin, unseal


def test_a_seal_gives_the_definition_back(define):
    definition = define(question="Quelle œuvre ?", repeat=1)
    assert unseal(definition.seal(), id=definition.id) == definition


def test_a_seal_does_not_show_the_methods(define):
    sealed = define().seal()
    assert all(word not in sealed for word in ("ours", "theirs", "lake"))


@pytest.mark.parametrize("change", [{"seed": 1}, {"question": "?"}, {"methods": ("theirs", "ours")}])
def test_the_id_is_another_where_the_survey_is(define, change):
    assert dataclasses.replace(define(), **change).id != define().id


def test_the_id_is_another_where_a_picture_is(define):
    definition = define()
    first, *rest = definition.pictures
    pictures = {"f" * 16: definition.pictures[first]} | {one: definition.pictures[one] for one in rest}
    assert dataclasses.replace(definition, pictures=pictures).id != definition.id


@pytest.mark.parametrize("sealed", ["", "?", "é", "AAAA", base64.b64encode(zlib.compress(b"{}")).decode()])
def test_what_is_no_seal_is_refused(define, sealed):
    with pytest.raises(ConfigError, match="what the pictures are cannot be told"):
        unseal(sealed, id=define().id)


def test_a_seal_that_was_opened_and_changed_is_refused(define):
    definition = define()
    changed = json.loads(zlib.decompress(base64.b64decode(definition.seal())))
    changed["methods"].reverse()
    sealed = base64.b64encode(zlib.compress(json.dumps(changed).encode())).decode()
    with pytest.raises(ConfigError, match="the seal is not that of survey"):
        unseal(sealed, id=definition.id)


def test_a_seal_that_unpacks_without_end_is_refused(define):
    bomb = base64.b64encode(zlib.compress(bytes(2**25))).decode()
    with pytest.raises(ConfigError, match="not whole"):
        unseal(bomb, id=define().id)


def test_a_definition_that_does_not_hold_together_is_refused(define):
    definition = define()
    first = next(iter(definition.pictures))
    beyond = dataclasses.replace(
        definition, pictures={**definition.pictures, first: Origin(method=9, item=0)}
    )
    with pytest.raises(ConfigError, match="names methods that it does not have"):
        unseal(beyond.seal(), id=beyond.id)
    without = dataclasses.replace(definition, pairs=(("a", "b"),))
    with pytest.raises(ConfigError, match="names pictures that it does not have"):
        unseal(without.seal(), id=without.id)
