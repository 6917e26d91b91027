"""decide: another rule for a bundle, from scores and without training again."""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from twofold.bundle.card import decision_sentences
from twofold.bundle.history import Decision, History
from twofold.bundle.model import Model
from twofold.bundle.storage import Bundle, prepare_output, write_decision
from twofold.core.errors import BundleError, UsageError
from twofold.core.files import write_errors
from twofold.core.notes import Note, count_text
from twofold.core.options import DataOptions, DecisionOptions
from twofold.core.privacy import public_word
from twofold.decision import PolicyRecord, Rule
from twofold.decision.costs import Costs
from twofold.embedding import Runtime
from twofold.evaluation.operating_table import OperatingPoint, operating_table
from twofold.evaluation.prevalence_estimate import PrevalenceEstimate
from twofold.evaluation.rule_summary import RuleSample, RuleSummary
from twofold.workflows.fit import DecisionPolicy, check_promises
from twofold.workflows.labelled_scores import LabelledScores, out_of_fold_scores


@dataclass(frozen=True, slots=True)
class Origin:
    """When a rule was chosen, and by which command."""

    created: str = ""
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class DecisionResult:
    """What `decide` returns: the rule before and after, on the same scores; `after` is None where nothing was asked for.

    `history` includes the new rule. `model` is the model with it.
    """

    model: Model = field(repr=False)
    scores: LabelledScores
    prevalence: float
    estimate: PrevalenceEstimate | None
    before: RuleSummary
    after: RuleSummary | None
    table: list[OperatingPoint] = field(repr=False)
    history: History = field(repr=False)
    notes: tuple[Note, ...] = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        """The result as JSON."""
        return {
            "scores": self.scores.as_json(),
            "prevalence": self.prevalence,
            "prevalence_estimate": None if self.estimate is None else self.estimate.as_json(),
            "before": self.before.as_json(),
            "after": None if self.after is None else self.after.as_json(),
            "operating_table": [point.as_json() for point in self.table],
            "decisions": self.history.as_json(),
            "notes": [asdict(note) for note in self.notes],
        }


def decide(
    bundle: Bundle,
    options: DecisionOptions,
    data_options: DataOptions,
    runtime: Runtime,
    origin: Origin,
    *,
    data: Path | None = None,
) -> DecisionResult:
    """Another rule for the bundle. Nothing is written.

    The rule is chosen on the out-of-fold scores of the bundle or, with `data`, on labelled images that the model has not seen.
    With `prevalence="auto"`, `data` are unlabelled images instead. Without a policy, the one in use is applied to another
    prevalence or to other data. Raises BundleError for scores that cannot be used, DataError for data that cannot be, or where
    promises cannot be kept, and UsageError for illegal options.
    """
    check_promises(options)
    if options.prevalence == "auto" and data is None:
        raise UsageError("`prevalence='auto'` needs unlabelled images: give them with `data`.")
    held_out = data is not None and options.prevalence != "auto"
    scores, estimate = _evidence(bundle, options, data_options, runtime, data)
    if estimate is not None:
        options = replace(options, prevalence=estimate.prevalence.value)
    anew = options.has_policy or options.prevalence is not None or held_out
    evidence = scores.as_json()
    history = _history(bundle, scores, evidence)
    model = bundle.model
    if anew or not options.gate:
        rule = choose(bundle, scores, options) if anew else model.rule
        model = replace(model, rule=replace(rule, gate=model.rule.gate if options.gate else None))
        used = evidence if anew else history.in_use.scores
        decision = Decision(origin.created, tuple(map(public_word, origin.command)), model.rule, used)
        notes = _history_notes(history, decision) if anew else []
        history = history.with_decision(decision)
    else:
        notes = []
    all_notes, asked = (*_source_notes(scores, model.rule), *notes), anew or not options.gate
    return _result(bundle.model, model, scores, estimate, history, all_notes, asked=asked)


def _evidence(
    bundle: Bundle, options: DecisionOptions, data_options: DataOptions, runtime: Runtime, data: Path | None
) -> tuple[LabelledScores, PrevalenceEstimate | None]:
    """The scores to choose a rule on, and the prevalence among unlabelled images."""
    if data is None:
        return out_of_fold_scores(bundle), None
    from twofold.workflows.decision_images import estimate_from, held_out_scores  # here: others open no image

    if options.prevalence != "auto":
        return held_out_scores(bundle, data, data_options, runtime), None
    scores = out_of_fold_scores(bundle)
    return scores, estimate_from(bundle, scores, data, runtime)


def undo(bundle: Bundle) -> DecisionResult:
    """The rule before the last decision. Nothing is written. UsageError where there is none."""
    scores = out_of_fold_scores(bundle)
    history, rule = _history(bundle, scores, scores.as_json()).undo()
    return _result(bundle.model, replace(bundle.model, rule=rule), scores, None, history, (), asked=True)


def check_target(bundle: Bundle, path: Path | None, *, force: bool) -> None:
    """UsageError where no bundle can be written at `path`; before any work."""
    if path is None:
        return
    if bundle.path.resolve() in path.resolve().parents:
        raise UsageError(f"{path} is inside the bundle {bundle.path}; give a path outside of it.")
    prepare_output(path, force=force)


def save(bundle: Bundle, result: DecisionResult, path: Path, *, force: bool) -> None:
    """Writes the bundle with the rule of a result at `path`, whole or not at all. UsageError where there is no new rule."""
    if result.after is None:
        raise UsageError("There is nothing to write: give a policy, `prevalence` or `data`.")
    rule = result.model.rule
    text = decision_sentences(rule, result.model.classes)
    if result.history.rules_in_use > 1:
        text += " This rule was chosen after the training; the metrics above are those of the rule before."
    with write_errors(path):
        write_decision(bundle, result.model, result.history.as_json(), text, path, force=force)


