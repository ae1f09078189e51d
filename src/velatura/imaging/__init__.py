"""Pictures: reading them, writing them, and what they are in between."""

from velatura.imaging.picture import Picture, PictureSource, WriteOptions
from velatura.imaging.read import MAX_BYTES, MAX_PIXELS, READABLE, read_picture
from velatura.imaging.reduced import MAX_STREAMED_PIXELS, read_at_most
from velatura.imaging.sheet import labelled_sheet
from velatura.imaging.texts import read_text
from velatura.imaging.write import LOSSLESS, WRITABLE, check_target, write_picture

__all__ = [
    "LOSSLESS",
    "MAX_BYTES",
    "MAX_PIXELS",
    "MAX_STREAMED_PIXELS",
    "READABLE",
    "WRITABLE",
    "Picture",
    "PictureSource",
    "WriteOptions",
    "check_target",
    "labelled_sheet",
    "read_at_most",
    "read_picture",
    "read_text",
    "write_picture",
]
