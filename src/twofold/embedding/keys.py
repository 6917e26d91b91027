"""What the layers of the built-in networks are called in the files that their weights come in."""

from twofold.embedding.architectures import Architecture


def keys(unit: str, table: Architecture) -> tuple[str, str]:
    """The names of a unit's convolution and of its batch norm.

    Units are `stem`, `block3.expand`, `block3.depthwise`, `block3.project` and `last`.
    """
    return _NAMINGS[table.naming](unit, table)


def _efficientnet_keys(unit: str, _: Architecture) -> tuple[str, str]:
    if unit in ("stem", "last"):
        return ("_conv_stem", "_bn0") if unit == "stem" else ("_conv_head", "_bn1")
    block, part = unit.removeprefix("block").split(".")
    norm = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}[part]
    return f"_blocks.{block}._{part}_conv", f"_blocks.{block}.{norm}"


def _torchvision_keys(unit: str, table: Architecture) -> tuple[str, str]:
    if unit in ("stem", "last"):
        layer = 0 if unit == "stem" else 1 + sum(stage.repeats for stage in table.stages)
        return f"features.{layer}.0", f"features.{layer}.1"
    block, part = unit.removeprefix("block").split(".")
    prefix = f"features.{int(block) + 1}.conv"
    if part == "expand":
        return f"{prefix}.0.0", f"{prefix}.0.1"
    shift = 0 if block == "0" else 1  # the first block does not widen
    if part == "depthwise":
        return f"{prefix}.{shift}.0", f"{prefix}.{shift}.1"
    return f"{prefix}.{shift + 1}", f"{prefix}.{shift + 2}"


_NAMINGS = {"efficientnet": _efficientnet_keys, "torchvision": _torchvision_keys}
