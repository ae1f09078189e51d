"""Answers that the page saved are read; whatever else comes is refused, with the reason."""

import json
from pathlib import Path

import pytest

from velatura.core.errors import ConfigError
from velatura.jobs.survey.answers import read_answers


@pytest.fixture
def refused(save, define):
    """The reason why answers, edited, are refused; their checksum is mended where ``sign``."""

    def why(edit, *, sign=True, **settings):
        definition = define(**{"checks": 1, "repeat": 1, **settings})
        path = save(definition, 1, edit=edit, sign=sign)
        with pytest.raises(ConfigError) as refusal:
            read_answers([Path(path)])
        assert str(refusal.value).startswith(f"refused: {path}: ")
        return str(refusal.value).removeprefix(f"refused: {path}: ")

    return why


def read(*paths):
    return read_answers([Path(path) for path in paths])


def test_answers_are_read_with_the_survey_they_are_of(save, define):
    definition = define(checks=1, repeat=1)
    found, (answers,) = read(save(definition, 1, lambda item, methods: item % 2, ms=2500))
    assert found == definition
    assert answers.rater == f"{1:016x}"
    assert answers.attentive
    kinds = [answer.kind for answer in answers.answers]
    assert sorted(kinds) == ["check", "pair", "pair", "pair", "pair", "repeat"]
    for answer in answers.answers:
        if answer.kind == "pair":
            chosen, other = definition.origins((answer.chosen, answer.other))
            assert (chosen.method, other.method) == (chosen.item % 2, 1 - chosen.item % 2)
    assert {answer.seconds for answer in answers.answers} == {2.5}


def test_who_failed_a_check_is_read_all_the_same(save, define):
    _, (answers,) = read(save(define(checks=2), 1, attentive=False))
    assert not answers.attentive


def test_how_the_file_is_laid_out_does_not_matter(save, define):
    path = Path(save(define(), 1))
    path.write_text("\ufeff" + json.dumps(json.loads(path.read_text())), encoding="utf-8")
    assert len(read(path)[1]) == 1


def first(kind):
    return lambda content: next(answer for answer in content["answers"] if answer["kind"] == kind)


def test_a_choice_edited_by_hand_is_refused(refused):
    def edit(content):
        answer = first("pair")(content)
        answer["choice"] = "left" if answer["choice"] == "right" else "right"

    assert refused(edit, sign=False) == (
        "it was changed after the page wrote it; ask for the file as it was saved"
    )


@pytest.mark.parametrize("number", [0, 2, 5])
def test_sides_that_the_rater_was_not_shown_are_refused(refused, number):
    def edit(content):
        answer = content["answers"][number]
        answer["left"], answer["right"] = answer["right"], answer["left"]

    assert f"answer {number + 1} is not to what rater {1:016x} was shown there" in refused(edit)


def test_another_rater_s_name_on_the_same_answers_is_refused(refused):
    assert "is not to what rater 00000000000000aa was shown" in refused(
        lambda content: content.update(rater="00000000000000aa")
    )


def test_answers_that_are_missing_or_too_many_are_refused(refused):
    assert (
        refused(lambda content: content["answers"].pop()) == "it has 5 answers, where the page asks 6 times"
    )
    assert refused(lambda content: content["answers"].append(content["answers"][0])).startswith(
        "it has 7 answers"
    )


def test_checks_that_do_not_count_up_are_refused(refused):
    assert refused(lambda content: content["checks"].update(passed=0)) == (
        "it says 0 of 1 checks passed, where its answers pass 1 of 1"
    )


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (
            lambda c: first("pair")(c).update(choice="middle"),
            "choice: input should be 'left' or 'right', not 'middle'",
        ),
        (lambda c: first("pair")(c).update(ms=-1), "ms: input should be greater than or equal to 0, not -1"),
        (lambda c: first("pair")(c).update(ms=1.5), "ms: input should be a valid integer"),
        (lambda c: first("pair")(c).update(ms="9"), "ms: input should be a valid integer"),
        (lambda c: first("pair")(c).update(sure=True), "sure: extra inputs are not permitted"),
        (lambda c: c.update(note="hello"), "note: extra inputs are not permitted"),
        (lambda c: c.update(rater="Anna"), "rater: string should match pattern"),
        (lambda c: c.update(finished="\ud800"), "finished: "),
        (lambda c: c.pop("digest"), "digest: field required"),
        (lambda c: c.update(format="velatura survey answers 9"), "it is no answers file"),
        (lambda c: c.update(survey="0" * 64), "the seal is not that of survey 000000000000"),
        (lambda c: c.update(sealed=c["sealed"][:-8]), "the seal"),
    ],
)
def test_what_the_page_never_writes_is_refused(refused, edit, reason):
    assert reason in refused(edit, sign=False)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is no JSON"),
        (b"{", "it is no JSON"),
        (b"[" * 100_000, "it is no JSON"),
        (b"\xff\xfe\x00", "it is no text"),
        (b"[]", "it is no answers file"),
        (b'{"answers": []}', "it is no answers file"),
    ],
)
def test_what_is_no_answers_file_is_refused(tmp_path, data, reason):
    path = tmp_path / "answers.json"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=reason):
        read(path)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="it cannot be read: no such file or directory"):
        read(tmp_path / "answers.json")
    with pytest.raises(ConfigError, match="it cannot be read: is a directory"):
        read(tmp_path)
    with pytest.raises(ConfigError, match="expected at least one answers file"):
        read()


def test_answers_of_another_survey_are_refused(save, define):
    one, other = define(), define(seed=1)
    paths = [save(one, 1), save(other, 2), save(one, 3)]
    with pytest.raises(ConfigError) as refusal:
        read(*paths)
    assert str(refusal.value) == (
        f"refused: {paths[1]}: it is of survey {other.id[:12]}, {paths[0]} of {one.id[:12]}"
    )


def test_a_rater_who_is_there_already_is_refused(save, define, tmp_path):
    path = save(define(), 1)
    again = tmp_path / "again.json"
    again.write_text(Path(path).read_text())
    with pytest.raises(ConfigError, match=rf"again.json: rater {1:016x} is in .*answers-1.json already"):
        read(path, again)


def test_more_than_one_refusal_is_counted(save, define, tmp_path):
    (tmp_path / "a.json").write_text("{")
    (tmp_path / "b.json").write_text("{")
    with pytest.raises(ConfigError, match=r"a\.json.*\(so are 1 more\)"):
        read(tmp_path / "a.json", save(define(), 1), tmp_path / "b.json")
