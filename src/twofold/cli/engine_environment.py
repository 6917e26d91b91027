"""The environment of an engine, which only the command line may set."""

import os

from twofold.core.options import EngineName


def prepare_engine(engine: EngineName) -> None:
    """Turns off the report that Ray sends to its makers. Call it before the engine is made."""
    if engine == "ray":
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
