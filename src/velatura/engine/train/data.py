"""The pictures of a training: where they lie, how they are cropped, and who decodes them when.

Which picture is learnt from at which step, and how it is cropped, follows from the seed and from nothing
else. So a resumed run goes on to the bit, whatever had been decoded ahead, and the state of the loader is the
step.
"""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from velatura.core.errors import ConfigError, ImageError
from velatura.core.rng import generator
from velatura.engine.train.config import Framing
from velatura.imaging import read_picture

__all__ = ["Batch", "Batches", "Cropping", "Location", "Pictures", "Shuffled", "load_ahead"]


@dataclass(frozen=True)
class Location:
    """Where a picture lies: a file of its own, or a part of a tar.

    Args:
        path: The file, or the tar.
        name: What to call it.
        offset: First byte of the picture in the tar; None for a file of its own.
        size: Its bytes there.
    """

    path: Path
    name: str
    offset: int | None = None
    size: int = 0

    def content(self) -> bytes:
        """The bytes of the file.

        Raises:
            ImageError: They cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset or 0)
                return file.read(-1 if self.offset is None else self.size)
        except OSError as error:
            raise ImageError(f"cannot read {self.path}: {error.strerror or error}") from error

    def read(self) -> Tensor:
        """The picture, transparent parts as white: ``(3, H, W)`` in [0, 1].

        Raises:
            ImageError: It cannot be read.
        """
        if self.offset is None:
            return read_picture(self.path).over().pixels
        with tempfile.NamedTemporaryFile(suffix=Path(self.name).suffix) as file:
            file.write(self.content())
            file.flush()
            return read_picture(file.name).over().pixels


@dataclass(frozen=True, kw_only=True)
class Cropping:
    """From a picture of any size to a square.

    Args:
        framing: How.
        crop: Edge of the square in pixels.
        short_edge: Shorter edge before it is cropped.
        mirror: Whether half of the squares are mirrored.
    """

    framing: Framing
    crop: int
    short_edge: int
    mirror: bool

    def prepared(self, picture: Tensor) -> Tensor:
        """What does not depend on the crop: the picture resized, as bytes.

        Args:
            picture: ``(3, H, W)`` in [0, 1].

        Returns:
            ``(3, h, w)`` uint8.
        """
        height, width = picture.shape[1:]
        if self.framing == "square":
            size = (self.crop, self.crop)
        else:
            scale = self.short_edge / min(height, width)
            # A hair of a picture, one pixel wide, must not become millions long.
            size = (
                min(max(self.short_edge, round(height * scale)), 8 * self.short_edge),
                min(max(self.short_edge, round(width * scale)), 8 * self.short_edge),
            )
        return _as_bytes(_resized(picture, size))

    def cut(self, prepared: Tensor, rng: torch.Generator) -> Tensor:
        """The square, ``(3, crop, crop)`` uint8."""
        window = self.crop
        if self.framing == "zoom":
            smallest = self.crop / min(prepared.shape[1:])
            zoom = smallest + (1 - smallest) * float(torch.rand((), generator=rng))
            window = min(round(self.crop / zoom), *prepared.shape[1:])
        height, width = (edge - window for edge in prepared.shape[1:])
        if self.framing == "centre":
            top, left = height // 2, width // 2
        else:
            top = int(torch.randint(height + 1, (), generator=rng))
            left = int(torch.randint(width + 1, (), generator=rng))
        square = _resized(prepared[:, top : top + window, left : left + window], (self.crop, self.crop))
        mirrored = self.mirror and float(torch.rand((), generator=rng)) < 0.5
        return square.flip(-1) if mirrored else square


def _resized(picture: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(picture.shape[1:]) == size:
        return picture
    return functional.interpolate(picture[None], size, mode="bilinear", antialias=True)[0]


def _as_bytes(picture: Tensor) -> Tensor:
    return picture.mul(255).round_().clamp_(0, 255).to(torch.uint8)


class Pictures:
    """Pictures that are decoded when asked for, and kept while there is room.

    Args:
        locations: Where they lie; at least one.
        cropping: How they become squares.
        cache_bytes: Room for decoded and resized pictures.
    """

    def __init__(
        self, locations: Sequence[Location], cropping: Cropping, *, cache_bytes: int = 512 * 2**20
    ) -> None:
        if not locations:
            raise ValueError("no pictures to crop from")
        self.locations, self.cropping = tuple(locations), cropping
        self.room = cache_bytes
        self.kept: dict[int, Tensor] = {}
        self.broken: dict[int, str] = {}

    def square(self, index: int, rng: torch.Generator) -> Tensor:
        """A crop of picture ``index``, or of the next that can be read.

        Raises:
            ConfigError: None can be read.
        """
        for candidate in range(index, index + len(self.locations)):
            prepared = self._prepared(candidate % len(self.locations))
            if prepared is not None:
                return self.cropping.cut(prepared, rng)
        reason = next(iter(self.broken.values()))
        raise ConfigError(f"none of {len(self.locations)} pictures can be read; the first: {reason}")

    def _prepared(self, index: int) -> Tensor | None:
        if index in self.broken:
            return None
        if index in self.kept:
            return self.kept[index]
        try:
            prepared = self.cropping.prepared(self.locations[index].read())
        except ImageError as error:
            self.broken[index] = f"{self.locations[index].name}: {error}"
            return None
        if prepared.numel() <= self.room:
            self.room -= prepared.numel()
            self.kept[index] = prepared
        return prepared


class Shuffled:
    """The order of an endless run through ``count`` pictures: all of them, shuffled, then all anew.

    Args:
        count: How many pictures.
        seed: Of the run.
        stream: What the pictures are.
    """

    def __init__(self, count: int, *, seed: int, stream: str) -> None:
        self.count, self.seed, self.stream = count, seed, stream
        self.epoch, self.order = -1, torch.empty(0, dtype=torch.int64)

    def __getitem__(self, number: int) -> int:
        """Which picture is the ``number``-th from the start of the run."""
        epoch, place = divmod(number, self.count)
        if epoch != self.epoch:
            rng = generator(self.seed, f"order of {self.stream} {epoch}")
            self.epoch, self.order = epoch, torch.randperm(self.count, generator=rng)
        return int(self.order[place])


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What one process learns from in one step.

    Args:
        contents: Photographs, ``(B, 3, H, W)`` uint8.
        styles: A painting for each, ``(B, 3, H, W)`` uint8, for a network of any style; else None.
        chosen: The style for each, ``(B,)`` int64, for a network of many; else None.
        broken: What could not be read so far, by who read this batch.
    """

    contents: Tensor
    styles: Tensor | None = None
    chosen: Tensor | None = None
    broken: tuple[str, ...] = ()


