"""What a training carries from step to step: weights, their average, the optimiser, and the step."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional

from velatura.backbones import Backbone
from velatura.core.errors import ConfigError
from velatura.core.rng import generator
from velatura.engine.objective import IMAGE
from velatura.engine.precision import Precision, laid_out
from velatura.engine.train.config import Training
from velatura.engine.train.data import Batch
from velatura.engine.train.objective import OF_CONTENT, OF_STYLE, TrainingObjective
from velatura.engine.train.processes import Processes
from velatura.networks import Network, Style
from velatura.networks.encoder import Encoder

__all__ = ["Lesson", "Trainer", "Transferring"]


@runtime_checkable
class Transferring(Protocol):
    """A network that computes the features which its picture is to have, for terms of ``transfer``."""

    def transferred(self, content: Tensor, style: Style) -> Mapping[str, Tensor]:
        """Of photographs ``(B, 3, H, W)`` in [0, 1], by layer of the loss network."""


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What one step gave.

    Args:
        terms: Each weighted term, the mean over the whole batch; their sum is the loss.
        is_finite: Whether loss and gradient are; where they are not, nothing was learnt.
        own_is_finite: Whether those of this process are.
    """

    terms: Mapping[str, float]
    is_finite: bool
    own_is_finite: bool


class Trainer:
    """A network, what it learns from, and how far it is.

    Args:
        config: What the training is made of.
        network: The network that learns, on the device to compute on. What asks for no gradient stays.
        backbone: The network that ``config.backbone`` names, on that device.
        precision: What both compute in.
        paintings: Those of a network's own styles, each ``(1, 3, h, w)`` in [0, 1] on the device; none for
            a network of any style. Where the network knows more styles, these are the last of them.
        processes: Those that train it together.

    Raises:
        ConfigError: The terms do not fit the network; the batch cannot be shared out evenly.
        WeightsError: The weights file ends below a layer.
    """

    def __init__(
        self,
        config: Training,
        network: Network,
        backbone: Backbone,
        *,
        precision: Precision,
        paintings: Sequence[Tensor] = (),
        processes: Processes | None = None,
    ) -> None:
        self.config, self.precision = config, precision
        self.processes = processes or Processes()
        if config.batch % self.processes.world:
            raise ConfigError(
                f"a batch of {config.batch} cannot be shared out evenly among {self.processes.world} "
                "processes; choose a multiple"
            )
        self.network = laid_out(network, precision.memory_format).train()
        self.shared = self.processes.shared(self.network)
        self.averaged = copy.deepcopy(self.network) if config.average else self.network
        self.paintings = tuple(paintings)
        self.objective = TrainingObjective(
            laid_out(backbone, precision.memory_format),
            config.terms,
            normalize_gradients=config.normalize_gradients,
        )
        self._check_transfer()
        if self.paintings:
            with self._computing("styles"):
                self.objective.know_styles(self.paintings)
        self.learning = [weight for weight in self.network.parameters() if weight.requires_grad]
        self.device = self.learning[0].device
        self.optimizer = torch.optim.Adam(self.learning, lr=config.lr, betas=config.betas)
        self.step = 0

    def _check_transfer(self) -> None:
        if self.objective.has_transfer and not isinstance(self.network, Transferring):
            raise ConfigError(
                f"a term is of 'transfer', but {type(self.network).__name__} computes no features that its "
                "picture is to have; take the target from content"
            )

    @property
    def lr(self) -> float:
        """The step size of the next step."""
        return self.config.lr * self.config.schedule.factor(self.step, self.config.steps)

    @contextlib.contextmanager
    def _computing(self, stream: str) -> Iterator[None]:
        """Autocast, and random numbers that follow from the seed and the name of the stream alone."""
        backbone = self.objective.backbone
        device = next(backbone.buffers()).device
        devices = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(devices), self.precision.autocast(device):
            seed = generator(self.config.seed, stream).initial_seed()
            torch.manual_seed(seed)
            own = getattr(self.network, "rng", None)
            if isinstance(own, torch.Generator):  # Of a network that draws noise.
                own.manual_seed(seed)
            yield

    def pixels(self, squares: Tensor) -> Tensor:
        """Bytes ``(B, 3, H, W)`` as pixels in [0, 1], where and how the networks want them."""
        moved = squares.to(self.device, non_blocking=True)
        return (moved.float() / 255).contiguous(memory_format=self.precision.memory_format)

    def terms(self, network: Network, batch: Batch, *, through: nn.Module | None = None) -> dict[str, Tensor]:
        """The weighted terms of a batch, each a scalar.

        Args:
            network: Whose stylizations are judged.
            batch: Photographs and styles.
            through: What to call in the place of the network itself, to share its gradients.
        """
        contents = self.pixels(batch.contents)
        paintings = None if batch.styles is None else self.pixels(batch.styles)
        encoder = next((part for part in network.modules() if isinstance(part, Encoder)), None)
        # An encoder that is the loss network itself need not look at the same pictures again.
        is_shared = encoder is not None and encoder.config == self.config.backbone
        also = encoder.layers if encoder is not None and is_shared else ()
        with torch.no_grad():
            of_contents = self.objective.features(contents, of=OF_CONTENT, also=also)
            of_paintings = (
                None if paintings is None else self.objective.features(paintings, of=OF_STYLE, also=also)
            )
        with contextlib.ExitStack() as stack:
            if encoder is not None:
                known = [(of[IMAGE], of) for of in (of_contents, of_paintings) if of is not None]
                stack.enter_context(encoder.remembering(*(known if is_shared else ())))
            style = self._style_of(network, paintings, batch.chosen)
            self.objective.aim_at(
                of_contents,
                styles=of_paintings,
                chosen=None if batch.chosen is None else batch.chosen.to(self.device),
                transfer=self._transfer(network, contents, style),
            )
            stylized = (through or network)(contents, style)
        return self.objective(stylized)

    def _style_of(self, network: Network, paintings: Tensor | None, chosen: Tensor | None) -> Style | None:
        """What a network is to know of the styles of a batch."""
        if network.styles == "any":
            assert paintings is not None
            return network.encode(paintings)
        if network.styles == "many":
            assert chosen is not None
            index = chosen + self.first_style(network)
            return {"weights": functional.one_hot(index, network.num_styles).to(self.device, torch.float32)}
        return None

    def first_style(self, network: Network) -> int:
        """Which style of a network of many the first painting is."""
        return network.num_styles - len(self.paintings)

    @torch.no_grad()
    def _transfer(
        self, network: Network, contents: Tensor, style: Style | None
    ) -> Mapping[str, Tensor] | None:
        if not self.objective.has_transfer:
            return None
        assert isinstance(network, Transferring)
        assert style is not None
        return network.transferred(contents, style)

    def advance(self, batch: Batch) -> Lesson:
        """One step, unless its loss or gradient is not finite."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr
        self.optimizer.zero_grad(set_to_none=True)
        with self._computing(f"step {self.step} of process {self.processes.rank}"):
            terms = self.terms(self.network, batch, through=self.shared)
            loss = torch.stack(list(terms.values())).sum()
        torch.autograd.backward(loss)
        norm = self._clip()
        own = torch.stack([*terms.values(), norm]).detach()
        own_is_finite = bool(torch.isfinite(own).all())
        values = self.processes.mean(own).tolist()
        is_finite = all(map(math.isfinite, values))
        if is_finite:
            self.optimizer.step()
            self.step += 1
            self._take_average()
        return Lesson(
            terms=dict(zip(terms, values, strict=False)), is_finite=is_finite, own_is_finite=own_is_finite
        )

    def _clip(self) -> Tensor:
        """Cuts the gradient where it is too long, and returns the norm that it had."""
        longest = self.config.gradient_clip or math.inf
        return nn.utils.clip_grad_norm_(self.learning, longest)

    @torch.no_grad()
    def _take_average(self) -> None:
        if self.averaged is self.network:
            return
        # The first steps would weigh for thousands if the decay were the same from the beginning.
        decay = min(self.config.average, self.step / (self.step + 10))
        for mean, now in zip(self.averaged.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(now, 1 - decay)
        for kept, buffer in zip(self.averaged.buffers(), self.network.buffers(), strict=True):
            kept.copy_(buffer)

    @torch.no_grad()
    def judge(self, batches: Sequence[Batch]) -> dict[str, float]:
        """The weighted terms of held-out batches, by the averaged weights: the mean over all pictures."""
        total: dict[str, float] = {}
        count = sum(len(batch.contents) for batch in batches)
        self.averaged.eval()
        with self._computing("held out"):
            for batch in batches:
                for name, value in self.terms(self.averaged, batch).items():
                    total[name] = total.get(name, 0.0) + float(value) * len(batch.contents) / count
        self.averaged.train()
        return total

    @torch.no_grad()
    def stylized(self, contents: Tensor, style: Style | None) -> Tensor:
        """What the averaged weights make of photographs in [0, 1], in [0, 1]."""
        self.averaged.eval()
        with self._computing("held out"):
            pictures: Tensor = self.averaged(contents, style).float().clamp(0, 1)
        self.averaged.train()
        return pictures

    def state(self) -> dict[str, Tensor]:
        """Everything to go on from but the step, by name."""
        tensors = {f"network.{key}": value for key, value in self.network.state_dict().items()}
        if self.averaged is not self.network:
            tensors |= {f"averaged.{key}": value for key, value in self.averaged.state_dict().items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{key}": torch.as_tensor(value) for key, value in state.items()}
        return tensors

    def restore(self, tensors: Mapping[str, Tensor], *, step: int) -> None:
        """Goes on from what :meth:`state` gave after ``step`` steps of a training with the same settings."""
        self.network.load_state_dict(_under("network.", tensors))
        if self.averaged is not self.network:
            self.averaged.load_state_dict(_under("averaged.", tensors))
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in _under("adam.", tensors).items():
            index, name = key.split(".")
            state.setdefault(int(index), {})[name] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        self.step = step


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
