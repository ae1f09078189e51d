import socket

import pytest

from velatura.core.errors import WeightsError
from velatura.weights import remote
from velatura.weights.remote import Remote, SourceError, probe, stream

CONTENT = bytes(range(256)) * 1000


def received(found, start, stop):
    return b"".join(stream(found, start, stop))


@pytest.fixture
def url(server):
    return server.put("net.bin", CONTENT)


def test_size_and_validator_come_from_the_first_byte(server, url):
    found = probe(url)
    assert found.size == 256_000
    assert found.validator.startswith('"')
    assert server.asked == [("/net.bin", "bytes=0-0")]


@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no ranges"])
@pytest.mark.parametrize(
    ("start", "stop"), [(0, 1), (5, 70_000), (250_000, 256_000), (0, 256_000), (100_000, None)]
)
def test_a_piece_is_the_same_from_any_server(server, url, ranges, start, stop):
    server.ranges = ranges
    assert received(probe(url), start, stop) == CONTENT[start:stop]


@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no ranges"])
def test_a_cut_connection_is_taken_up_where_it_broke(server, url, ranges):
    server.ranges = ranges
    found = probe(url)
    server.cuts = [1000, 90_000]
    assert received(found, 0, 256_000) == CONTENT
    assert [asked for _, asked in server.asked[1:]][:2] == ["bytes=0-255999", "bytes=1000-255999"]


def test_a_busy_server_is_asked_again(server, url):
    server.refusals = [503, 429]
    assert probe(url).size == 256_000
    server.refusals = [500]
    assert received(probe(url), 10, 20) == CONTENT[10:20]


def test_a_server_that_always_breaks_off_is_given_up(server, url):
    found = probe(url)
    server.cuts = [0] * 50
    complaint = r"net.bin: the connection was cut at byte 7 of 99, 5 times in a row; try again later"
    with pytest.raises(SourceError, match=complaint):
        received(found, 7, 99)
    assert len(server.asked) == 1 + 5


def test_a_server_that_stays_busy_is_given_up(server, url):
    server.refusals = [503] * 9
    with pytest.raises(SourceError, match=r"the server answered 503 .*, 5 times in a row"):
        probe(url)


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_is_final(server, url, status):
    server.refusals = [status]
    with pytest.raises(SourceError, match=f"net.bin: the server answered {status} "):
        probe(url)
    assert len(server.asked) == 1


def test_nothing_listens(server):
    server.server_close()
    with pytest.raises(SourceError, match="the server cannot be reached"):
        probe(server.base)


def test_no_such_host(monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(SourceError, match=r"the server cannot be reached .*Name or service not known"):
        probe("https://velatura.invalid/net.bin")


def test_a_silent_server_is_waited_for_only_so_long(server, url, monkeypatch):
    monkeypatch.setattr(remote, "TIMEOUT_S", 0.02)
    server.pause_s = 60
    with pytest.raises(SourceError, match=r"the connection failed .*timed out.*, 5 times in a row"):
        probe(url)


@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no ranges"])
def test_a_file_that_changed_meanwhile_is_not_mixed_with_the_old_one(server, url, ranges):
    server.ranges = ranges
    found = probe(url)
    server.cuts = [1000]
    pieces = stream(found, 0, 256_000)
    assert next(pieces) == CONTENT[:1000]
    server.put("net.bin", CONTENT[::-1])
    with pytest.raises(SourceError, match="the file changed while it was fetched; try again"):
        list(pieces)


def test_another_range_than_asked_for_is_refused(server, url, monkeypatch):
    found = probe(url)
    other = Remote(url=url, size=255_999, validator=found.validator)
    with pytest.raises(SourceError, match="sent another range than was asked for"):
        received(other, 10, 20)


@pytest.mark.parametrize(
    "bad", ["http://example.org/net.pth", "ftp://127.0.0.1/net.pth", "file:///etc/passwd"]
)
def test_only_https_is_spoken_with_the_world(bad):
    with pytest.raises(WeightsError, match="weights are fetched over https only"):
        probe(bad)


def test_a_redirection_away_from_https_is_refused(server, monkeypatch):
    def redirect(handler):
        handler.send_response(302)
        handler.send_header("Location", "http://example.org/net.bin")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    monkeypatch.setattr(server.RequestHandlerClass, "do_GET", redirect)
    with pytest.raises(
        SourceError, match=r"http://example\.org/net\.bin: weights are fetched over https only"
    ):
        probe(f"{server.base}/net.bin")


def test_each_piece_is_asked_for_on_condition_that_the_file_is_the_same(server, url):
    found = probe(url)
    server.cuts = [10]
    received(found, 0, 99)
    assert server.conditions == [None, found.validator, found.validator]


def test_a_weak_etag_is_no_condition(server, url):
    server.weak = True
    found = probe(url)
    assert found.validator == ""
    server.cuts = [10]
    assert received(found, 0, 99) == CONTENT[:99]
    assert server.conditions == [None, None, None]
