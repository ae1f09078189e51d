"""Networks that stylise in one pass, each under the name of its method."""

from velatura.networks.base import Network, NetworkConfig, Style, blend_styles, networks
from velatura.networks.blocks import faded
from velatura.networks.statistics import ChannelStatistics, InstanceNorm, held_statistics

__all__ = [
    "ChannelStatistics",
    "InstanceNorm",
    "Network",
    "NetworkConfig",
    "Style",
    "blend_styles",
    "faded",
    "held_statistics",
    "networks",
]
