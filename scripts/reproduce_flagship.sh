#!/usr/bin/env bash
# The exact sequence behind space/checkpoint, its second edition. Everything goes on from where it was stopped.
#
#   SETS=... CROPS=... RESERVED=... UTK=... LFW=... CLIP=... FIRST=... OUT=... scripts/reproduce_flagship.sh
#
# SETS      folder with dfdc-faces.zip, real-and-fake-face.zip, gan-vs-photo.zip and, in more/, the others
# CROPS     clone with metadata.csv and faces_224, one crop of each DFDC video
# RESERVED  source videos that no training may touch, a line each
# UTK, LFW  folders of images of UTKFace (16 years and older) and LFW, in real/
# CLIP      weights of CLIP ViT-B/16 in timm's names
# FIRST     weights of the first edition, from the history of this repository
#
# Step 2 took 12 minutes on one H200, step 3 half an hour on one core of a Xeon with AMX; docs/flagship.md has all of it.
set -euo pipefail
cd "$(dirname "$0")/.."
export HF_HUB_OFFLINE=1
sets=(dfdc ciplab stylegan1-ffhq stylegan2-tpdne t2i-web sfhq2-unsplash)

# 1. Images. DFDC: every crop whose source video is free. Sets of one class are paired; all are split in ten.
[ -d "$OUT/data/dfdc" ] || python scripts/flagship_data.py --faces "$SETS/dfdc-faces.zip" \
    --composites "$SETS/real-and-fake-face.zip" --crops "$CROPS" --reserved "$RESERVED" --out "$OUT/data"
divide() { # NAME ZIP...: the images of these zips, split
    [ -d "$OUT/data/$1" ] || {
        mkdir -p "$OUT/whole/$1"
        for zip in "${@:2}"; do unzip -oq "$SETS/more/$zip.zip" -d "$OUT/whole/$1"; done
        hf-deepfake split "$OUT/whole/$1" "$OUT/data/$1"
    }
}
divide stylegan1-ffhq stylegan1-ffhq
divide stylegan2-tpdne stylegan2-tpdne
divide t2i-web sfhq-t2i-fake web-photos-real
divide sfhq2-unsplash sfhq-stylegan2-fake unsplash-men-real
for name in utk lfw; do
    folder=${name^^}
    [ -f "$OUT/data/$name/crop.json" ] || hf-deepfake crop "${!folder}" "$OUT/data/$name"
done

# 2. On a GPU that can be had for a quarter of an hour: the teacher, and the student that learns its probabilities.
[ -d "$OUT/pieces" ] || python scripts/gpu_carry.py pack --data "${sets[@]/#/$OUT/data/}" \
    --weights clip="$CLIP" resnet50="$FIRST" --out "$OUT/pieces"
[ -d "$OUT/gpu/runs/student/checkpoint" ] || {
    mkdir -p "$OUT/gpu" && ln -sfn "$OUT/data" "$OUT/gpu/data"
    WORK="$OUT/gpu" OUT="$OUT/small" scripts/gpu.sh teacher student
}

# 3. On from there with real images of one more origin, by labels alone. The first epoch had the best foreign AUC.
origins=(stylegan1-ffhq=ffhq stylegan2-tpdne=ffhq celeba-vs-aifaces=celeba celeba256-real=celeba studio-vs-generated=studio)
calibration=("$SETS/gan-vs-photo.zip" "$SETS/more/celeba-vs-aifaces.zip" "$SETS/more/celeba256-real.zip"
    "$SETS/more/studio-vs-generated.zip" "$OUT/data/lfw")
[ -d "$OUT/runs/on/checkpoint" ] || hf-deepfake train --data "${sets[@]/#/$OUT/data/}" "$OUT/data/utk" \
    --origins "${origins[@]}" --calibration_data "${calibration[@]}" --monitor foreign_auc --model resnet50 \
    --pretrained "$OUT/gpu/runs/student/best.safetensors" --image_size 224 --epochs 4 --steps_per_epoch 250 --lr 1.5e-4 \
    --ema .995 --sampling balanced --origin_sampling_alpha .5 --degrade .5 --save_fp16 --audit off --explained 0 \
    --output_dir "$OUT/runs/on" $([ -f "$OUT/runs/on/run.json" ] && echo --resume)

# 4. The weights of both averaged; temperature, operating point and band from four origins that trained neither.
[ -d "$OUT/runs/average" ] || hf-deepfake combine "$OUT/gpu/runs/student/checkpoint" "$OUT/runs/on/checkpoint" \
    --method weights --data "${sets[@]/#/$OUT/data/}" --out "$OUT/runs/average"
[ -d "$OUT/runs/flagship" ] || hf-deepfake recalibrate "$OUT/runs/average" "${calibration[@]}" \
    --origins "${origins[@]}" --split all --out "$OUT/runs/flagship"

# 5. What it is worth, and a file for OpenVINO in int8.
hf-deepfake evaluate "$OUT/runs/flagship" "${sets[@]/#/$OUT/data/}" --robustness mild --errors --into_card \
    --out "$OUT/evaluations/flagship"
hf-deepfake export "$OUT/runs/flagship" --data "${sets[@]/#/$OUT/data/}" --format openvino --int8

# 6. Ship it, with what its author has to say.
rm -rf space/checkpoint
cp -r "$OUT/runs/flagship" space/checkpoint
hf-deepfake report space/checkpoint --notes docs/flagship_notes.md
make card
