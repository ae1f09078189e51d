"""Networks that stylise in one pass, each under the name of its method."""

from velatura.networks.base import Network, NetworkConfig, Style, StyleCount, blend_styles, networks
from velatura.networks.blocks import faded
from velatura.networks.files import ModelRecord, fill_network, read_model, write_model
from velatura.networks.statistics import ChannelStatistics, InstanceNorm, held_statistics

__all__ = [
    "ChannelStatistics",
    "InstanceNorm",
    "ModelRecord",
    "Network",
    "NetworkConfig",
    "Style",
    "StyleCount",
    "blend_styles",
    "faded",
    "fill_network",
    "held_statistics",
    "networks",
    "read_model",
    "write_model",
]
