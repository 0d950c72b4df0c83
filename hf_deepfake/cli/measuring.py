"""Commands for the person who measures: evaluate, compare, combine, recalibrate, report."""

import re
from pathlib import Path
from typing import Any

from hf_deepfake.cli.parser import Parser, add_command, add_options, text_of
from hf_deepfake.config import DataConfig, DecisionConfig, build
from hf_deepfake.errors import InputError
from hf_deepfake.files import local_name, local_path, try_folder

EVALUATE_EXAMPLES = """\
  hf-deepfake evaluate runs/faces/checkpoint faces.zip --out evaluations/faces
  hf-deepfake evaluate owner/name other_faces/ more.zip --split all --out evaluations/others
  hf-deepfake evaluate runs/faces/checkpoint other_faces/ more.zip --foreign --into_card
  hf-deepfake evaluate runs/faces/checkpoint faces.zip --robustness mild --into_card
  hf-deepfake evaluate runs/faces/checkpoint faces.zip --errors --out evaluations/errors
  hf-deepfake evaluate owner/vit mine/ --split all --labels Realism=real,Deepfake=fake --out evaluations/vit
  hf-deepfake evaluate my_detector:fake_probabilities mine/ --split all --out evaluations/theirs
  accelerate launch scripts/evaluate.py runs/faces/checkpoint faces.zip     (several processes)

OUT receives report.html, report.json, scores.parquet and figures."""

COMPARE_EXAMPLES = """\
  hf-deepfake compare evaluations/small evaluations/large
  hf-deepfake compare runs/*/checkpoint --against small --out comparison
  hf-deepfake compare runs/a/checkpoint owner/vit my_detector:score --data mine/ --split all --out comparison

Without --data these are folders that evaluate wrote, or checkpoints of training runs; all must have evaluated the same
images. With --data each is evaluated first: checkpoints, image-classification models of transformers, functions.
A difference counts only where it stays below 5 % after Holm's correction for all that are made; --against makes
fewer. OUT receives comparison.json and comparison.png, and with --data a report of each."""

COMBINE_EXAMPLES = """\
  hf-deepfake combine runs/a/checkpoint runs/b/checkpoint --data faces.zip --out detectors/both
  hf-deepfake combine runs/a/checkpoint --flip --data faces.zip --out detectors/mirrored
  hf-deepfake combine runs/s1/checkpoint runs/s2/checkpoint --method weights --data faces.zip --out detectors/soup

The validation split decides the operating point, the test split is scored once. To distil the result into one model,
give it to train --teacher."""

RECALIBRATE_EXAMPLES = """\
  hf-deepfake recalibrate runs/faces/checkpoint faces.zip --criterion "fpr<=0.01" --out runs/faces/strict
  hf-deepfake recalibrate owner/name my_faces/ --split all --confident_error 0.01 --out detectors/mine"""

REPORT_EXAMPLES = """\
  hf-deepfake report evaluations/faces
  hf-deepfake report runs/faces/checkpoint --notes what_it_cost.md"""


CHECKPOINT_TEXT = "folder, or owner/name on the Hub"
LABELS_TEXT = (
    "for a model of transformers whose labels don't say it: which class each means, as in LABEL_0=real,LABEL_1=fake"
)


