"""Files written by hand: pictures, chunks of a PNG, and ICC profiles from the tables of ICC.1:2022."""

import struct
import zlib

import pytest

# Adobe RGB (1998), annex: the primaries under D50.
ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))


def profile(device, space, connection, tags):
    table, body, offset = b"", b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += struct.pack(">4sII", name, offset + len(body), len(data))
        body += data
    size = offset + len(body)
    header = struct.pack(">I4xI4s4s4s12x4s", size, 0x02100000, device, space, connection, b"acsp")
    header = header.ljust(68, b"\0") + struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def xyz(values):
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in values))


def gamma(value):
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256))


@pytest.fixture(scope="session")
def matrix_profile():
    """Makes an RGB profile of three primaries and one tone curve."""

    def make(curve, primaries=ADOBE):
        tags = {b"wtpt": xyz((0.9642, 1.0, 0.8249))}
        for name, primary in zip((b"r", b"g", b"b"), primaries, strict=True):
            tags |= {name + b"XYZ": xyz(primary), name + b"TRC": curve}
        return profile(b"mntr", b"RGB ", b"XYZ ", tags)

    return make


@pytest.fixture(scope="session")
def adobe_rgb(matrix_profile):
    """Adobe RGB (1998): wider than sRGB, with a gamma of 563/256."""
    return matrix_profile(gamma(563 / 256))


@pytest.fixture(scope="session")
def linear_grey():
    """Grey in which half the light is half the number."""
    tags = {b"wtpt": xyz((0.9642, 1.0, 0.8249)), b"kTRC": gamma(1.0)}
    return profile(b"mntr", b"GRAY", b"XYZ ", tags)


def lut(inputs, colors):
    """An A2B0 tag of two grid points a channel; ``colors`` gives the Lab of each corner."""
    identity = bytes(range(256))
    corners = [[bit >> (inputs - 1 - i) & 1 for i in range(inputs)] for bit in range(2**inputs)]
    table = b"".join(bytes((round(L * 2.55), 128 + a, 128 + b)) for L, a, b in map(colors, corners))
    matrix = struct.pack(">9i", *(65536 if i % 4 == 0 else 0 for i in range(9)))
    return b"mft1\0\0\0\0" + bytes((inputs, 3, 2, 0)) + matrix + identity * inputs + table + identity * 3


@pytest.fixture(scope="session")
def odd_cmyk():
    """A press whose cyan ink is a neutral grey of L* 60, and whose other inks are black."""
    tag = lut(4, lambda ink: (0, 0, 0) if any(ink[1:]) else (60 if ink[0] else 100, 0, 0))
    return profile(b"prtr", b"CMYK", b"Lab ", {b"wtpt": xyz((0.9642, 1.0, 0.8249)), b"A2B0": tag})


@pytest.fixture(scope="session")
def table_rgb():
    """An RGB profile made of a table, without a way back."""
    tag = lut(3, lambda rgb: (100 * sum(rgb) / 3, 0, 0))
    return profile(b"mntr", b"RGB ", b"Lab ", {b"wtpt": xyz((0.9642, 1.0, 0.8249)), b"A2B0": tag})


@pytest.fixture(scope="session")
def save():
    """Saves a PIL image as Pillow does, and gives the path."""

    def write(path, image, **options):
        image.save(path, **options)
        return path

    return write


@pytest.fixture(scope="session")
def chunk():
    """Makes a chunk of a PNG (third edition, 5.3)."""
    return _chunk


def _chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@pytest.fixture(scope="session")
def save_deep():
    """Saves samples of 16 bits as a PNG with a profile, which Pillow cannot, and gives the path."""

    def write(path, samples, profile):
        height, width, channels = samples.shape
        header = struct.pack(">2I5B", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
        parts = [(b"IHDR", header), (b"iCCP", b"x\0\0" + zlib.compress(profile))]
        parts += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts))
        return path

    return write
