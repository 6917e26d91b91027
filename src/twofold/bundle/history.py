"""The history of a bundle's decisions: every rule it has had, and the scores that each was chosen on."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from twofold.bundle.format import read_rule
from twofold.core.errors import BundleError, UsageError
from twofold.decision import Rule


@dataclass(frozen=True, slots=True)
class Decision:
    """A rule of the bundle: when and by which command it was chosen, and on which scores.

    `scores` is their source, their number and a digest that tells other scores apart; `undone` decisions are no longer in use.
    """

    created: str
    command: tuple[str, ...] = field(repr=False)
    rule: Rule
    scores: dict[str, Any] = field(repr=False)
    undone: bool = False

    def as_json(self) -> dict[str, Any]:
        """{"created", "command", "rule", "scores", "undone"}."""
        plain = asdict(replace(self, rule=Rule.at(0.5)))
        return {**plain, "command": list(self.command), "rule": self.rule.as_json()}


@dataclass(frozen=True, slots=True)
class History:
    """All decisions of a bundle, the first one from its training."""

    decisions: tuple[Decision, ...]

    @classmethod
    def of_record(cls, record: dict[str, Any], trained_on: dict[str, Any]) -> Self:
        """The history in the record of a bundle; `trained_on` are the scores of the training. BundleError for an illegal one."""
        entries = record.get("decisions")
        if entries is None:
            first = {"created": record.get("created"), "command": record.get("command"), "rule": record["rule"]}
            entries = [{**first, "scores": trained_on, "undone": False}]
        try:
            history = cls(tuple(_decision(entry) for entry in entries))
            if not history.rules_in_use:
                raise ValueError("every decision is undone")
            return history
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(f"The bundle's history of decisions cannot be used ({error}); train it again.") from error

    @property
    def in_use(self) -> Decision:
        """The decision in use: the last one that was not undone."""
        return next(decision for decision in reversed(self.decisions) if not decision.undone)

    @property
    def rules_in_use(self) -> int:
        """The number of decisions that were not undone; 1 for the rule of the training."""
        return sum(not decision.undone for decision in self.decisions)

    def promises_on(self, digest: str) -> int:
        """How many promises were made on the scores with this digest."""
        return sum(
            len(decision.rule.policy.parameters["promise"])
            for decision in self.decisions
            if decision.rule.policy.name == "promise" and decision.scores.get("digest") == digest
        )

    def with_decision(self, decision: Decision) -> "History":
        """The history with one more decision."""
        return History((*self.decisions, decision))

    def undo(self) -> tuple["History", Rule]:
        """The history with its last decision undone, and the rule before it. UsageError where there is none before it."""
        in_use = [number for number, decision in enumerate(self.decisions) if not decision.undone]
        if len(in_use) < 2:
            raise UsageError("There is no decision to undo: the bundle has the rule of its training.")
        decisions = list(self.decisions)
        decisions[in_use[-1]] = replace(decisions[in_use[-1]], undone=True)
        return History(tuple(decisions)), decisions[in_use[-2]].rule

    def as_json(self) -> Sequence[dict[str, Any]]:
        """The block "decisions"."""
        return [decision.as_json() for decision in self.decisions]


def _decision(entry: dict[str, Any]) -> Decision:
    command = tuple(map(str, entry["command"] or ()))
    rule, scores = read_rule(entry["rule"]), dict(entry["scores"])
    if rule.policy.name == "promise" and not isinstance(rule.policy.parameters.get("promise"), list):
        raise ValueError("a promise has no list of promises")
    return Decision(str(entry["created"]), command, rule, scores, bool(entry["undone"]))
