"""Cross-validation: leave one origin out, or a fold of groups, and train on the rest by the same loop.

Each fold is a run in a process of its own, which resumes where it was stopped. Under `accelerate launch` each process,
on whichever machine, takes every so-many-th fold; the output folder must then be one that all of them see.
"""

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Generator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from accelerate import PartialState

from hf_deepfake.config import DataConfig, TrainConfig, build
from hf_deepfake.data.load import prepare
from hf_deepfake.errors import InputError
from hf_deepfake.evaluation.cross_calibration import cross_calibrate, what_helps
from hf_deepfake.files import local_path, make_folder, write_json
from hf_deepfake.machine import WAIT, best_device
from hf_deepfake.metrics.foreign import ForeignResult, OriginScores, measure_parts
from hf_deepfake.metrics.result import Metric
from hf_deepfake.metrics.score_table import SCORES_FILE, load_scores
from hf_deepfake.options import ONE_BY_ONE
from hf_deepfake.report.foreign_table import foreign_rows
from hf_deepfake.report.report import REPORT_FILE, Report
from hf_deepfake.report.text_table import align
from hf_deepfake.training.apart import train_apart

RESULT_FILE = "crossval.json"

CHECKPOINT, LEFT_OUT = "checkpoint", "left_out"
"""Folders of a fold's run: what was trained, and what it says of the origin that it has not seen."""

_OF_LAUNCHER = re.compile(
    r"(LOCAL_)?RANK|(LOCAL_)?WORLD_SIZE|MASTER_(ADDR|PORT)|ACCELERATE_.*|TORCHELASTIC_.*|GROUP_.*|ROLE_.*"
)


@dataclass(frozen=True)
class CrossValidation:
    """What all folds together say.

    Attributes:
        leave_out: "origin" or "group".
        own_band: results on what each fold left out, with the band that its own sources gave it.
        cross_band: the same, with operating point and band of the other folds' left-out images; None for groups, of
            which none is foreign.
        helps: by origin left out and origin tested, what the first adds to the AUC of the second; empty for groups.
    """

    leave_out: str
    own_band: ForeignResult
    cross_band: ForeignResult | None
    helps: dict[str, dict[str, Metric]]

    def summary(self) -> str:
        """Text tables of a row for each fold, with their mean and the worst."""
        what = "Origin left out" if self.leave_out == "origin" else "Fold"
        lines = []
        own, cross = "decided by its own sources", "decided by what the other folds left out"
        for title, result in {own: self.own_band, cross: self.cross_band}.items():
            if result is not None:
                head, *rows = foreign_rows(result)
                lines += [title, *align([[what, *head[1:]], *rows]), ""]
        if self.helps:
            origins = list(self.helps)
            rows = [["What it adds to the AUC of", *origins]]
            rows += [[name, *(str(self.helps[name].get(other, "")) for other in origins)] for name in origins]
            lines += align(rows)
        return "\n".join(lines).rstrip()


def cross_validate(options: dict[str, Any], leave_out: Literal["origin", "group"], folds: int = 5) -> CrossValidation:
    """Train, calibrate and test each fold; every process of a launch calls this.

    Args:
        options: of training, by name; its output folder receives a run for each fold and the result.
        leave_out: "origin" for each origin in turn, "group" for `folds` folds whose groups stay whole.
        folds: how many folds of groups.

    Returns:
        The result, the same on every process.

    Raises:
        InputError: an option is wrong, there are fewer than two origins, or a run cannot be finished.
    """
    config = build(TrainConfig, options)
    if config.fold or config.without_origins or config.calibration_data:
        raise InputError(
            "crossval chooses folds, and what calibrates each, itself; leave out fold, without_origins and "
            "calibration_data"
        )
    state = PartialState(cpu=best_device().type == "cpu", timeout=WAIT)
    out = make_folder(local_path(config.output_dir))
    if leave_out == "group":
        changes = {f"fold {number}": {"fold": f"{number}/{folds}"} for number in range(1, folds + 1)}
    else:
        changes = {origin: {"without_origins": (origin,)} for origin in _origins(config)}
    for name in list(changes)[state.process_index :: state.num_processes]:
        folder = out / _file_name(name)
        others = tuple(one for one in changes if one != name) if leave_out == "origin" else ()
        with _of_its_own():
            if not (folder / CHECKPOINT / REPORT_FILE).is_file():
                kept = {option: value for option, value in options.items() if option not in ("resume", "overwrite")}
                train_apart(kept | changes[name] | {"output_dir": str(folder)})
            if others and not (folder / LEFT_OUT / SCORES_FILE).is_file():
                _evaluate_apart(folder, _data_of(config, without_origins=others))
    state.wait_for_everyone()
    result = _result({name: out / _file_name(name) for name in changes}, leave_out, config)
    if state.is_main_process:
        write_json(out / RESULT_FILE, asdict(result))
    return result


def _origins(config: TrainConfig) -> tuple[str, ...]:
    """Origins of all images, two or more."""
    with PartialState().main_process_first():
        _, report = prepare(_data_of(config))
    if len(report.origins) < 2:
        raise InputError(
            f"all images are of the origin {report.origins[0]}, so that none can be left out; add sources, or name "
            "their origins by --origins"
        )
    return report.origins


def _data_of(config: TrainConfig, **changes: Any) -> DataConfig:
    """The part of the options that says what the data are."""
    known = asdict(config)
    return build(DataConfig, {item.name: known[item.name] for item in fields(DataConfig)} | changes)


@contextlib.contextmanager
def _of_its_own() -> Generator[None]:
    """Start processes that do not take themselves for parts of what launched this one."""
    launched = {name: os.environ.pop(name) for name in list(os.environ) if _OF_LAUNCHER.fullmatch(name)}
    try:
        yield
    finally:
        os.environ |= launched


def _evaluate_apart(folder: Path, data: DataConfig) -> None:
    """Score what a fold left out, in a process of its own."""
    words = ["evaluate", str(folder / CHECKPOINT), *data.data, "--foreign", "--out", str(folder / LEFT_OUT)]
    for item in fields(DataConfig):
        value = getattr(data, item.name)
        if item.name != "data" and value != item.default:
            several = value if isinstance(value, tuple) else (value,)
            for one in [(part,) for part in several] if item.name in ONE_BY_ONE else [several]:
                words += [f"--{item.name}", *map(str, one)]
    done = subprocess.run([sys.executable, "-m", "hf_deepfake.cli.main", *words], check=False, stdout=subprocess.PIPE)
    if done.returncode:
        raise InputError(f"{folder} could not be evaluated (exit code {done.returncode}); give the same command again")


def _file_name(name: str) -> str:
    """A folder's name made of a fold's."""
    return re.sub(r"[^\w.-]+", "_", name)


def _result(folders: dict[str, Path], leave_out: str, config: TrainConfig) -> CrossValidation:
    """Put the folds' scores together."""
    left, own, tests = {}, {}, {}
    for name, folder in folders.items():
        info = Report.load(folder / CHECKPOINT / REPORT_FILE).checkpoint
        table = load_scores(folder / CHECKPOINT / SCORES_FILE)
        tests[name] = table[table["split"] == "test"]
        left[name] = load_scores(folder / LEFT_OUT / SCORES_FILE) if leave_out == "origin" else tests[name]
        own[name] = OriginScores(left[name], info.operating_point, info.abstention_band)
    if leave_out == "group":
        return CrossValidation(leave_out, measure_parts(own), None, {})
    return CrossValidation(
        leave_out, measure_parts(own), measure_parts(cross_calibrate(left, config)), what_helps(tests, left)
    )