class Batches(Dataset[Batch | str]):
    """The batches of a run by the number of the step: each the part of one process.

    Args:
        contents: Photographs.
        styles: Paintings, for a network of any style.
        num_styles: Styles to choose from, for a network of many; 0 for others.
        batch: Photographs a step, over all processes.
        seed: Of the run.
        rank: Which process this is.
        world: How many there are; they divide ``batch``.
    """

    def __init__(
        self,
        contents: Pictures,
        styles: Pictures | None = None,
        *,
        num_styles: int = 0,
        batch: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.contents, self.styles, self.num_styles = contents, styles, num_styles
        self.batch, self.seed = batch, seed
        self.part = range(rank * batch // world, (rank + 1) * batch // world)
        self.orders = {
            stream: Shuffled(len(pictures.locations), seed=seed, stream=stream)
            for stream, pictures in (("contents", contents), ("styles", styles))
            if pictures is not None
        }

    def __getitem__(self, step: int) -> Batch | str:
        """The batch of a step; a text, where there is none because no picture can be read.

        A text and no error: an error that crosses from one process to another becomes a traceback.
        """
        numbers = [step * self.batch + place for place in self.part]
        try:
            contents = self._squares(self.contents, "contents", numbers)
            styles = None if self.styles is None else self._squares(self.styles, "styles", numbers)
        except ConfigError as error:
            return str(error)
        broken = [*self.contents.broken.values(), *(self.styles.broken.values() if self.styles else ())]
        return Batch(
            contents=contents, styles=styles, chosen=self._chosen(numbers), broken=tuple(sorted(broken))
        )

    def _squares(self, pictures: Pictures, stream: str, numbers: Sequence[int]) -> Tensor:
        order = self.orders[stream]
        return torch.stack(
            [
                pictures.square(order[number], generator(self.seed, f"crop of {stream} {number}"))
                for number in numbers
            ]
        )

    def _chosen(self, numbers: Sequence[int]) -> Tensor | None:
        if not self.num_styles:
            return None
        draws = [
            torch.randint(self.num_styles, (), generator=generator(self.seed, f"style of {number}"))
            for number in numbers
        ]
        return torch.stack(draws)


def _ignore_interrupts(_: int) -> None:
    # Ctrl-C reaches every process of a terminal; the one that trains decides when its workers end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def load_ahead(batches: Batches, steps: range, *, workers: int) -> Iterator[Batch]:
    """The batches of ``steps``, decoded ahead by other processes.

    Args:
        batches: What to load.
        steps: Which steps, in order.
        workers: Processes that decode; 0: this one, when a batch is asked for.

    Raises:
        ConfigError: No picture can be read.
    """
    loader: DataLoader[Batch | str] = DataLoader(
        batches,
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        prefetch_factor=2 if workers else None,
        # Forking a process that computes in threads, or on a GPU, can hang the child.
        multiprocessing_context="spawn" if workers else None,
        worker_init_fn=_ignore_interrupts,
    )
    for batch in loader:
        if isinstance(batch, str):
            raise ConfigError(batch)
        yield batch
