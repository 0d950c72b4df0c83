"""Fine-tune a checkpoint on other images with transformers' own `Trainer`, evaluated by the `evaluate` module.

    python examples/fine_tune_with_trainer.py runs/demo/checkpoint more_faces.zip tuned --epochs 1

The images are labelled, split and searched for leaks by `load_images`; all else is plain transformers. What is
saved loads through the same readers as before; its threshold is .5, its scores are not calibrated, and it has no card.
"""

import argparse
from importlib.resources import files

import evaluate
import torch
from scipy.special import softmax
from transformers import AutoImageProcessor, AutoModelForImageClassification, Trainer, TrainingArguments

from hf_deepfake import load_images


def main() -> None:
    """Fine-tune, measure on the test split and save."""
    parser = argparse.ArgumentParser(description="Fine-tune a checkpoint with transformers' Trainer.")
    parser.add_argument("checkpoint", help="folder, or OWNER/NAME on the Hub")
    parser.add_argument("data", help="anything that load_images takes")
    parser.add_argument("output", help="folder for the new checkpoint")
    parser.add_argument("--epochs", type=int, default=1)
    given = parser.parse_args()

    data = load_images(given.data)
    processor = AutoImageProcessor.from_pretrained(given.checkpoint)
    model = AutoModelForImageClassification.from_pretrained(given.checkpoint)
    metric = evaluate.load(str(files("hf_deepfake") / "deepfake_metric"))

    def prepare(rows):
        pixels = [processor.val_transforms(image.convert("RGB")) for image in rows["image"]]
        return {"pixel_values": torch.stack(pixels), "labels": torch.tensor(rows["label"])}

    def measure(evaluation):
        scores = softmax(evaluation.predictions, axis=1)[:, 1]
        return metric.compute(predictions=scores, references=evaluation.label_ids)

    options = TrainingArguments(
        output_dir=given.output,
        num_train_epochs=given.epochs,
        per_device_train_batch_size=32,
        learning_rate=1e-4,
        eval_strategy="epoch",
        save_strategy="no",
        remove_unused_columns=False,  # the transform needs the column image, which no argument of the model is called
        report_to="none",
    )
    splits = {name: split.with_transform(prepare) for name, split in data.items()}
    trainer = Trainer(
        model, options, train_dataset=splits["train"], eval_dataset=splits["validation"], compute_metrics=measure
    )
    trainer.train()
    for name, value in trainer.evaluate(splits["test"], metric_key_prefix="test").items():
        print(f"{name}: {value}")
    model.config.hf_deepfake = {}  # temperature, threshold and abstention band were those of the old weights
    model.save_pretrained(given.output)


if __name__ == "__main__":
    main()
