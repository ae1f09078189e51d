import errno
import os
import resource
from pathlib import Path

import pytest

from velatura.core.errors import OutputError
from velatura.core.files import atomic_path, check_writable, same_file, sha256_file


def contents(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def test_the_file_appears_when_the_block_ends(tmp_path):
    target = tmp_path / "out.json"
    with atomic_path(target) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".json"
        temporary.write_bytes(b"new")
        assert not target.exists()
    assert contents(tmp_path) == {"out.json": b"new"}


def test_missing_folders_are_made(tmp_path):
    with atomic_path(tmp_path / "a" / "b" / "out.txt") as temporary:
        temporary.write_bytes(b"deep")
    assert contents(tmp_path) == {"a/b/out.txt": b"deep"}


def test_the_result_has_the_rights_of_any_new_file(tmp_path):
    (tmp_path / "plain").touch()
    with atomic_path(tmp_path / "out") as temporary:
        temporary.write_bytes(b"x")
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("error", [RuntimeError("inside"), KeyboardInterrupt(), SystemExit(3)])
def test_a_failing_block_leaves_the_old_file_and_nothing_else(tmp_path, error):
    (tmp_path / "out").write_bytes(b"old")

    def write_half():
        with atomic_path(tmp_path / "out") as temporary:
            temporary.write_bytes(b"half")
            raise error

    with pytest.raises(type(error)):
        write_half()
    assert contents(tmp_path) == {"out": b"old"}


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        message = r"^cannot write .*out': the file would be larger than"
        with pytest.raises(OutputError, match=message), atomic_path(tmp_path / "out") as temporary:
            temporary.write_bytes(bytes(5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    ("code", "line"),
    [
        (errno.ENOSPC, "cannot write '{}': the disk is full"),
        (errno.EROFS, "cannot write '{}': the disk is read-only"),
        (errno.EACCES, "cannot write '{}': permission denied"),
        (errno.EIO, "cannot write '{}': Input/output error"),
    ],
)
def test_a_failing_rename_is_one_line_and_keeps_the_old_file(tmp_path, monkeypatch, code, line):
    target = tmp_path / "out"
    target.write_bytes(b"old")

    def refuse(self, other):
        raise OSError(code, os.strerror(code), str(self))

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OutputError) as caught, atomic_path(target) as temporary:
        temporary.write_bytes(b"new")
    assert str(caught.value) == line.format(target)
    assert contents(tmp_path) == {"out": b"old"}


def test_an_error_about_another_file_passes_unchanged(tmp_path):
    with pytest.raises(FileNotFoundError, match="elsewhere"), atomic_path(tmp_path / "out"):
        (tmp_path / "elsewhere").read_bytes()
    assert contents(tmp_path) == {}


def test_a_folder_is_no_target(tmp_path):
    with pytest.raises(OutputError, match="it is a folder; name a file"), atomic_path(tmp_path):
        pass


def test_a_device_is_no_target():
    with pytest.raises(OutputError, match="it is no ordinary file"), atomic_path(os.devnull):
        pass
    assert not Path(os.devnull).is_file()


@pytest.mark.parametrize("name", ["a/b", "a/b/c"])
def test_a_file_in_place_of_a_folder_is_one_line(tmp_path, name):
    (tmp_path / "a").touch()
    with pytest.raises(OutputError, match="a part of the path is a file"), atomic_path(tmp_path / name):
        pass


def test_what_can_be_written_passes_the_check_and_is_not_made(tmp_path):
    (tmp_path / "old").touch()
    check_writable(tmp_path / "old")
    check_writable(tmp_path / "a" / "b" / "new")
    assert [f.name for f in tmp_path.iterdir()] == ["old"]


def test_what_cannot_be_written_fails_the_check(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="it is a folder"):
        check_writable(tmp_path)
    with pytest.raises(OutputError, match="a part of the path is a file"):
        check_writable(tmp_path / "file" / "new")


def test_a_folder_that_takes_no_file_fails_the_check(tmp_path, monkeypatch):
    def refuse(self, **options):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "touch", refuse)  # Root may write everywhere.
    with pytest.raises(OutputError, match="permission denied"):
        check_writable(tmp_path / "a" / "new")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no /proc here")
@pytest.mark.parametrize("path", ["/proc/out.png", "/proc/velatura/out.png"])
def test_rights_alone_do_not_make_a_folder_writable(path):
    with pytest.raises(OutputError, match=f"^cannot write '{path}': no file can be made in that folder$"):
        check_writable(path)
    with pytest.raises(OutputError, match=f"^cannot write '{path}': "), atomic_path(path):
        pass


def test_a_link_is_followed(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    with atomic_path(tmp_path / "link") as temporary:
        temporary.write_bytes(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_one_file_by_links_of_either_kind(tmp_path):
    (tmp_path / "real").write_bytes(b"")
    (tmp_path / "soft").symlink_to("real")
    os.link(tmp_path / "real", tmp_path / "hard")
    (tmp_path / "way").symlink_to(tmp_path, target_is_directory=True)
    for name in ("real", "soft", "hard", "way/real"):
        assert same_file(tmp_path / name, tmp_path / "real"), name


def test_paths_that_lead_to_no_file(tmp_path):
    (tmp_path / "real").write_bytes(b"")
    for name in ("none", "real/none", "x" * 300):
        assert not same_file(tmp_path / name, tmp_path / "real"), name
        assert not same_file(tmp_path / "real", tmp_path / name), name
    # Two names for what is not there yet are the same file as soon as one is written.
    assert same_file(tmp_path / "none", f"{tmp_path}/./none")


def test_sha256_of_the_standard_example(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_file(tmp_path / "abc") == expected