def choose(bundle: Bundle, scores: LabelledScores, options: DecisionOptions) -> Rule:
    """The rule that these options choose on scores of the bundle's model; without a policy, by the one in use."""
    options, seed = with_policy_of(bundle.model.rule, options), bundle.record.get("seed")
    curve = bundle.model.calibration.at_prevalence(options.fixed_prevalence)
    policy = DecisionPolicy(options, seed if isinstance(seed, int) else 0)
    return policy.choose(scores.labels, curve.probabilities(scores.logits), scores.groups)


def with_rule(bundle: Bundle, options: DecisionOptions) -> Bundle:
    """The bundle with the rule that these options choose on its out-of-fold scores, to try it; itself without a policy."""
    model, gate = bundle.model, bundle.model.rule.gate if options.gate else None
    if not options.has_policy and options.prevalence is None:
        return bundle if options.gate else replace(bundle, model=replace(model, rule=replace(model.rule, gate=None)))
    if options.prevalence == "auto":
        raise UsageError("`prevalence='auto'` is for decide; give a number.")
    check_promises(options)
    if options.threshold is not None:
        rule = Rule.at(options.threshold, PolicyRecord("fixed", {"threshold": options.threshold}))
        rule = replace(rule, prevalence=options.fixed_prevalence or model.rule.prevalence)
    else:
        rule = choose(bundle, out_of_fold_scores(bundle), options)
    return replace(bundle, model=replace(model, rule=replace(rule, gate=gate)))


def with_policy_of(rule: Rule, options: DecisionOptions) -> DecisionOptions:
    """The options with the policy that chose a rule, where they have none of their own, and with its prevalence."""
    if options.prevalence is None and rule.prevalence is not None:
        options = replace(options, prevalence=rule.prevalence)
    return options if options.has_policy else replace(options, **_policy_options(rule.policy, rule))


def _policy_options(policy: PolicyRecord, rule: Rule) -> dict[str, Any]:
    parameters = policy.parameters
    try:
        if policy.name == "promise":
            return {**parameters, "promise": tuple(parameters["promise"])}
        if policy.name == "cost":
            return {f"cost_{name}": cost for name, cost in parameters.items()}
        return {"threshold": rule.low} if policy.name == "fixed" else {"optimize": parameters["optimize"]}
    except KeyError as error:
        raise BundleError(f"The bundle's policy {policy.name} lacks {error}; give a policy.") from error


def _history(bundle: Bundle, scores: LabelledScores, evidence: dict[str, Any]) -> History:
    """The history of the bundle; its first rule was chosen on the out-of-fold scores. `evidence` are `scores` as JSON."""
    if scores.source == "held-out":
        try:
            evidence = out_of_fold_scores(bundle).as_json()
        except BundleError:
            evidence = {"source": "out-of-fold"}
    return History.of_record(bundle.record, evidence)


def _result(
    old: Model,
    new: Model,
    scores: LabelledScores,
    estimate: PrevalenceEstimate | None,
    history: History,
    notes: tuple[Note, ...],
    *,
    asked: bool,
) -> DecisionResult:
    assumed, of_data = new.rule.prevalence, float(np.mean(scores.labels == 1))
    curve = new.calibration.at_prevalence(assumed)
    probabilities = curve.probabilities(scores.logits)
    sample = RuleSample(scores.labels, probabilities, scores.groups, assumed, scores.factor, scores.familiarity)
    # The old rule decides by its own probabilities, and is weighted as the new one.
    old_sample = replace(sample, probabilities=old.probability_curve.probabilities(scores.logits))
    costs = Costs.of_rule(new.rule) or Costs.of_rule(old.rule)
    return DecisionResult(
        new,
        scores,
        of_data if assumed is None else assumed,
        estimate,
        old_sample.summary(old.rule, costs),
        sample.summary(new.rule, costs) if asked else None,
        operating_table(scores.labels, probabilities, scores.groups, scores.factor),
        history,
        notes,
    )


def _source_notes(scores: LabelledScores, rule: Rule) -> list[Note]:
    if scores.source == "held-out":
        text = "The images are held out, so the bounds are exact for this model."
        if scores.left_out:
            text += f" Left out: {count_text(scores.left_out, 'image')} that may duplicate training images or show their objects."
        return [Note("held-out-scores", text)]
    if scores.source == "validation":
        text = "The scores are those of the validation images, which chose the best epoch of the network, too."
        return [Note("validation-scores", text)]
    text = "The scores are out-of-fold: they come from models that were each fitted on a part of the images."
    if rule.policy.name == "promise":
        text += " The bounds are exact for those, approximate for this model. For exact ones give held-out images with `data`."
    return [Note("out-of-fold-scores", text)]


def _history_notes(history: History, decision: Decision) -> list[Note]:
    """The notes on further promises from the same scores, and on a rule that was chosen on held-out images before."""
    policy, earlier = decision.rule.policy, history.promises_on(decision.scores["digest"])
    notes = []
    if policy.name == "promise" and earlier and not policy.parameters["simultaneous"]:
        text = (
            f"{count_text(earlier, 'promise was', 'promises were')} made on these scores before. Each holds at its confidence, "
            "not all of them together; with `simultaneous` any number of promises of recall and specificity hold together."
        )
        notes.append(Note("promises-on-the-same-scores", text))
    if history.in_use.scores.get("source") == "held-out" != decision.scores["source"]:
        text = "The rule before was chosen on held-out images, this one is not: give them with `data` to choose on them again."
        notes.append(Note("rule-of-held-out-images", text))
    return notes
