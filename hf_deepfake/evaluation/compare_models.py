"""Compare models of any kind: those that have reports, and those to be evaluated on given images first."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from hf_deepfake.config import DataConfig
from hf_deepfake.errors import InputError
from hf_deepfake.evaluation.evaluate import evaluate_on, load_split
from hf_deepfake.evaluation.others import Model, check_labels_used, open_scorer
from hf_deepfake.files import local_path
from hf_deepfake.models.replace import CONFIG_FILE
from hf_deepfake.report.compare import Candidate, Comparison, compare_candidates, load_candidates
from hf_deepfake.report.report import REPORT_FILE


def compare(
    models: Sequence[Candidate | Model],
    reference: str | None = None,
    *,
    config: DataConfig | None = None,
    split: Literal["test", "all"] = "test",
    labels: Mapping[str, str] | None = None,
) -> Comparison:
    """Compare models on the same images, each with each or all with one.

    Each difference more makes it harder to show any: from about eight models on, 2,000 resamples cannot show a
    difference among all pairs, but can against a reference.

    Args:
        models: two or more: folders with report.json and scores.parquet, as evaluation and training write them, or what
            `evaluate_candidates` made; with a configuration also checkpoints and models of others, as `evaluate` takes
            them.
        reference: name of the one that all others are compared with; by default each is compared with each.
        config: images to evaluate on whatever is no candidate and no evaluation's folder; None to take reports alone.
        split: see `evaluate`.
        labels: see `evaluate`.

    Returns:
        The comparison.

    Raises:
        InputError: they were not evaluated by the same images, none has the reference's name, a model or data cannot be
            used, or a folder has no report or scores and there is no configuration.
    """
    candidates = [one for one in models if isinstance(one, Candidate)]
    others = [one for one in models if not isinstance(one, Candidate)]
    if config is not None and others:
        candidates += evaluate_candidates(others, config, split=split, labels=labels)
    elif others or not candidates:
        for one in others:
            if not isinstance(one, (str, Path)) or not local_path(one).exists():
                raise InputError(f"{one} is no folder with a report; give images to evaluate it on, by --data")
        candidates += load_candidates([one for one in others if isinstance(one, (str, Path))])
    return compare_candidates(candidates, reference)


def evaluate_candidates(
    models: Sequence[Model],
    config: DataConfig,
    *,
    split: Literal["test", "all"] = "test",
    labels: Mapping[str, str] | None = None,
) -> list[Candidate]:
    """Evaluate models on the same images, loaded once; under `accelerate launch` every process calls this.

    Args:
        models: as `evaluate` takes them; an evaluation's folder, which holds a report and no model, is read.
        config: sources and options.
        split: see `evaluate`.
        labels: see `evaluate`.

    Returns:
        They with report and scores, by distinct names.

    Raises:
        InputError: one or the data cannot be used, or two are the same.
    """
    reports = [model for model in models if _is_evaluation(model)]
    scorers = {index: open_scorer(model, labels) for index, model in enumerate(models) if model not in reports}
    check_labels_used(labels, list(scorers.values()))
    names = [
        scorers[index].title if index in scorers else local_path(str(model)).name for index, model in enumerate(models)
    ]
    names = [name if names.count(name) == 1 else str(model) for name, model in zip(names, models, strict=True)]
    if len(set(names)) < len(names):
        raise InputError(
            f"{next(name for name in names if names.count(name) > 1)} is named twice; name each model once"
        )
    loaded = load_split(config, split) if scorers else None
    candidates = []
    for index, (name, model) in enumerate(zip(names, models, strict=True)):
        if loaded and index in scorers:
            candidates.append(Candidate(name, *evaluate_on(scorers.pop(index), config, *loaded)))
        else:
            candidates.append(Candidate.load(name, local_path(str(model))))
    return candidates


def _is_evaluation(model: Model) -> bool:
    """Whether a folder holds a report and no model."""
    if not isinstance(model, (str, Path)):
        return False
    folder = local_path(model)
    return (folder / REPORT_FILE).is_file() and not (folder / CONFIG_FILE).is_file()
