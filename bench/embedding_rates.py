"""Images per second of one network: decoding only, the network only, and both in `embed`.

    python bench/embedding_rates.py ../shared/data/cats-dogs/test --backbone mobilenetv2 --dtype int8 [--weights FILE]

Decoding and the network use the same processors, which limits both together to 1 / (1/decoding + 1/network).
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from twofold.core.options import BackboneOptions
from twofold.data import preprocess, read_bytes
from twofold.embedding import BATCH, Engine
from twofold.embedding.embed import embed
from twofold.networks import load_backbone


def decode(engine: Engine, paths: list[Path]) -> int:
    def decode_one(path: Path) -> None:
        data = read_bytes(path)
        assert isinstance(data, bytes)
        preprocess(data, engine.backbone.preprocessing)

    with ThreadPoolExecutor(engine.threads) as pool:
        return len(list(pool.map(decode_one, paths)))


def compute(engine: Engine, paths: list[Path]) -> int:
    """About as many full batches as there are images, on the pixels that the requests contain."""
    rounds = -(-len(paths) // (BATCH * engine.threads))
    with ThreadPoolExecutor(engine.threads) as pool:
        counts = pool.map(lambda request: [len(request.run(BATCH)) for _ in range(rounds)], engine.requests)
        return sum(map(sum, counts))


def embed_all(engine: Engine, paths: list[Path]) -> int:
    return sum(1 for _ in embed(paths, engine))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--backbone", default="efficientnet-lite0")
    parser.add_argument("--dtype", choices=("f32", "bf16", "int8"), default="f32")
    parser.add_argument("--features", default="filters")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()

    paths = sorted(arguments.images.rglob("*.jpg"))
    options = BackboneOptions(arguments.backbone, arguments.weights, features=arguments.features)
    engine = Engine(load_backbone(options, arguments.dtype, cache=Path()))
    embed_all(engine, paths[:64])  # compiles the network and loads the files into the page cache
    decode(engine, paths)
    functions: dict[str, Callable[[Engine, list[Path]], int]] = {
        "decode": decode,
        "compute": compute,
        "both": embed_all,
    }
    rates_by_run: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(arguments.repeats):  # interleaved, so that disturbances of the machine affect all three
        for name, function in functions.items():
            start = time.perf_counter()
            count = function(engine, paths)
            rates_by_run[name].append(count / (time.perf_counter() - start))
    rates = {name: statistics.median(values) for name, values in rates_by_run.items()}
    limit = 1 / (1 / rates["decode"] + 1 / rates["compute"])
    print(json.dumps({**rates, "limit": limit, "fraction_of_limit": rates["both"] / limit}))


if __name__ == "__main__":
    main()
