"""Integer networks for tests of every engine: small, seeded, of every operator and option.

- `NetworkBuilder` puts a network together operator by operator.
- `operator_networks(kind)` draws networks around a single operator, with every option it has.
- `paired_networks()` draws a depthwise filter on even channels, with an even number of output pixels a row.
- `separable_networks()` draws small depthwise-separable networks: head, bodies with residual adds, tail, classifier.
- `four_block_network(seed)` is one such network, always the same for the same seed.
- `every_operator_network(seed)` is the smallest network that holds every operator.
- `random_codes(net, batch, seed)` makes input codes for any of them.
"""

from network_builder import NetworkBuilder, Numbers, Window, random_codes
from network_plans import Block, Separable, every_operator_network, four_block_network
from network_strategies import (
    OPERATOR_NETWORKS,
    SEEDS,
    add_networks,
    avg_pool_networks,
    branched_networks,
    channel_scale_networks,
    concat_networks,
    conv_networks,
    flatten_networks,
    global_avg_pool_networks,
    linear_networks,
    max_pool_networks,
    numbers,
    operator_networks,
    pad_networks,
    paired_networks,
    separable_networks,
    shapes,
    sources,
    table_networks,
    windows,
)

__all__ = [
    "OPERATOR_NETWORKS",
    "SEEDS",
    "Block",
    "NetworkBuilder",
    "Numbers",
    "Separable",
    "Window",
    "add_networks",
    "avg_pool_networks",
    "branched_networks",
    "channel_scale_networks",
    "concat_networks",
    "conv_networks",
    "every_operator_network",
    "flatten_networks",
    "four_block_network",
    "global_avg_pool_networks",
    "linear_networks",
    "max_pool_networks",
    "numbers",
    "operator_networks",
    "pad_networks",
    "paired_networks",
    "random_codes",
    "separable_networks",
    "shapes",
    "sources",
    "table_networks",
    "windows",
]