def register(commands: Any) -> None:
    """Add these commands to the parser."""
    evaluate = add_command(
        commands,
        "evaluate",
        "CHECKPOINT DATA...",
        "measure a checkpoint or another model on any data",
        EVALUATE_EXAMPLES,
        _evaluate,
    )
    _add_places(evaluate, f"{CHECKPOINT_TEXT}; or a model of transformers, or module:function")
    evaluate.add_argument("--labels", default="", metavar="TEXT", help=LABELS_TEXT)
    evaluate.add_argument(
        "--split",
        choices=("test", "all"),
        default="test",
        help="the test split, made where there is none, or all images of data never seen (default test)",
    )
    evaluate.add_argument(
        "--foreign",
        action="store_true",
        help="all images, foreign to training and calibration: results by origin, their mean and the worst",
    )
    evaluate.add_argument("--out", type=local_path, metavar="DIR", help="folder for the report")
    evaluate.add_argument(
        "--robustness",
        choices=("off", "mild", "full"),
        default="off",
        help="also degraded: mild is 15 conditions that any platform brings, full is 33 kinds in 5 severities",
    )
    evaluate.add_argument(
        "--errors",
        action="store_true",
        help="also group the errors by light, detail, face and origin, and write sheets of the worst to OUT",
    )
    evaluate.add_argument(
        "--into_card", action="store_true", help="add the results to the report and card of the checkpoint folder"
    )
    add_options(evaluate, DataConfig, leave_out="data")
    recalibrate = add_command(
        commands,
        "recalibrate",
        "CHECKPOINT DATA... --out DIR",
        "recalibrate where fake begins and what is unsure",
        RECALIBRATE_EXAMPLES,
        _recalibrate,
    )
    _add_places(recalibrate)
    recalibrate.add_argument(
        "--out", required=True, type=local_path, metavar="DIR", help="new folder for the checkpoint"
    )
    recalibrate.add_argument(
        "--split",
        choices=("validation", "all"),
        default="validation",
        help="the validation split, made where there is none, or all images of data never seen (default validation)",
    )
    add_options(recalibrate, DecisionConfig, leave_out="data")
    compare = add_command(
        commands, "compare", "MODEL MODEL...", "compare detectors on the same images", COMPARE_EXAMPLES, _compare
    )
    compare.add_argument(
        "models",
        nargs="+",
        metavar="MODEL",
        type=local_name,
        help="folder with report.json and scores.parquet; with --data, whatever evaluate takes",
    )
    compare.add_argument("--against", metavar="NAME", help="compare all with this one only, not each with each")
    compare.add_argument("--out", metavar="DIR", type=local_path, help="folder for all numbers and a figure")
    compare.add_argument("--split", choices=("test", "all"), default="test", help="of --data (default test)")
    compare.add_argument("--labels", default="", metavar="TEXT", help=LABELS_TEXT)
    add_options(compare, DataConfig)
    combine = add_command(
        commands,
        "combine",
        "CHECKPOINT... --data SOURCE... --out DIR",
        "make one detector of several, or of one and its mirror",
        COMBINE_EXAMPLES,
        _combine,
    )
    combine.add_argument(
        "checkpoints", nargs="+", type=local_name, metavar="CHECKPOINT", help="folders, or owner/name on the Hub"
    )
    combine.add_argument("--out", required=True, type=local_path, metavar="DIR", help="new folder for the checkpoint")
    combine.add_argument(
        "--method",
        choices=("log_odds", "weights"),
        default="log_odds",
        help="average what calibrated models say, or the weights of runs that share their start (default log_odds)",
    )
    combine.add_argument("--shares", nargs="+", type=float, metavar="X", help="of each checkpoint; default equal")
    combine.add_argument("--flip", action="store_true", help="evaluate the mirrored image too, at twice the cost")
    add_options(combine, DecisionConfig)
    report = add_command(
        commands, "report", "DIR", "draw figures, page and card again, without images", REPORT_EXAMPLES, _report
    )
    report.add_argument("folder", metavar="DIR", type=local_path, help="folder with report.json and scores.parquet")
    report.add_argument(
        "--notes",
        metavar="FILE",
        type=local_path,
        help="Markdown for the card in place of its notes; an empty file ends them",
    )


def _add_places(command: Parser, text: str = CHECKPOINT_TEXT) -> None:
    """Which checkpoint, and which data."""
    command.add_argument("checkpoint", type=local_name, metavar="CHECKPOINT", help=text)
    command.add_argument("data", nargs="+", metavar="DATA", help=text_of("data"))


