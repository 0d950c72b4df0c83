"""Push a data set to the Hugging Face Hub, split without leaks, as parquet files with a data card."""

from importlib import resources
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from datasets import DatasetInfo
from datasets.info import DatasetInfosDict
from huggingface_hub import DatasetCardData
from jinja2 import Environment, StrictUndefined

from hf_deepfake.config import DataConfig
from hf_deepfake.curate.pack import write_shards
from hf_deepfake.data.data_report import DataReport
from hf_deepfake.data.load import prepare
from hf_deepfake.errors import InputError
from hf_deepfake.hub.upload import PushResult, check_target, sizes, upload


def push_data(
    config: DataConfig, repo_id: str, *, license: str, private: bool = False, dry_run: bool = False
) -> PushResult:
    """Publish what `load_images` makes of the sources, in one commit; earlier parquet files there are replaced.

    Files go up unchanged, with their names and metadata, and so do groups and all further columns; the card does not
    name local paths. The parquet files are first written to the temporary folder, which must have room for all of
    them.

    Args:
        config: sources and options.
        repo_id: `owner/name`; the repository is made if need be.
        license: the Hub's name of the data set's licence, such as "cc-by-4.0".
        private: only the owner may see the repository.
        dry_run: say what would be pushed, and ask the Hub nothing.

    Returns:
        What was pushed, and where.

    Raises:
        InputError: the sources cannot be used or leaks are to be kept, there is no token, the temporary folder is
            full, or the Hub cannot be reached or refuses. The same call can be repeated.
    """
    if config.on_leak == "keep":
        raise InputError("--on_leak keep would publish splits that leak; leave it out")
    check_target(repo_id, dry_run)
    data, report = prepare(config)
    report.warn_of_losses()
    with TemporaryDirectory() as scratch:
        try:
            shards, info = write_shards(data, Path(scratch))
        except OSError as error:
            raise InputError(
                f"the parquet files cannot be written to {scratch} ({error.strerror or error}); make room there, or "
                "set TMPDIR to a larger folder"
            ) from error
        card = build_data_card(report, info, repo_id=repo_id, license=license)
        files = {"README.md": card.encode(), **{f"data/{path.name}": path for path in shards}}
        if dry_run:
            return PushResult(sizes(files))
        message = "Push a data set by hf_deepfake"
        return upload("dataset", repo_id, files, message=message, private=private or None, replaced=["data/*.parquet"])


def build_data_card(report: DataReport, info: DatasetInfo, *, repo_id: str, license: str) -> str:
    """Render the data card.

    Args:
        report: what `prepare` found.
        info: columns, and size of each split.
        repo_id: `owner/name` on the Hub.
        license: the Hub's name of the data set's licence.

    Returns:
        Markdown with YAML metadata.
    """
    metadata = DatasetCardData(
        license=license,
        task_categories=["image-classification"],
        tags=["deepfake-detection"],
        configs=[
            {
                "config_name": "default",
                "data_files": [{"split": name, "path": f"data/{name}-*"} for name in info.splits or {}],
            }
        ],
    )
    DatasetInfosDict(default=info).to_dataset_card_data(metadata)
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)
    template = (resources.files("hf_deepfake") / "hub" / "data_card_template.md").read_text(encoding="utf-8")
    text = environment.from_string(template).render(
        metadata=metadata.to_yaml(),
        title=repo_id.rpartition("/")[2],
        repo_id=repo_id,
        grouped="group" in (info.features or {}),
        version=version("hf-deepfake"),
        data=report.to_dict(),
    )
    return text.rstrip() + "\n"
