"""The Ray engine: an actor with a local engine on each node, so that parts, retries and crashes are those of one machine."""

from collections import deque
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Self

from twofold.core.errors import TwofoldError
from twofold.core.hints import require
from twofold.workflows.scale.engines.interrupts import held_interrupts
from twofold.workflows.scale.engines.local_engine import LocalEngine
from twofold.workflows.scale.engines.worker import Job, PartDone
from twofold.workflows.scale.plan import Part


class PartActor:
    """Computes parts on a node of the cluster. Images, bundle and parts lie on a disk that all nodes share."""

    def __init__(self, job: Job) -> None:
        self._engine = LocalEngine(job)

    def compute(self, part: Part) -> PartDone | TwofoldError:
        """The finished part. An error is returned: raised, Ray would add its traceback to the sentence."""
        try:
            return self._engine.compute(part.digest, part.paths())
        except TwofoldError as error:
            return error


class RayEngine:
    """Computes parts on the Ray cluster that this process finds, else on a cluster of this machine alone. A context manager.

    A node has one actor, which asks for all its CPUs, or as many as its CPUs allow where the job has a number of threads.
    """

    def __init__(self, job: Job) -> None:
        require("The engine ray", "ray", extra="ray")
        self._job = job
        self._started = False

    def __enter__(self) -> Self:
        import ray

        if not ray.is_initialized():
            ray.init(include_dashboard=False, log_to_driver=False, logging_level="error")
            self._started = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._started:
            import ray

            with held_interrupts():  # in the middle of it Ray ends this process by a segmentation fault
                ray.shutdown()

    def run(self, parts: Sequence[Part]) -> Iterator[PartDone]:
        """Computes the parts on all nodes, and yields each once it is on the disk. The part of an actor that is lost, as with its
        node, is computed by another. Raises TwofoldError where none is left, and what `LocalEngine.run` raises."""
        import ray
        from ray.exceptions import RayActorError

        waiting, idle = deque(parts), self._actors()
        running: dict[Any, tuple[Any, Part]] = {}
        while waiting or running:
            while waiting and idle:
                actor, part = idle.pop(), waiting.popleft()
                running[actor.compute.remote(part)] = actor, part
            if not running:
                raise TwofoldError(
                    "No node of the Ray cluster is left: run it again; nothing that is finished is lost."
                )
            (reference,), _ = ray.wait(list(running))
            actor, part = running.pop(reference)
            try:
                done = ray.get(reference)
            except RayActorError:
                waiting.appendleft(part)
                continue
            if isinstance(done, TwofoldError):
                raise done
            idle.append(actor)
            yield done

    def _actors(self) -> list[Any]:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        remote_class, actors = ray.remote(PartActor), []
        for node in ray.nodes():
            cpus = int(node["Resources"].get("CPU", 0)) if node["Alive"] else 0
            each = min(self._job.threads or cpus, cpus)  # never more than there are
            strategy = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            for _ in range(cpus // each if each else 0):
                options = remote_class.options(num_cpus=each, scheduling_strategy=strategy)
                actors.append(options.remote(self._job))
        return actors
