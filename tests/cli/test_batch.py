"""``velatura stylize`` for many photographs."""

import os
import signal

import pytest
import torch
from PIL import Image

from velatura import runners
from velatura.cli.batch import contents_of, output_for
from velatura.core.errors import ConfigError
from velatura.imaging import Picture, read_picture


@pytest.fixture
def photos(tmp_path):
    """A folder with two photographs, a file that only looks like one, and a text."""
    folder = tmp_path / "photos"
    folder.mkdir()
    torch.manual_seed(0)
    for name, width in (("a.png", 40), ("c.jpg", 32)):
        Picture.of(torch.rand(3, 32, width)).save(folder / name)
    (folder / "b.png").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("notes")
    return folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_rest_is_done_where_one_fails(stylize, photos, tmp_path):
    done = tmp_path / "done"
    answer = stylize("-q", content=photos, output=done)
    assert answer.status == 1
    assert answer.out.splitlines() == [f"{done}/a.png", f"{done}/c.jpg"]
    lines = answer.err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"velatura: {photos}/b.png: cannot read '{photos}/b.png': it is in no format")
    assert lines[1] == "velatura: 1 of 3 pictures failed, 2 written"
    assert names(done) == ["a.png", "c.jpg"]
    assert [read_picture(done / name).width for name in names(done)] == [40, 32]


def test_an_error_nobody_thought_of_is_one_picture_s_too(stylize, photos, tmp_path, monkeypatch):
    def run(job, **options):
        if job.content.endswith("a.png"):
            raise RuntimeError("first line\nsecond line")
        return runners.run(job, **options)

    monkeypatch.setattr("velatura.cli.batch.run", run)
    answer = stylize("-q", content=photos / "[ac].*", output=tmp_path / "done")
    assert answer.status == 1
    assert answer.err.splitlines()[0] == (
        f"velatura: {photos}/a.png: unexpected RuntimeError: first line second line"
    )
    assert names(tmp_path / "done") == ["c.jpg"]


def test_a_pattern_names_many_and_all_well_is_status_0(stylize, photos, tmp_path):
    answer = stylize(content=photos / "[ac].*", output=tmp_path / "done")
    assert answer.status == 0
    assert names(tmp_path / "done") == ["a.png", "c.jpg"]
    assert "1/2 a.png: scale 1/1 40x32, step 1/2, loss " in answer.err
    assert "2/2 c.jpg: scale 1/1 32x32, step 2/2, loss " in answer.err


def test_a_pattern_that_names_one_is_a_batch_of_one(stylize, photos, tmp_path):
    assert stylize("-q", content=photos / "a*", output=tmp_path / "done").status == 0
    assert names(tmp_path / "done") == ["a.png"]


def test_a_name_that_looks_like_a_pattern_is_a_name_where_there_is_such_a_file(photos):
    odd = photos / "a[1]*.png"
    (photos / "a.png").rename(odd)
    assert contents_of(str(odd)) == ([odd], False)


def test_every_picture_that_can_be_read_is_found(photos):
    for name in ("d.TIFF", "e.gif", ".hidden.png", "f.ico"):
        (photos / name).touch()
    found, several = contents_of(str(photos))
    assert several
    assert [path.name for path in found] == ["a.png", "b.png", "c.jpg", "d.TIFF", "e.gif", "f.ico"]


@pytest.mark.parametrize("name", ["x.png", "x.JPG", "x.jpeg", "x.webp", "x.tif", "x.tiff", "x.avif"])
def test_names_are_kept(tmp_path, name):
    assert output_for(tmp_path / name, tmp_path / "done") == tmp_path / "done" / name


@pytest.mark.parametrize("name", ["x.gif", "x.BMP", "x.ico", "x.tga", "x"])
def test_what_is_not_written_becomes_png(tmp_path, name):
    assert output_for(tmp_path / name, tmp_path) == tmp_path / "x.png"


@pytest.mark.parametrize("content", ["{}/empty", "{}/photos/*.gif"])
def test_nothing_to_do_is_an_error(tmp_path, photos, content):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"holds no picture \(expected .avif, |^no file matches"):
        contents_of(content.replace("{}", str(tmp_path)))


