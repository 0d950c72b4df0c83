"""The model card: README.md of a checkpoint, rendered from its report and nothing else."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from importlib import resources
from typing import Any

import timm
import yaml
from huggingface_hub import EvalResult, ModelCardData
from jinja2 import Environment, StrictUndefined

from hf_deepfake.config import DecisionConfig, TrainConfig
from hf_deepfake.criterion import parse_criterion
from hf_deepfake.metrics.classification import better
from hf_deepfake.metrics.conditions import ConditionResult, worst_mild
from hf_deepfake.metrics.error_groups import ATTRIBUTES, worst_groups
from hf_deepfake.metrics.result import UNSURE_METRICS, SplitResult
from hf_deepfake.metrics.subgroups import FACETS
from hf_deepfake.models import ensemble, zoo
from hf_deepfake.models.fetch import HUB_PREFIX
from hf_deepfake.report.foreign_table import IN_SOURCE_ONLY, foreign_looks, foreign_rows
from hf_deepfake.report.report import MAIN_METRICS, Mean, Report
from hf_deepfake.report.video_table import video_note, video_rows

CARD_FILE = "README.md"

CAPTIONS = {
    "confusion.png": "Verdicts on the {} split.",
    "roc.png": "ROC curve on the {} split, with its 95 % band.",
    "reliability.png": "How often a score is right: share of fakes by score, on the {} split.",
    "scores.png": "Scores of real and of fake images, on the {} split.",
    "risk_coverage.png": "Selective risk by coverage: the share of wrong verdicts among the most confident images.",
    "robustness.png": "AUC on degraded images of the {} split; framed: the mild set.",
    "learning_curves.png": "Loss and validation metric by epoch.",
}
"""File names of the figures that a card shows, in its order, with what it says of them."""

SUBSET_METRICS = ("auc", "accuracy", "recall_fake", "recall_real")
"""What tables of results apart show."""

CRITERIA = {
    "accuracy": "gives the most right verdicts",
    "balanced": "gives the best balanced accuracy (the mean share of right verdicts among reals and among fakes)",
    "f1": "gives the best F1 of fake",
    "eer": "misses as large a share of the fakes as it raises false alarms among the reals",
    "cost": "costs least (a missed fake {miss_cost:g} times a false alarm, fakes being {prior:.3g} of the images)",
    "fpr<=": "finds the most fakes with at most {share:.3g} of the reals called fake",
    "recall>=": "raises the fewest false alarms with at least {share:.3g} of the fakes found",
}
"""What an operating point of each criterion does on the images that decided."""

HUB_METRICS = {
    "auc": "roc_auc",
    "average_precision": "average_precision",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced_accuracy",
    "f1_fake": "f1",
    "brier": "brier_score",
}
"""Metrics of the card's metadata, with the Hub's names for them."""

EXPLANATION_ROWS = {
    "deletion": "Probability of the verdict while the marked pixels are blurred first (deletion AUC; low is good)",
    "insertion": "Probability of the verdict while the marked pixels come back first (insertion AUC; high is good)",
    "flip": "Likeness to the map of the mirrored image (rank correlation; 1 is the same)",
    "jpeg": "Likeness to the map after JPEG of quality 70",
    "shuffled_classifier": "Likeness to the map of a model whose classifier was shuffled (0 is good)",
    "shuffled_model": "Likeness to the map of a model all of whose weights were shuffled (0 is good)",
    "pointing": "Strongest place in the pasted area",
    "mask": "Share of the map in the pasted area",
    "mask_specific": "The same, above its share in areas pasted in other images",
    "parts": "Share of the map in the replaced parts of the face",
    "parts_specific": "The same, above its share in parts replaced in other images",
}
"""What is measured of maps, with what a card calls it, in its order."""

EXPLANATION_FINDINGS = {
    "deletion_difference": (-1, "blurring what the maps mark costs the verdict {} than blurring random places"),
    "insertion_difference": (1, "showing what they mark supports it {} than showing random places"),
    "mask_specific": (1, "they mark the pasted area {} than what was pasted in other images"),
    "parts_specific": (1, "they mark replaced parts of a face {} than what was replaced in other images"),
}
"""Differences from chance, with the sign of a good one and the clause in which its size stands."""

ALIKE = 0.5
"""Rank correlation from which maps of two models count as much the same."""


def build_card(
    report: Report,
    *,
    repo_id: str | None = None,
    license: str | None = None,
    figures: Sequence[str] = (),
    adapter_of: str = "",
) -> str:
    """Render the model card.

    A section that the report has no data for is left out.

    Args:
        report: of the checkpoint.
        repo_id: `owner/name` on the Hub, where the card's examples are to load from.
        license: the Hub's name of the weights' licence, such as "apache-2.0"; not stated by default.
        figures: names of the PNG files beside the card; those in `CAPTIONS` are shown.
        adapter_of: what the base is called, where the card is of an adapter alone.

    Returns:
        Markdown with YAML metadata.
    """
    options = report.training.get("options", {})
    monitor = options.get("monitor", "")
    judged = report.splits.get(report.evaluated_split) if report.splits else None
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)
    environment.filters["percent"] = lambda share: f"{100 * share:.3g} %"
    template = (resources.files("hf_deepfake") / "hub" / "card_template.md").read_text(encoding="utf-8")
    text = environment.from_string(template).render(
        metadata=_metadata(report, repo_id, license, adapter_of).to_yaml(),
        adapter_of=adapter_of,
        title=_model_name(report, repo_id),
        repo_id=repo_id,
        report=report,
        checkpoint=report.checkpoint,
        registered_by=_registered_by(report.checkpoint.model),
        criterion=_criterion(report.checkpoint.criterion, options),
        judged=judged,
        evaluated_name=report.evaluated_split if judged else "",
        splits=report.splits,
        metric_names=MAIN_METRICS,
        unsure_names=UNSURE_METRICS,
        subset_metrics=SUBSET_METRICS,
        facets=FACETS,
        foreign=foreign_rows(report.foreign) if report.foreign else [],
        video_rows=video_rows(report.videos, MAIN_METRICS) if report.videos else [],
        foreign_videos=foreign_rows(report.videos.foreign, "Videos") if report.videos and report.videos.foreign else [],
        video_note=video_note(report.videos, report.checkpoint.operating_point) if report.videos else "",
        crossed=foreign_rows(report.cross_calibrated) if report.cross_calibrated else [],
        looks=foreign_looks(report.foreign),
        in_source_only=IN_SOURCE_ONLY,
        weakest=_weakest(report.robustness),
        worst_mild=worst_mild(report.robustness),
        attributes=ATTRIBUTES,
        worst_groups=worst_groups(report.errors),
        data=report.data,
        audit=report.audit,
        training=report.training,
        stages=_stages(report.training),
        monitor=MAIN_METRICS.get(monitor, monitor.replace("_", " ")),
        explanation_rows=EXPLANATION_ROWS,
        explanations=[(result, _findings(result.metrics)) for result in report.explanations],
        recipe=_recipe(options),
        figures={
            name: caption.format(report.evaluated_split)
            for name, caption in CAPTIONS.items()
            if judged and name in figures
        },
    )
    return text.rstrip() + "\n"


def _registered_by(model: str) -> str:
    """Module of this package that registers a model with timm; empty for timm's own."""
    return next((module.__name__ for module in (zoo, ensemble) if model in module.__all__), "")


