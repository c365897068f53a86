"""Which values of the steps go to k8s.toml, which into a pool, and which stay with their step."""

import contextlib
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import CommandError
from ..project.k8s_toml import Config
from ..project.merge_settings import from_text, merge, shared_settings
from .read_decorators import Decorator

# The path of one value: ("cpu",), of an entry in a table ("node_selector", "pool"), of an item
# in a list ("secrets", '"db"'), where the second part is the item as JSON.
Leaf = tuple[str, ...]
Leaves = dict[Leaf, Any]
# Where a step runs, and on what: shared only if every decorated step has it, so that no step asks
# for a GPU, or for a node of GPUs, because most of the others do.
NODE_SETTINGS = ("gpu", "gpu_vendor", "extended_resources", "node_selector", "tolerations")
CLAIMS = "persistent_volume_claims"
VENDORS = re.compile(r"^(nvidia|amd|tesla|geforce|instinct|gpu)$")

# Asks whether the flows' value takes the place of the one in k8s.toml: key, old and new value.
Ask = Callable[[str, Any, Any], bool]


@dataclass
class Rewrite:
    """What becomes of a @kubernetes."""

    decorator: Decorator
    own: Leaves  # what stays with the step, without its pool
    pool: str | None = None


@dataclass
class Proposal:
    """What k8s.toml becomes, and each @kubernetes."""

    config: Config
    rewrites: list[Rewrite] = field(default_factory=list)


def propose(decorators: Sequence[Decorator], config: Config, ask: Ask) -> Proposal:
    """Return the proposal for the @kubernetes of steps; `config` is what is in k8s.toml."""
    leaves = [leaves_of(normal_values(decorator.values)) for decorator in decorators]
    shared = shared_settings(config)
    present = leaves_of(shared)
    added: Leaves = {}
    for leaf, value in common_leaves(leaves).items():
        old = present.get(leaf)
        if old is None or (old != value and ask(".".join(leaf), old, value)):
            added[leaf] = value
    shared = merge(shared, settings_of(added))
    present = leaves_of(shared)
    rewrites = []
    for decorator, found in zip(decorators, leaves, strict=True):
        own = {leaf: value for leaf, value in found.items() if present.get(leaf, ...) != value}
        rewrites.append(Rewrite(decorator, own | moved_claims(own, present)))
    pools = make_pools(rewrites, config.get("pools", {}))
    return Proposal({**config, **shared, **({"pools": pools} if pools else {})}, rewrites)


def leaves_of(settings: Mapping[str, Any]) -> Leaves:
    """Return each value of settings by itself."""
    leaves: Leaves = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            leaves |= {(key, str(name)): item for name, item in value.items()}
        elif isinstance(value, list):
            leaves |= {(key, json.dumps(item, sort_keys=True)): item for item in value}
        else:
            leaves[key,] = value
    return leaves


def settings_of(leaves: Leaves) -> Config:
    """Return the settings that have these leaves."""
    settings: Config = {}
    for leaf, item in leaves.items():
        if len(leaf) == 1:
            settings[leaf[0]] = item
        elif leaf[1] == json.dumps(item, sort_keys=True):  # of a list
            settings.setdefault(leaf[0], []).append(item)
        else:
            settings.setdefault(leaf[0], {})[leaf[1]] = item
    return settings


def common_leaves(steps: Sequence[Leaves]) -> Leaves:
    """Return what most steps share; of where they run, what all of them share."""
    counts = Counter((leaf, json.dumps(item)) for leaves in steps for leaf, item in leaves.items())
    order = {leaf: item for leaves in steps for leaf, item in leaves.items()}
    common: Leaves = {}
    for leaf in order:
        for leaves in steps:
            if leaf in leaves and leaves[leaf] is not None:
                times = counts[leaf, json.dumps(leaves[leaf])]
                if times == len(steps) or (2 * times > len(steps) and leaf[0] not in NODE_SETTINGS):
                    common[leaf] = leaves[leaf]
    return common


def moved_claims(own: Leaves, shared: Leaves) -> Leaves:
    """Return what takes a shared claim away from a step that mounts another one at its path."""
    paths = {item for leaf, item in own.items() if leaf[0] == CLAIMS}
    return {
        leaf: None
        for leaf, item in shared.items()
        if leaf[0] == CLAIMS and leaf not in own and item in paths
    }


def make_pools(rewrites: Sequence[Rewrite], present: Mapping[str, Any]) -> dict[str, Any]:
    """Set the pool of each rewrite that shares one, and return all pools of k8s.toml.

    A pool holds two or more values that several steps have beyond the shared ones: all of such a
    step's values, or only those of NODE_SETTINGS.
    """
    pools = dict(present)
    able = [rewrite for rewrite in rewrites if not rewrite.decorator.unreadable]
    for part in (dict, node_leaves):
        sets = [part(rewrite.own) for rewrite in able if not rewrite.pool]
        for leaves in sets:
            sharing = [each for each in able if not each.pool and part(each.own) == leaves]
            settings = settings_of(leaves)
            known = [name for name, pool in pools.items() if pool == settings]
            if len(leaves) < 2 or None in leaves.values() or (len(sharing) < 2 and not known):
                continue
            name = known[0] if known else pool_name(settings, pools)
            pools[name] = settings
            for rewrite in sharing:
                rewrite.pool = name
                rewrite.own = {leaf: v for leaf, v in rewrite.own.items() if leaf not in leaves}
    return pools


def node_leaves(leaves: Leaves) -> Leaves:
    return {leaf: item for leaf, item in leaves.items() if leaf[0] in NODE_SETTINGS}


def pool_name(settings: Mapping[str, Any], taken: Mapping[str, Any]) -> str:
    """Return a name made of what a pool is: `gpu-1-a100`, `cpu-8-memory-32000`."""
    parts: list[str] = []
    if settings.get("gpu"):
        parts += [f"gpu-{settings['gpu']}", *model(settings.get("node_selector", {}))]
    else:
        parts += [f"{key}-{settings[key]}" for key in ("cpu", "memory") if key in settings]
    if not parts:
        parts = [*model(settings.get("node_selector", {})), *map(str, settings)][:1]
    name = re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")
    numbered = (f"{name}-{number}" for number in range(2, 1000))
    return name if name not in taken else next(each for each in numbered if each not in taken)


def model(selector: Mapping[str, str]) -> list[str]:
    """Return `a100` for a label like nvidia-tesla-a100, in a list; an empty one without labels."""
    words = [word for value in selector.values() for word in re.split(r"[^a-z0-9]+", value.lower())]
    return [word for word in words if word and not VENDORS.match(word)][:1]


def normal_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of @kubernetes as k8s.toml spells them: `memory="16000"` is 16000."""
    normal = {}
    for key, value in values.items():
        if isinstance(value, str):
            with contextlib.suppress(CommandError):  # else it cannot be read, and is not valid
                value = from_text(key, value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        normal[key] = value
    return normal