def _evaluate(given: dict[str, Any]) -> int:
    """`hf-deepfake evaluate`."""
    checkpoint, split, out, into_card = (given.pop(name) for name in ("checkpoint", "split", "out", "into_card"))
    robustness, errors, foreign, labels = (given.pop(name) for name in ("robustness", "errors", "foreign", "labels"))
    if into_card and not Path(checkpoint).is_dir():
        raise InputError(f"{checkpoint} is no folder here, so that its card cannot change; leave out --into_card")
    if errors and not out:
        raise InputError("--errors needs a folder for the sheets of images; add --out")
    config = build(DataConfig, given)
    for folder in [out] * (out is not None) + [checkpoint] * into_card:
        try_folder(folder)
    from accelerate import PartialState

    from hf_deepfake.evaluation.evaluate import evaluate
    from hf_deepfake.evaluation.others import is_foreign, parse_labels
    from hf_deepfake.explain.error_sheets import add_errors
    from hf_deepfake.hub.render_checkpoint import render, write
    from hf_deepfake.report.merge import adopt

    for folder in [out] * (out is not None) + [checkpoint] * into_card:
        if is_foreign(folder):
            raise InputError(
                f"{folder} holds a model of others, whose card stays as it is; give another folder by --out"
            )
    report, table = evaluate(
        checkpoint,
        config,
        split=split,
        foreign=foreign,
        robustness=robustness,
        labels=parse_labels(labels) if labels else None,
    )
    report, sheets = add_errors(report, table, checkpoint, config, out) if errors else (report, [])
    if PartialState().is_main_process:
        print(report.summary())
        if out:
            write(out, report, table)
            print(f"\nreport  {out / 'report.html'}")
        for sheet in sheets:
            print(f"sheet   {sheet}")
        if into_card:
            adopt(checkpoint, report, table)
            render(checkpoint)
            print(f"card    {Path(checkpoint) / 'README.md'}")
    return 0


def _recalibrate(given: dict[str, Any]) -> int:
    """`hf-deepfake recalibrate`."""
    checkpoint, split, out = (given.pop(name) for name in ("checkpoint", "split", "out"))
    config = build(DecisionConfig, given)
    from accelerate import PartialState

    from hf_deepfake.evaluation.recalibrate import recalibrate
    from hf_deepfake.hub.render_checkpoint import render

    report = recalibrate(checkpoint, config, out, split=split)
    if PartialState().is_main_process:
        render(out)
        print(f"{report.summary()}\n\ncheckpoint  {out}")
    return 0


def _compare(given: dict[str, Any]) -> int:
    """`hf-deepfake compare`."""
    models, reference, out = (given.pop(name) for name in ("models", "against", "out"))
    split, labels = given.pop("split"), given.pop("labels")
    config = build(DataConfig, given) if given else None
    if config is None and labels:
        raise InputError("--labels is for models to be evaluated; give the images by --data")
    if out:
        try_folder(out)
    from accelerate import PartialState

    from hf_deepfake.evaluation.compare_models import compare, evaluate_candidates
    from hf_deepfake.evaluation.others import parse_labels
    from hf_deepfake.files import make_folder, write_json
    from hf_deepfake.hub.render_checkpoint import write
    from hf_deepfake.report.figures import comparison_figure, save_figure

    if config is not None:
        meant = parse_labels(labels) if labels else None
        models = evaluate_candidates(models, config, split=split, labels=meant)
    comparison = compare(models, reference)
    if config is not None and not PartialState().is_main_process:
        return 0
    print(comparison.summary())
    if out:
        make_folder(out)
        write_json(out / "comparison.json", comparison.to_dict())
        save_figure(comparison_figure(comparison.results), out / "comparison.png")
        for one in models if config is not None else ():
            place = out / re.sub(r"[^\w.@-]+", "-", one.name).strip("-.")
            write(place, one.report, one.table)
            print(f"report  {place / 'report.html'}")
        print(f"\ncomparison  {out}")
    return 0


def _combine(given: dict[str, Any]) -> int:
    """`hf-deepfake combine`."""
    checkpoints, out, method = (given.pop(name) for name in ("checkpoints", "out", "method"))
    shares, flip = given.pop("shares"), given.pop("flip")
    config = build(DecisionConfig, given)
    from accelerate import PartialState

    from hf_deepfake.evaluation.combine import combine
    from hf_deepfake.hub.render_checkpoint import render

    report = combine(checkpoints, config, out, method=method, shares=shares, flip=flip)
    if PartialState().is_main_process:
        render(out)
        print(f"{report.summary()}\n\ncheckpoint  {out}")
    return 0


def _report(given: dict[str, Any]) -> int:
    """`hf-deepfake report`."""
    from hf_deepfake.hub.render_checkpoint import render

    file = given["notes"]
    try:
        notes = None if file is None else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the notes {file} cannot be read ({error}); give a Markdown file in UTF-8") from error
    print(render(given["folder"], notes).summary())
    return 0
