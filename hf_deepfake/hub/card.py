"""The model card: README.md of a checkpoint, rendered from its report and nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResult, ModelCardData
from jinja2 import Environment, StrictUndefined

from hf_deepfake.config import TrainConfig
from hf_deepfake.evaluation.report import MAIN_METRICS, Mean, Report
from hf_deepfake.evaluation.result import SplitResult

CARD_FILE = "README.md"

CAPTIONS = {
    "confusion.png": "Verdicts on the test split.",
    "roc.png": "ROC curve on the test split, with its 95 % band.",
    "reliability.png": "How often a score is right: share of fakes by score, on the test split.",
    "scores.png": "Scores of real and of fake pictures, on the test split.",
    "learning_curves.png": "Loss and validation metric by epoch.",
}
"""File names of the figures that a card shows, in its order, with what it says of them."""

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
    "flip": "Likeness to the map of the mirrored picture (rank correlation; 1 is the same)",
    "jpeg": "Likeness to the map after JPEG of quality 70",
    "shuffled_classifier": "Likeness to the map of a net whose classifier was shuffled (0 is good)",
    "shuffled_net": "Likeness to the map of a net all of whose weights were shuffled (0 is good)",
    "pointing": "Strongest place in the pasted area",
    "mask": "Share of the map in the pasted area",
    "mask_specific": "The same, above its share in areas pasted in other pictures",
    "parts": "Share of the map in the replaced parts of the face",
    "parts_specific": "The same, above its share in parts replaced in other pictures",
}
"""What is measured of maps, with what a card calls it, in its order."""

EXPLANATION_FINDINGS = {
    "deletion_difference": (-1, "blurring what the maps mark costs the verdict {} than blurring random places"),
    "insertion_difference": (1, "showing what they mark supports it {} than showing random places"),
    "mask_specific": (1, "they mark the pasted area {} than what was pasted in other pictures"),
    "parts_specific": (1, "they mark replaced parts of a face {} than what was replaced in other pictures"),
}
"""Differences from chance, with the sign of a good one and the clause in which its size stands."""

ALIKE = 0.5
"""Rank correlation from which maps of two nets count as much the same."""

LOCAL_OPTIONS = {"data", "output_dir", "cache_dir", "resume", "overwrite", "workers", "tracker"}
"""Options that say where and how to run, not what to train."""


def build_card(
    report: Report, *, repo_id: str | None = None, license: str | None = None, figures: Sequence[str] = ()
) -> str:
    """Render the model card.

    A section that the report has no data for is left out.

    Args:
        report: of the checkpoint.
        repo_id: `owner/name` on the Hub, where the card's examples are to load from.
        license: the Hub's name of the weights' licence, such as "apache-2.0"; not stated by default.
        figures: names of the PNG files beside the card; those in `CAPTIONS` are shown.

    Returns:
        Markdown with YAML metadata.
    """
    options = report.training.get("options", {})
    monitor = options.get("monitor", "")
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)
    template = (resources.files("hf_deepfake") / "hub" / "card_template.md").read_text(encoding="utf-8")
    text = environment.from_string(template).render(
        metadata=_metadata(report, repo_id, license).to_yaml(),
        title=_model_name(report, repo_id),
        repo_id=repo_id,
        report=report,
        checkpoint=report.checkpoint,
        test=report.splits.get("test"),
        splits=report.splits,
        metric_names=MAIN_METRICS,
        data=report.data,
        training=report.training,
        monitor=MAIN_METRICS.get(monitor, monitor.replace("_", " ")),
        explanation_rows=EXPLANATION_ROWS,
        explanations=[(result, _findings(result.metrics)) for result in report.explanations],
        recipe=_recipe(options),
        figures={name: caption for name, caption in CAPTIONS.items() if name in figures},
    )
    return text.rstrip() + "\n"


def _metadata(report: Report, repo_id: str | None, license: str | None) -> ModelCardData:
    """The card's YAML block; test metrics only where the data set has a name."""
    sources, test = report.data.get("sources", {}), report.splits.get("test")
    results = _eval_results(", ".join(sources), test) if sources and test else []
    return ModelCardData(
        library_name="timm",
        license=license,
        pipeline_tag="image-classification",
        tags=["image-classification", "timm", "transformers", "deepfake-detection"],
        model_name=_model_name(report, repo_id) if results else None,
        eval_results=results or None,
    )


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
                metric_type=hub_name,
                metric_name=title,
                metric_value=round(metric.value, 4),
            )
        )
    return results


def _model_name(report: Report, repo_id: str | None) -> str:
    """Name of the model: that of its repository, or one made of its net."""
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


def _recipe(options: dict[str, Any]) -> str:
    """The options that differ from the defaults, as a recipe in YAML; a local path is cut to its last part."""
    defaults = {item.name: item.default for item in fields(TrainConfig)}
    # JSON has made lists of tuples, so an empty tuple is compared as what it has become.
    chosen = {
        name: value
        for name, value in options.items()
        if name not in LOCAL_OPTIONS and value != (defaults.get(name) if defaults.get(name) != () else [])
    }
    if chosen.get("pretrained") not in {None, "hub", "off"}:
        chosen["pretrained"] = Path(chosen["pretrained"]).name
    return yaml.safe_dump(chosen, sort_keys=False, allow_unicode=True).rstrip() if chosen else ""