def _metadata(report: Report, repo_id: str | None, license: str | None, adapter_of: str) -> ModelCardData:
    """The card's YAML block; test metrics only where the data set has a name."""
    sources, test = report.data.get("sources", {}), report.splits.get("test")
    results = _eval_results(", ".join(sources), test) if sources and test else []
    return ModelCardData(
        library_name="peft" if adapter_of else "timm",
        license=license,
        pipeline_tag="image-classification",
        base_model=_base_model(report.training.get("options", {})),
        datasets=[source for source in sources if re.fullmatch(r"[\w.-]+/[\w.-]+", source)] or None,
        tags=["image-classification", "timm", "peft" if adapter_of else "transformers", "deepfake-detection"],
        model_name=_model_name(report, repo_id) if results else None,
        eval_results=results or None,
    )


def _base_model(options: dict[str, Any]) -> str | None:
    """Repository of the pretrained weights; None where they came from elsewhere, or there were none."""
    if options.get("pretrained") != "hub":
        return None
    if options["model"].startswith(HUB_PREFIX):
        return options["model"].removeprefix(HUB_PREFIX).partition("@")[0]
    start = timm.get_pretrained_cfg(options["model"])
    return start.hf_hub_id if start else None


def _eval_results(dataset: str, test: SplitResult) -> list[EvalResult]:
    """The defined test metrics, each with its interval in its name, where the Hub shows it."""
    results = []
    for name, hub_name in HUB_METRICS.items():
        metric, title = test.metrics[name], MAIN_METRICS[name]
        if metric.value is None:
            continue
        if metric.low is not None and metric.high is not None:
            title += f", 95 % interval {metric.low:.3f} to {metric.high:.3f}"
        results.append(
            EvalResult(
                task_type="image-classification",
                dataset_type="custom",
                dataset_name=dataset,
                dataset_split="test",
                dataset_args={"images": test.n, "groups": test.n_groups},
                metric_type=hub_name,
                metric_name=title,
                metric_value=round(metric.value, 4),
            )
        )
    return results


