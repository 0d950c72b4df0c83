#!/usr/bin/env bash
# The sequence behind space/checkpoint and space/resnet50, the third edition. Everything goes on from where it was stopped.
#
#   SETS=... CROPS=... RESERVED=... UTK=... LFW=... CLIP=... LITE0=... RESNET50=... OUT=... scripts/reproduce_flagship.sh
#
# SETS      folder with dfdc-faces.zip, real-and-fake-face.zip, gan-vs-photo.zip and, in more/, the others
# CROPS     clone with metadata.csv and faces_224, one crop of each DFDC video
# RESERVED  source videos that no training may touch, a line each
# UTK, LFW  folders of images of UTKFace (4,000 of 16 years and older) and LFW (700), in real/
# CLIP      weights of CLIP ViT-B/16 in timm's names
# LITE0     weights of EfficientNet-Lite0 from ImageNet
# RESNET50  weights of the second edition, from the history of this repository
#
# Step 2 is a quarter of an hour on one GPU; there, of DFDC's crops, every real with one of its fakes and 34,500 further
# fakes were there in time. docs/flagship.md has all of it.
set -euo pipefail
cd "$(dirname "$0")/.."
export HF_HUB_OFFLINE=1
sets=(dfdc ciplab stylegan1-ffhq stylegan2-tpdne t2i-web sfhq2-unsplash utk)

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
[ -e "$OUT/data/utk" ] || ln -s "$UTK" "$OUT/data/utk" # crops already
[ -f "$OUT/data/lfw/crop.json" ] || hf-deepfake crop "$LFW" "$OUT/data/lfw"

# 2. On a GPU that can be had for a quarter of an hour: two adapters, and the students of their mean log-odds.
[ -d "$OUT/pieces" ] || python scripts/gpu_carry.py pack --data "${sets[@]/#/$OUT/data/}" \
    --weights clip="$CLIP" resnet50="$RESNET50" tf_efficientnet_lite0="$LITE0" --out "$OUT/pieces"
[ -d "$OUT/gpu/runs/lite0/checkpoint" ] || {
    python scripts/gpu_carry.py take "$OUT/pieces" --out "$OUT/gpu/data"
    WORK="$OUT/gpu" OUT="$OUT/small" scripts/gpu.sh layernorm lora resnet50 lite0
}

# 3. Temperature, operating point and band from four origins that trained neither.
origins=(celeba-vs-aifaces=celeba celeba256-real=celeba studio-vs-generated=studio)
calibration=("$SETS/gan-vs-photo.zip" "$SETS/more/celeba-vs-aifaces.zip" "$SETS/more/celeba256-real.zip"
    "$SETS/more/studio-vs-generated.zip" "$OUT/data/lfw")
for name in lite0 resnet50; do
    [ -d "$OUT/runs/$name" ] || hf-deepfake recalibrate "$OUT/gpu/runs/$name/checkpoint" "${calibration[@]}" \
        --origins "${origins[@]}" --split all --out "$OUT/runs/$name"
done

# 4. What they are worth on test images, degraded too, and a file for OpenVINO in int8. Ship them, with what there is to say.
for name in lite0 resnet50; do
    hf-deepfake evaluate "$OUT/runs/$name" "${sets[@]/#/$OUT/data/}" --robustness mild --errors --into_card \
        --out "$OUT/evaluations/$name"
done
hf-deepfake export "$OUT/runs/lite0" --data "${sets[@]/#/$OUT/data/}" --format openvino --int8
rm -rf space/checkpoint space/resnet50
cp -r "$OUT/runs/lite0" space/checkpoint
cp -r "$OUT/runs/resnet50" space/resnet50
hf-deepfake report space/checkpoint --notes docs/flagship_notes.md
make card
