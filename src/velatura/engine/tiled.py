"""The objective of a picture in tiles: the gradient of the whole, with the memory of a part.

One pass without gradients adds up the sums of every layer over all tiles; the distance of the whole has a
slope in each sum; and a second pass takes that slope back through one tile after the other. It is the same
loss and gradient as in one piece, to rounding. Compared by itself, each tile would be made to look like the
whole painting.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
from torch import Tensor

from velatura.backbones import Backbone
from velatura.core.errors import ConfigError, VelaturaError
from velatura.engine.looking import computed, laid_into, looked_at, moved, part_of
from velatura.engine.objective import IMAGE, Objective, Terms, naming
from velatura.engine.parts import PictureTile, Sight, picture_tiles, sight
from velatura.engine.tile_sums import Key, add_sums, additive, in_numbers_of, keys_of, masked_part, target_of
from velatura.losses import Target
from velatura.losses.additive import Additive, Part, Sums

__all__ = ["TileStatistics", "TiledObjective", "runs_out_of_memory"]

TileStatistics = Literal["exact", "last-step"]

T = TypeVar("T")

# The second is oneDNN's. Of a descriptor it says so where it has no way to compute something.
_NO_ROOM = re.compile("allocate memory|could not create a (primitive|memory)(?! descriptor)")


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """What one pass over the tiles is after.

    Args:
        keys: The terms and layers to sum.
        layers: Layers whose whole maps are wanted.
    """

    keys: Sequence[Key]
    maps: Collection[str] = ()

    @property
    def layers(self) -> set[str]:
        return {layer for _, layer in self.keys} | set(self.maps)


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """A tile that was looked at.

    Args:
        part: What it read of the picture, which asks for its gradient.
        found: Its sums, by term and layer.
    """

    part: Tensor
    found: tuple[tuple[Key, Sums], ...]


class TiledObjective(Objective):
    """An objective that works in tiles where it is told to, or where the whole does not fit.

    Args:
        backbone: As for :class:`~velatura.engine.objective.Objective`.
        terms: The same.
        edge: Longest edge that is computed at once, in pixels; None: the whole picture.
        statistics: ``exact``: two passes over the tiles at each step. ``last-step``: one, against the sums
            of the step before, which are a step old: the gradient is no longer that of the loss.

    Raises:
        ConfigError: As its base, or a tile that is smaller than what the layers see, or a loss that looks at
            all of the picture at once.
    """

    def __init__(
        self,
        backbone: Backbone,
        terms: Terms,
        *,
        edge: int | None = None,
        statistics: TileStatistics = "exact",
    ) -> None:
        super().__init__(backbone, terms)
        self.statistics = statistics
        self.notes: list[str] = []
        self._edge: int | None = None
        self._slopes_kept: dict[Key, Sums] = {}
        self._sums_before: dict[Key, Sums] = {}
        self.edge = edge

    @property
    def edge(self) -> int | None:
        """Longest edge that is computed at once, in pixels; None: the whole picture."""
        return self._edge

    @edge.setter
    def edge(self, edge: int | None) -> None:
        if edge is not None:
            self._check_additive()
            self.needs.inner(edge)
        self._edge = edge

    @property
    def needs(self) -> Sight:
        """What the layers ask of a tile."""
        beyond = max((additive(term).reads_beyond for term in self.terms.values()), default=0)
        return sight(self.backbone, self.layers, beyond=beyond)

    def _check_additive(self) -> None:
        if self.backbone.wrap != "none":
            raise ConfigError(
                "a picture that goes round its edges cannot be computed in tiles; leave the tile out"
            )
        for name, term in self.terms.items():
            if not isinstance(term.loss, Additive):
                raise ConfigError(
                    f"term {name!r} cannot be computed in tiles: its loss {term.loss.name!r} looks at all of "
                    "the picture at once; leave the tile out, or the term"
                )

    @property
    def works_in_tiles(self) -> bool:
        """Whether every loss can be computed in parts."""
        goes_round = self.backbone.wrap != "none"
        return not goes_round and all(isinstance(term.loss, Additive) for term in self.terms.values())

    def _fits(self, size: tuple[int, int]) -> bool:
        return self.edge is None or max(size) <= self.edge

    def aim(self, content: Tensor, styles: Sequence[Tensor], blend: Sequence[float]) -> None:
        """As :meth:`Objective.aim`."""
        self.forget()
        super().aim(content, styles, blend)

    def forget(self) -> None:
        """Forgets what was summed for targets that no longer count."""
        self._slopes_kept, self._sums_before = {}, {}

    def state(self) -> dict[str, Tensor]:
        """What the next step depends on beside targets and canvas: the last step's sums, if they count."""
        return {
            f"{name}/{layer}/{key}": value.clone()
            for (name, layer), sums in self._sums_before.items()
            for key, value in sums.items()
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Takes up a :meth:`state`, after the same :meth:`aim`."""
        self._sums_before = {}
        for path, value in state.items():
            name, layer, key = path.rsplit("/", 2)
            self._sums_before.setdefault((name, layer), {})[key] = value.to(_device(self.backbone))

    def __call__(self, canvas: Tensor) -> dict[str, Tensor]:
        """As :meth:`Objective.__call__`; the gradient is there already when this returns."""
        size = (canvas.shape[2], canvas.shape[3])

        def terms() -> dict[str, Tensor]:
            # Of one tile, sums that are a step old would save nothing.
            return super(TiledObjective, self).__call__(canvas) if self._fits(size) else self._terms(canvas)

        return self.in_memory(size, terms)

    def _targets(self, picture: Tensor, *, of: Collection[str]) -> dict[str, dict[str, Target]]:
        size = (picture.shape[2], picture.shape[3])

        def targets() -> dict[str, dict[str, Target]]:
            if self._fits(size):
                return super(TiledObjective, self)._targets(picture, of=of)
            return self._targets_in_tiles(picture, of)

        return self.in_memory(size, targets)

    def in_memory(self, size: tuple[int, int], compute: Callable[[], T]) -> T:
        """What ``compute`` gives, in smaller tiles as long as there is no room for it."""
        while True:
            try:
                return compute()
            except (MemoryError, RuntimeError) as error:
                smaller = self._halved(size) if runs_out_of_memory(error) else None
                if smaller is None:
                    raise
            # Out here nothing holds on to the maps that did not fit.
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            before = f"tiles of {self.edge}" if self.edge is not None else f"all {size[1]}x{size[0]}"
            self.notes.append(
                f"not enough memory for {before} pixels at once: went on from the last step in tiles of "
                f"{smaller}"
            )
            self.edge = smaller

    def _halved(self, size: tuple[int, int]) -> int | None:
        """Half of what was tried, None where there is nothing smaller."""
        if not self.works_in_tiles:
            return None
        tried = max(size) if self.edge is None else min(self.edge, max(size))
        smaller = max(tried // 2, self.needs.least_edge)
        return smaller if smaller < tried else None

    # Targets

    def _targets_in_tiles(self, picture: Tensor, of: Collection[str]) -> dict[str, dict[str, Target]]:
        terms = {name: term for name, term in self.terms.items() if term.of in of}
        keys = keys_of(terms)
        positional = [key for key in keys if additive(terms[key[0]]).is_positional]
        summed = [key for key in keys if key not in positional]
        seen = _Seen(keys=summed, maps={layer for _, layer in positional})
        sums: dict[Key, Sums] = {}
        maps: dict[str, Tensor] = {}
        # From the end, where it shows how large a map is.
        for tile in reversed(self._tiles(picture)):
            for key, found in self._look(part_of(picture, tile), tile, seen, maps=maps):
                add_sums(sums, key, found)
        return {
            name: {
                layer: target_of(
                    name, term, layer, in_numbers_of(picture.dtype, sums), maps, self.mask_of(name, layer)
                )
                for layer in term.layers
            }
            for name, term in terms.items()
        }

    # Steps

    def _terms(self, canvas: Tensor) -> dict[str, Tensor]:
        pixels = canvas.detach()
        tiles = self._tiles(pixels)
        every = keys_of(self.terms)
        wants_gradient = torch.is_grad_enabled() and canvas.requires_grad
        is_old = self.statistics == "last-step" and wants_gradient and bool(self._sums_before)
        if not wants_gradient:
            return self._weighted(self._summed(pixels, tiles, every), pixels)
        unknown = [key for key in every if key not in self._slopes_kept]
        shown: _Shown | None = None
        if is_old:
            sums = self._sums_before
        else:
            sums = self._summed(pixels, tiles[:-1], unknown)
            if unknown:
                shown = self._shown(pixels, tiles[-1], every)
                for key, found in shown.found:
                    if key in unknown:
                        add_sums(sums, key, found)
        slopes = {key: self._slopes(key, sums) for key in every}
        of_step, gradient = self._taken_back(pixels, tiles, slopes, shown)
        values = self._weighted(of_step, pixels)
        stacked = torch.stack(list(values.values()))
        return dict(zip(values, computed(canvas, stacked, gradient).unbind(), strict=True))

    def _summed(self, pixels: Tensor, tiles: Sequence[PictureTile], keys: Sequence[Key]) -> dict[Key, Sums]:
        """The sums of the tiles, without gradients."""
        sums: dict[Key, Sums] = {}
        if keys:
            with torch.no_grad():
                for tile in tiles:
                    for key, found in self._look(part_of(pixels, tile), tile, _Seen(keys=keys)):
                        add_sums(sums, key, found)
        return sums

    def _shown(self, pixels: Tensor, tile: PictureTile, keys: Sequence[Key]) -> _Shown:
        """The sums of a tile, ready to be taken back."""
        part = part_of(pixels, tile).requires_grad_()
        with torch.enable_grad():
            return _Shown(part=part, found=tuple(self._look(part, tile, _Seen(keys=keys))))

    def _taken_back(
        self,
        pixels: Tensor,
        tiles: Sequence[PictureTile],
        slopes: Mapping[Key, Sums],
        shown: _Shown | None,
    ) -> tuple[dict[Key, Sums], Tensor]:
        """Sums of the whole and the gradient of the picture, one tile after the other.

        It begins with the last tile: ``shown``, what the sums of the whole were completed with.
        """
        sums: dict[Key, Sums] = {}
        gradient = torch.zeros_like(pixels)
        moving: set[str] = set()
        for tile in reversed(tiles):
            shown = shown or self._shown(pixels, tile, list(slopes))
            outputs, weights = [], []
            for key, found in shown.found:
                add_sums(sums, key, found)
                for name, slope in slopes[key].items():
                    if found[name].requires_grad:
                        outputs.append(found[name])
                        weights.append(slope.to(found[name]).expand_as(found[name]))
                        moving.add(key[0])
            if outputs:
                with torch.autocast(pixels.device.type, enabled=False):
                    torch.autograd.backward(outputs, weights)
                assert shown.part.grad is not None
                gradient[..., *tile.read] += shown.part.grad
            # Or its maps would lie beside those of the next.
            shown = None
            outputs.clear()
        self._check_moving(moving)
        if self.statistics == "last-step":
            self._sums_before = sums
        return sums, gradient

    def _check_moving(self, moving: Collection[str]) -> None:
        for name, term in self.terms.items():
            if name not in moving:
                raise VelaturaError(
                    f"term {name!r} has no gradient: its loss {term.loss.name!r} detaches the features, so "
                    "the canvas would not change"
                )

    def _slopes(self, key: Key, sums: Mapping[Key, Sums]) -> Sums:
        """How the loss changes with each sum."""
        if key in self._slopes_kept:
            return self._slopes_kept[key]
        leaves = {name: value.detach().requires_grad_() for name, value in sums[key].items()}
        with torch.enable_grad():
            value = self._distance(key, leaves)
        given = torch.autograd.grad(value, list(leaves.values()), allow_unused=True)
        slopes = {name: slope for name, slope in zip(leaves, given, strict=True) if slope is not None}
        if additive(self.terms[key[0]]).is_linear:
            self._slopes_kept[key] = slopes
        return slopes

    def _weighted(self, sums: Mapping[Key, Sums], like: Tensor) -> dict[str, Tensor]:
        return {
            name: torch.stack([self._distance((name, layer), sums[name, layer]) for layer in term.layers])
            .sum()
            .to(like.dtype)
            for name, term in self.terms.items()
        }

    def _distance(self, key: Key, sums: Sums) -> Tensor:
        """A layer's share of a term, with its weights."""
        name, layer = key
        term = self.terms[name]
        with naming(name, layer), torch.autocast(_device(self.backbone).type, enabled=False):
            distance = additive(term).distance(sums, self.targets[name][layer])
        return term.weight * term.layers[layer] * distance.mean()

    # Tiles

    def _tiles(self, picture: Tensor) -> list[PictureTile]:
        assert self.edge is not None
        return picture_tiles((picture.shape[2], picture.shape[3]), edge=self.edge, needs=self.needs)

    def _look(
        self, part: Tensor, tile: PictureTile, seen: _Seen, *, maps: dict[str, Tensor] | None = None
    ) -> Iterator[tuple[Key, Sums]]:
        """The sums of a tile's own positions; maps of the whole are filled in on the way.

        Args:
            part: What the tile reads of the picture.
            tile: Where it lies.
            seen: What is wanted.
            maps: Where whole maps go.
        """
        found: list[tuple[Key, Sums]] = []

        def visit(layer: str, features: Tensor) -> Tensor:
            if layer not in seen.layers:
                return features
            rows, row_offset = tile.rows.positions(self._stride(layer), features.shape[2])
            columns, column_offset = tile.columns.positions(self._stride(layer), features.shape[3])
            if rows.start >= rows.stop or columns.start >= columns.stop:
                return features
            wanted = [key for key in seen.keys if key[1] == layer]
            beyond = max((additive(self.terms[name]).reads_beyond for name, _ in wanted), default=0)
            features, around = looked_at(features, rows, columns, beyond)
            at = moved(rows, row_offset), moved(columns, column_offset)
            own = around[..., : rows.stop - rows.start, : columns.stop - columns.start] if beyond else around
            whole = Part(own=own, beyond=around, at=at)
            if maps is not None and layer in seen.maps:
                size = row_offset + features.shape[2], column_offset + features.shape[3]
                laid_into(maps, layer, whole, size)
            for key in wanted:
                with naming(*key):
                    target = self.targets.get(key[0], {}).get(layer, {})
                    part_seen = masked_part(whole, self.mask_of(*key))
                    found.append((key, additive(self.terms[key[0]]).sums(part_seen, target)))
            return features

        layers = [layer for layer in self.layers if layer in seen.layers]
        self.backbone(visit(IMAGE, part), layers, visit=visit)
        yield from found

    def _stride(self, layer: str) -> int:
        return 1 if layer == IMAGE else self.backbone.shapes[layer].stride


def runs_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is no room: for processors, torch has none of its own."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or bool(_NO_ROOM.search(str(error)))


def _device(backbone: Backbone) -> torch.device:
    return next(backbone.buffers()).device