def _model_name(report: Report, repo_id: str | None) -> str:
    """Name of the model: that of its repository, or one made of its model."""
    return repo_id.split("/")[-1] if repo_id else f"{report.checkpoint.model}-deepfake"


def _findings(metrics: Mapping[str, Mean]) -> str:
    """One sentence on what measured maps are good for; empty where nothing was held against chance."""
    clauses = []
    for name, (good, clause) in EXPLANATION_FINDINGS.items():
        if name in metrics:
            metric = metrics[name]
            value, low, high = (good * (number or 0) for number in (metric.value, metric.low, metric.high))
            word = "no more" if low * high <= 0 else f"{abs(value):.3f} {'more' if value > 0 else 'less'}"
            clauses.append(clause.format(word))
    likeness = metrics.get("shuffled_classifier")
    if likeness is not None and likeness.high is not None:
        same = likeness.high > ALIKE
        clauses.append(f"they {'stay much the same' if same else 'change'} when the classifier is shuffled")
    return "; ".join(clauses).capitalize() + "." if clauses else ""


def _weakest(results: Sequence[ConditionResult]) -> list[ConditionResult]:
    """The worst severity of each family, the weakest family first."""
    worst: dict[str, ConditionResult] = {}
    for one in results:
        if one.family not in worst or (one.auc.value or 0.0) < (worst[one.family].auc.value or 0.0):
            worst[one.family] = one
    return sorted(worst.values(), key=lambda one: one.auc.value or 0.0)


def _stages(training: dict[str, Any]) -> list[dict[str, Any]]:
    """The best epoch of each stage; nothing where there is one stage only."""
    monitor, epochs = training.get("options", {}).get("monitor", ""), training.get("epochs", [])
    best: dict[str, dict[str, Any]] = {}
    for one in epochs:
        if one["stage"] not in best or better(monitor, one[monitor], best[one["stage"]][monitor]):
            best[one["stage"]] = one
    return list(best.values()) if len(best) > 1 else []


def _criterion(text: str, options: dict[str, Any]) -> str:
    """A criterion in words; empty where the operating point was not chosen."""
    if not text:
        return ""
    name, share = parse_criterion(text)
    defaults = {item.name: item.default for item in fields(DecisionConfig)}
    return CRITERIA[name].format(share=share, **(defaults | options))


def _recipe(options: dict[str, Any]) -> str:
    """The options that differ from the defaults, as a recipe in YAML."""
    defaults = {item.name: item.default for item in fields(TrainConfig)}
    # JSON has made lists of tuples, so an empty tuple is compared as what it has become.
    chosen = {
        name: value
        for name, value in options.items()
        if value != (defaults.get(name) if defaults.get(name) != () else [])
    }
    return yaml.safe_dump(chosen, sort_keys=False, allow_unicode=True).rstrip() if chosen else ""
