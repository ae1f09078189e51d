"""Reading PyTorch files: tensors come out, and nothing that they hold is ever run."""

from __future__ import annotations

import pickle
import pickletools
import zipfile
from _compat_pickle import IMPORT_MAPPING
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final

import torch
from torch import Tensor

from velatura.core.errors import WeightsError

__all__ = ["OPENING_BYTES", "is_pickle", "read_pickle"]

_ARCHIVE: Final = b"PK\x03\x04"
_PROTOCOL: Final = b"\x80"

OPENING_BYTES: Final = 9
"""How much of a file tells whether it is a pickle."""

_WRAPPERS: Final = ("state_dict", "model_state_dict", "model", "net")
"""Where training scripts keep the network, beside optimiser and epoch."""

_NUM_LEGACY_PICKLES: Final = 5
"""Magic number, protocol, machine, content, names of the storages: before the numbers themselves."""

_SERIALIZATION: Any = torch.serialization


def is_pickle(opening: bytes) -> bool:
    """Whether a file that begins so is one that PyTorch wrote, as an archive or, before that, plainly.

    Args:
        opening: The first :data:`OPENING_BYTES` of the file. A safetensors file begins with the length of its
            header, which may look like the first bytes of a pickle, and then the header's brace.
    """
    return opening.startswith(_ARCHIVE) or (opening.startswith(_PROTOCOL) and opening[8:9] != b"{")


class _Kind(type):
    """What a stand-in is an instance of, so that the reader may be told that it is safe to fill one."""


class _StandIn(metaclass=_Kind):
    """Stands for any class or function that a file names: called with anything, it gives itself."""

    def __new__(cls, *_: object, **__: object) -> Any:
        return cls

    @classmethod
    def __setstate__(cls, state: object) -> None:
        """Forgets it."""


def read_pickle(path: Path, *, max_bytes: int) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Tensors by name, of a state dict or of a checkpoint that holds one.

    A checkpoint may hold more than tensors beside its state dict: those of the "robustness" library were
    written by dill and hold functions. For all such, stand-ins are put that do nothing. A state dict
    itself must be of tensors alone.

    Args:
        path: A file of ``torch.save``, an archive or of the older kind.
        max_bytes: The most that an archive may unpack to.

    Returns:
        The tensors, and the names of what else the checkpoint holds.

    Raises:
        WeightsError: The file is damaged, unpacks to too much, or holds no dictionary of tensors.
    """
    archive = _is_archive(path)
    try:
        if archive:
            _check_archive(path, max_bytes)
        content = _load(path, archive=archive)
    except WeightsError:
        raise
    except pickle.UnpicklingError as error:
        content = _load_with_stand_ins(path, archive=archive)
        if content is None:
            raise WeightsError(
                "refused: it is damaged or holds more than tensors, and nothing in it was run; if you trust "
                "it, save its state dict with safetensors.torch.save_file and use that"
            ) from error
    except Exception as error:  # A damaged pickle can raise anything.
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise WeightsError(f"damaged or no weights file: {reason}; fetch or copy it again") from error
    return _state_dict(content)


def _is_archive(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_ARCHIVE)) == _ARCHIVE


def _load(path: Path, *, archive: bool) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True, mmap=archive)


def _check_archive(path: Path, max_bytes: int) -> None:
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > max_bytes:
        raise WeightsError(f"it unpacks to {unpacked} bytes, more than the {max_bytes} allowed")


def _load_with_stand_ins(path: Path, *, archive: bool) -> Any:
    """The content, where what is no tensor lies beside the state dict and not in it; None otherwise."""
    try:
        names = _named_globals(path, archive=archive)
        with _SERIALIZATION.safe_globals([_Kind, *((_StandIn, name) for name in sorted(names))]):
            content = _load(path, archive=archive)
    except Exception:  # noqa: BLE001 - whatever it is, the first reading has said what is wrong
        return None
    inside = _unwrapped(content)
    clean = inside is not content and all(isinstance(value, Tensor) for value in inside.values())
    return content if clean else None


def _named_globals(path: Path, *, archive: bool) -> set[str]:
    """Every class and function that a file names, but for those that make tensors."""
    if not archive:
        with path.open("rb") as file:
            found = {name for _ in range(_NUM_LEGACY_PICKLES) for name in _globals_of(file)}
    else:
        with zipfile.ZipFile(path) as whole:
            member = next(name for name in whole.namelist() if name.endswith("data.pkl"))
            with whole.open(member) as file:
                found = set(_globals_of(file))
    return {name for name in found if not name.startswith(("torch.", "collections."))}


def _globals_of(file: IO[bytes]) -> Iterator[str]:
    """The names in one pickle, which is read and not run."""
    for code, name, _ in pickletools.genops(file):
        if code.name == "GLOBAL":
            module, _, attribute = str(name).partition(" ")
            # Protocol 2 writes Python 2's names of what is built in.
            yield f"{IMPORT_MAPPING.get(module, module)}.{attribute}"


def _unwrapped(content: Any) -> Any:
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    return content


def _state_dict(content: Any) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    state = _unwrapped(content)
    if not isinstance(state, Mapping):
        raise WeightsError(f"expected a dictionary of tensors; it holds a {type(state).__name__}")
    others = [str(name)[:80] for name, value in state.items() if not isinstance(value, Tensor)]
    if others or not all(isinstance(name, str) for name in state):
        raise WeightsError(f"expected a dictionary of tensors; {', '.join(others[:3]) or 'a key'} is none")
    beside = (
        () if state is content else tuple(str(name)[:80] for name in content if content[name] is not state)
    )
    return dict(state), beside
