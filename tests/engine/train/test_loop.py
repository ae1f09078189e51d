"""The loop: resumed to the bit, stopped cleanly, and what goes wrong on the way."""

import errno

import pytest
import torch
from safetensors.torch import load_file

from velatura.core.errors import ConfigError, OutputError, VelaturaError
from velatura.engine.objective import Term
from velatura.engine.train import Cadence, resume, train
from velatura.engine.train import loop as loop_module
from velatura.networks import networks

TEXTURE_NET = networks["texture-net"](task="stylization", scales=2, channels=2, padding="reflect")


def run(school, *words, goes_on=False, reports=None, cadence=None, cancelled=lambda: False, **changes):
    trainer, batches, held_out, saving = school(*words, **changes)
    if goes_on:
        resume(trainer, saving)
    interrupted = train(
        trainer,
        batches,
        held_out,
        saving=saving,
        on_report=(reports if reports is not None else []).append,
        cancelled=cancelled,
        cadence=cadence or Cadence(report=2, validate=3),
    )
    return trainer, interrupted


@pytest.mark.parametrize(
    ("kind", "changes"), [("one", {}), ("many", {}), ("any", {}), ("one", {"network": TEXTURE_NET})]
)
def test_a_resumed_run_equals_an_unbroken_one(school, kind, changes):
    whole = run(school, kind, steps=6, **changes)[0].state()
    first, _ = run(school, kind, steps=3, **changes)
    assert first.step == 3
    second, _ = run(school, kind, steps=6, goes_on=True, **changes)
    assert second.step == 6
    parts = second.state()
    assert whole.keys() == parts.keys()
    for key, value in whole.items():
        assert torch.equal(value, parts[key]), key


def test_reports(school):
    reports = []
    run(school, steps=5, reports=reports)
    assert [(report.step, report.held_out) for report in reports] == [
        (0, True),
        (2, False),
        (3, True),
        (4, False),
        (5, False),
        (5, True),
    ]
    for report in reports:
        assert report.steps == 5
        assert report.loss == pytest.approx(sum(report.terms.values()))
        assert set(report.terms) == {"content", "style"}
        assert (report.sheet is not None) == report.held_out
    learning = reports[1]
    assert learning.images_per_second > 0
    assert 0 <= learning.data_wait <= 1
    assert learning.seconds_left > 0
    # Three photographs and a painting above: three rows and one, two columns of 16 pixels and 4 between.
    assert reports[0].sheet.shape == (3, 4 * 20 - 4, 2 * 20 - 4)


@pytest.mark.parametrize(("kind", "columns"), [("many", 4), ("any", 4)])
def test_a_sheet_has_a_column_for_each_style(school, kind, columns):
    reports = []
    run(school, kind, steps=1, reports=reports)
    assert reports[0].sheet.shape == (3, 76, columns * 20 - 4)
    low, high = torch.aminmax(reports[0].sheet)
    assert 0 <= low <= high <= 1


def test_a_reported_term_is_the_mean_since_the_last_report(school):
    trainer, batches, _, _ = school(steps=2)
    lessons = [trainer.advance(batches[step]).terms for step in range(2)]
    reports = []
    run(school, steps=2, reports=reports)
    for name, value in reports[1].terms.items():
        assert value == pytest.approx((lessons[0][name] + lessons[1][name]) / 2, rel=1e-6)


def test_cancelled_it_saves_and_stops(school):
    asked = []

    def cancelled():
        asked.append(None)
        return len(asked) > 4

    trainer, interrupted = run(school, steps=100, cancelled=cancelled)
    assert interrupted
    assert trainer.step == 4
    again, _ = run(school, steps=6, goes_on=True)
    assert again.step == 6


def test_a_run_of_other_settings_is_not_gone_on_with(school):
    run(school, steps=2)
    trainer, _, _, saving = school()
    other = loop_module.Saving(checkpoint=saving.checkpoint, fingerprint={"seed": 4})
    with pytest.raises(ConfigError, match="it is of a run with another seed;"):
        resume(trainer, other)


def test_a_loss_that_is_not_finite_ends_the_run_and_keeps_batch_and_checkpoint(school):
    trainer, batches, held_out, saving = school(steps=9)
    seen = {}

    def on_report(report):
        if report.step == 4 and not report.held_out:
            seen["checkpoint"] = load_file(saving.checkpoint)
            terms = trainer.objective.terms
            trainer.objective.terms = {
                name: Term(loss=term.loss, of=term.of, layers=term.layers, weight=float("nan"))
                for name, term in terms.items()
            }

    message = r"not finite at step 4 \(content nan, style nan\); its batch is in .*not-finite-step-000004"
    with pytest.raises(VelaturaError, match=message):
        train(
            trainer,
            batches,
            held_out,
            saving=saving,
            on_report=on_report,
            cadence=Cadence(report=2, validate=3),
        )
    (file,) = saving.checkpoint.parent.glob("not-finite-*")
    assert torch.equal(load_file(file)["contents"], batches[4].contents)
    kept = load_file(saving.checkpoint)
    assert all(torch.equal(kept[key], value) for key, value in seen["checkpoint"].items())
    assert all(bool(torch.isfinite(value).all()) for value in kept.values())


def test_a_full_disk_keeps_the_last_checkpoint(school, monkeypatch):
    trainer, batches, held_out, saving = school(steps=9)
    write, times = loop_module.write_checkpoint, []

    def fail_later(path, tensors, record, *, of):
        times.append(record["step"])
        if len(times) < 2:
            return write(path, tensors, record, of=of)
        from velatura.core.files import atomic_path

        with atomic_path(path) as temporary:
            temporary.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(loop_module, "write_checkpoint", fail_later)
    with pytest.raises(OutputError, match="the disk is full"):
        train(
            trainer,
            batches,
            held_out,
            saving=saving,
            on_report=lambda _: None,
            cadence=Cadence(report=2, validate=3),
        )
    assert times == [3, 6]
    assert {path.name for path in saving.checkpoint.parent.iterdir()} == {"checkpoint.safetensors"}
    monkeypatch.undo()
    again = school(steps=9)[0]
    resume(again, saving)
    assert again.step == 3


def test_checkpoints_by_the_clock(school, monkeypatch):
    saved = []
    write = loop_module.write_checkpoint
    monkeypatch.setattr(
        loop_module,
        "write_checkpoint",
        lambda path, tensors, record, *, of: (
            saved.append(record["step"]),
            write(path, tensors, record, of=of),
        ),
    )
    run(school, steps=3, cadence=Cadence(report=100, validate=100, save_s=0.0))
    assert saved == [1, 2, 3]