def test_a_folder_that_may_not_be_looked_into_is_one_line(stylize_refused, photos, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(type(photos), "iterdir", refuse)  # Root may look everywhere.
    assert stylize_refused(content=photos) == f"cannot look into folder {photos}: Permission denied"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--record", "a.json"], "--record names one file and cannot go with several photographs"),
        (["--history", "a.json"], "--history names one file and cannot go with several photographs"),
        (["--plot", "a.png"], "--plot names one file and cannot go with several photographs"),
        (["--checkpoint", "a"], "--checkpoint names one file and cannot go with several photographs"),
        (["--resume", "a"], "--resume names one file and cannot go with several photographs"),
        (
            ["--save-every", 1, "--save-pattern", "{step}.png"],
            "--save-pattern must have {name} in it, or photographs overwrite each other's",
        ),
        (["--weights", "none.pth"], "no weights file none.pth"),
        (["--backbone", "vgg91"], "unknown backbone 'vgg91'"),
        (["--size", 0], "size: input should be greater than or equal to 1, not 0"),
    ],
)
def test_what_would_make_every_picture_fail_is_one_line(stylize_refused, photos, tmp_path, words, line):
    (photos / "b.png").unlink()
    assert stylize_refused(*words, content=photos, output=tmp_path / "done").startswith(line)
    assert not (tmp_path / "done").exists()


def test_an_unreadable_painting_is_said_once(stylize_refused, photos, tmp_path):
    line = stylize_refused(content=photos, style=photos / "b.png", output=tmp_path / "done")
    assert line.startswith(f"cannot read '{photos}/b.png': ")


def test_many_do_not_go_into_a_file(stylize_refused, photos, painting):
    line = stylize_refused(content=photos, output=painting)
    assert line == f"{painting} is a file; several photographs need a folder to go to"


def test_nor_into_a_folder_that_is_called_like_one(stylize, stylize_refused, photos, tmp_path):
    line = stylize_refused(content=photos, output=tmp_path / "out.jpg")
    assert line == f"{tmp_path}/out.jpg names a picture; several photographs need a folder to go to"
    (tmp_path / "there.png").mkdir()
    (photos / "b.png").unlink()
    assert stylize("-q", content=photos, output=tmp_path / "there.png").status == 0


@pytest.mark.parametrize("folder", ["/proc/done", "x" * 300])
def test_a_folder_that_takes_no_file_is_said_once(stylize_refused, photos, tmp_path, folder):
    assert stylize_refused(content=photos, output=tmp_path / folder).startswith("cannot write '")


def test_two_photographs_do_not_share_a_name(stylize_refused, photos, tmp_path):
    with Image.open(photos / "a.png") as image:
        image.save(photos / "a.gif")
    line = stylize_refused(content=photos, output=tmp_path / "done")
    assert line == f"{photos}/a.gif and {photos}/a.png would both be written to {tmp_path}/done/a.png"
    assert not (tmp_path / "done").exists()


@pytest.mark.parametrize("way", ["photos", "link"])
def test_photographs_are_not_overwritten(stylize_refused, photos, tmp_path, way):
    (tmp_path / "link").symlink_to(photos, target_is_directory=True)
    before = {path.name: path.read_bytes() for path in photos.iterdir()}
    line = stylize_refused(content=photos, output=tmp_path / way)
    assert line.endswith("/a.png is read here and will not be overwritten; choose another folder")
    assert {path.name: path.read_bytes() for path in photos.iterdir()} == before


def test_pictures_on_the_way_go_beside_each_output(stylize, photos, tmp_path):
    (photos / "b.png").unlink()
    assert stylize("-q", "--save-every", 2, content=photos, output=tmp_path / "done").status == 0
    assert names(tmp_path / "done") == ["a-00002.png", "a.png", "c-00002.jpg", "c.jpg"]


def test_ctrl_c_ends_the_batch_with_the_picture_at_work(stylize, photos, tmp_path, monkeypatch):
    def run(job, *, on_progress, cancelled, **options):
        def report(progress):
            if job.content.endswith("c.jpg"):
                os.kill(os.getpid(), signal.SIGINT)
            on_progress(progress)

        return runners.run(job, on_progress=report, cancelled=cancelled, **options)

    (photos / "b.png").unlink()
    Picture.of(torch.rand(3, 32, 32)).save(photos / "d.png")
    monkeypatch.setattr("velatura.cli.batch.run", run)
    before = signal.getsignal(signal.SIGINT)
    answer = stylize("-q", content=photos, output=tmp_path / "done", steps=50)
    assert answer.status == 130
    assert answer.err.splitlines()[-1] == "velatura: interrupted, 2 of 3 pictures written"
    assert names(tmp_path / "done") == ["a.png", "c.jpg"]
    assert signal.getsignal(signal.SIGINT) is before
