from velatura.imaging import read_picture
from velatura.imaging.samples import SAMPLES


def test_samples_are_written_and_their_paths_printed(velatura, tmp_path):
    answer = velatura("samples", tmp_path / "samples", "--size", 16, "--seed", 1)
    assert (answer.status, answer.err) == (0, "")
    paths = [tmp_path / "samples" / f"{name}.png" for name in SAMPLES]
    assert answer.out.splitlines() == [str(path) for path in paths]
    assert {max(read_picture(path).width, read_picture(path).height) for path in paths} == {16}


def test_other_pictures_of_the_same_names_are_kept_unless_told_otherwise(velatura, refused, tmp_path):
    name = next(iter(SAMPLES))
    (tmp_path / f"{name}.png").write_bytes(b"mine")
    assert name in refused("samples", tmp_path, "--size", 16)
    assert (tmp_path / f"{name}.png").read_bytes() == b"mine"
    assert velatura("samples", tmp_path, "--size", 16, "--overwrite").status == 0
    assert read_picture(tmp_path / f"{name}.png").width == 16


def test_what_cannot_be_drawn_is_one_line(refused, tmp_path):
    assert refused("samples", tmp_path, "--size", 0).startswith("expected a size of ")
    assert refused("samples", tmp_path, "--seed", -1).startswith("expected a seed of ")
    assert refused("samples", "/proc/samples", "--size", 16).startswith("cannot write '/proc/samples/")
