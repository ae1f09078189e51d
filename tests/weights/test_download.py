import errno
import json
import multiprocessing
import resource

import pytest

from velatura.weights.download import download
from velatura.weights.remote import SourceError, probe

CONTENT = bytes(range(256)) * 4096  # 1 MiB
SIZE = len(CONTENT)


@pytest.fixture
def url(server):
    return server.put("net.bin", CONTENT)


def get(url, path, **more):
    download(probe(url), path, **{"spans": [(0, SIZE)], "limit_bytes": SIZE + 100, **more})


def give_up(server, url, path, at, **more):
    """An earlier download that the server cut for good."""
    server.cuts = [at] + [0] * 20
    with pytest.raises(SourceError, match="times in a row"):
        get(url, path, **more)
    server.cuts.clear()
    server.asked.clear()


def test_a_whole_file(url, tmp_path):
    get(url, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT


def test_pieces_behind_a_head(url, tmp_path):
    get(url, tmp_path / "part", spans=[(10, 20), (300, 310)], head=b"HEAD")
    assert (tmp_path / "part").read_bytes() == b"HEAD" + CONTENT[10:20] + CONTENT[300:310]


def test_a_file_of_unknown_length(server, url, tmp_path):
    get(url, tmp_path / "part", spans=[(0, None)])
    assert (tmp_path / "part").read_bytes() == CONTENT


def test_the_next_download_goes_on_where_one_gave_up(server, url, tmp_path):
    give_up(server, url, tmp_path / "part", 70_000)
    assert (tmp_path / "part").stat().st_size == 70_000
    get(url, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert server.asked[1:] == [("/net.bin", f"bytes=70000-{SIZE - 1}")]


def test_pieces_go_on_in_the_middle_of_the_second(server, url, tmp_path):
    pieces = {"spans": [(100, 200), (5000, 9000)], "head": b"HEAD"}
    server.cuts = [100]
    give_up_at = 50
    server.cuts = [100, give_up_at] + [0] * 20
    with pytest.raises(SourceError, match="times in a row"):
        get(url, tmp_path / "part", **pieces)
    server.cuts.clear()
    server.asked.clear()
    get(url, tmp_path / "part", **pieces)
    assert (tmp_path / "part").read_bytes() == b"HEAD" + CONTENT[100:200] + CONTENT[5000:9000]
    assert server.asked[1:] == [("/net.bin", "bytes=5050-8999")]


def test_a_finished_download_asks_for_nothing_more(server, url, tmp_path):
    get(url, tmp_path / "part")
    server.asked.clear()
    get(url, tmp_path / "part")
    assert server.asked == [("/net.bin", "bytes=0-0")]


def changed_server(server, path):
    server.put("net.bin", CONTENT[::-1])


def no_validator(server, path):
    server.etags = False


def lost_note(server, path):
    path.with_name("part.json").unlink()


def broken_note(server, path):
    path.with_name("part.json").write_text("{")


def too_long(server, path):
    path.write_bytes(bytes(SIZE + 1))


@pytest.mark.parametrize("spoil", [changed_server, no_validator, lost_note, broken_note, too_long])
def test_what_may_be_of_another_file_is_begun_anew(server, url, tmp_path, spoil):
    path = tmp_path / "part"
    give_up(server, url, path, 70_000)
    spoil(server, path)
    get(url, path)
    assert path.read_bytes() == server.files["/net.bin"]


def test_progress_counts_what_an_earlier_download_left(server, url, tmp_path):
    give_up(server, url, tmp_path / "part", 500_000)
    seen = []
    get(url, tmp_path / "part", on_progress=lambda done, total: seen.append((done, total)))
    assert seen[0][0] > 500_000
    assert seen[-1] == (SIZE, SIZE)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert len(seen) <= 1 + SIZE // 2**18


def test_more_than_the_limit_is_not_begun(server, url, tmp_path):
    with pytest.raises(SourceError, match=f"{SIZE} bytes, more than the 1000 expected at most"):
        get(url, tmp_path / "part", limit_bytes=1000)
    assert not list(tmp_path.iterdir())


def test_a_server_that_never_ends_is_left(url, tmp_path):
    with pytest.raises(SourceError, match="more than the 100000 bytes expected at most"):
        get(url, tmp_path / "part", spans=[(0, None)], limit_bytes=100_000)
    assert (tmp_path / "part").stat().st_size <= 100_000


def test_a_full_disk_leaves_nothing_behind(url, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("velatura.weights.download._append", full)
    with pytest.raises(OSError, match="No space left on device"):
        get(url, tmp_path / "part")
    assert not list(tmp_path.iterdir())


def get_under_a_quota(url, path, results):
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
    try:
        get(url, path)
    except OSError as error:
        results.put(error.errno)
    else:
        results.put(None)


# From Python 3.12, forking beside the server's thread warns; the child uses nothing of it.
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_quota_that_is_too_small_leaves_nothing_behind(url, tmp_path):
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    child = context.Process(target=get_under_a_quota, args=(url, tmp_path / "part", results))
    child.start()
    assert results.get(timeout=30) == errno.EFBIG
    child.join()
    assert not list(tmp_path.iterdir())


def test_an_interrupt_keeps_what_is_here(url, tmp_path):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(url, tmp_path / "part", on_progress=interrupt)
    assert (tmp_path / "part").stat().st_size > 0
    assert json.loads((tmp_path / "part.json").read_text())["url"] == url
